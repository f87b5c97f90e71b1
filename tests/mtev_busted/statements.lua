-- Statements of every kind, for the test of what counts lines.  Prints what is the same however it is run.

local M = {}
local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) +
    fib(n - 2)
end
local t = {
  a = 1,
  b = fib(3),
  fib(4), fib(5),
  unpack({ 1, 2,
    3 })
}
for i = 1, 10 do t.a = t.a + i end
for i = 1, 10 do
  t.a = t.a + i
end
for k, v in pairs({ 1, 2, 3, x = 4 }) do
  t.b = v
end
for k, v in ipairs({ 1, 2, 3 }) do t.b = v end
local i = 0
while i < 5 do
  i = i + 1
  if i == 3 then goto out end
end
::out::
repeat
  i = i - 1
  local j = i
until j <
  0
local function va(...)
  local a, b = ...
  return select("#", ...), a,
    ...
end
print(va(1, 2,
  va(3)))
local function up()
  local x, y = 1, 2
  local fs = {}
  for k = 1, 3 do
    local z = k
    fs[k] = function() x = x + z
      return x,
        va(z)
    end
  end
  return fs
end
for _, f in ipairs(up()) do f() end
print(pcall(function()
  error("a" ..
    "b")
end))
print(pcall(function() local q
  return q.x.y
end))
local s = i > 3 and
  "a" or
  "b"
if not s then
  print("no")
elseif i == 0 or
  i == -1 then
  print("neg")
else
  print("else")
end
do
  goto skip
  print("never")
  ::skip::
end
local big = 12345678901234ULL
local cx = { 1.5, true, false, "x", y = { 1 } }
local co = coroutine.wrap(function(...)
  for n = 1, 3 do
    coroutine.yield(n,
      ...)
  end
end)
print(co(7), co(), co())
for n = 1, 200 do
  i = i + (n % 2 == 0 and 1 or 2)
  if n > 100 then
    i = i * 1
  end
end
print(i, big)
local info = debug.getinfo(1, "Sl")
print(info.currentline, info.short_src)
local actives = {}
for line in pairs(debug.getinfo(va, "L").activelines) do actives[#actives + 1] = line end
table.sort(actives)
print(table.concat(actives, " "))
local function locals(a, b) local c = a
  local d = c + b
  local r = {}
  for k = 1, 4 do local name, v = debug.getlocal(1, k) r[k] = tostring(name) .. "=" .. tostring(v) end
  return table.concat(r, " ")
end
print(locals(1, 2))
return M
