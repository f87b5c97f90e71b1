---@meta
-- Web handlers: what `handler(rest, config)` and the table `websocket` of a mounted module get.

---@class mtev.http_rest
local rest = {}

---@return mtev.http_ctx
function rest:http() end

---Whether access control lets the request pass.
---@return boolean
function rest:apply_acl() end

---Has f called, in a coroutine of its own, when the client goes away before the answer is done; false when it is done.
---@param f fun()
---@return boolean
function rest:on_abort(f) end

---@class mtev.http_ctx
---@field CHUNKED integer
---@field CLOSE integer
---@field GZIP integer
---@field DEFLATE integer
local context = {}

---@return mtev.http_request
function context:request() end

---@param code integer
---@param reason? string
---@return boolean
function context:status(code, reason) end

---@param name string
---@param value string|number
---@return boolean
function context:header(name, value) end

---@param name string
---@param value string
---@param attributes? table
function context:set_cookie(name, value, attributes) end

---@param key string|number
---@param value string|number
---@return boolean
function context:observer_note(key, value) end

---@param text string|number
---@return boolean
function context:write(text) end

---@param fd integer
---@param size? integer
---@param offset? integer
---@return boolean
---@return string? reason
function context:write_fd(fd, size, offset) end

---@async
---@return boolean
function context:flush() end

---@return boolean
function context:flush_end() end

---@param option integer
---@return boolean
function context:option(option) end

---@param text string
---@return string
function context:url_encode(text) end

---@param text string
---@return string
function context:url_decode(text) end

---@param text string
---@param tags? boolean
---@return string
function context:htmlentities(text, tags) end

---@class mtev.http_request
local request = {}

---@return string
function request:method() end

---The path in its one form, without the query string.
---@return string
function request:uri() end

---What the client sent.
---@return string
function request:raw_uri() end

---@param name? string
---@return table<string, string>|string|nil
function request:headers(name) end

---@param key? string
---@return table<string, string|true>|string|true|nil
function request:querystring(key) end

---@param name? string
---@return table<string, string|true>|string|true|nil
function request:cookie(name) end

---@param name? string
---@return table<string, string|true>|string|true|nil
function request:form(name) end

---@async
---@return string?
---@return string? why
function request:payload() end

---The next piece of the body; nil at the end, nil and why when it cannot be read on.
---@async
---@param most? integer
---@return string?
---@return string? why
function request:read(most) end

---Hands each part of a form to take; how many there were, or nil and why not.
---@async
---@param take fun(part: mtev.http_part)
---@param options? { parts?: integer, head?: integer }
---@return integer?
---@return string? why
function request:multipart(take, options) end

---@param mask? integer
---@return integer|boolean
function request:opts(mask) end

---@class mtev.http_part
---@field name string
---@field filename? string
---@field content_type string
---@field headers table<string, string>
local part = {}

---@async
---@param most? integer
---@return string?
---@return string? why
function part:read(most) end

---@async
---@param limit? integer
---@return string?
---@return string? why
function part:payload(limit) end

---@async
---@param path string
---@param mode? integer
---@return integer? size
---@return string? why
function part:save(path, mode) end

---@class mtev.websocket
---@field TEXT integer
---@field BINARY integer
---@field PING integer
---@field PONG integer
---@field CONTINUATION integer
---@field CONNECTION_CLOSE integer
local websocket = {}

---`send(text)` or `send(opcode, payload)`.
---@param opcode integer|string
---@param payload? string
---@return boolean
function websocket:send(opcode, payload) end

---@param code? integer
---@param reason? string
function websocket:close(code, reason) end

---@return mtev.http_request
function websocket:request() end

---@return string?
function websocket:protocol() end

---@return boolean
function websocket:apply_acl() end
