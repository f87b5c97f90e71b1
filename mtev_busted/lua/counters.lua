-- Counts in compiled code: each line begins with instructions that add one to its place in a table, which every
-- function of the chunk has as an upvalue behind its own.  The compiler stays on, and lines, names and locals are what
-- they were.  A copy that string.dump makes has to come through here, too: its upvalue is nil.

local use = ...
local bytecode = use("bytecode")
local is = use("opcodes")
local slots = use("slots")
local new_table = require("table.new")
local loadstring = loadstring -- not what takes its place while lines are counted

local M = {}

local op, jumps, distance_of = is.op, is.jumps, is.distance
local goes_on = { [is.CALLM] = true, [is.CALLMT] = true, [is.RETM] = true, [is.TSETM] = true, -- with a call's results
  [is.ITERC] = true, [is.ITERN] = true, [is.ITERL] = true }
local results = { [is.CALL] = true, [is.CALLM] = true, [is.VARG] = true } -- when B is 0, as many as there are

local MOST_SLOTS, MOST_LINE, MOST_UPVALUES = 250, 32767, 255
local SLOTS = 4 -- of the instructions that count
local NAME = "(lines)\0" -- of the upvalue

-- The instructions that count *line*, in slots from *slot* on.
local function counting(upvalue, slot, line)
  return {
    is.ad(is.UGET, slot, upvalue),
    is.ad(is.KSHORT, slot + 1, line),
    is.abc(is.TGETV, slot + 2, slot, slot + 1),
    is.ad(is.KSHORT, slot + 3, 1),
    is.abc(is.ADDVV, slot + 2, slot + 2, slot + 3),
    is.abc(is.TSETV, slot + 2, slot, slot + 1),
  }
end

-- Where lines begin: place -> the first free slot there.  A jump back, or from another line, begins its line once more.
local function beginnings(proto)
  local code, lines, free, entered, begins, last = proto.code, proto.lines, slots.free(proto), {}, {}, nil
  for i, each in ipairs(code) do
    local target = jumps[op(each)] and i + 1 + distance_of(each)
    if target and (target <= i or lines[target] ~= lines[i]) then entered[target] = true end
  end
  for i, each in ipairs(code) do
    local before = code[i - 1]
    local apart = not before or not is.is_comparison(before) and not (results[op(before)] and is.b(before) == 0)
    if apart and not goes_on[op(each)] and (lines[i] ~= last or entered[i])
      and proto.firstline + lines[i] <= MOST_LINE and free[i] + SLOTS <= MOST_SLOTS then
      begins[i], last = free[i], lines[i]
    end
  end
  return begins
end

-- The code with what counts put in at *begins*, the lines of it, and the new place of each instruction.
local function extended(proto, begins, upvalue)
  local code, lines, place = {}, {}, {}
  for i, each in ipairs(proto.code) do
    place[i] = #code + 1
    if begins[i] then
      for _, one in ipairs(counting(upvalue, begins[i], proto.firstline + proto.lines[i])) do
        code[#code + 1], lines[#lines + 1] = one, proto.lines[i]
      end
    end
    code[#code + 1], lines[#lines + 1] = each, proto.lines[i]
  end
  place[#place + 1] = #code + 1
  return code, lines, place
end

-- Lets the jumps of *proto* go to the new places; false when one is too far away then.
local function redirect(proto, code, place)
  for i, each in ipairs(proto.code) do
    if jumps[op(each)] then
      local own = place[i + 1] - 1
      local distance = place[i + 1 + distance_of(each)] - own - 1
      if distance < -is.REACH or distance >= is.REACH then return false end
      code[own] = is.jump(each, distance)
    end
  end
  return true
end

local function count_in(proto, upvalue, lines_of_file)
  local begins = beginnings(proto)
  local code, lines, place = extended(proto, begins, upvalue)
  if not redirect(proto, code, place) then return end
  for _, var in ipairs(proto.vars) do
    var.from, var.to = place[var.from] or var.from, place[var.to] or var.to
  end
  for i, slot in pairs(begins) do
    local line = proto.firstline + proto.lines[i]
    lines_of_file[line] = lines_of_file[line] or 0
    proto.framesize = math.max(proto.framesize, slot + SLOTS)
  end
  proto.code, proto.lines = code, lines
end

-- A table for the counts of the lines of a file, which are few enough for a list of them.
function M.lines() return new_table(1024, 0) end

-- The function *chunk*, counting its lines in *lines*, which has every line that can be counted; or *chunk* as it is,
-- when it has no lines.
function M.counted(chunk, lines)
  local protos, head = bytecode.read(string.dump(chunk))
  if not protos then return chunk end
  local outermost = protos[#protos]
  if outermost.names:sub(-#NAME) == NAME then
    debug.setupvalue(chunk, #outermost.upvalues, lines)
    return chunk
  end
  for _, proto in ipairs(protos) do
    if #proto.upvalues == MOST_UPVALUES then return chunk end
    proto.counter = #proto.upvalues
  end
  for _, proto in ipairs(protos) do
    count_in(proto, proto.counter, lines)
    proto.upvalues[proto.counter + 1] = proto.parent and proto.parent.counter or 0
    proto.names = proto.names .. NAME
  end
  local counted = assert(loadstring(bytecode.write(protos, head)))
  debug.setupvalue(counted, outermost.counter + 1, lines)
  return setfenv(counted, getfenv(chunk))
end

return M
