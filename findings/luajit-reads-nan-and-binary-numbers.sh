#!/bin/sh
# LuaJIT 2.1: tonumber takes "nan", "inf" and "0b101" for numbers, and so does arithmetic with texts ("0b101" + 1 is 6);
# Lua 5.4, which has none of them, gives nil.  What came of a query or a file, and was checked by tonumber and a range, may
# be a NaN: n < 0 and n > 100 are both false, so it passes, makes every sum it goes into NaN for good, and is an error as a
# key of a table.  n >= 0 and n <= 100, or n == n, tells.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq luajit=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 \
  libluajit-5.1-2=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 libluajit-5.1-common lua5.4=5.4.4-3+deb12u1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > finding.lua <<'LUA'
local texts = { "nan", "inf", "-inf", "0b101", "0x1p4", "1e2", " 7 ", "7x", "" }
local found = {}
for i, text in ipairs(texts) do
  found[i] = '"' .. text .. '"=' .. tostring(tonumber(text)):gsub("^%-?nan$", "nan"):gsub("%.0$", "")
end
local nan = tonumber("nan")
local passes = nan ~= nil and not (nan < 0 or nan > 100)
local key = nan and not pcall(function() return { [nan] = 1 } end)
print(jit and jit.version or _VERSION, table.concat(found, " "))
print("nan passes a check of its range: " .. tostring(passes) .. ", fails as a key: " .. tostring(key))
LUA
{
  LD_LIBRARY_PATH=root/usr/lib/$(uname -m)-linux-gnu root/usr/bin/luajit* finding.lua
  root/usr/bin/lua5.4 finding.lua
} | tee found
cat > wanted <<'TEXT'
LuaJIT 2.1.0-beta3	"nan"=nan "inf"=inf "-inf"=-inf "0b101"=5 "0x1p4"=16 "1e2"=100 " 7 "=7 "7x"=nil ""=nil
nan passes a check of its range: true, fails as a key: true
Lua 5.4	"nan"=nil "inf"=nil "-inf"=nil "0b101"=nil "0x1p4"=16 "1e2"=100 " 7 "=7 "7x"=nil ""=nil
nan passes a check of its range: false, fails as a key: nil
TEXT
diff wanted found
