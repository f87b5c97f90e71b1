-- The instructions of LuaJIT 2.1 by number (lj_bc.h), as far as those who change code need them.

local bit = require("bit")
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift

local M = {
  ISLT = 0, ISNEV = 5, ISNEP = 11, ISTC = 12, ISF = 15, ISTYPE = 16, ISNUM = 17, MOV = 18, LEN = 21, ADDVN = 22,
  ADDVV = 32, POW = 37, CAT = 38, KSTR = 39, KSHORT = 41, KPRI = 43, KNIL = 44, UGET = 45, USETV = 46, UCLO = 50,
  FNEW = 51, TNEW = 52, GGET = 54, GSET = 55, TGETV = 56, TGETR = 59, TSETV = 60, TSETB = 62, TSETM = 63, TSETR = 64,
  CALLM = 65, CALL = 66, CALLMT = 67, CALLT = 68, ITERC = 69, ITERN = 70, VARG = 71, ISNEXT = 72, RETM = 73, RET = 74,
  RET0 = 75, RET1 = 76, FORI = 77, FORL = 79, ITERL = 82, LOOP = 85, JMP = 88,
}

local BIAS = 32768 -- of a jump

M.REACH = BIAS -- instructions that a jump goes at most

function M.op(code) return band(code, 255) end
function M.a(code) return band(rshift(code, 8), 255) end
function M.b(code) return rshift(code, 24) end
function M.c(code) return band(rshift(code, 16), 255) end
function M.d(code) return rshift(code, 16) end

-- Instructions of two operands and of three.
function M.ad(op, a, d) return bor(op, lshift(a, 8), lshift(d, 16)) end
function M.abc(op, a, b, c) return bor(op, lshift(a, 8), lshift(c, 16), lshift(b, 24)) end

M.jumps = { [M.UCLO] = true, [M.ISNEXT] = true, [M.FORI] = true, [M.FORL] = true, [M.ITERL] = true, [M.LOOP] = true,
  [M.JMP] = true }

-- How far a jump goes, from the instruction behind it; and the same jump, going that far.
function M.distance(code) return rshift(code, 16) - BIAS end
function M.jump(code, distance) return bor(band(code, 0xffff), lshift(distance + BIAS, 16)) end

-- A comparison belongs together with the jump that follows it.
function M.is_comparison(code) return band(code, 255) <= M.ISF end

return M
