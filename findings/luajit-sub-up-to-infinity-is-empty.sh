#!/bin/sh
# LuaJIT 2.1, Debian's and the one in lupa 2.8: string positions and counts are 32 bits, and what does not fit becomes the
# smallest of them: text:sub(2, math.huge), or up to a limit of 2^31 bytes or more, is "" instead of the rest, the bytes of
# text:byte(1, 2^31) are none, and string.rep("x", 2^32 + 2) is "", all without an error.  A limit that is raised from
# 2147483647 to 4 GiB so empties every text.  Lua 5.4 gives the rest, or an error that says what does not fit.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'lupa==2.8'
cd "$folder"
apt-get download -qq luajit=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 \
  libluajit-5.1-2=2.1.0~beta3+git20220320+dfsg-4.1+deb12u1 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
cat > finding.lua <<'LUA'
local limits = { 2 ^ 31 - 1, 2 ^ 31, 4 * 2 ^ 30, math.huge }
local function shown(f, ...)
  local ok, found = pcall(f, ...)
  return ok and string.format("%q", found) or "error"
end
local subs, bytes, reps = {}, {}, {}
for i, limit in ipairs(limits) do
  subs[i] = shown(string.sub, "abc", 2, limit)
  bytes[i] = shown(function() return tostring(select("#", string.byte("abc", 1, limit))) end)
  reps[i] = i == 1 and "-" or shown(string.rep, "x", limit)
end
print((jit and jit.version or _VERSION) .. ": sub " .. table.concat(subs, " ") .. ", bytes " .. table.concat(bytes, " ")
  .. ", rep " .. table.concat(reps, " "))
LUA
cat > finding.py <<'PYTHON'
from lupa import lua54, luajit21

for module in (luajit21, lua54):
    with open("finding.lua") as file:
        module.LuaRuntime().execute(file.read())
PYTHON
{
  LD_LIBRARY_PATH=root/usr/lib/$(uname -m)-linux-gnu root/usr/bin/luajit* finding.lua
  venv/bin/python finding.py
} | tee found
cat > wanted <<'TEXT'
LuaJIT 2.1.0-beta3: sub "bc" "" "" "", bytes "3" "0" "0" "0", rep - "" "" ""
LuaJIT 2.1.1774896198: sub "bc" "" "" "", bytes "3" "0" "0" "0", rep - "" "" ""
Lua 5.4: sub "bc" "bc" "bc" error, bytes "3" "3" "3" error, rep - error error error
TEXT
diff wanted found
