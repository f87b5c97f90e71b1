-- What is kept of answers: a line each in the access log, those of a turn in one write; latencies and counts in memory
-- that the Python side reads whenever somebody asks.  runtime.http.ledger says what a line looks like.

local home = ...

local write = home.need("C").write
local ffi = require("ffi")
local new_buffer = require("string.buffer").new
local border, kernel, checked = home.border, home.kernel, home.checked
local find_log, write_text, settle = checked(border.log_find), checked(border.http1_write), checked(border.http1_settle)
local floor, sub = math.floor, string.sub

local C = ffi.C
local timespec = ffi.new("luamtev_timespec")

-- Epoch seconds.
local function wall_clock()
  C.luamtev_clock_gettime(0, timespec)
  return tonumber(timespec.sec) + tonumber(timespec.nsec) * 1e-9
end

-- Counters ------------------------------------------------------------------------------------------------------------

-- Doubles, so that whoever reads them while they change reads a whole one.  `Counts` on the Python side names them.
local counts = ffi.cast("double *", ffi.cast("uintptr_t", border.http1_counts_address()))
local REASONS = { "method", "target", "version", "head", "coding", "upgrade", "size", "torn", "route", "watched" }
local reason_slots = {}
for slot, reason in ipairs(REASONS) do reason_slots[reason] = slot end

local function count_handed_over(reason)
  local slot = reason_slots[reason]
  counts[slot] = counts[slot] + 1
end

-- A latency's bucket has two decimal digits: microseconds in tens of 1e-6, 1e-5 and so on, 90 buckets a power of ten.
local POWERS, PER_POWER = 9, 90
local SIZE = 2 + POWERS * PER_POWER -- the sum of all first, then how many were 0; behind them answers by class, 0 to 5
local slots = {} -- slot -> double *

local function histogram(slot)
  local address = border.http1_latency_address(slot)
  local cells = ffi.cast("double *", ffi.cast("uintptr_t", address))
  slots[slot] = cells
  return cells
end

local function count_answer(slot, seconds, code)
  local cells = slots[slot] or histogram(slot)
  local class = SIZE + floor(code / 100)
  cells[class] = cells[class] + 1
  cells[0] = cells[0] + seconds
  local micros, at = floor(seconds * 1e6 + 1e-3), 1
  if micros > 0 then
    local power = 0
    if micros < 10 then
      micros = micros * 10
    else
      power = 1
      while micros >= 100 do micros, power = floor(micros / 10), power + 1 end
    end
    if power >= POWERS then micros, power = 99, POWERS - 1 end
    at = 2 + power * PER_POWER + micros - 10
  end
  cells[at] = cells[at] + 1
end

-- The access log ------------------------------------------------------------------------------------------------------

local ACCESS = find_log("http/access")
local enabled = ffi.cast("const volatile uint8_t *", ffi.cast("uintptr_t", border.log_enabled_address()))
local direct = ffi.cast("const volatile int32_t *", ffi.cast("uintptr_t", border.log_direct_address()))
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }

local lines = new_buffer()
local entries, entry_count = {}, 0 -- for logs that want more than a line: nine values each
local second, log_date, date_line = 0, "", ""
local pads = {}
for thousandths = 0, 999 do pads[thousandths] = ("%03d"):format(thousandths) end

-- Dates are made once a second.
local function make_dates(now)
  second = floor(now)
  local t = os.date("!*t", second)
  local clock = ("%02d:%02d:%02d"):format(t.hour, t.min, t.sec)
  log_date = ("%02d/%s/%d:%s -0000"):format(t.day, MONTHS[t.month], t.year, clock)
  date_line = ("Date: %s, %02d %s %d %s GMT\r\n"):format(DAYS[t.wday], t.day, MONTHS[t.month], t.year, clock)
end

-- The Date header for an answer to a request that came at *now*.
local function date_of(now)
  if floor(now) ~= second then make_dates(now) end
  return date_line
end

-- Writes what the log has not got yet.
local function flush()
  if #lines > 0 then
    local fd = direct[ACCESS] - 1
    local data, size = lines:ref()
    local written = fd < 0 and 0 or write(fd, data, size)
    if written < size then
      if written > 0 then lines:skip(written) end
      write_text(lines:tostring())
    end
    lines:reset()
    if size > 65536 then lines:free() end
  end
  if entry_count > 0 then
    local gathered = entries
    entries, entry_count = {}, 0
    settle(gathered)
  end
end
kernel.settle = flush

-- The query string with its question mark; none without a byte.
local function query_of(context)
  local target, mark = context.target, context.mark
  return #target > mark + 1 and sub(target, mark + 1) or ""
end

-- Notes the answer to *context*, *written* bytes of it.
local function note(conn, context, written)
  counts[0] = counts[0] + 1
  local now, received = wall_clock(), context.received
  local elapsed = now > received and now - received or 0
  count_answer(context.route.slot, elapsed, context.code)
  local state = enabled[ACCESS]
  if state == 0 then return end
  if direct[ACCESS] == 0 then
    local n = entry_count
    entries[n + 1], entries[n + 2], entries[n + 3] = conn.remote, context.verb, context.target
    entries[n + 4], entries[n + 5], entries[n + 6] = context.minor, received, now
    entries[n + 7], entries[n + 8], entries[n + 9] = context.code, written, #context.payload
    entry_count = n + 9
    return
  end
  if floor(now) ~= second then make_dates(now) end
  local micros = floor(elapsed * 1e6 + 0.5)
  local millis = floor(micros / 1000)
  lines:put(conn.remote ~= "" and conn.remote or "-", " - - [", log_date, '] "', context.verb, " ", context.route.shown,
    query_of(context),
    context.minor == 1 and ' HTTP/1.1" ' or ' HTTP/1.0" ', context.code, " ", written, "|", #context.payload, " ",
    millis, ".", pads[micros - millis * 1000], "\n")
end

return { count_handed_over = count_handed_over, date_of = date_of, flush = flush, note = note, wall_clock = wall_clock }
