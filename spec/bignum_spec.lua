-- contract: bignum_new, bignum_bin2bn/dec2bn/hex2bn/mpi2bn and their methods

local function bn(text) return mtev.bignum_dec2bn(tostring(text)) end

-- What a method puts into a fresh bignum, and what it returns.
local function result(method, ...)
  local r, arguments = mtev.bignum_new(-77), { ... }
  for i, each in ipairs(arguments) do arguments[i] = bn(each) end
  local returned = r[method](r, unpack(arguments))
  for i, each in ipairs({ ... }) do assert.equal(tostring(each), arguments[i]:todec()) end
  return r:todec(), returned
end

local function gives(expected, method, ...)
  local value, returned = result(method, ...)
  assert.equal(tostring(expected), value)
  assert.equal(1, returned)
end

local function gives_none(method, ...)
  local value, returned = result(method, ...)
  assert.equal("-77", value)
  assert.equal(0, returned)
end

local function refused(part, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.is_truthy(tostring(message):find(part, 1, true), message)
end

describe("mtev.bignum_new", function()
  it("is zero, or the integer given", function()
    assert.equal("0", mtev.bignum_new():todec())
    assert.equal("12", mtev.bignum_new(12):todec())
    assert.equal("-9007199254740992", mtev.bignum_new(-2 ^ 53):todec())
    assert.equal("12", mtev.bignum_new("12"):todec())
  end)

  it("raises for anything else", function()
    for _, value in ipairs({ 1.5, 2 ^ 54, 0 / 0, 1 / 0, "x", {}, true }) do
      refused("bad argument #1 to 'bignum_new' (integer expected", mtev.bignum_new, value)
    end
    assert.has_error(function() mtev.bignum_new(nil) end)
  end)
end)

describe("bignum conversions", function()
  it("read and write bytes", function()
    assert.equal("258", mtev.bignum_bin2bn("\1\2"):todec())
    assert.equal("258", mtev.bignum_bin2bn("\0\0\1\2"):todec())
    assert.equal("0", mtev.bignum_bin2bn(""):todec())
    assert.equal("\1\2", bn(258):tobin())
    assert.equal("\1\2", bn(-258):tobin())
    assert.equal("\255", bn(255):tobin())
    assert.equal("", bn(0):tobin())
  end)

  it("read and write MPI", function()
    for number, mpi in pairs({
      [0] = "\0\0\0\0", [1] = "\0\0\0\1\1", [-1] = "\0\0\0\1\129", [127] = "\0\0\0\1\127", [128] = "\0\0\0\2\0\128",
      [-128] = "\0\0\0\2\128\128", [256] = "\0\0\0\2\1\0", [-256] = "\0\0\0\2\129\0",
    }) do
      assert.equal(mpi, bn(number):tompi())
      assert.equal(tostring(number), mtev.bignum_mpi2bn(mpi):todec())
    end
    for _, wrong in ipairs({ "", "\0\0\0", "\0\0\0\1", "\0\0\0\1ab", "\255\255\255\255a" }) do
      assert.is_nil(mtev.bignum_mpi2bn(wrong))
    end
  end)

  it("read and write decimal", function()
    local long = "-" .. ("1234567890"):rep(2000)
    for _, text in ipairs({ "0", "7", "-7", "123456789012345678901234567890", long }) do
      assert.equal(text, bn(text):todec())
      assert.equal(text, tostring(bn(text)))
    end
    assert.equal("12", bn("0012xyz"):todec())
    assert.equal("0", bn("-0"):todec())
    for _, wrong in ipairs({ "", "x", "-", "+1", " 1" }) do assert.is_nil(mtev.bignum_dec2bn(wrong)) end
  end)

  it("read and write hexadecimal", function()
    for number, hex in pairs({ [0] = "0", [10] = "0A", [255] = "FF", [-4095] = "-0FFF" }) do
      assert.equal(hex, bn(number):tohex())
      assert.equal(tostring(number), mtev.bignum_hex2bn(hex:lower()):todec())
    end
    assert.equal("171", mtev.bignum_hex2bn("abxyz"):todec())
    for _, wrong in ipairs({ "", "x", "-", "+1" }) do assert.is_nil(mtev.bignum_hex2bn(wrong)) end
  end)

  it("raise for what is no text", function()
    for _, name in ipairs({ "bin2bn", "mpi2bn", "dec2bn", "hex2bn" }) do
      local f = mtev["bignum_" .. name]
      refused("bad argument #1 to 'bignum_" .. name .. "' (string expected, got nil)", f)
      refused("string expected, got table", f, {})
    end
    refused("more than", mtev.bignum_hex2bn, ("f"):rep(4000000))
  end)
end)

describe("bignum arithmetic", function()
  it("adds, subtracts, multiplies", function()
    gives("100000000000000000000", "add", "99999999999999999999", 1)
    gives(-4, "add", 3, -7)
    gives(10, "sub", 3, -7)
    gives(10, "uadd", 3, -7)
    gives(4, "usub", -7, 3)
    gives_none("usub", 3, -7)
    gives("-121932631112635269", "mul", 123456789, -987654321)
    gives(49, "sqr", -7)
    gives(14, "lshift1", 7)
    gives(-3, "rshift1", -7)
    gives(0, "rshift1", -1)
    gives(-128, "exp", -2, 7)
    gives(1, "exp", 0, 0)
    gives(6, "gcd", 12, -18)
  end)

  it("divides toward zero", function()
    for _, each in ipairs({ { 7, 2, 3, 1 }, { -7, 2, -3, -1 }, { 7, -2, -3, 1 }, { -7, -2, 3, -1 }, { 1, 5, 0, 1 } }) do
      local quotient, remainder = mtev.bignum_new(), mtev.bignum_new()
      assert.equal(1, quotient:div(remainder, bn(each[1]), bn(each[2])))
      assert.same({ tostring(each[3]), tostring(each[4]) }, { quotient:todec(), remainder:todec() })
      gives(each[4], "mod", each[1], each[2])
    end
    gives(1, "nnmod", -7, 2)
    gives(1, "nnmod", -7, -2)
    local a = bn(100)
    a:div(mtev.bignum_new(), a, bn(7))
    assert.equal("14", a:todec())
  end)

  it("raises for a division by zero", function()
    local zero, r = bn(0), bn(5)
    for _, method in ipairs({ "mod", "nnmod", "mod_sqr", "mod_lshift1", "mod_lshift1_quick" }) do
      refused("bignum: division by zero", function() r[method](r, r, zero) end)
    end
    for _, method in ipairs({ "mod_exp", "mod_exp_simple", "mod_add", "mod_add_quick", "mod_sub", "mod_sub_quick",
      "mod_mul" }) do
      refused("bignum: division by zero", function() r[method](r, r, r, zero) end)
    end
    refused("division by zero", function() r:div(bn(0), r, zero) end)
    refused("division by zero", function() r:div_word(0) end)
    refused("division by zero", function() r:mod_word(0) end)
    refused("division by zero", function() return r / zero end)
    refused("division by zero", function() return r % 0 end)
    assert.equal("5", r:todec())
  end)

  it("calculates modulo", function()
    for _, method in ipairs({ "mod_exp", "mod_exp_simple" }) do
      gives(445, method, 4, 13, 497)
      gives(0, method, 4, 13, 1)
      gives(493, method, -4, 1, 497)
    end
    for _, suffix in ipairs({ "", "_quick" }) do
      gives(1, "mod_add" .. suffix, 5, 3, 7)
      gives(5, "mod_sub" .. suffix, 1, 3, 7)
      gives(3, "mod_lshift1" .. suffix, 5, 7)
    end
    gives(2, "mod_mul", -4, 3, 7)
    gives(2, "mod_sqr", -4, 7)
    gives(5, "mod_inverse", 3, 7)
    gives(4, "mod_inverse", -5, 7)
    gives_none("mod_inverse", 2, 4)
    gives_none("mod_inverse", 2, 0)
  end)

  it("takes roots modulo a prime", function()
    for _, p in ipairs({ 2, 3, 5, 7, 13, 17, 41, 97, 193, 65537 }) do
      for a = 0, 40 do
        local root, returned = result("mod_sqrt", a * a, p)
        assert.equal(1, returned)
        assert.equal(a * a % p, tonumber(root) ^ 2 % p)
      end
    end
    gives_none("mod_sqrt", 3, 7)
    gives_none("mod_sqrt", 3, 17)
    gives_none("mod_sqrt", 3, 8)
    gives_none("mod_sqrt", 3, 1)
    gives_none("mod_sqrt", 3, 0)
  end)

  it("may put the result into an argument", function()
    local a = bn(7)
    a:mul(a, a)
    a:add(a, bn(1))
    assert.equal("50", a:todec())
  end)

  it("refuses numbers that are beyond use", function()
    local r = bn(3)
    refused("bignum: a number of more than", function() r:exp(r, bn("100000000000000000000")) end)
    refused("bignum: a number of more than", function() r:set_bit(2 ^ 40) end)
    refused("bignum: a number of more than", function() r:rand(2 ^ 40, 0, 0) end)
    assert.equal("3", r:todec())
  end)

  it("raises for wrong arguments", function()
    local counts = {
      add = 2, sub = 2, uadd = 2, usub = 2, mul = 2, sqr = 1, div = 3, mod = 2, nnmod = 2, exp = 2, gcd = 2,
      lshift1 = 1, rshift1 = 1, mod_exp = 3, mod_exp_simple = 3, mod_add = 3, mod_add_quick = 3, mod_sub = 3,
      mod_sub_quick = 3, mod_mul = 3, mod_sqr = 2, mod_lshift1 = 2, mod_lshift1_quick = 2, mod_inverse = 2,
      mod_sqrt = 2, copy = 1, swap = 1, cmp = 1, ucmp = 1, rand_range = 1, pseudo_rand_range = 1,
    }
    for method, count in pairs(counts) do
      for position = 1, count do
        local arguments = { bn(5), bn(6), bn(7) }
        for _, wrong in ipairs({ 1, "1", {}, true }) do
          arguments[position] = wrong
          local r = bn(1)
          refused(("bad argument #%d to '%s' (bignum expected"):format(position, method), function()
            r[method](r, unpack(arguments, 1, count))
          end)
        end
        local r = bn(1)
        local few = { bn(5), bn(6), bn(7) }
        refused("bignum expected, got nil", function() r[method](r, unpack(few, 1, position - 1)) end)
        refused("must be called as method", function() r[method]({}, bn(1), bn(1), bn(1)) end)
      end
    end
    local same = bn(1)
    refused("bad argument #1 to 'div'", function() same:div(same, bn(5), bn(2)) end)
    refused("crypto.bignum no such element: unheard_of", function() return same.unheard_of end)
  end)
end)

describe("bignum words and bits", function()
  it("calculate with a small number in place", function()
    local a = bn(100)
    assert.equal(1, a:add_word(5))
    assert.equal(1, a:sub_word(10))
    assert.equal(1, a:mul_word(3))
    assert.equal("285", a:todec())
    assert.equal(5, a:mod_word(7))
    assert.equal(5, a:div_word(7))
    assert.equal("40", a:todec())
    assert.equal(1, a:set_word(2 ^ 53))
    assert.equal(2 ^ 53, a:get_word())
    local b = bn(-100)
    assert.equal(2, b:mod_word(7))
    assert.equal(2, b:div_word(7))
    assert.equal("-14", b:todec())
    assert.equal(14, b:get_word())
    assert.equal(-1, bn("18446744073709551616"):get_word())
  end)

  it("look at bits and set them", function()
    local a = bn(5)
    assert.same({ 1, 0, 1, 0 }, { a:is_bit_set(0), a:is_bit_set(1), a:is_bit_set(2), a:is_bit_set(5000) })
    assert.equal(1, a:set_bit(70))
    assert.equal("1180591620717411303429", a:todec())
    assert.same({ 71, 9 }, { a:num_bits(), a:num_bytes() })
    assert.equal(1, a:mask_bits(2))
    assert.equal("1", a:todec())
    assert.equal(0, a:mask_bits(64))
    assert.same({ 0, 0 }, { bn(0):num_bits(), bn(0):num_bytes() })
    assert.same({ 8, 1 }, { bn(-255):num_bits(), bn(-255):num_bytes() })
  end)

  it("know the sign", function()
    local a = bn(5)
    assert.is_false(a:is_negative())
    assert.equal(0, select("#", a:set_negative(1)))
    assert.is_true(a:is_negative())
    assert.equal("-5", a:todec())
    a:set_negative(0)
    assert.equal("5", a:todec())
    a:set_negative(true)
    assert.equal("-5", a:todec())
    local zero = bn(0)
    zero:set_negative(1)
    assert.is_false(zero:is_negative())
  end)

  it("raise for wrong arguments", function()
    local a = bn(5)
    for _, method in ipairs({ "add_word", "sub_word", "mul_word", "div_word", "mod_word", "set_word", "set_bit",
      "mask_bits", "is_bit_set" }) do
      for _, wrong in ipairs({ -1, 1.5, 0 / 0, "x", {}, true, bn(1) }) do
        refused("bad argument #1 to '" .. method .. "' (non-negative integer expected", a[method], a, wrong)
      end
      refused("got nil", a[method], a)
    end
    refused("bad argument #1 to 'set_negative'", a.set_negative, a)
    refused("bad argument #1 to 'set_negative'", a.set_negative, a, {})
    assert.equal("5", a:todec())
  end)
end)

describe("bignum copies and comparisons", function()
  it("copy, swap, dup", function()
    local a, b = bn(1), bn(2)
    assert.equal(1, a:copy(b))
    assert.equal("2", a:todec())
    a:set_word(3)
    assert.equal(0, select("#", a:swap(b)))
    assert.same({ "2", "3" }, { a:todec(), b:todec() })
    local c = a:dup()
    c:add_word(1)
    assert.same({ "2", "3" }, { a:todec(), c:todec() })
  end)

  it("compare", function()
    assert.same({ -1, 0, 1 }, { bn(-5):cmp(bn(3)), bn(3):cmp(bn(3)), bn(3):cmp(bn(-5)) })
    assert.same({ 1, 0, -1 }, { bn(-5):ucmp(bn(3)), bn(3):ucmp(bn(-3)), bn(3):ucmp(bn(-5)) })
  end)
end)

describe("random bignums", function()
  it("have the bits that are asked for", function()
    for _, method in ipairs({ "rand", "pseudo_rand" }) do
      local r = mtev.bignum_new()
      for bits = 2, 70 do
        assert.equal(1, r[method](r, bits, 1, 1))
        assert.equal(bits, r:num_bits())
        assert.equal(1, r:is_bit_set(bits - 2))
        assert.equal(1, r:is_bit_set(0))
        assert.equal(1, r[method](r, bits, 0, 0))
        assert.equal(bits, r:num_bits())
        assert.equal(1, r[method](r, bits, -1, 0))
        assert.is_true(r:num_bits() <= bits)
      end
      assert.equal(1, r[method](r, 0, -1, 0))
      assert.equal("0", r:todec())
      assert.equal(0, r[method](r, 0, 0, 0))
      assert.equal(0, r[method](r, 1, 1, 0))
      refused("bad argument #1", r[method], r, -1, 0, 0)
      refused("bad argument #2", r[method], r, 8)
      refused("bad argument #3", r[method], r, 8, 0)
    end
  end)

  it("are in the range that is asked for", function()
    for _, method in ipairs({ "rand_range", "pseudo_rand_range" }) do
      local seen, r = {}, mtev.bignum_new()
      for _ = 1, 200 do
        assert.equal(1, r[method](r, bn(3)))
        seen[r:todec()] = true
      end
      assert.same({ ["0"] = true, ["1"] = true, ["2"] = true }, seen)
      gives_none(method, 0)
      gives_none(method, -5)
    end
  end)
end)

describe("bignum operators", function()
  it("give new bignums", function()
    local a, b = bn(17), bn(5)
    assert.equal("22", tostring(a + b))
    assert.equal("12", tostring(a - b))
    assert.equal("85", tostring(a * b))
    assert.equal("3", tostring(a / b))
    assert.equal("2", tostring(a % b))
    assert.equal("1419857", tostring(a ^ b))
    assert.equal("-17", tostring(-a))
    assert.same({ "17", "5" }, { tostring(a), tostring(b) })
  end)

  it("take whole numbers on either side", function()
    assert.equal("22", tostring(bn(17) + 5))
    assert.equal("-12", tostring(5 - bn(17)))
    assert.equal("1024", tostring(2 ^ bn(10)))
    assert.equal("-2", tostring(bn(-17) % 5))
  end)

  it("compare values", function()
    assert.is_true(bn(5) == bn(5))
    assert.is_true(bn(5) ~= bn(6))
    assert.is_true(bn(-6) < bn(5))
    assert.is_true(bn(5) <= bn(5))
    assert.is_false(bn("100000000000000000000") <= bn(5))
  end)

  it("raise for anything else", function()
    for _, wrong in ipairs({ 1.5, "1", {}, true }) do
      refused("on a bignum", function() return bn(1) + wrong end)
      refused("on a bignum", function() return wrong * bn(1) end)
    end
    refused("compare", function() return bn(1) < 2 end)
  end)
end)
