-- The assertion library put together: assert with all that is registered, spy, stub, mock, match and say; and the names
-- by which specs and their helpers require the parts.

local use = ...

local M = { say = use("luassert/say"), assert = use("luassert/assert") }
use("luassert/formatters")
use("luassert/messages")
use("luassert/modifiers")
use("luassert/assertions")
use("luassert/array")
use("luassert/matchers")
M.spy = use("luassert/spy")
M.stub = use("luassert/stub")
M.mock = use("luassert/mock")
M.match = use("luassert/match")

local util = use("luassert/util")
local namespaces = use("luassert/namespaces")

M.modules = {
  say = M.say,
  ["say.init"] = M.say,
  luassert = M.assert,
  ["luassert.assert"] = M.assert,
  ["luassert.array"] = true,
  ["luassert.assertions"] = true,
  ["luassert.compatibility"] = { unpack = util.unpack },
  ["luassert.formatters"] = true,
  ["luassert.formatters.init"] = true,
  ["luassert.formatters.binarystring"] = use("luassert/binarystring"),
  ["luassert.languages.en"] = true,
  ["luassert.match"] = M.match,
  ["luassert.matchers"] = true,
  ["luassert.matchers.composite"] = true,
  ["luassert.matchers.core"] = true,
  ["luassert.matchers.init"] = true,
  ["luassert.mock"] = M.mock,
  ["luassert.modifiers"] = true,
  ["luassert.namespaces"] = namespaces.spaces,
  ["luassert.spy"] = M.spy,
  ["luassert.state"] = use("luassert/state"),
  ["luassert.stub"] = M.stub,
  ["luassert.util"] = util,
}

return M
