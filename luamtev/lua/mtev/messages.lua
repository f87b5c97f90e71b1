-- mtev.fq and mtev.amqp: messages to the brokers that the modules of that name are connected with.

local home = ...

local border, checked = home.border, home.checked
local fq_send, amqp_send = checked(border.fq_send), checked(border.amqp_send)
local type, error = type, error

local function check(name, exchange, route, payload, id)
  if type(exchange) ~= "string" or type(route) ~= "string" or type(payload) ~= "string"
    or id ~= nil and (type(id) ~= "number" or id % 1 ~= 0) then
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

mtev.amqp = {
  -- The same.  A mandatory message that no queue gets is counted as returned.
  send = function(exchange, route, payload, id, mandatory)
    check("amqp.send(exchange, route, payload[, id[, mandatory]])", exchange, route, payload, id)
    return (amqp_send(exchange, route, payload, id or -1, mandatory and true or false))
  end,
}
package.loaded["mtev.amqp"] = mtev.amqp
