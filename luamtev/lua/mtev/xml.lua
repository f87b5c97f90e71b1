-- mtev.parsexml, and its documents and nodes.
--
-- Nodes come in batches, the results of one call: a node is a table of its batch and its place there, and only batches
-- are known to the other side.  What is asked of a node is fetched for its neighbours in the batch too, a column at a
-- time, and kept as long as the document is not changed; after a change every question is asked anew.
--
-- A document is the batch of its root.  Every batch refers to the tree it is from, so a node keeps its document.

local home = ...

local refuse = home.need("arguments").refuse
local class = home.need("mtev/object")
local border, checked = home.border, home.checked
local ffi = require("ffi")
local cast, text_of, type, tostring = ffi.cast, ffi.string, type, tostring
local getmetatable, select, min = getmetatable, select, math.min

local parse, evaluate = checked(border.xml_parse), checked(border.xml_xpath)
local fetch_children, fetch_following = checked(border.xml_children), checked(border.xml_following)
local fetch_column, fetch_value = checked(border.xml_column), checked(border.xml_value)
local set_contents, set_attr = checked(border.xml_set_contents), checked(border.xml_set_attr)
local add_child, serialize, release = checked(border.xml_addchild), checked(border.xml_tostring), border.xml_release

local ABSENT = "\1" -- stands in a column for what is not there
local FIRST, MOST = 32, 1024 -- values of a column fetched at once: the first time, and at most
local TREE_BYTES = 20 -- memory for a byte of XML, roughly
local NODE_BYTES = 100 -- memory for a node in a batch, roughly
local guarded = home.need("mtev/guards")(release)

-- *is_run*: whether the nodes are neighbours, so that one's next is the next of them.
local function new_batch(tree, handle, count, is_run)
  return {
    handle = handle, count = count, tree = tree, edits = tree.edits, columns = {}, is_run = is_run,
    guard = guarded(handle, count * NODE_BYTES),
  }
end

local function fill(batch, column, from, what, name)
  local count = min(column.size, batch.count - from + 1)
  column.size = min(column.size * 16, MOST)
  local packed = fetch_column(batch.handle, from, count, what, name)
  local bytes, start, stop = cast("const uint8_t *", packed), 0, 0
  for i = from, from + count - 1 do
    while bytes[stop] ~= 0 do stop = stop + 1 end -- a NUL ends the last one, too
    column[i] = text_of(bytes + start, stop - start)
    stop = stop + 1
    start = stop
  end
end

-- The value of *what*, of a node; *key* names the column.
local function value(node, key, what, name)
  local batch, i = node.batch, node.index
  if batch.edits ~= batch.tree.edits then return (fetch_value(batch.handle, i, what, name)) end
  local column = batch.columns[key]
  if not column then
    column = { size = FIRST }
    batch.columns[key] = column
  end
  local found = column[i]
  if not found then
    fill(batch, column, i, what, name)
    found = column[i]
  end
  if found ~= ABSENT then return found end
  if what == "contents" then return (fetch_value(batch.handle, i, what, name)) end
  return nil
end

local function text_argument(text, position, name)
  local kind = type(text)
  if kind == "string" then return text end
  if kind == "number" then return tostring(text) end
  refuse(position, name, "string", kind, 3)
end

local new_node

-- An iterator over the nodes of a batch; no batch: over nothing.
local function each(tree, handle, count, is_run)
  if not handle then return function() end end
  local batch, i = new_batch(tree, handle, count, is_run), 0
  return function()
    if i < batch.count then
      i = i + 1
      return new_node({ batch = batch, index = i })
    end
  end
end

local function attr(node, ...)
  local name, text = ...
  name = text_argument(name, 1, "attr")
  if select("#", ...) == 1 then return (value(node, "@" .. name, "attr", name)) end
  if text ~= nil then text = text_argument(text, 2, "attr") end
  local batch = node.batch
  set_attr(batch.handle, node.index, name, text)
  batch.tree.edits = batch.tree.edits + 1
end

new_node = class("mtev.xmlnode", {
  name = function(node) return value(node, "name", "name", "") end,
  attr = attr,
  attribute = attr,

  contents = function(node, ...)
    if select("#", ...) == 0 then return value(node, "contents", "contents", "") end
    local batch, text = node.batch, text_argument((...), 1, "contents")
    set_contents(batch.handle, node.index, text)
    batch.tree.edits = batch.tree.edits + 1
  end,

  children = function(node)
    local batch = node.batch
    local handle, count = fetch_children(batch.handle, node.index)
    return each(batch.tree, handle, count, true)
  end,

  next = function(node)
    local batch, i = node.batch, node.index
    if batch.is_run and i < batch.count and batch.edits == batch.tree.edits then
      return new_node({ batch = batch, index = i + 1 })
    end
    local handle, count = fetch_following(batch.handle, i)
    if not handle then return nil end
    return new_node({ batch = new_batch(batch.tree, handle, count, true), index = 1 })
  end,

  addchild = function(node, name)
    name = text_argument(name, 1, "addchild")
    local batch = node.batch
    local handle = add_child(batch.handle, node.index, name)
    batch.tree.edits = batch.tree.edits + 1
    return new_node({ batch = new_batch(batch.tree, handle, 1), index = 1 })
  end,
})

local node_type = getmetatable(new_node({}))

local new_doc = class("mtev.xmldoc", {
  root = function(doc) return new_node({ batch = doc.batch, index = 1 }) end,

  tostring = function(doc) return (serialize(doc.batch.handle)) end,

  xpath = function(doc, expression, node)
    expression = text_argument(expression, 1, "xpath")
    local batch, index = doc.batch, 1
    if node ~= nil then
      if getmetatable(node) ~= node_type then
        refuse(2, "xpath", "node", type(node), 2)
      end
      batch, index = node.batch, node.index
    end
    local handle, count = evaluate(batch.handle, index, expression)
    return each(batch.tree, handle, count)
  end,
})

-- The document in a text, or nil when it is not well-formed; why is in the log debug/xml.
function mtev.parsexml(text)
  text = text_argument(text, 1, "parsexml")
  local handle = parse(text)
  if not handle then return nil end
  local tree = { edits = 0, guard = guarded(handle, #text * TREE_BYTES) }
  return new_doc({ batch = { handle = handle, count = 1, tree = tree, edits = 0, columns = {} } })
end
