-- The first slot that nobody uses, at each instruction of a function: those of its variables come first, then those of
-- the expression that is being computed.  Whoever puts instructions in has to take the very next ones: LuaJIT's
-- compiler believes that there is nothing between what it knows and what is written.

local use = ...
local is = use("opcodes")
local op, a, b, c, d = is.op, is.a, is.b, is.c, is.d

local M = {}

-- Which operands are slots that an instruction reads, and which one it writes.
local reads_a, reads_b, reads_c, reads_d, writes_a = {}, {}, {}, {}, {}

local function among(set, first, last)
  for each = first, last or first do set[each] = true end
end

among(reads_a, is.ISLT, is.ISNEP)
among(reads_a, is.ISTYPE, is.ISNUM)
among(reads_a, is.GSET)
among(reads_a, is.TSETV, is.TSETB)
among(reads_a, is.TSETR)
among(reads_a, is.RET1)
among(reads_a, is.CALLM, is.CALLT)
among(reads_b, is.ADDVN, is.POW)
among(reads_b, is.TGETV, is.TSETB)
among(reads_b, is.TSETR)
among(reads_c, is.ADDVV, is.POW)
among(reads_c, is.TGETV)
among(reads_c, is.TGETR, is.TSETV)
among(reads_c, is.TSETR)
among(reads_d, is.ISLT, is.ISNEV)
among(reads_d, is.ISTC, is.ISF)
among(reads_d, is.MOV, is.LEN)
among(reads_d, is.USETV)
among(writes_a, is.MOV, is.KPRI)
among(writes_a, is.UGET)
among(writes_a, is.FNEW, is.GGET)
among(writes_a, is.TGETV, is.TGETR)

-- Ranges of slots: the first and last that are read.  A call reads its function, too, and leaves one slot between that
-- and its arguments for itself; behind a call, what was from its base on is gone.
local BETWEEN = 2
local ranges = {
  [is.CAT] = function(code) return b(code), c(code) end,
  [is.TSETM] = function(code) return a(code) - 1, a(code) - 1 end,
  [is.CALLM] = function(code) return a(code) + BETWEEN, a(code) + BETWEEN + c(code) - 1 end,
  [is.CALL] = function(code) return a(code) + BETWEEN, a(code) + BETWEEN + c(code) - 2 end,
  [is.CALLMT] = function(code) return a(code) + BETWEEN, a(code) + BETWEEN + d(code) - 1 end,
  [is.CALLT] = function(code) return a(code) + BETWEEN, a(code) + BETWEEN + d(code) - 2 end,
  [is.RETM] = function(code) return a(code), a(code) + d(code) - 1 end,
  [is.RET] = function(code) return a(code), a(code) + d(code) - 2 end,
  [is.FORI] = function(code) return a(code), a(code) + 2 end,
}
local gone_from_base = { [is.CALLM] = true, [is.CALL] = true, [is.VARG] = true, [is.KNIL] = true }
local ends = { [is.CALLMT] = true, [is.CALLT] = true, [is.RETM] = true, [is.RET] = true, [is.RET0] = true,
  [is.RET1] = true }
local always_jumps = { [is.JMP] = true, [is.UCLO] = true, [is.ISNEXT] = true }

local none = {}

-- The slots that are read after the instruction at *at* before they are written.  A jump back goes to where a statement
-- begins, and no expression is being computed.
local function after(at, code, live)
  local kind = op(code)
  if ends[kind] then return none end
  local target = is.jumps[kind] and kind ~= is.LOOP and at + 1 + is.distance(code)
  local there = target and target > at and live[target] or none
  if always_jumps[kind] then return there end
  local here, skipped = live[at + 1] or none, is.is_comparison(code) and live[at + 2] or none
  if not next(there) and not next(skipped) then return here end
  local all = {}
  for _, set in ipairs({ there, here, skipped }) do
    for slot in pairs(set) do all[slot] = true end
  end
  return all
end

local function before(code, live)
  local kind, set = op(code), {}
  local base = gone_from_base[kind] and a(code) or 256
  local written = writes_a[kind] and a(code) or -1
  for slot in pairs(live) do
    if slot < base and slot ~= written then set[slot] = true end
  end
  if reads_a[kind] then set[a(code)] = true end
  if reads_b[kind] then set[b(code)] = true end
  if reads_c[kind] then set[c(code)] = true end
  if reads_d[kind] then set[d(code)] = true end
  if ranges[kind] then
    local first, last = ranges[kind](code)
    for slot = first, last do set[slot] = true end
  end
  return set
end

local function above(live)
  local most = -1
  for slot in pairs(live) do most = math.max(most, slot) end
  return most + 1
end

-- How many variables there are at each instruction, and the slots of those that begin there.
local function variables(proto)
  local count, beginning = {}, {}
  for i = 1, #proto.code + 2 do count[i], beginning[i] = 0, {} end
  for _, var in ipairs(proto.vars) do
    local from = math.max(1, var.from)
    table.insert(beginning[from], count[from])
    for i = from, var.to - 1 do count[i] = count[i] + 1 end
  end
  return count, beginning
end

-- For each instruction of *proto*, the first slot that is free before it.
function M.free(proto)
  local code, live, free = proto.code, {}, {}
  local count, beginning = variables(proto)
  for i = #code, 1, -1 do
    live[i] = before(code[i], after(i, code[i], live))
    for _, slot in ipairs(beginning[i]) do live[i][slot] = true end -- closures may be all that reads them
    -- what closes upvalues comes when their variables have ended, and has to find them
    local last = op(code[i]) == is.UCLO and i > 1 and i - 1 or i
    free[i] = math.max(count[i], count[last], above(live[i]))
  end
  return free
end

return M
