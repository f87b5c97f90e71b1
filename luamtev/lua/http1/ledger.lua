-- What is kept of answers: a line each in the access log, those of a turn in one write; latencies and counts in memory
-- that the Python side reads whenever somebody asks.  runtime.http.ledger says what a line looks like.

local home = ...

local tonumber = tonumber
local format = string.format
local date = os.date
local write = home.need("C").write
local ffi = require("ffi")
local new_buffer = require("string.buffer").new
local border, kernel, checked = home.border, home.kernel, home.checked
local find_log, write_text, write_entries = checked(border.log_find), checked(border.http1_write), checked(border.http1_write_entries)
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

-- The cells of a mount: the sum of all latencies; how many were of 0, 1, up to 999 microseconds; of longer ones those by
-- their first two digits, 90 cells a power of ten; and answers by class, 0 to 5.
local EXACT, POWERS, PER_POWER = 1000, 6, 90
local SIZE = 1 + EXACT + POWERS * PER_POWER
local slots = {} -- slot -> double *

local function histogram(slot)
  local address = border.http1_latency_address(slot)
  local cells = ffi.cast("double *", ffi.cast("uintptr_t", address))
  slots[slot] = cells
  return cells
end

local function cell_of(micros)
  micros = floor(micros / 100)
  local power = 0
  while micros >= 100 do micros, power = floor(micros / 10), power + 1 end
  if power >= POWERS then micros, power = 99, POWERS - 1 end
  return 1 + EXACT + power * PER_POWER + micros - 10
end

local function count_answer(slot, seconds, micros, code)
  local cells = slots[slot] or histogram(slot)
  local class = SIZE + floor(code / 100)
  cells[class] = cells[class] + 1
  cells[0] = cells[0] + seconds
  local at = micros < EXACT and 1 + micros or cell_of(micros)
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
local offset = 0 -- from the kernel's clock to the time of day

-- Parts of lines by the numbers in them: looking them up is quicker than writing them.
local codes, sizes, amounts, endings = {}, {}, {}, {}
for code = 100, 999 do codes[code] = code .. " " end
for size = 0, 2047 do sizes[size], amounts[size] = size .. "|", size .. " " end
for thousandths = 0, 999 do endings[thousandths] = format(".%03d\n", thousandths) end

-- Dates are made once a second.
local function make_dates(now)
  second = floor(now)
  local t = date("!*t", second)
  local clock = format("%02d:%02d:%02d", t.hour, t.min, t.sec)
  log_date = format(" - - [%02d/%s/%d:%s -0000] ", t.day, MONTHS[t.month], t.year, clock)
  date_line = format("Date: %s, %02d %s %d %s GMT\r\n", DAYS[t.wday], t.day, MONTHS[t.month], t.year, clock)
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
    write_entries(gathered)
  end
end
kernel.end_visit = flush

-- What the log shows of a request line: *route* answers it, its query string begins behind *mark* bytes of *target*.
local function shown(verb, route, target, mark, minor)
  local query = #target > mark + 1 and sub(target, mark + 1) or "" -- none without a byte
  return '"' .. verb .. " " .. route.shown .. query .. (minor == 1 and ' HTTP/1.1" ' or ' HTTP/1.0" ')
end

-- Looks at the time of day: *now* on the kernel's clock.
local function look(now) offset = wall_clock() - now end

-- The time of day at *moment* of the kernel's clock.
local function time_of(moment) return moment + offset end

-- What is kept of lines for the same request: most answers of a second are alike.  text: how they begin, once there were
-- two of them.
local function new_beginning()
  return { who = "", second = 0, code = 0, written = 0, read = 0, text = false }
end

local function put_parts(into, who, asked, code, written, read)
  into:put(who, log_date, asked, codes[code] or code .. " ", sizes[written] or written .. "|",
    amounts[read] or read .. " ")
end

local scratch = new_buffer()

-- Puts all of a line but how long the answer took: of *who*, who *asked* so.
local function put_beginning(into, last, who, asked, code, written, read)
  if last.second ~= second or last.who ~= who or last.code ~= code or last.written ~= written or last.read ~= read then
    last.second, last.who, last.code, last.written, last.read, last.text = second, who, code, written, read, false
    return put_parts(into, who, asked, code, written, read)
  end
  if not last.text then
    put_parts(scratch, who, asked, code, written, read)
    last.text = scratch:get()
  end
  into:put(last.text)
end

-- Notes the answer to *context*, *written* bytes of it.  Returns what the kernel's clock says.
local function note(conn, context, written)
  counts[0] = counts[0] + 1
  local now, line, response = kernel.monotonic(), context.line, context.draft
  local code, began = response.code, response.began
  local elapsed = now - began
  local micros = floor(elapsed * 1e6 + 0.5)
  count_answer(line.route.slot, elapsed, micros, code)
  if enabled[ACCESS] == 0 then return now end
  local read = #context.payload
  if direct[ACCESS] == 0 then
    local n = entry_count
    entries[n + 1], entries[n + 2], entries[n + 3] = conn.remote, line.verb, line.target
    entries[n + 4], entries[n + 5], entries[n + 6] = line.minor, began + offset, now + offset
    entries[n + 7], entries[n + 8], entries[n + 9] = code, written, read
    entry_count = n + 9
    return now
  end
  local wall = floor(now + offset)
  if wall ~= second then make_dates(wall) end
  put_beginning(lines, line.noted, conn.logged, line.shown, code, written, read)
  local millis = floor(micros / 1000)
  lines:put(millis, endings[micros - millis * 1000])
  return now
end

return {
  count_handed_over = count_handed_over, new_beginning = new_beginning, date_of = date_of, flush = flush, look = look, note = note, shown = shown,
  time_of = time_of,
}
