---@meta
-- HTTP client.

---@class mtev.HttpClient
---@field code? integer
---@field reason? string
---@field protocol? string
---@field headers? table<string, string>
---@field cookies? table[]
---@field trailers? table<string, string>
---@field truncated? boolean
---@field raw_bytes? integer
---@field content_bytes? integer
mtev.HttpClient = {}

---@param hooks? { connected?: function, headers?: function, consume?: fun(text: string), certfile?: function, keyfile?: function, cachain?: function, ciphers?: function }
---@param sslconfig? mtev.tlsconfig
---@return mtev.HttpClient
function mtev.HttpClient:new(hooks, sslconfig) end

---@async
---@param address string
---@param port? integer
---@param ssl? boolean
---@param sni? string
---@param layer? string
---@return integer rc
---@return string? reason
function mtev.HttpClient:connect(address, port, ssl, sni, layer) end

---@async
---@param method string
---@param uri string
---@param headers? table<string, string|string[]>
---@param payload? string
---@param version? "1.0"|"1.1"
---@return integer bytes
---@return string? reason
function mtev.HttpClient:do_request(method, uri, headers, payload, version) end

---@async
---@param limit? integer bytes
---@return string? body
function mtev.HttpClient:get_response(limit) end

---@async
function mtev.HttpClient:get_headers() end

---@async
---@param limit? integer bytes
---@return string? body
function mtev.HttpClient:get_body(limit) end

---@async
---@param stop string|integer|nil
---@return string?
function mtev.HttpClient:read(stop) end

---@param seconds number?
---@param on_timeout? function
function mtev.HttpClient:set_timeout(seconds, on_timeout) end

---@param seconds number?
function mtev.HttpClient:set_connect_timeout(seconds) end

---@param seconds number?
function mtev.HttpClient:set_deadline(seconds) end

---@param url string? http://[user:password@]host:port
function mtev.HttpClient:set_proxy(url) end

---@param method string
---@param uri string
---@param user string
---@param password string
---@param challenge string
---@param payload? string
---@return string
function mtev.HttpClient:auth_digest(method, uri, user, password, challenge, payload) end

---@return mtev.ssl_ctx?
function mtev.HttpClient:ssl_ctx() end

function mtev.HttpClient:close() end

---@class mtev.HttpPool
mtev.HttpPool = {}

---@param options? { idle?: number, kept?: integer, each?: integer }
---@return mtev.HttpPool
function mtev.HttpPool:new(options) end

---@return { kept: integer, used: integer, made: integer, reused: integer, retried: integer }
function mtev.HttpPool:stats() end

function mtev.HttpPool:close() end

---@class mtev.Api.result
---@field headers table<string, string>
---@field url string
---@field redirects integer
local result = {}

---Itself, or an error unless the status is 2xx.
---@return mtev.Api.result
function result:check() end

---@return integer status -1 without a response
function result:rc() end

---@return string
function result:text() end

---@return any
function result:json() end

---@return mtev.xmldoc?
function result:xml() end

---@class mtev.Api
mtev.Api = {}

---@param host string
---@param port integer
---@param headers? table<string, string>
---@param sslconfig? mtev.tlsconfig
---@return mtev.Api
function mtev.Api:new(host, port, headers, sslconfig) end

---@param host string
---@param port integer
---@param headers? table<string, string>
---@return mtev.Api
function mtev.Api:http(host, port, headers) end

---@param host string
---@param port integer
---@param headers? table<string, string>
---@param sslconfig? mtev.tlsconfig
---@return mtev.Api
function mtev.Api:https(host, port, headers, sslconfig) end

---@param seconds number?
---@return mtev.Api
function mtev.Api:set_timeout(seconds) end

---@param pool mtev.HttpPool?
---@return mtev.Api
function mtev.Api:set_pool(pool) end

---@param most integer
---@return mtev.Api
function mtev.Api:set_redirects(most) end

---@param url string|true|nil http://[user:password@]host:port, or what the environment says
---@param exempt? string
---@return mtev.Api
function mtev.Api:set_proxy(url, exempt) end

---@async
---@param method string
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:request(method, path, payload, headers) end

---@async
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:get(path, payload, headers) end

---@async
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:post(path, payload, headers) end

---@async
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:put(path, payload, headers) end

---@async
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:delete(path, payload, headers) end

---@async
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:head(path, payload, headers) end

---@async
---@param path string
---@param payload? string|table
---@param headers? table<string, string>
---@return mtev.Api.result
function mtev.Api:patch(path, payload, headers) end
