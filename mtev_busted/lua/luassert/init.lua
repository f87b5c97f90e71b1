-- The assertion library put together: assert with all that is registered, spy, stub, mock, match and say.

local use = ...

local M = { say = use("luassert/say"), assert = use("luassert/assert") }
use("luassert/messages")
use("luassert/assertions")
M.spy = use("luassert/spy")
M.stub = use("luassert/stub")
M.mock = use("luassert/mock")
M.match = use("luassert/match")
M.util = use("luassert/compare")

-- The names by which specs and their helpers require the parts.
M.modules = {
  say = M.say,
  luassert = M.assert,
  ["luassert.assert"] = M.assert,
  ["luassert.spy"] = M.spy,
  ["luassert.stub"] = M.stub,
  ["luassert.mock"] = M.mock,
  ["luassert.match"] = M.match,
  ["luassert.matchers"] = M.match,
  ["luassert.util"] = { deepcompare = M.util.same, deepcopy = M.util.deepcopy, callable = M.util.callable },
}

return M
