-- contract: Encodings, digests, text (timezone)

local ALL = { "second", "minute", "hour", "monthday", "month", "weekday", "yearday", "year", "dst", "offset", "zonename" }
local function fields(name, time) return { mtev.timezone(name):extract(time, unpack(ALL)) } end

describe("mtev.timezone", function()
  it("tells the time in a zone", function()
    assert.same({ 0, 0, 0, 1, 1, 5, 1, 1970, false, 0, "UTC" }, fields("UTC", 0))
    assert.same({ 56, 34, 7, 4, 7, 5, 186, 2024, true, -14400, "EDT" }, fields("America/New_York", 1720092896))
    assert.same({ 56, 34, 6, 4, 1, 5, 4, 2024, false, -18000, "EST" }, fields("US/Eastern", 1704368096))
    assert.same({ 59, 59, 23, 31, 12, 3, 366, 2024, false, 0, "UTC" }, fields("UTC", 1735689599))
  end)

  it("changes at the second the clocks do", function()
    local zone = mtev.timezone("Europe/Berlin")
    assert.same({ 1, "CET" }, { zone:extract(1711846799, "hour", "zonename") })
    assert.same({ 3, "CEST" }, { zone:extract(1711846800, "hour", "zonename") })
    assert.same({ 2, true }, { zone:extract(1729990799, "hour", "dst") })
    assert.same({ 2, false }, { zone:extract(1729990800, "hour", "dst") })
  end)

  it("agrees with the C library in UTC, before 1970 and in leap years too", function()
    local zone = mtev.timezone("UTC")
    for _, time in ipairs({ -1, 951782400, 951868799, 4107542400, 1709251199, -2208988800, 1e10, 123456789 }) do
      local t = os.date("!*t", time)
      assert.same({ t.year, t.month, t.day, t.hour, t.min, t.sec, t.yday, t.wday },
        { zone:extract(time, "year", "month", "monthday", "hour", "minute", "second", "yearday", "weekday") })
    end
  end)

  it("returns one value a field, and none for none", function()
    local zone = mtev.timezone("UTC")
    assert.equal(1970, zone:extract(0.9, "year"))
    assert.equal(0, select("#", zone:extract(0)))
  end)

  it("knows times far away", function()
    assert.equal(5138, mtev.timezone("America/New_York"):extract(1e11, "year"))
    assert.equal(33658, mtev.timezone("America/New_York"):extract(999999999999, "year"))
  end)

  it("raises for an unknown zone or field", function()
    assert.error_matches(function() mtev.timezone("Nowhere/Land") end, "timezone_spec.lua:%d+: unknown timezone: Nowhere/Land")
    assert.error_matches(function() mtev.timezone("../etc/passwd") end, "unknown timezone")
    assert.error_matches(function() mtev.timezone("America") end, "unknown timezone: America")
    assert.error_matches(function() mtev.timezone("") end, "unknown timezone")
    assert.error_matches(function() mtev.timezone() end, "bad argument #1 to 'timezone'")
    local zone = mtev.timezone("UTC")
    assert.error_matches(function() zone:extract(0, "century") end, "timezone_spec.lua:%d+: unknown timezone field: century")
    assert.error_matches(function() zone:extract(0, "year", "century") end, "timezone_spec.lua:%d+: unknown timezone field: century")
    assert.error_matches(function() zone:extract("now", "year") end, "timezone_spec.lua:%d+: bad argument #1 to 'extract'")
    assert.error_matches(function() return zone.nonsense end, "mtev.timezone no such element: nonsense")
    assert.error_matches(function() zone.extract(0, "year") end, "must be called as method")
  end)
end)
