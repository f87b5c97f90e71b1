#!/bin/sh
# luassert 1.9.0 (Debian 12): an assertion on a spy that fails with `match._` ("any value") among the expected arguments
# does not say so: its formatter of matchers looks at the arguments a matcher was made with, which match._ has none of.
# What one sees is "attempt to index field 'arguments' (a nil value)", an error of the library, instead of the calls that
# were made; with match.is_number() in its place the failure is told as ever.  Passing assertions are not affected.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && apt-get download -qq lua5.1=5.1.5-9 liblua5.1-0=5.1.5-9 lua-luassert=1.9.0-1 lua-say=1.4.1-2 2>/dev/null \
  && for each in *.deb; do dpkg -x "$each" .; done)
LD_LIBRARY_PATH="$(dirname "$(find "$folder/usr/lib" -name 'liblua5.1.so.0' | head -1)")" \
LUA_PATH="$folder/usr/share/lua/5.1/?.lua;$folder/usr/share/lua/5.1/?/init.lua" \
  "$folder/usr/bin/lua5.1" - <<'LUA'
local assert, spy, match = require("luassert"), require("luassert.spy"), require("luassert.match")
local s = spy.new(function() end)
s(1, 3)
assert.spy(s).was.called_with(match._, 3)
local _, with_number = pcall(function() assert.spy(s).was.called_with(match.is_number(), 2) end)
local _, with_anything = pcall(function() assert.spy(s).was.called_with(match._, 2) end)
print("luassert 1.9.0-1 of Debian, which calls itself " .. assert._VERSION)
print("match.is_number(): " .. tostring(with_number):match("Function[^\n]*"))
print("match._:           " .. tostring(with_anything):match("[^/]*$"))
local changed = not tostring(with_number):find("Function was never called with matching arguments", 1, true)
  or not tostring(with_anything):find("attempt to index field 'arguments' (a nil value)", 1, true)
os.exit(changed and 1 or 0)
LUA
