---@meta
-- mtev.extras.

---@class mtev.extras
mtev.extras = {}

---@param text string
---@param pattern string
---@param max? integer
---@return string[]
function mtev.extras.split(text, pattern, max) end

---@param address string
---@return integer
function mtev.extras.iptonumber(address) end

---@param host string
---@param subject string?
---@param san_list string?
---@return string? problem
function mtev.extras.check_host_header_against_certificate(host, subject, san_list) end

---@param s string
---@return string
function mtev.extras.url_encode(s) end

---@param s string
---@return string
function mtev.extras.url_decode(s) end

---@param request mtev.http_request
---@param key? string
---@return table<string, string|true>|string|true|nil
function mtev.extras.decode_form(request, key) end

---@param request mtev.http_request
---@param key? string
---@return table<string, string|true>|string|true|nil
function mtev.extras.decode_cookie(request, key) end

---@param context mtev.http_ctx
---@param key string
---@param value string
---@param attrs? { expires?: number, domain?: string, path?: string, samesite?: string, secure?: boolean, httponly?: boolean }
function mtev.extras.set_cookie(context, key, value, attrs) end

---@param code string
---@param emit fun(text: string)
---@return boolean
function mtev.extras.repl_eval(code, emit) end
