#!/bin/sh
# lua-cjson 2.1.0 and dkjson 2.6 write numbers with 14 digits: a time in microseconds, a counter or an id above 10^14,
# which a Lua number holds exactly, comes out as another (1732733849123456 as 1.7327338491235e+15, 44 microseconds off),
# and 0.1 + 0.2 as 0.3.  They read it right, so passing a document on changes it.  And cjson reads as numbers what is no JSON
# and other parsers refuse: [0x10], [NaN], [-inf], [01] and [1.]; dkjson [01], [1.], [1,] and comments.
# cjson.encode_number_precision, which one would reach for, takes 14 at most; such numbers have to be written as strings.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq lua-cjson=2.1.0+dfsg-2.2 lua-dkjson=2.6-2 lua-lpeg=1.0.2-2 \
  luajit=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 libluajit-5.1-2=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
libraries=root/usr/lib/$(uname -m)-linux-gnu
cat > finding.lua <<'LUA'
local libraries = ...
package.cpath = libraries .. "/lua/5.1/?.so"
package.path = "root/usr/share/lua/5.1/?.lua"
local cjson, dkjson = require("cjson"), require("dkjson")
print(jit.version, "cjson " .. cjson._VERSION, dkjson.version)
local fine = true

local function expect(what, found, wanted)
  print(what, found)
  fine = fine and found == wanted
end

for name, library in pairs({ cjson = cjson, dkjson = dkjson }) do
  expect(name .. " writes a time", library.encode({ 1732733849123456 }), "[1.7327338491235e+15]")
  expect(name .. " writes 10^14", library.encode({ 1e14 }), "[1e+14]")
  expect(name .. " writes a sum", library.encode({ 0.1 + 0.2 }), "[0.3]")
  local passed_on = library.encode((library.decode("[1732733849123456]")))
  expect(name .. " passes a document on", passed_on, "[1.7327338491235e+15]")
end

local function reads(library, text)
  local ok, value = pcall(library.decode, text)
  return ok and value and tostring(value[1]) or "refused"
end

local NUMBERS = { "[0x10]", "[NaN]", "[-inf]", "[01]", "[1.]", "[1,]", "/* */[1]" }
local function all(library)
  local found = {}
  for i, text in ipairs(NUMBERS) do found[i] = text .. "=" .. reads(library, text) end
  return table.concat(found, " ")
end
expect("cjson reads", all(cjson), "[0x10]=16 [NaN]=nan [-inf]=-inf [01]=1 [1.]=1 [1,]=refused /* */[1]=refused")
expect("dkjson reads", all(dkjson), "[0x10]=refused [NaN]=refused [-inf]=refused [01]=1 [1.]=1 [1,]=1 /* */[1]=1")
for _, digits in ipairs({ 15, 16, 17 }) do
  expect("cjson may write " .. digits .. " digits", (pcall(cjson.encode_number_precision, digits)), false)
end
os.exit(fine and 0 or 1)
LUA
LD_LIBRARY_PATH=$libraries root/usr/bin/luajit* finding.lua "$libraries"
