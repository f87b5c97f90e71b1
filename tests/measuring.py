"""What a program's memory is, asked in Lua."""

import os

SETTLED = ("-u", str(os.getuid()))
"""Options with which a program imports all it may need before it runs, as who might become another user does."""

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
