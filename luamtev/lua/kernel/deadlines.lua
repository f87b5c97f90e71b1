-- When tasks are due: a binary heap over plain arrays.  A task knows its place in it, so leaving early is O(log n).
--
-- task.pos is that place, or else minus the time the task was spawned at, which the heap keeps while the place is there.

local floor, huge = math.floor, math.huge

local deadlines = {}
local at_of, task_of, born_of, count = {}, {}, {}, 0

local function sift_up(i, at, task, born)
  while i > 1 do
    local parent = floor(i / 2)
    local parent_at = at_of[parent]
    if parent_at <= at then break end
    local moved = task_of[parent]
    at_of[i], task_of[i], born_of[i], moved.pos = parent_at, moved, born_of[parent], i
    i = parent
  end
  at_of[i], task_of[i], born_of[i], task.pos = at, task, born, i
end

local function sift_down(i, at, task, born)
  while true do
    local child = i * 2
    if child > count then break end
    if child < count and at_of[child + 1] < at_of[child] then child = child + 1 end
    local child_at = at_of[child]
    if child_at >= at then break end
    local moved = task_of[child]
    at_of[i], task_of[i], born_of[i], moved.pos = child_at, moved, born_of[child], i
    i = child
  end
  at_of[i], task_of[i], born_of[i], task.pos = at, task, born, i
end

-- *task* is due at *at*, by the monotonic clock.
function deadlines.enter(task, at)
  count = count + 1
  return sift_up(count, at, task, task.pos)
end

-- Nothing happens to *task* any more at a certain time.
function deadlines.leave(task)
  local i, last = task.pos, count
  local at, moved, born = at_of[last], task_of[last], born_of[last]
  task.pos = born_of[i]
  at_of[last], task_of[last], born_of[last] = nil, nil, nil
  count = last - 1
  if i == last then return end
  if i > 1 and at_of[floor(i / 2)] > at then return sift_up(i, at, moved, born) end
  return sift_down(i, at, moved, born)
end

-- When the first of them is due; never when there is none.
function deadlines.earliest() return at_of[1] or huge end

function deadlines.first() return task_of[1] end

-- When *task* is due; nil when it is not.
function deadlines.of(task) return task.pos > 0 and at_of[task.pos] or nil end

-- When *task* was spawned.
function deadlines.born(task) return -(task.pos > 0 and born_of[task.pos] or task.pos) end

return deadlines
