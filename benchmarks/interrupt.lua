-- what interrupt_time costs: a compiled loop over a table, and string work, beside the coroutines of coro.lua
module(..., package.seeall)
local function now() local s, u = mtev.gettimeofday() return s + u / 1e6 end
function main()
  local t, x, squares = now(), 0, {}
  for i = 1, 2e7 do
    x = x + i % 7
    squares[i % 16] = x
  end
  assert(squares[0])
  print(string.format("loop_iterations_per_s %.0f", 2e7 / (now() - t)))
  t = now()
  for i = 1, 3e5 do x = x + #string.format("%d:%s", i, ("abc"):rep(3)):gsub("b", "c") end
  assert(x > 0)
  print(string.format("string_operations_per_s %.0f", 3e5 / (now() - t)))
  os.exit(0)
end
