"""Programs that wait and are cancelled at random: nothing that was sent is lost, and nobody waits for ever."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
local random, permits = math.random, 3
local semaphore = mtev.semaphore("permits", permits)

local function counts_of_one_thread(seed)
  math.randomseed(seed)
  local waiting, holds, ended, workers = {}, {}, 0, 60 -- by number of the worker
  local sent, got, posted, received = 0, 0, 0, 0
  local steps = {
    function() mtev.sleep(random() * 0.003) end,
    function() mtev.sleep(0) end,
    function(me) sent = sent + 1 mtev.notify("key", me) end,
    function(me)
      if waiting.key then return end
      waiting.key = me
      if mtev.waitfor("key", random() * 0.003) then got = got + 1 end
      waiting.key = nil
    end,
    function(me)
      if not semaphore:acquire(random() * 0.004) then return end
      holds[me] = true
      if random() < 0.5 then mtev.sleep(random() * 0.002) end
      holds[me] = nil
      semaphore:release()
    end,
    function(me) posted = posted + 1 mtev.shared_notify("post", me) end,
    function() if mtev.shared_waitfor("post", random() * 0.003) then received = received + 1 end end,
    function() collectgarbage() end,
    function(me)
      local other = random(workers)
      if other == me or not waiting[other] or holds[other] or waiting.key == other then return end
      mtev.cancel_coro(waiting[other])
      waiting[other], ended = nil, ended + 1
    end,
    function()
      local generate = coroutine.wrap(function()
        mtev.sleep(random() * 0.001)
        coroutine.yield(1)
        mtev.sleep(0)
        return 2
      end)
      assert(generate() == 1 and generate() == 2)
    end,
  }
  for me = 1, workers do
    mtev.coroutine_spawn(function()
      waiting[me] = coroutine.running()
      for _ = 1, random(5, 25) do steps[random(#steps)](me) end
      waiting[me], ended = nil, ended + 1
    end)
  end
  while ended < workers do mtev.sleep(0.01) end
  while mtev.waitfor("key", 0) do got = got + 1 end
  assert(sent == got, "notified " .. sent .. ", heard " .. got)
  return { posted, received }
end

function main()
  local threads = mtev.eventer_loop_concurrency()
  local number = mtev.shared_seq("threads")
  mtev.shared_notify("counts", counts_of_one_thread(SEED + 1000 * number))
  if number > 0 then return end
  local posted, received, left = 0, 0, 0
  for _ = 1, threads do
    local counts = mtev.shared_waitfor("counts")
    posted, received = posted + counts[1], received + counts[2]
  end
  while mtev.shared_waitfor("post", 0) do received = received + 1 end
  while semaphore:try_acquire() do left = left + 1 end
  print(posted == received, left == permits)
  os.exit(0)
end
"""


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_that_was_sent_is_lost(luamtev: Callable[..., Any], tmp_path: Path, threads: int, seed: int) -> None:
    (tmp_path / "c.xml").write_text(
        f"""<cli><eventer><config><concurrency>{threads}</concurrency></config></eventer>
        <modules><generic image="lua_mtev" name="lua_general"><config><lua_module>main.lua</lua_module>
        <lua_function>main</lua_function><concurrent>true</concurrent><tragedy_terminates>true</tragedy_terminates>
        </config></generic></modules></cli>"""
    )
    done = luamtev("-c", "c.xml", "main.lua", source=PROGRAM.replace("SEED", str(seed)))
    assert (done.returncode, done.stdout) == (0, b"true\ttrue\n"), done.stderr
