"""Hashing across threads."""

from typing import Any


def test_two_loop_threads_hash_at_the_same_time_and_agree(lua: Any) -> None:
    body = """
        function main()
          local data = ("abcdefgh"):rep(1048576)
          local first = mtev.sha256_hex(data)
          for i = 1, 10 do assert(mtev.sha256_hex(data) == first) end
          print(first)
          os.exit(0)
        end
    """
    for thread in (0, 1):
        lua.start(body, thread=thread, tragedy_terminates=True)
    assert [lua.status(), lua.status()] == [0, 0], lua.errors()
    one, other = lua.printed().split()
    assert one == other


def test_a_number_is_hashed_as_its_text_and_nothing_else_is(lua: Any) -> None:
    printed = lua(
        """
        function main()
          print(mtev.md5_hex(12) == mtev.md5_hex("12"), (pcall(mtev.md5_hex, true)))
          os.exit(0)
        end
        """
    )
    assert printed == "true\tfalse\n"
