-- mtev.newrsa, mtev.newreq, and random bytes.
--
-- A key and a request are tables of their PEM text; the work is done by the other side.

local home = ...

local refuse = home.need("arguments").refuse
local class = home.need("mtev/object")
local border, kernel, checked = home.border, home.kernel, home.checked
local ffi = require("ffi")
local generate, generate_later = checked(border.rsa_generate), checked(border.rsa_generate_later)
local load, load_later = checked(border.rsa_load), checked(border.rsa_load_later)
local sign_request, load_request = checked(border.csr_sign), checked(border.csr_load)
local type, tonumber, tostring, error, pairs, ipairs, unpack, pcall
  = type, tonumber, tostring, error, pairs, ipairs, unpack, pcall

ffi.cdef [[ int luamtev_random(void *buffer, size_t length) __asm__("getentropy"); ]]
local C = ffi.C

local ENTROPY = 256 -- bytes, the most getentropy gives at once
local MOST_BYTES = 2 ^ 30
local DEFAULT_BITS = 2048

local function random_bytes(name)
  local small = ffi.new("uint8_t[?]", ENTROPY)

  return function(count)
    local n = tonumber(count)
    if not n or n % 1 ~= 0 or n < 1 or n > MOST_BYTES then
      error("bad argument #1 to '" .. name .. "' (number of bytes, 1 to " .. MOST_BYTES .. ", expected, got "
        .. (type(count) == "number" and tostring(count) or type(count)) .. ")", 2)
    end
    local buffer = n <= ENTROPY and small or ffi.new("uint8_t[?]", n)
    for at = 0, n - 1, ENTROPY do
      if C.luamtev_random(buffer + at, n - at < ENTROPY and n - at or ENTROPY) ~= 0 then
        error(name .. ": no random bytes, errno " .. ffi.errno(), 2)
      end
    end
    return ffi.string(buffer, n)
  end
end

mtev.rand_bytes = random_bytes("rand_bytes")
mtev.pseudo_rand_bytes = random_bytes("pseudo_rand_bytes")

local new_request = class("crypto.req", {
  pem = function(request) return request.text end,
})

local function refuse_options(what) error("crypto.rsa:gencsr " .. what, 4) end

local function is_text(value) return type(value) == "string" or type(value) == "number" end

-- Appends name and value, for each of the subject; returns how many.
local function add_subject(pairs_, subject)
  if type(subject) ~= "table" then refuse_options("expects a table in 'subject', got " .. type(subject)) end
  local count = 0
  for name, value in pairs(subject) do
    if type(name) ~= "string" or not is_text(value) then
      refuse_options("expects names and texts in 'subject', got " .. tostring(name) .. " = " .. type(value))
    end
    count = count + 1
    pairs_[count * 2 - 1], pairs_[count * 2] = name, tostring(value)
  end
  return count
end

-- Appends name and value, for each value of each extension.
local function add_extensions(pairs_, extensions)
  if extensions == nil then return end
  if type(extensions) ~= "table" then refuse_options("expects a table in 'addext', got " .. type(extensions)) end
  for name, values in pairs(extensions) do
    if is_text(values) then values = { values } end
    if type(name) ~= "string" or type(values) ~= "table" then
      refuse_options("expects names and arrays of texts in 'addext', got " .. tostring(name) .. " = " .. type(values))
    end
    for _, value in ipairs(values) do
      if not is_text(value) then refuse_options("expects texts in 'addext', " .. name .. " has a " .. type(value)) end
      pairs_[#pairs_ + 1] = name
      pairs_[#pairs_ + 1] = tostring(value)
    end
  end
end

local new_key = class("crypto.rsa", {
  pem = function(key) return key.text end,

  gencsr = function(key, options)
    if type(options) ~= "table" then
      refuse(1, "gencsr", "table", type(options), 2)
    end
    local pairs_ = {}
    local count = add_subject(pairs_, options.subject)
    add_extensions(pairs_, options.addext)
    local digest = is_text(options.digest) and tostring(options.digest) or "sha256"
    local text, name = sign_request(key.text, digest, count, unpack(pairs_))
    return new_request({ text = text, subject = name })
  end,
})

-- Runs the work while other coroutines run, or at once where the caller cannot suspend.
local function work(at_once, later, argument)
  if not pcall(kernel.parkable) then return at_once(argument) end
  local ticket = kernel.ticket()
  later(ticket, argument)
  return kernel.await(ticket)
end

-- A new key, of so many bits; or the key in a PEM text.  Returns nil and a message when there is none.
function mtev.newrsa(what)
  local bits = what == nil and DEFAULT_BITS or tonumber(what)
  local text, message
  if bits then
    if bits % 1 ~= 0 then
      refuse(1, "newrsa", "whole number of bits", bits, 2)
    end
    text, message = work(generate, generate_later, bits)
  elseif type(what) == "string" then
    text, message = work(load, load_later, what)
  else
    refuse(1, "newrsa", "number of bits or PEM text", type(what), 2)
  end
  if not text then return nil, message end
  return new_key({ text = text })
end

-- The request in a PEM text; nil and a message when there is none.
function mtev.newreq(text)
  if not is_text(text) then
    refuse(1, "newreq", "string", type(text), 2)
  end
  local pem, name = load_request(tostring(text))
  if not pem then return nil, name end
  return new_request({ text = pem, subject = name })
end
