-- mtev_rand*: pseudo-random numbers from a generator seeded by the system's (xoshiro256**, Blackman and Vigna), secure
-- ones from the system.  The system's never has too little of it: "trysecure" is secure.

local _, arguments = ...

local ffi = require("ffi")
local bit = require("bit")
local pointer, length, target = arguments.pointer, arguments.length, arguments.target
local bxor, lshift, rol, min = bit.bxor, bit.lshift, bit.rol, math.min
local C = ffi.C

local AT_ONCE = 256 -- bytes, the most getentropy gives
local number_type = ffi.typeof("uint64_t *")
local state -- of the generator

local M = {}

-- Fills *n* bytes; returns how many the system gave.
local function fill_securely(to, n)
  for at = 0, n - 1, AT_ONCE do
    if C.luamtev_getentropy(to + at, min(AT_ONCE, n - at)) ~= 0 then return at end
  end
  return n
end

local function next_number()
  if not state then
    state = ffi.new("uint64_t[4]")
    fill_securely(ffi.cast("uint8_t *", state), 32)
  end
  local result, held = rol(state[1] * 5, 7) * 9, lshift(state[1], 17)
  state[2], state[3] = bxor(state[2], state[0]), bxor(state[3], state[1])
  state[1], state[0] = bxor(state[1], state[2]), bxor(state[0], state[3])
  state[2], state[3] = bxor(state[2], held), rol(state[3], 45)
  return result
end

function M.mtev_rand() return next_number() end

function M.mtev_rand_buf(buf, len)
  local n = length(len, "mtev_rand_buf", "len")
  local to, word = target(buf, n, "mtev_rand_buf"), ffi.new("uint64_t[1]")
  for at = 0, n - 1, 8 do
    word[0] = next_number()
    ffi.copy(to + at, word, min(8, n - at))
  end
  return n + 0ULL
end

for _, name in ipairs({ "mtev_rand_buf_secure", "mtev_rand_buf_trysecure" }) do
  M[name] = function(buf, len)
    local n = length(len, name, "len")
    return fill_securely(target(buf, n, name), n) + 0ULL
  end
end

function M.mtev_rand_secure(out)
  local to = ffi.cast("uint8_t *", pointer(number_type, out, "mtev_rand_secure", "out"))
  return fill_securely(to, 8) == 8 and 0 or -1
end

function M.mtev_rand_trysecure()
  local out = ffi.new("uint64_t[1]")
  fill_securely(ffi.cast("uint8_t *", out), 8)
  return out[0]
end

return M
