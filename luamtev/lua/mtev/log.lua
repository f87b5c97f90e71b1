-- mtev.log, print and their switches.  Whether a stream would write is one byte of memory shared with the log graph, so
-- a line nobody wants costs a table look-up and a load.  Where all there is to do is one write to a file, the graph shows
-- its descriptor likewise, and the line is written from here.

local home = ...

local gsub, sub = string.gsub, string.sub
local refuse = home.need("arguments").refuse
local put, flush = home.need("C").write, home.need("C").flush
local border, settings, kernel = home.border, home.settings, home.kernel
local checked = home.checked

local ffi = require("ffi")
local format, concat, byte, getinfo = string.format, table.concat, string.byte, debug.getinfo
local select, tostring, type, pcall, error = select, tostring, type, pcall, error

local NEWLINE = 10
local WANTS_PLACE = 2 -- and above: some stream on the way, or a tracer, wants file and line

local enabled = ffi.cast("const volatile uint8_t *", ffi.cast("uintptr_t", border.log_enabled_address()))

local carried, note_line = kernel.carried, border.zipkin_note_line
local find, enable = checked(border.log_find), checked(border.log_enable)
local write_slowly, write_from = border.log_write, border.log_write_from -- these never raise, and tell what is full
local await_room, wait_for_room = border.log_await_room, border.log_wait_for_room
local direct = ffi.cast("const volatile int32_t *", ffi.cast("uintptr_t", border.log_direct_address()))
local slots = {} -- stream name -> index into `enabled`

local function slot_of(name, caller)
  if type(name) ~= "string" or name == "" then
    refuse(1, caller, "log stream name", name == "" and "an empty one" or type(name), 3)
  end
  local slot = find(name)
  slots[name] = slot
  return slot
end

-- To `stdout` goes what is said and no more, after what `io.write` keeps, which was said before; a line of another stream
-- without its end gets one.
local stdout, raw_slot = io.stdout, slot_of("stdout", "log")

-- string.format for function *caller* of the user's, whose argument *first* the format is: mistakes are told of his line.
local function formatted(caller, first, fmt, ...)
  local ok, message = pcall(format, fmt, ...)
  if ok then return message end
  message = gsub(message, "bad argument #(%d+) to '[^']*'", function(number)
    return "bad argument #" .. number + first - 1 .. " to '" .. caller .. "'"
  end)
  error(message, 3)
end

-- Much waits for whoever reads what the program says: so does the coroutine, or, as the program is loaded, the thread.
local function give_way(slot)
  if kernel.can_suspend() then
    local ticket = kernel.ticket()
    if await_room(slot, ticket) then kernel.await(ticket) end
  elseif home.loading then
    wait_for_room(slot)
  end
end

local function write_with_place(slot, message)
  local span = carried()
  if span then note_line(span, message) end
  if slot == raw_slot then flush(stdout) end
  local info = getinfo(3, "Sl") -- whoever called mtev.log or print
  if write_from(slot, message, info.short_src, info.currentline) and slot == raw_slot then give_way(slot) end
end

local function write(slot, message)
  local span = carried()
  if span then note_line(span, message) end
  if slot == raw_slot then flush(stdout) end
  local fd = direct[slot] - 1
  if fd < 0 then
    if write_slowly(slot, message) and slot == raw_slot then give_way(slot) end
    return
  end
  local written = put(fd, message, #message)
  if written == #message then return end
  write_slowly(slot, written > 0 and sub(message, written + 1) or message)
end

function mtev.log(name, fmt, ...)
  local slot = slots[name] or slot_of(name, "log")
  local state = enabled[slot]
  if state == 0 then return end
  local message = formatted("log", 2, fmt, ...)
  if byte(message, -1) ~= NEWLINE and slot ~= raw_slot and message ~= "" then message = message .. "\n" end
  if state >= WANTS_PLACE then
    write_with_place(slot, message)
  else
    write(slot, message)
  end
end

function mtev.log_enabled(name) return enabled[slots[name] or slot_of(name, "log_enabled")] ~= 0 end

function mtev.enable_log(name, on) enable(slots[name] or slot_of(name, "enable_log"), on ~= false) end

local print_slot = slot_of(settings.print_stream, "print")

function mtev.print(...)
  local state = enabled[print_slot]
  if state == 0 then return end
  local n, parts = select("#", ...), { ... }
  for i = 1, n do parts[i] = tostring(parts[i]) end
  local message = concat(parts, "\t", 1, n) .. "\n"
  if state >= WANTS_PLACE then
    write_with_place(print_slot, message)
  else
    write(print_slot, message)
  end
end

function mtev.printto(name) print_slot = slots[name] or slot_of(name, "printto") end

print = mtev.print

function printf(fmt, ...)
  local message = formatted("printf", 1, fmt, ...)
  return mtev.print(message)
end

function errorf(fmt, ...) error(formatted("errorf", 1, fmt, ...), 2) end
