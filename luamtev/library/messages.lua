---@meta
-- Messages to brokers.

mtev.fq = {}

---How many connections took it.
---@param exchange string
---@param route string
---@param payload string
---@param id? integer of the connection; all unless given
---@return integer
function mtev.fq.send(exchange, route, payload, id) end

mtev.amqp = {}

---How many connections took it.
---@param exchange string
---@param route string
---@param payload string
---@param id? integer of the connection; all unless given
---@param mandatory? boolean
---@return integer
function mtev.amqp.send(exchange, route, payload, id, mandatory) end
