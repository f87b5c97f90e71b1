"""What a program's memory is, asked in Lua."""

RESIDENT = """
    local function resident()
      collectgarbage() collectgarbage()
      for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmRSS:%s+(%d+)")
        if kilobytes then return tonumber(kilobytes) * 1024 end
      end
    end
"""
"""Defines ``resident()``: bytes, after a collection.  For Linux."""
