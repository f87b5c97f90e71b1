"""docs/compatibility.md says what differs from the original: what it says is missing is, and nothing else."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def test_what_is_not_available_is_listed_and_raises_with_its_name(lua: Any) -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    listed = page.partition("## Not available in this version")[2]
    names = {each.removeprefix("mtev.") for each in re.findall(r"`([\w.]+)`", listed)}
    text = lua(
        """
        function main()
          for name, member in pairs(mtev) do
            local ok, why = pcall(function()
              if type(member) == "table" and getmetatable(member) and getmetatable(member).__call then member() end
              if type(member) == "function" and debug.getinfo(member, "S").source:find("absent") then member() end
            end)
            if not ok then print(name, why:match("mtev%.[%w_]+ is not available in this version")) end
          end
          os.exit(0)
        end
        """
    )
    missing = dict(line.split("\t") for line in text.splitlines())
    assert set(missing) == names
    assert all(why == f"mtev.{name} is not available in this version" for name, why in missing.items())


def test_a_stop_by_a_signal_is_no_failure(luamtev: Any) -> None:
    for signal, status in (("TERM", 0), ("INT", 130), ("QUIT", 0)):
        done = luamtev(
            "main.lua",
            source=f"""
            function main()
              mtev.coroutine_spawn(function() mtev.sleep(0.05) mtev.sh("kill -{signal} " .. mtev.getpid()) end)
            end
            """,
        )
        assert done.returncode == status, done.stderr
        assert f"[TERMINATE] received sig{signal.lower()}, shutting down.".encode() in done.stderr


def test_an_unknown_option_is_named(luamtev: Any) -> None:
    done = luamtev("-Z", "main.lua", source="function main() os.exit(0) end")
    assert done.returncode == 2
    assert b"-Z" in done.stderr


def test_documents_lead_to_files_that_are_there() -> None:
    for page in ("compatibility.md", "moving.md"):
        text = (ROOT / "docs" / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (ROOT / "docs" / target).exists(), f"{page}: {target}"
