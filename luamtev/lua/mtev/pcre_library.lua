-- Regular expressions by ffi on the system's PCRE2 library.  what this returns opens it: an engine, or nil.
--
-- An engine is compile(expression) -> code, groups | nil, message, offset; and searcher(code, groups) -> search,
-- where search(subject, start, after_empty, limit, depth) -> first, last, spans gives offsets, or nil; spans[2i] and
-- spans[2i + 1] bound group i, negative for one that took no part, until the next search.
-- A search goes on in the rest of the subject as if that were the whole.

local collectgarbage = collectgarbage
local ffi = require("ffi")
local cast, tonumber, ipairs, pcall = ffi.cast, tonumber, ipairs, pcall

ffi.cdef [[
typedef struct luamtev_pcre_code luamtev_pcre_code;
typedef struct luamtev_pcre_context luamtev_pcre_context;
typedef struct luamtev_pcre_data luamtev_pcre_data;
typedef struct luamtev_pcre_stack luamtev_pcre_stack;
luamtev_pcre_code *luamtev_pcre_compile(const char *pattern, size_t length, uint32_t options, int *error,
  size_t *offset, void *context) __asm__("pcre2_compile_8");
void luamtev_pcre_code_free(luamtev_pcre_code *code) __asm__("pcre2_code_free_8");
int luamtev_pcre_jit_compile(luamtev_pcre_code *code, uint32_t options) __asm__("pcre2_jit_compile_8");
int luamtev_pcre_info(const luamtev_pcre_code *code, uint32_t what, void *where) __asm__("pcre2_pattern_info_8");
int luamtev_pcre_message(int error, char *buffer, size_t length) __asm__("pcre2_get_error_message_8");
luamtev_pcre_data *luamtev_pcre_data_create(const luamtev_pcre_code *code, void *context)
  __asm__("pcre2_match_data_create_from_pattern_8");
void luamtev_pcre_data_free(luamtev_pcre_data *data) __asm__("pcre2_match_data_free_8");
intptr_t *luamtev_pcre_spans(luamtev_pcre_data *data) __asm__("pcre2_get_ovector_pointer_8");
luamtev_pcre_context *luamtev_pcre_context_create(void *context) __asm__("pcre2_match_context_create_8");
void luamtev_pcre_context_free(luamtev_pcre_context *context) __asm__("pcre2_match_context_free_8");
int luamtev_pcre_set_limit(luamtev_pcre_context *context, uint32_t limit) __asm__("pcre2_set_match_limit_8");
int luamtev_pcre_set_depth(luamtev_pcre_context *context, uint32_t limit) __asm__("pcre2_set_depth_limit_8");
int luamtev_pcre_set_heap(luamtev_pcre_context *context, uint32_t limit) __asm__("pcre2_set_heap_limit_8");
luamtev_pcre_stack *luamtev_pcre_stack_create(size_t start, size_t most, void *context)
  __asm__("pcre2_jit_stack_create_8");
void luamtev_pcre_stack_free(luamtev_pcre_stack *stack) __asm__("pcre2_jit_stack_free_8");
void luamtev_pcre_stack_assign(luamtev_pcre_context *context, void *callback, luamtev_pcre_stack *stack)
  __asm__("pcre2_jit_stack_assign_8");
int luamtev_pcre_match(const luamtev_pcre_code *code, const char *subject, size_t length, size_t start,
  uint32_t options, luamtev_pcre_data *data, luamtev_pcre_context *context) __asm__("pcre2_match_8");
int luamtev_pcre_jit_match(const luamtev_pcre_code *code, const char *subject, size_t length, size_t start,
  uint32_t options, luamtev_pcre_data *data, luamtev_pcre_context *context) __asm__("pcre2_jit_match_8");
]]

local INFO_GROUPS, JIT_COMPLETE = 4, 1
local NOTEMPTY_ATSTART, NO_JIT = 0x00000008, 0x00002000
local ERROR_STACK = -46 -- the compiled form ran out of its stack
local LIMIT = 10000000 -- match calls, unless the caller says otherwise: as PCRE's own
local HEAP = 262144 -- KiB a search may take
local STACK = 1048576 -- bytes of stack for compiled forms
local KEPT = 256 -- compiled expressions kept for whoever asks again

local names = { "libpcre2-8.so.0", "libpcre2-8.0.dylib", "pcre2-8" }

local function open()
  for _, name in ipairs(names) do
    local found, library = pcall(ffi.load, name)
    -- Every function is looked up once: a library that lacks one is of no use.
    if found and pcall(function() return library.luamtev_pcre_jit_match, library.luamtev_pcre_set_heap end) then
      return library
    end
  end
end

local function new_engine(C)
  local engine = {}
  local stack = ffi.gc(C.luamtev_pcre_stack_create(32768, STACK, nil), C.luamtev_pcre_stack_free)
  local context = ffi.gc(C.luamtev_pcre_context_create(nil), C.luamtev_pcre_context_free)
  C.luamtev_pcre_stack_assign(context, nil, stack)
  C.luamtev_pcre_set_heap(context, HEAP)
  C.luamtev_pcre_set_limit(context, LIMIT)
  local limited = ffi.gc(C.luamtev_pcre_context_create(nil), C.luamtev_pcre_context_free)
  C.luamtev_pcre_stack_assign(limited, nil, stack)
  C.luamtev_pcre_set_heap(limited, HEAP)

  local error_code, error_offset, number = ffi.new("int[1]"), ffi.new("size_t[1]"), ffi.new("uint32_t[1]")
  local message = ffi.new("char[256]")
  local kept, kept_count = {}, 0

  function engine.compile(expression)
    local known = kept[expression]
    if known then return known, known.groups end
    local code = C.luamtev_pcre_compile(expression, #expression, 0, error_code, error_offset, nil)
    if code == nil then
      C.luamtev_pcre_message(error_code[0], message, 256)
      return nil, ffi.string(message), tonumber(error_offset[0])
    end
    code = ffi.gc(code, C.luamtev_pcre_code_free)
    C.luamtev_pcre_info(code, INFO_GROUPS, number)
    known = {
      stack = stack, -- outlives the code
      code = code,
      compiled = C.luamtev_pcre_jit_compile(code, JIT_COMPLETE) == 0,
      data = ffi.gc(C.luamtev_pcre_data_create(code, nil), C.luamtev_pcre_data_free),
      groups = number[0],
    }
    if kept_count == KEPT then
      kept, kept_count = {}, 0
      collectgarbage() -- it does not know how much memory a few words of ours stand for
    end
    kept[expression], kept_count = known, kept_count + 1
    return known, known.groups
  end

  function engine.searcher(known)
    local code, data = known.code, known.data
    local spans = C.luamtev_pcre_spans(data)
    local quick = known.compiled and C.luamtev_pcre_jit_match or C.luamtev_pcre_match

    local function slow(at, length, options, limit, depth)
      if depth then options = options + NO_JIT end -- a compiled form knows no depth
      if not limit and not depth then
        return C.luamtev_pcre_match(code, at, length, 0, options + NO_JIT, data, context)
      end
      C.luamtev_pcre_set_limit(limited, limit or LIMIT)
      C.luamtev_pcre_set_depth(limited, depth or LIMIT)
      return C.luamtev_pcre_match(code, at, length, 0, options, data, limited)
    end

    return function(subject, start, after_empty, limit, depth)
      local at, length = cast("const char *", subject) + start, #subject - start
      local options = after_empty and NOTEMPTY_ATSTART or 0
      local result = ERROR_STACK
      if not limit and not depth then result = quick(code, at, length, 0, options, data, context) end
      if result == ERROR_STACK then result = slow(at, length, options, limit, depth) end
      if result < 0 then return nil end
      local first, last = tonumber(spans[0]), tonumber(spans[1])
      return first, last < first and first or last, spans
    end
  end

  return engine
end

return function()
  local library = open()
  return library and new_engine(library)
end
