-- Runs after blocks_spec.lua: what that file exposed is seen here, what it merely set is not.

describe("a later file", function()
  it("sees what an expose block of an earlier one set", function()
    if not _G.exposed_by_file then pending("blocks_spec.lua did not run before") end
    assert.equal("blocks_spec", _G.exposed_by_file)
    assert.same({ 1 }, package.loaded["exposed.module"])
  end)

  it("does not see the rest", function()
    assert.is_nil(_G.exposed)
    assert.is_nil(rawget(_G, "outside"))
  end)
end)
