"""What goes wrong in Lua, and below it, is in the logs that the manual names for it."""

from typing import Any

from hearing import hear, wait_for

from runtime import log


def test_an_error_nobody_caught_is_in_the_log_of_lua(lua: Any) -> None:
    heard, errors = hear("error/lua"), log.facility("error/lua")
    assert errors.outlets[0] is log.error
    lua(
        "function main() mtev.coroutine_spawn(function() error('mine') end) mtev.sleep(0) os.exit(0) end",
        tragedy_terminates=False,
    )
    wait_for(heard, "mine")


def test_an_expression_that_cannot_be_used_is_in_the_log_of_the_configuration(lua: Any) -> None:
    heard = hear("debug/conf")
    assert lua("function main() print(mtev.conf_get_string('/cli/[')) os.exit(0) end") == "nil\n"
    wait_for(heard, r"/cli/\[")


def test_what_lua_is_denied_is_in_the_debug_log_of_lua(lua: Any) -> None:
    heard = hear("debug/lua")
    lua("function main() mtev.shared_set('key', print) os.exit(0) end")
    wait_for(heard, "shared value: .* is stored as nil")


def test_off_they_cost_a_test_of_one_byte(lua: Any) -> None:
    text = lua(
        """
        function main()
          local never = setmetatable({}, { __tostring = function() error("composed") end })
          print(mtev.log_enabled("debug/lua"))
          mtev.log("debug/lua", "%s", never)
          os.exit(0)
        end
        """
    )
    assert text == "false\n"
