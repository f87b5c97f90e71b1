-- contract: JSON

local function text_of(value, ...) return mtev.tojson(value, ...):tostring() end
local function parse(text) return assert(mtev.parsejson(text)):document() end

describe("mtev.parsejson", function()
  it("gives the values of a document, nulls left out", function()
    assert.same({ a = { 1, 2.5, "x", true, false }, c = {} }, parse('{"a":[1,2.5,"x",true,false],"b":null,"c":{}}'))
    assert.same({ [1] = 1, [3] = 3 }, parse(" [ 1 , null , 3 ] "))
    assert.same({ a = 2 }, parse('{"a":1,"a":2}'))
  end)

  it("takes a scalar for a document", function()
    assert.equal(5, parse("5"))
    assert.equal("x", parse('"x"'))
    assert.equal(false, parse("false"))
    assert.is_nil(parse("null"))
    assert.equal(12, mtev.parsejson(12):document())
  end)

  it("ignores text after the document", function()
    assert.same({ 1 }, parse("[1] and more"))
    assert.equal("[ 1 ]", mtev.parsejson("[1] and more"):tostring())
  end)

  it("gives integers of 2^52 and beyond as decimal strings", function()
    assert.same({ 4503599627370495, "4503599627370496", "-4503599627370496", "18446744073709551616" },
      parse("[4503599627370495, 4503599627370496, -4503599627370496, 18446744073709551616]"))
    assert.equal(-4503599627370495, parse("-4503599627370495"))
    assert.equal(1e300, parse("1e300"))
  end)

  it("takes what nests deeply, and keys that are there twice", function()
    for _, depth in ipairs({ 89, 90, 91, 99, 100, 101, 500, 999 }) do
      local value = parse(("["):rep(depth) .. '{"a":1}' .. ("]"):rep(depth))
      for _ = 1, depth do value = value[1] end
      assert.same({ a = 1 }, value)
    end
    local objects = parse(('{"k":[1,'):rep(300) .. "null" .. ("]}"):rep(300))
    for _ = 1, 299 do objects = objects.k[2] end
    assert.same({ k = { 1 } }, objects)
    assert.same({ a = "last", b = 2 }, parse('{"a":1,"b":2,"a":[],"a":"last"}'))
    assert.same({}, parse('{"a":1,"a":null}'))
    assert.same({ a = 1 }, parse('{"a":null,"a":1}'))
    assert.same({ x = { { a = 2, c = true } } }, parse('{"x":[{"a":1,"c":true,"a":2}]}'))
  end)

  it("takes strings and numbers of every length", function()
    for _, n in ipairs({ 0, 1, 190, 191, 192, 193, 222, 223, 224, 300, 8000, 70000 }) do
      local text = ("é"):rep(n)
      assert.equal(text .. "\n", parse('["' .. text .. '\\n"]')[1])
      assert.equal(text, parse('{"' .. text .. '":1,"v":"' .. text .. '"}').v)
      assert.equal(1, parse('{"' .. text .. '":1}')[text])
      local digits = "1" .. ("0"):rep(n)
      if n > 20 then assert.same({ digits, "-" .. digits }, parse("[" .. digits .. ",-" .. digits .. "]")) end
    end
    local many = {}
    for i = 1, 5000 do many[i] = i end
    assert.same(many, parse("[" .. table.concat(many, ",") .. "]"))
  end)

  it("decodes escapes", function()
    assert.equal('"\\/\b\f\n\r\t', parse([["\"\\\/\b\f\n\r\t"]]))
    assert.equal("\0é€😀", parse([["\u0000\u00e9\u20AC\ud83d\ude00"]]))
    assert.equal("\239\191\189x", parse([["\ud83dx"]]))
    assert.equal("\255\254", parse('"\255\254"'))
    local long = ("x"):rep(200000)
    assert.equal(long .. "\n" .. long, parse('"' .. long .. "\\n" .. long .. '"'))
  end)

  for _, case in ipairs({
    { "", "unexpected end of data", 0 },
    { "  ", "unexpected end of data", 2 },
    { "[1,2", "unexpected end of data", 4 },
    { '{"a"', "unexpected end of data", 4 },
    { '"abc', "unexpected end of data", 4 },
    { '"abc\\', "unexpected end of data", 5 },
    { "-", "unexpected end of data", 1 },
    { "[1,]", "value expected", 3 },
    { "[,1]", "value expected", 1 },
    { "[1 2]", "',' or ']' expected", 3 },
    { "[1}", "',' or ']' expected", 2 },
    { '{"a":1]', "',' or '}' expected", 6 },
    { '{"a":1,}', "object key expected", 7 },
    { "{a:1}", "object key expected", 1 },
    { '{"a" 1}', "':' expected", 5 },
    { "[01]", "leading zero in a number", 1 },
    { "[1.]", "digit expected", 3 },
    { "[1e]", "digit expected", 3 },
    { "[-]", "digit expected", 2 },
    { "[+1]", "value expected", 1 },
    { "[.5]", "value expected", 1 },
    { "[NaN]", "value expected", 1 },
    { "[nul]", "value expected", 1 },
    { "['a']", "value expected", 1 },
    { '["a\nb"]', "control character in a string", 3 },
    { '["a\0b"]', "control character in a string", 3 },
    { '["\\x"]', "unknown escape", 2 },
    { '["\\u12g4"]', "\\u and four hexadecimal digits expected", 2 },
    { "\239\187\191[]", "value expected", 0 },
    { "[1]\0", false },
  }) do
    it(("%s %q"):format(case[2] and "refuses" or "accepts", case[1]), function()
      local json, message, offset = mtev.parsejson(case[1])
      if case[2] then
        assert.is_nil(json)
        assert.equal(case[2], message)
        assert.equal(case[3], offset)
      else
        assert.is_truthy(json)
      end
    end)
  end

  it("raises when it is not given text", function()
    assert.error_matches(function() mtev.parsejson() end, "bad argument #1 to 'parsejson' %(string expected, got nil%)")
    assert.error_matches(function() mtev.parsejson({}) end, "string expected, got table")
  end)
end)

describe("an mtev.json", function()
  it("prints with one space after brackets, commas and colons, in the order of the source", function()
    assert.equal('{ "z": [ 1, 2.50, -3e5 ], "a": { }, "e": [ ], "s": "\\/" }',
      mtev.parsejson('{"z":[1,2.50,-3e5],\n"a":{},"e":[ ],"s":"/"}'):tostring())
  end)

  it("keeps UTF-8 and escapes control characters when it prints", function()
    assert.equal('[ "é€", "\\u0001\\n\\"\\\\\127" ]', mtev.parsejson('["\\u00e9€","\\u0001\\n\\u0022\\\\\\u007f"]'):tostring())
  end)

  it("gives every caller tables of its own", function()
    local json = mtev.parsejson('{"a":[1]}')
    json:document().a[1] = "changed"
    assert.same({ a = { 1 } }, json:document())
    assert.same({ a = { 1 } }, json:document())
    assert.equal('{ "a": [ 1 ] }', json:tostring())
    assert.same({ a = { 1 } }, json:document())
  end)

  it("answers unknown names, dots and arguments with errors", function()
    local json = mtev.parsejson("[]")
    assert.error_matches(function() return json.nonsense end, "mtev.json no such element: nonsense")
    assert.error_matches(function() json.document() end, "must be called as method")
    assert.error_matches(function() json.tostring({}) end, "must be called as method")
    assert.error_matches(function() json:document(1) end, "expects no arguments, got 1")
  end)
end)

describe("mtev.tojson", function()
  it("writes arrays, holes as null", function()
    assert.equal("[ ]", text_of({}))
    assert.equal("[ 1, 2, 3 ]", text_of({ 1, 2, 3 }))
    assert.equal("[ null, null, true ]", text_of({ [3] = true }))
    assert.equal('[ "x" ]', text_of({ [1.5] = "x" }))
  end)

  it("writes objects, number keys as integers", function()
    assert.equal('{ "a": [ { "b": false } ] }', text_of({ a = { { b = false } } }))
    assert.equal('{ "0": "x" }', text_of({ [0] = "x" }))
    assert.equal('{ "-2": "x" }', text_of({ [-2.5] = "x" }))
    assert.same({ ["1"] = 1, x = 2 }, parse(text_of({ 1, x = 2 })))
  end)

  it("writes integral numbers as integers, others with six decimals", function()
    assert.equal("[ 0, 0, 7, -7, 1234567890123, 1.500000, -0.100000, 0.000000 ]",
      text_of({ 0, -0, 7, -7, 1234567890123, 1.5, -0.1, 1e-9 }))
    assert.equal("[ 9007199254740992, -9223372036854775807, 18446744073709551615 ]",
      text_of({ 2 ^ 53, -9223372036854775807LL, 18446744073709551615ULL }))
  end)

  it("writes null for what JSON has no word for", function()
    assert.equal("[ null, null, null, null, null, null ]", text_of({ 0 / 0, 1 / 0, -1 / 0, print, coroutine.create(print), io.stdout }))
    assert.equal("null", text_of(nil))
    assert.is_nil(mtev.tojson(nil):document())
  end)

  it("escapes strings", function()
    assert.equal([["\"\\\/\b\u000c\n\r\t\u0000\u001f é"]], text_of('"\\/\b\f\n\r\t\0\31 é'))
  end)

  it("elides what is deeper than maxdepth", function()
    assert.equal('"[depth elided]"', text_of({ 1 }, 0))
    assert.equal('[ "[depth elided]", "[depth elided]" ]', text_of({ 1, { 2 } }, 1))
    assert.equal('[ 1, [ "[depth elided]" ] ]', text_of({ 1, { 2 } }, 2))
    assert.equal("[ 1, [ 2 ] ]", text_of({ 1, { 2 } }, -1))
  end)

  it("is a snapshot, and a document again", function()
    local t = { 1 }
    local json = mtev.tojson(t)
    t[1] = 2
    assert.equal("[ 1 ]", json:tostring())
    assert.same({ 1 }, json:document())
  end)

  it("an empty table is an object if it says so", function()
    local object = setmetatable({}, { __jsontype = "object" })
    assert.equal('{ "a": { } }', text_of({ a = object }))
    assert.equal("[ ]", text_of(setmetatable({}, { __jsontype = "array" })))
    object.x = 1
    assert.equal('{ "x": 1 }', text_of(object))
  end)

  it("whole numbers survive the way there and back", function()
    for _, number in ipairs({ 0, -1, 2 ^ 52 - 1, 1e300, -2 ^ 70 }) do
      assert.equal(number, tonumber(mtev.parsejson(text_of({ number })):document()[1]))
    end
  end)

  it("takes objects of the API for what they are, not for tables", function()
    for _, object in ipairs({ mtev.parsejson("[1]"), mtev.socket(), mtev.dns(), mtev.timezone("UTC"), mtev.bignum_new(),
      mtev.semaphore("json", 1), mtev.parsexml("<a/>"), mtev.parsexml("<a/>"):root(), mtev.newrsa(1024) }) do
      assert.equal('[ null, { "of": null } ]', text_of({ object, { of = object } }))
      assert.equal("null", text_of(object))
    end
    assert.equal('{ "a": 1 }', text_of(setmetatable({ a = 1 }, { __metatable = 5 })))
  end)

  it("refuses what cannot be written, and works on", function()
    local inside = {}
    inside.self = inside
    assert.error_matches(function() mtev.tojson(inside) end, "json_spec.lua:%d+: tojson: tables nested too deep")
    assert.equal('{ "self": { "self": "[depth elided]" } }', text_of(inside, 2))
    assert.error_matches(function() mtev.tojson({ [true] = 1 }) end, "json_spec.lua:%d+: tojson: a key is a string or a number, got boolean")
    assert.error_matches(function() mtev.tojson({ [1e15] = 1 }) end, "json_spec.lua:%d+: tojson: an array of 1 values with an index of 1000000000000000")
    assert.error_matches(function() mtev.tojson({}, "deep") end, "bad argument #2 to 'tojson'")
    assert.equal("[ 1 ]", text_of({ 1 }))
  end)
end)
