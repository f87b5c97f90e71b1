-- mtev_logic_*: an expression over names whose values the caller looks up.

local home, arguments, family = ...

local gsub, format, rep, find = string.gsub, string.format, string.rep, string.find
local ffi = require("ffi")
local parse = home.load_library("ffi_mtev/logic_parse")
local declared, pointer, optional, allocate, text =
  arguments.declared, arguments.pointer, arguments.optional, arguments.allocate, arguments.text
local cast, C = ffi.cast, ffi.C
local tonumber, type, error, ipairs, tostring = tonumber, type, error, ipairs, tostring

ffi.cdef [[
typedef struct { int type; const char *s; int64_t l; double n; bool ours; } luamtev_logic_var;
typedef struct { bool (*lookup)(void *context, const char *name, luamtev_logic_var *out); } luamtev_logic_ops;
typedef struct { uint32_t id; } luamtev_logic_ast;
typedef struct { const luamtev_logic_ops *ops; } luamtev_logic_exec;
]]

local STRING, INT64, DOUBLE = 0, 1, 2
local MARGIN = 16 -- bytes that a caller's idea of a variable may be larger by

local var_type, ops_type = ffi.typeof("luamtev_logic_var *"), ffi.typeof("const luamtev_logic_ops *")
local ast_type, exec_type = ffi.typeof("luamtev_logic_ast *"), ffi.typeof("luamtev_logic_exec *")
local text_out_type, void_type = ffi.typeof("char **"), ffi.typeof("void *")
local int64 = ffi.typeof("int64_t")

local M = {}

-- Expressions ---------------------------------------------------------------------------------------------------------

local expressions, last = {}, 0 -- by the number in the caller's handle

-- What the regular expressions in it match with; nil and the expression that is none.
local function prepare(node)
  if node.op == "~" or node.op == "!~" then
    local matches = mtev.pcre(type(node.value) == "string" and node.value or gsub(tostring(node.value), "LL$", ""))
    if not matches then return nil, node.value end
    node.matches = matches
  end
  for _, each in ipairs(node) do
    local ok, bad = prepare(each)
    if not ok then return nil, bad end
  end
  return true
end

-- NULL for what is no expression; *error* then points to a message that the caller frees.
function M.mtev_logic_parse(input, error_out)
  local told = optional(text_out_type, error_out, "mtev_logic_parse", "error")
  local node, offset = parse(text(input, "mtev_logic_parse", "input"))
  local message
  if not node then
    message = "failed to parse at character offset: " .. offset
  else
    local ok, bad = prepare(node)
    if not ok then message = "no regular expression: " .. tostring(bad) end
  end
  local result_type = declared("mtev_logic_ast_t *", ast_type)
  if message then
    if told ~= nil then told[0] = arguments.duplicate(message) end
    return cast(result_type, nil)
  end
  last = last + 1
  expressions[last] = node
  local ast = cast(ast_type, allocate(1, ffi.sizeof("luamtev_logic_ast")))
  ast.id = last
  return cast(result_type, ast)
end

local function expression_of(ast, name)
  local node = expressions[pointer(ast_type, ast, name, "the expression").id]
  if not node then error(name .. ": there is no such expression", 3) end
  return node
end

function M.mtev_logic_ast_free(ast)
  if ast == nil then return end
  expression_of(ast, "mtev_logic_ast_free")
  local own = cast(ast_type, ast)
  expressions[own.id] = nil
  own.id = 0
  C.luamtev_free(own)
end

local function shown(value)
  if type(value) == "string" then return format("'%s'", value) end
  return (gsub(tostring(value), "LL$", ""))
end

local function describe(node, depth, lines)
  local line = rep(" ", 2 * depth) .. node.op
  if node.op == "exists" then
    line = format("%sexists(%s)", rep(" ", 2 * depth), node.name)
  elseif node.name then
    line = format("%s%s %s %s", rep(" ", 2 * depth), node.name, node.op, shown(node.value))
  end
  lines[#lines + 1] = line
  for _, each in ipairs(node) do describe(each, depth + 1, lines) end
  return lines
end

function M.mtev_logic_ast_log(stream, ast)
  arguments.check_pointer(stream, "mtev_logic_ast_log", "the stream", 3)
  local name = family("log").name_of(stream)
  for _, line in ipairs(describe(expression_of(ast, "mtev_logic_ast_log"), 0, {})) do mtev.log(name, "%s\n", line) end
end

-- Variables -----------------------------------------------------------------------------------------------------------

local function drop_text(var)
  if var.ours then C.luamtev_free(cast(void_type, var.s)) end
  var.s, var.ours = nil, false
end

local function variable(var, name)
  local own = pointer(var_type, var, name, "the variable")
  drop_text(own)
  return own
end

local pointed_to = {} -- luacheck: ignore 241 (the Lua string that the variable of the look-up in hand points to lives here)

-- Points to the caller's text.
function M.mtev_logic_var_set_string(var, value)
  local own = variable(var, "mtev_logic_var_set_string")
  if type(value) == "string" then
    pointed_to[1] = value
  else
    arguments.check_pointer(value, "mtev_logic_var_set_string", "the text", 3)
  end
  own.type, own.s = STRING, cast("const char *", value)
end

function M.mtev_logic_var_set_string_copy(var, value)
  local copied = text(value, "mtev_logic_var_set_string_copy", "the text")
  local own = variable(var, "mtev_logic_var_set_string_copy")
  own.type, own.s, own.ours = STRING, arguments.duplicate(copied), true
end

function M.mtev_logic_var_set_int64(var, value)
  local own = variable(var, "mtev_logic_var_set_int64")
  own.type, own.l = INT64, value
end

function M.mtev_logic_var_set_double(var, value)
  local own = variable(var, "mtev_logic_var_set_double")
  own.type, own.n = DOUBLE, value
end

-- Evaluation ----------------------------------------------------------------------------------------------------------

function M.mtev_logic_exec_alloc(ops)
  local own_ops = pointer(ops_type, ops, "mtev_logic_exec_alloc", "ops")
  local exec = cast(exec_type, allocate(1, ffi.sizeof("luamtev_logic_exec")))
  exec.ops = own_ops -- the caller's, who keeps them
  return cast(declared("mtev_logic_exec_t *", exec_type), exec)
end

function M.mtev_logic_exec_free(exec) C.luamtev_free(optional(void_type, exec, "mtev_logic_exec_free", "exec")) end

-- What the look-up of *name* says: string, int64_t or number; nil where there is none.
local function look_up(ops, context, name)
  local memory = ffi.new("uint8_t[?]", ffi.sizeof("luamtev_logic_var") + MARGIN)
  local var = cast(var_type, memory)
  local known = ops.lookup(context, name, var)
  local value
  if known then
    if var.type == STRING then
      value = var.s ~= nil and ffi.string(var.s) or ""
    elseif var.type == INT64 then
      value = var.l
    else
      value = var.n
    end
  end
  drop_text(var)
  pointed_to[1] = nil
  return value
end
jit.off(look_up) -- the look-up is, most often, a callback into Lua

local function as_text(value)
  if type(value) == "string" then return value end
  if type(value) == "number" then return format("%g", value) end
  return (gsub(tostring(value), "LL$", ""))
end

-- A text as the number it is, or nil.
local function as_number(value)
  if type(value) ~= "string" then return value end
  if find(value, "^%s*[+-]?%d+$") and #value < 19 then return int64(tonumber(value)) end
  return tonumber(value)
end

local compare = {
  ["="] = function(a, b) return a == b end,
  ["!="] = function(a, b) return a ~= b end,
  ["<"] = function(a, b) return a < b end,
  ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end,
}

-- Two numbers as both doubles or both 64-bit integers.
local function alike(a, b)
  if type(a) == "number" or type(b) == "number" then return tonumber(a), tonumber(b) end
  return a, b
end

local function holds(node, value)
  if node.matches then return node.matches(as_text(value)) == (node.op == "~") end
  if type(node.value) == "string" then return compare[node.op](as_text(value), node.value) end
  local number = as_number(value)
  if number == nil then return false end
  return compare[node.op](alike(number, node.value))
end

local function evaluate(node, ops, context)
  if node.op == "and" then
    for _, each in ipairs(node) do
      if not evaluate(each, ops, context) then return false end
    end
    return true
  elseif node.op == "or" then
    for _, each in ipairs(node) do
      if evaluate(each, ops, context) then return true end
    end
    return false
  elseif node.op == "not" then
    return not evaluate(node[1], ops, context)
  end
  local value = look_up(ops, context, node.name)
  if node.op == "exists" then return value ~= nil end
  if value == nil then return node.op == "!=" or node.op == "!~" end
  return holds(node, value)
end

function M.mtev_logic_exec(exec, ast, context)
  local node = expression_of(ast, "mtev_logic_exec")
  local own = pointer(exec_type, exec, "mtev_logic_exec", "exec")
  return arguments.boolean(evaluate(node, own.ops, optional(void_type, context, "mtev_logic_exec", "the context")))
end

return M
