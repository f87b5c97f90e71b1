-- manual: mtev_confstr_parse_*, mtev_get_durations_*, mtev_now_*, mtev_rand*, mtev_uuid_*; and expressions and timers

local ffi = require("ffi")
ffi.cdef [[
typedef uint64_t u_int64_t;
typedef enum { mtev_false = 0, mtev_true } mtev_boolean;
typedef struct _mtev_duration_definition_t { const char *key; size_t key_len; u_int64_t mul; } mtev_duration_definition_t;
typedef struct { char opaque[64]; } mtev_perftimer_t;
void luamtev_spec_usleep(unsigned long us) __asm__("usleep");
struct luamtev_spec_timeval { long tv_sec, tv_usec; };

typedef struct mtev_logic_ast_t mtev_logic_ast_t;
typedef struct mtev_logic_exec_t mtev_logic_exec_t;
typedef struct mtev_logic_var_t mtev_logic_var_t;
typedef struct { mtev_boolean (*lookup)(void *context, const char *name, mtev_logic_var_t *outvar); } mtev_logic_ops_t;
typedef void *mtev_log_stream_t;
void free(void *);
]]
local libmtev = ffi.load("mtev")

describe("mtev_confstr_parse_boolean", function()
  local result = ffi.new("mtev_boolean[1]")

  it("knows three words for each", function()
    for word, value in pairs({ yes = 1, TrUe = 1, ON = 1, no = 0, FaLsE = 0, off = 0 }) do
      result[0] = 1 - value
      assert.equal(0, libmtev.mtev_confstr_parse_boolean(word, result))
      assert.is_true(result[0] == value)
    end
  end)

  it("refuses every other", function()
    for _, word in ipairs({ "", "tru", "truee", "1", " yes", "enabled" }) do
      assert.equal(-2, libmtev.mtev_confstr_parse_boolean(word, result))
    end
    assert.error_matches(function() libmtev.mtev_confstr_parse_boolean(nil, result) end, "input is NULL")
    assert.error_matches(function() libmtev.mtev_confstr_parse_boolean("yes", nil) end, "output is NULL")
  end)
end)

describe("mtev_confstr_parse_duration", function()
  local result = ffi.new("u_int64_t[1]")

  local function parse(text, resolution)
    result[0] = 77
    return libmtev.mtev_confstr_parse_duration(text, result, libmtev["mtev_get_durations_" .. resolution]()),
      tonumber(result[0])
  end

  it("counts in the resolution that is asked for", function()
    local worth = {
      ns = { ns = 1, us = 1e3, ms = 1e6, s = 1e9, sec = 1e9, min = 60e9, hr = 3600e9 },
      us = { us = 1, ms = 1e3, s = 1e6, sec = 1e6, min = 60e6, hr = 3600e6, d = 86400e6 },
      ms = { ms = 1, s = 1e3, sec = 1e3, min = 60e3, hr = 3600e3, d = 86400e3, w = 7 * 86400e3 },
      s = { s = 1, sec = 1, min = 60, hr = 3600, d = 86400, w = 7 * 86400 },
    }
    for resolution, units in pairs(worth) do
      for unit, value in pairs(units) do
        assert.same({ 0, 3 * value }, { parse("3" .. unit, resolution) })
        assert.equal(0, libmtev["mtev_confstr_parse_duration_" .. resolution]("1" .. unit, result))
        assert.is_true(result[0] == value)
      end
      for _, unit in ipairs({ "ns", "us", "ms", "d", "w" }) do
        if not units[unit] then assert.same({ -2, 77 }, { parse("1" .. unit, resolution) }) end
      end
    end
  end)

  it("knows its units after everything that can go was collected and its memory is others'", function()
    for _ = 1, 3 do
      collectgarbage()
      local others = {}
      for i = 1, 50000 do others[i] = ffi.new("char[?]", 9, "zzzzzzzz") end
      for _, unit in ipairs({ "ms", "s", "sec", "hour", "weeks" }) do assert.equal(0, (parse("3" .. unit, "ms"))) end
      assert.equal(50000, #others)
    end
  end)

  it("adds up what follows each other, between spaces", function()
    assert.same({ 0, 90 }, { parse("1min 30sec", "s") })
    assert.same({ 0, 60005 }, { parse("1min5ms", "ms") })
    assert.same({ 0, 1001 }, { parse(" \t1s 1 ms ", "ms") })
    assert.same({ 0, 0 }, { parse("0s", "ms") })
  end)

  it("refuses what is no duration, and leaves the result alone", function()
    for _, text in ipairs({ "", " ", "ms", "1", "1ms hello", "1.5s", "-1s", "1s1", "s1", "1 S" }) do
      assert.same({ -2, 77 }, { parse(text, "ms") })
    end
  end)

  it("says when a duration is beyond 64 bits", function()
    assert.equal(0, (parse("18446744073709551615ns", "ns")))
    assert.is_true(result[0] == 18446744073709551615ULL)
    assert.equal(-1, (parse("18446744073709551616ns", "ns")))
    assert.equal(-1, (parse("18446744073709551615ns 1ns", "ns")))
    assert.equal(-1, (parse("18446744073709551615us", "ns")))
    assert.equal(-1, (parse(("9"):rep(400) .. "ns", "ns")))
  end)

  it("takes definitions of the caller's", function()
    local key = ffi.new("char[4]", "fox")
    local own = ffi.new("mtev_duration_definition_t[2]", { { key, 3, 14 } })
    assert.equal(0, libmtev.mtev_confstr_parse_duration("2fox", result, own))
    assert.is_true(result[0] == 28)
    assert.error_matches(function() libmtev.mtev_confstr_parse_duration("1s", result, nil) end, "durations is NULL")
    assert.error_matches(function() libmtev.mtev_confstr_parse_duration_s("1s", nil) end, "output is NULL")
  end)

  it("shows its definitions in the caller's type", function()
    local list = libmtev.mtev_get_durations_s()
    assert.is_true(ffi.istype("const mtev_duration_definition_t *", list))
    assert.equal("s", ffi.string(list[0].key))
    local i = 0
    while list[i].key ~= nil do i = i + 1 end
    assert.is_true(i > 5)
  end)
end)

describe("mtev_confstr_parse_time_gm", function()
  local result = ffi.new("u_int64_t[1]")

  it("reads the dates of RFC 3339", function()
    for text, seconds in pairs({ ["1970-01-01T00:00:00Z"] = 0, ["1970-01-01t01:00:00+01:00"] = 0,
      ["1969-12-31T23:00:00-01:00"] = 0, ["2000-02-29T12:34:56z"] = 951827696, ["2026-11-27T14:00:00+05:30"] = 1795768200,
      ["2100-03-01T00:00:00Z"] = 4107542400 }) do
      assert.equal(0, libmtev.mtev_confstr_parse_time_gm(text, result))
      assert.equal(seconds, tonumber(result[0]))
    end
  end)

  it("refuses what is none, or is before 1970", function()
    for _, text in ipairs({ "", "1970-01-01", "1970-01-01T00:00:00", "1970-13-01T00:00:00Z", "2001-02-29T00:00:00Z",
      "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01 00:00:00Z", "1970-01-01T00:00:00Zx",
      "1970-01-01T00:00:00+1", "1970-01-01T00:00:00+24:00" }) do
      assert.equal(-2, libmtev.mtev_confstr_parse_time_gm(text, result))
    end
    assert.equal(-1, libmtev.mtev_confstr_parse_time_gm("1969-12-31T23:59:59Z", result))
  end)
end)

describe("the clocks", function()
  it("measure what passes, in nanoseconds", function()
    local timer = ffi.new("mtev_perftimer_t[1]")
    libmtev.mtev_perftimer_start(timer)
    ffi.C.luamtev_spec_usleep(20000)
    local elapsed = libmtev.mtev_perftimer_elapsed(timer)
    assert.is_true(ffi.istype("int64_t", elapsed))
    assert.is_true(elapsed >= 20000000)
    local before = libmtev.mtev_get_nanos()
    assert.is_true(libmtev.mtev_sys_gethrtime() >= before)
    assert.error_matches(function() libmtev.mtev_perftimer_start(nil) end, "NULL")
  end)

  it("tell the time of day", function()
    local before, now = os.time(), ffi.new("struct luamtev_spec_timeval[1]")
    assert.equal(0, libmtev.mtev_gettimeofday(now, nil))
    assert.is_true(now[0].tv_sec >= before and now[0].tv_usec < 1000000)
    assert.is_true(libmtev.mtev_now_ms() >= before * 1000)
    assert.is_true(libmtev.mtev_now_us() / 1000 <= libmtev.mtev_now_ms())
  end)
end)

describe("mtev_rand", function()
  it("gives numbers of 64 bits, and none twice in a row", function()
    local seen, high, secure = {}, 0, ffi.new("uint64_t[1]")
    for _, draw in ipairs({ libmtev.mtev_rand, libmtev.mtev_rand_trysecure,
      function() return libmtev.mtev_rand_secure(secure) == 0 and secure[0] end }) do
      for _ = 1, 200 do
        local number = draw()
        assert.is_true(ffi.istype("uint64_t", number))
        assert.is_nil(seen[tostring(number)])
        seen[tostring(number)] = true
        if number >= 2ULL ^ 63 then high = high + 1 end
      end
    end
    assert.is_true(high > 200 and high < 400)
  end)

  it("fills buffers to their ends and no further", function()
    for _, name in ipairs({ "mtev_rand_buf", "mtev_rand_buf_secure", "mtev_rand_buf_trysecure" }) do
      for _, size in ipairs({ 0, 1, 7, 8, 9, 255, 256, 257, 1000 }) do
        local buffer = ffi.new("uint8_t[?]", size + 1)
        buffer[size] = 0
        assert.equal(size, tonumber(libmtev[name](buffer, size)))
        assert.equal(0, buffer[size])
        if size > 200 then assert.not_equal(("\0"):rep(8), ffi.string(buffer + size - 8, 8)) end
      end
      assert.error_matches(function() libmtev[name](nil, 4) end, "NULL")
    end
  end)
end)

describe("mtev_uuid", function()
  local TEXT = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

  it("reads and writes", function()
    local uuid, out = ffi.new("uint8_t[16]"), ffi.new("char[38]")
    assert.equal(0, libmtev.mtev_uuid_parse(TEXT:upper(), uuid))
    assert.equal(0x0f, uuid[0])
    out[36] = 77
    libmtev.mtev_uuid_unparse(uuid, out)
    assert.equal(TEXT, ffi.string(out, 36))
    libmtev.mtev_uuid_unparse_upper(uuid, out)
    assert.equal(TEXT:upper(), ffi.string(out, 36))
    libmtev.mtev_uuid_unparse_lower(uuid, out)
    assert.equal(TEXT, ffi.string(out, 36))
    assert.equal(77, out[36])
    for _, bad in ipairs({ "", TEXT .. "0", TEXT:sub(2), (TEXT:gsub("-", "_")), (TEXT:gsub("f", "g")) }) do
      assert.equal(-1, libmtev.mtev_uuid_parse(bad, uuid))
    end
    assert.equal(0x0f, uuid[0])
  end)

  it("compares, copies, clears and makes them", function()
    local one, two = ffi.new("uint8_t[16]"), ffi.new("uint8_t[16]")
    assert.equal(1, libmtev.mtev_uuid_is_null(one))
    libmtev.mtev_uuid_generate(one)
    assert.equal(0, libmtev.mtev_uuid_is_null(one))
    assert.equal(4, bit.rshift(one[6], 4))
    assert.equal(2, bit.rshift(one[8], 6))
    libmtev.mtev_uuid_copy(two, one)
    assert.equal(0, libmtev.mtev_uuid_compare(one, two))
    two[15] = bit.bxor(two[15], 1)
    assert.equal(two[15] > one[15] and -1 or 1, libmtev.mtev_uuid_compare(one, two))
    libmtev.mtev_uuid_clear(two)
    assert.equal(1, libmtev.mtev_uuid_compare(one, two))
    assert.error_matches(function() libmtev.mtev_uuid_clear(nil) end, "NULL")
  end)
end)

describe("mtev_logic", function()
  local known = { foo = "wh'at", line = 120, half = 0.5, text = "12", empty = "", min = -9223372036854775807LL }
  local asked

  local ops = ffi.new("mtev_logic_ops_t[1]")
  ops[0].lookup = function(_, name, var)
    local value = known[ffi.string(name)]
    asked = asked + 1
    if value == nil then return 0 end
    if type(value) == "string" then
      libmtev.mtev_logic_var_set_string_copy(var, value)
    elseif type(value) == "cdata" or value % 1 == 0 then
      libmtev.mtev_logic_var_set_string(var, "set twice")
      libmtev.mtev_logic_var_set_int64(var, value)
    else
      libmtev.mtev_logic_var_set_double(var, value)
    end
    return 1
  end
  local exec = libmtev.mtev_logic_exec_alloc(ops)
  teardown(function() ops[0].lookup:free() end) -- ops live until then: exec only points to them

  local function parse(text)
    local message = ffi.new("char *[1]")
    local ast = libmtev.mtev_logic_parse(text, message)
    local said = message[0] ~= nil and ffi.string(message[0]) or nil
    ffi.C.free(message[0])
    return ast, said
  end

  local function run(text)
    local ast, message = parse(text)
    assert.is_nil(message)
    asked = 0
    local result = libmtev.mtev_logic_exec(exec, ast, nil)
    libmtev.mtev_logic_ast_free(ast)
    assert.is_true(ffi.istype("mtev_boolean", result))
    return result == 1
  end

  it("holds expressions against what is looked up", function()
    for text, value in pairs({
      ["and(foo = 'wh\\'at' , not(or(message ~ 'te\\\"sting', line < 50)), line > 100)"] = true,
      ["exists(foo)"] = true, ["exists( nothing )"] = false, ["not(exists(nothing))"] = true,
      ["line = 120"] = true, ["line=120.0"] = true, ["line != 120"] = false, ["line >= 120"] = true, ["line <= 119"] = false,
      ["line = '120'"] = true, ["half = 0.5"] = true, ["half < 1"] = true, ["half = 5.0e-1"] = true, ["half ~ '^0'"] = true,
      ["text = 12"] = true, ["text > 11"] = true, ["foo = 12"] = false, ["foo != 12"] = false, ["empty = ''"] = true,
      ["foo ~ '^wh'"] = true, ["foo !~ '^wh'"] = false, ["foo > 'a'"] = true, ["foo < \"a\""] = false,
      ["nothing = 'a'"] = false, ["nothing != 'a'"] = true, ["nothing ~ 'a'"] = false, ["nothing !~ 'a'"] = true,
      ["nothing < 5"] = false, ["'foo' = 'wh\\047at'"] = true, ["foo = 'wh\\47at'"] = true,
      ["min < -9223372036854775806"] = true, ["min = -9223372036854775807"] = true,
      ["or(line = 1, line = 120)"] = true, ["and(line = 120, line = 1)"] = false, ["  not ( line = 1 )  "] = true,
    }) do
      assert.equal(value, run(text), text)
    end
  end)

  it("looks nothing up that cannot change the result", function()
    run("or(line = 120, foo = 'x', text = '12')")
    assert.equal(1, asked)
    run("and(line = 1, foo = 'x')")
    assert.equal(1, asked)
  end)

  it("says where an expression goes wrong", function()
    for _, text in ipairs({ "", "foo", "foo = ", "foo = bar", "and(foo = 'what', not (a), b)", "and()", "and(line = 1",
      "not(line = 1, line = 2)", "line = 1 line", "foo = 'open", "foo = '\\q'", "xor(line = 1)", "foo == 1", "line = 1)" }) do
      local ast, message = parse(text)
      assert.is_true(ast == nil)
      assert.matches("character offset: %d+$", message)
    end
    assert.is_true(libmtev.mtev_logic_parse("foo", nil) == nil)
    local ast, message = parse("foo ~ '('")
    assert.is_true(ast == nil)
    assert.matches("no regular expression", message)
  end)

  it("shows an expression in a log", function()
    local ast = parse("and(foo = 'bar', not(exists(line)), line < 50)")
    local stream = libmtev.mtev_log_stream_find("spec/ffi/logic")
    assert.is_true(stream ~= nil)
    assert.equal(stream, libmtev.mtev_log_stream_find("spec/ffi/logic"))
    libmtev.mtev_logic_ast_log(stream, ast)
    libmtev.mtev_logic_ast_free(ast)
    assert.error_matches(function() libmtev.mtev_logic_ast_log(nil, ast) end, "the stream is NULL")
  end)

  it("refuses NULL", function()
    assert.error_matches(function() libmtev.mtev_logic_parse(nil, nil) end, "input is NULL")
    assert.error_matches(function() libmtev.mtev_logic_exec(exec, nil, nil) end, "the expression is NULL")
    assert.error_matches(function() libmtev.mtev_logic_exec_alloc(nil) end, "ops is NULL")
    assert.error_matches(function() libmtev.mtev_logic_var_set_int64(nil, 1) end, "the variable is NULL")
    libmtev.mtev_logic_exec_free(exec)
  end)
end)
