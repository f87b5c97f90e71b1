-- mtev.bignum_*: integers of any size.
--
-- A bignum is a table of its value, a string that only the other side reads; equal numbers have equal strings.  Methods
-- put their result into the bignum they are called on and return 1, or 0 when there is no result.

local home = ...

local byte = string.byte
local refuse = home.need("arguments").refuse
local class = home.need("mtev/object")
local border, checked = home.border, home.checked
local read, show, compute = checked(border.bignum_read), checked(border.bignum_show), checked(border.bignum_compute)
local divide, on_word, compare = checked(border.bignum_divide), checked(border.bignum_word),
  checked(border.bignum_compare)
local type, tonumber, tostring, error, getmetatable, rawequal, select
  = type, tonumber, tostring, error, getmetatable, rawequal, select

local MOST = 2 ^ 53 -- beyond, a Lua number is no exact integer

local bignum_type, new

local function is_bignum(value) return type(value) == "table" and getmetatable(value) == bignum_type end

local function complain(position, name, expected, got)
  got = type(got) == "number" and tostring(got) or type(got)
  refuse(position, name, expected, got, 4)
end

local function value_of(argument, position, name)
  if is_bignum(argument) then return argument.value end
  complain(position, name, "bignum", argument)
end

local function integer(argument, position, name, least)
  local number = tonumber(argument)
  if number and number % 1 == 0 and number >= least and number <= MOST then return number end
  complain(position, name, least < 0 and "integer" or "non-negative integer", argument)
end

local function store(self, value)
  if not value then return 0 end
  self.value = value
  return 1
end

local methods = {}

-- The number of bignums each takes, apart from the one it changes.
local computations = {
  add = 2, sub = 2, uadd = 2, usub = 2, mul = 2, sqr = 1, mod = 2, nnmod = 2, exp = 2, gcd = 2, lshift1 = 1,
  rshift1 = 1, mod_exp = 3, mod_exp_simple = 3, mod_add = 3, mod_add_quick = 3, mod_sub = 3, mod_sub_quick = 3,
  mod_mul = 3, mod_sqr = 2, mod_lshift1 = 2, mod_lshift1_quick = 2, mod_inverse = 2, mod_sqrt = 2, rand_range = 1,
  pseudo_rand_range = 1,
}
for name, count in pairs(computations) do
  methods[name] = function(self, a, b, c)
    a = value_of(a, 1, name)
    if count > 1 then b = value_of(b, 2, name) end
    if count > 2 then c = value_of(c, 3, name) end
    local result
    if count == 1 then result = compute(name, a) elseif count == 2 then result = compute(name, a, b) else
      result = compute(name, a, b, c)
    end
    return store(self, result)
  end
end

for _, name in ipairs({ "add_word", "sub_word", "mul_word", "div_word", "mod_word", "set_word", "set_bit", "mask_bits",
  "is_bit_set" }) do
  methods[name] = function(self, word)
    word = integer(word, 1, name, 0)
    local value, result = on_word(name, self.value, word)
    if value then self.value = value end
    return result
  end
end

for _, name in ipairs({ "num_bits", "num_bytes", "get_word" }) do
  methods[name] = function(self)
    local _, result = on_word(name, self.value, 0)
    return result
  end
end

for name, form in pairs({ tobin = "bin", tompi = "mpi", todec = "dec", tohex = "hex" }) do
  methods[name] = function(self) return (show(form, self.value)) end
end

for _, name in ipairs({ "rand", "pseudo_rand" }) do
  methods[name] = function(self, bits, top, bottom)
    bits, top, bottom = integer(bits, 1, name, 0), integer(top, 2, name, -MOST), integer(bottom, 3, name, -MOST)
    local value = compute(name, bits, top, bottom)
    return store(self, value)
  end
end

for name, magnitudes in pairs({ cmp = false, ucmp = true }) do
  methods[name] = function(self, other)
    other = value_of(other, 1, name)
    return (compare(self.value, other, magnitudes))
  end
end

-- Self becomes the quotient, the first argument the remainder.
function methods.div(self, remainder, dividend, divisor)
  value_of(remainder, 1, "div")
  dividend, divisor = value_of(dividend, 2, "div"), value_of(divisor, 3, "div")
  if rawequal(remainder, self) then
    error("bad argument #1 to 'div' (another bignum than that of the quotient expected)", 2)
  end
  self.value, remainder.value = divide(dividend, divisor)
  return 1
end

function methods.copy(self, other)
  self.value = value_of(other, 1, "copy")
  return 1
end

function methods.swap(self, other)
  local value = value_of(other, 1, "swap")
  self.value, other.value = value, self.value
end

function methods.dup(self) return new({ value = self.value }) end

function methods.is_negative(self) return byte(self.value) >= 0x80 end

function methods.set_negative(self, flag)
  if type(flag) ~= "boolean" then flag = integer(flag, 1, "set_negative", -MOST) ~= 0 end
  if flag ~= (byte(self.value) >= 0x80) then self.value = compute("neg", self.value) end
end

new = class("crypto.bignum", methods)
bignum_type = getmetatable(new({}))

-- Operators: what they give is new, and a whole Lua number may stand for a bignum.
local function operand(value, sign)
  if is_bignum(value) then return value.value end
  if type(value) == "number" and value % 1 == 0 and value >= -MOST and value <= MOST then return value end
  error("attempt to perform arithmetic (" .. sign .. ") on a bignum and a " .. type(value), 3)
end

for event, operation in pairs({ __add = { "+", "add" }, __sub = { "-", "sub" }, __mul = { "*", "mul" },
  __div = { "/", "quotient" }, __mod = { "%", "mod" }, __pow = { "^", "exp" } }) do
  local sign, name = operation[1], operation[2]
  bignum_type[event] = function(a, b)
    a, b = operand(a, sign), operand(b, sign)
    local value = compute(name, a, b)
    return new({ value = value })
  end
end

function bignum_type.__unm(a)
  local value = compute("neg", a.value)
  return new({ value = value })
end

function bignum_type.__eq(a, b) return a.value == b.value end
function bignum_type.__lt(a, b) return compare(a.value, b.value, false) < 0 end
function bignum_type.__le(a, b) return compare(a.value, b.value, false) <= 0 end
function bignum_type.__tostring(a) return (show("dec", a.value)) end

function mtev.bignum_new(...)
  local number = 0
  if select("#", ...) > 0 then number = integer((...), 1, "bignum_new", -MOST) end
  local value = compute("copy", number)
  return new({ value = value })
end

for _, form in ipairs({ "bin", "dec", "hex", "mpi" }) do
  local name = "bignum_" .. form .. "2bn"
  mtev[name] = function(text)
    if type(text) == "number" then text = tostring(text) end
    if type(text) ~= "string" then
      refuse(1, name, "string", type(text), 2)
    end
    local value = read(form, text)
    return value and new({ value = value })
  end
end
