-- mtev.fq: messages to the brokers that the module of that name is connected with.

local home = ...

local border, checked = home.border, home.checked
local fq_send = checked(border.fq_send)
local type, error = type, error

local function check(name, exchange, route, payload, id)
  if type(exchange) ~= "string" or type(route) ~= "string" or type(payload) ~= "string"
    or id ~= nil and type(id) ~= "number" then
    error(name, 3)
  end
end

mtev.fq = {
  -- Publishes to the connection of that number, or to all; how many took it.
  send = function(exchange, route, payload, id)
    check("fq.send(exchange, route, payload[, id])", exchange, route, payload, id)
    return (fq_send(exchange, route, payload, id or -1))
  end,
}
package.loaded["mtev.fq"] = mtev.fq
