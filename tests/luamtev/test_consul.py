"""The module consul in the real program, with Lua that registers services and reads values, and an agent."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from consulagent import Agent
from moduleprogram import Program

MODULE = '<generic image="consul" name="consul"><config><agent>{url}</agent>{config}</config></generic>'
SERVICES = """<consul><service>
  <web port="28852" address="127.0.0.1" id="{app}-{node}-web">
    <check deregister_after="10m" interval="5s" HTTP="/hello"/><weights passing="7" warning="2"/>
    <tags><plain/><role>front</role></tags><tag>foo</tag><tag>bar:baz</tag>
    <meta><colour>red</colour></meta>
  </web>
  <push id="fixed-push" port="28852" address="127.0.0.1"><check PUSH="2s"/></push>
  <tcp id="fixed-tcp" port="28852" address="127.0.0.1">
    <check TCP="127.0.0.1:28852" Interval="3s" Timeout="1s"/>
  </tcp>
  <https id="fixed-https" port="28852" address="127.0.0.1"><check HTTPS="/x" Method="HEAD" Timeout="2s"/></https>
  <bare id="{app}" port="28852" address="127.0.0.1"/>
  <none/>
</service></consul>"""
"""As the original was given, with the manual's spellings beside its own."""

REGISTER = """
local service = mtev.consul.service('fromlua', 'lua-1', '127.0.0.1', 28852, { tagone = '', tagtwo = 'v' }, { m = '1' })
local indices = { service:check_push('p1', 3, 60), service:check_http('h1', '/hello', 'GET', 5, 2, 60),
  service:check_tcp('t1', '127.0.0.1:28852', 5, 1, 60) }
handle = service:register()
return table.concat(indices, ' ') .. ' ' .. handle.id
"""


def program(directory: Path, url: str, *, config: str = "", more: str = "") -> Program:
    return Program(directory, MODULE.format(url=url, config=config), more)


def checked(agent: Agent, service: str) -> Any:
    agent.wait(f"PUT /v1/agent/check/pass/service:{service}:1")
    return agent.services[service]


def test_services_of_the_configuration_are_registered_as_the_originals_were(tmp_path: Path) -> None:
    config = "<bearer_token>tok123</bearer_token>"
    with Agent() as agent, program(tmp_path, agent.url, config=config, more=SERVICES) as running:
        running.wait(lambda: len(agent.services) == 5)
        web = agent.services[f"cli-{os.uname().nodename}-web"]
        assert web == {
            "ID": f"cli-{os.uname().nodename}-web",
            "Name": "web",
            "Address": "127.0.0.1",
            "Port": 28852,
            "EnableTagOverride": False,
            "Check": {
                "DeregisterCriticalServiceAfter": "10m",
                "HTTP": "http://127.0.0.1:28852/hello",
                "Interval": "5s",
                "CheckID": f"service:cli-{os.uname().nodename}-web:1",
            },
            "Weights": {"Passing": 7, "Warning": 2},
            "Tags": ["foo", "bar:baz", "plain:", "role:front"],
            "Meta": {"colour": "red"},
        }
        assert checked(agent, "fixed-push") == {
            "ID": "fixed-push",
            "Name": "push",
            "Address": "127.0.0.1",
            "Port": 28852,
            "EnableTagOverride": False,
            "Check": {"DeregisterCriticalServiceAfter": "30m", "TTL": "6s", "CheckID": "service:fixed-push:1"},
            "Weights": {"Passing": 10, "Warning": 1},
            "Tags": [],
            "Meta": {},
        }
        assert agent.services["fixed-tcp"]["Check"] == {
            "DeregisterCriticalServiceAfter": "30m",
            "TCP": "127.0.0.1:28852",
            "Interval": "3s",
            "Timeout": "1s",
            "CheckID": "service:fixed-tcp:1",
        }
        assert agent.services["fixed-https"]["Check"] == {
            "DeregisterCriticalServiceAfter": "30m",
            "HTTP": "https://127.0.0.1:28852/x",
            "Interval": "5s",
            "Method": "HEAD",
            "Timeout": "2s",
            "CheckID": "service:fixed-https:1",
        }
        assert agent.services["cli"]["Check"]["HTTP"] == "http://127.0.0.1:28852/module/consul/health/cli?n=1"
        assert {token for _, token, _ in agent.requests} == {"Bearer tok123"}
        assert "tok123" not in running.errors()
        assert running.get("/module/consul/health") == (204, "")
        for path, status in (("fixed-push?n=1", 204), ("fixed-push", 502), ("fixed-push?n=9", 502), ("no?n=1", 502)):
            assert running.get(f"/module/consul/health/{path}")[0] == status
        assert running.metric("mtev_consul_registrations_total") == 5
        assert running.stop() == 0
        assert agent.services == {}  # deregistered
        assert ("PUT /v1/agent/service/deregister/fixed-push", "Bearer tok123", None) in agent.requests


def test_services_of_lua_are_registered_told_of_and_deregistered(tmp_path: Path) -> None:
    with Agent() as agent, program(tmp_path, agent.url) as running:
        assert running.run(REGISTER) == "0 1 2 lua-1"
        checks = checked(agent, "lua-1")["Checks"]
        assert checks == [
            {"DeregisterCriticalServiceAfter": "60s", "CheckID": "service:lua-1:1", "Name": "p1", "TTL": "3s"},
            {
                "DeregisterCriticalServiceAfter": "60s",
                "CheckID": "service:lua-1:2",
                "Name": "h1",
                "HTTP": "http://127.0.0.1:28852/hello",
                "Interval": "5s",
                "Method": "GET",
                "Timeout": "2s",
            },
            {
                "DeregisterCriticalServiceAfter": "60s",
                "CheckID": "service:lua-1:3",
                "Name": "t1",
                "TCP": "127.0.0.1:28852",
                "Interval": "5s",
                "Timeout": "1s",
            },
        ]
        assert agent.services["lua-1"]["Tags"] == ["tagone", "tagtwo:v"]
        assert agent.services["lua-1"]["Meta"] == {"m": "1"}
        running.run("handle:warning(0, 'slow today')")
        agent.wait("PUT /v1/agent/check/warn/service:lua-1:1?note=slow")
        assert running.get("/module/consul/health/lua-1?n=1")[0] == 429
        assert running.get("/module/consul/health/lua-1?n=2")[0] == 204
        running.run("handle:critical(0, 'down')")
        agent.wait("PUT /v1/agent/check/fail/service:lua-1:1?note=down")
        assert "lua-1 has 3 checks, and no check 3" in running.run("return select(2, pcall(handle.passing, handle, 3))")
        running.run("handle:passing(0) handle:deregister()")
        agent.wait("PUT /v1/agent/service/deregister/lua-1")
        running.run("handle:register()")
        running.wait(lambda: "lua-1" in agent.services)


@pytest.mark.parametrize(
    ("lua", "wrong"),
    [
        ("mtev.consul.service()", "name: string expected, got nil"),
        ("mtev.consul.service('n', 'i', 'a', 99999)", "port: expected 1 to 65535"),
        ("mtev.consul.service('n', 'i', 'a', 1, 'tags')", "tags: table expected, got string"),
        ("mtev.consul.service('n', 'i', 'a', 1):check_push('p', '3')", "ttl: number expected, got string"),
        ("mtev.consul.service('', 'i', 'a', 1)", "name: expected a text that is not empty"),
        ("mtev.consul.service('n', 'i', 'a', 0/0)", "port: expected 1 to 65535"),
        ("mtev.consul.service('n', 'i', 'a', 1):check_push('', 3, 60)", "name: expected a text that is not empty"),
        ("mtev.consul.service('n', 'i', 'a', 1):check_push('p', 0, 60)", "ttl: expected seconds above 0"),
        ("mtev.consul.service('n', 'i', 'a', 1):check_push('p', 3, -60)", "deregister: expected seconds above 0"),
        (
            "mtev.consul.service('n', 'i', 'a', 1):check_tcp('p', 'a:1', 0/0, 1, 60)",
            "interval: expected seconds above 0",
        ),
        (
            "mtev.consul.service('n', 'i', 'a', 1):check_http('p', '/', 'GET', 1, 1/0, 9)",
            "timeout: expected seconds above 0",
        ),
        ("mtev.consul.service('n', '\\255', 'a', 1):register()", "names and texts are to be UTF-8"),
    ],
)
def test_what_cannot_be_a_service_is_an_error(lua: str, wrong: str, lua_error: Any) -> None:
    assert wrong in lua_error(lua)


@pytest.fixture
def lua_error(luamtev: Any) -> Any:
    def run(lua: str) -> str:
        source = f"function main() print(select(2, pcall(function() {lua} end))) os.exit(0) end"
        return str(luamtev("main.lua", source=source).stdout.decode())

    return run


def test_without_the_module_registering_is_an_error(lua_error: Any) -> None:
    assert "the module consul is not loaded" in lua_error("mtev.consul.service('n', 'i', 'a', 1):register()")


def test_an_agent_that_is_away_refuses_or_forgot_gets_everything_again(tmp_path: Path) -> None:
    more = '<consul><service><web id="w" port="1" address="::1"><check PUSH="1s"/></web></service></consul>'
    with Agent() as agent, program(tmp_path, agent.url, more=more) as running:
        checked(agent, "w")
        with agent.changed:
            agent.answer = 500
        running.wait(lambda: "500" in running.errors())
        with agent.changed:
            agent.services.clear()
            agent.answer = 200
            del agent.requests[:]
        agent.wait("PUT /v1/agent/service/register", "PUT /v1/agent/check/pass/service:w:1")
        port = agent.port
        agent.__exit__()
        running.wait(lambda: running.metric("mtev_consul_failures_total") >= 2)
        assert running.run("return 'answers'") == "answers"
        with Agent(port) as again:
            again.wait("PUT /v1/agent/service/register", "PUT /v1/agent/check/pass/service:w:1")


def test_names_of_any_kind_reach_the_agent_as_they_are(tmp_path: Path) -> None:
    with Agent() as agent, program(tmp_path, agent.url) as running:
        named = running.run("""
          local service = mtev.consul.service("n/a m", "i d/2?x#%", "::1", 1, { ["ü"] = "ö&" })
          service:check_push("p", 3, 60)
          handle = service:register()
          handle:warning(0, "nöte & ?#+%")
          return handle.id""")
        assert named == "i d/2?x#%"
        wanted = "PUT /v1/agent/check/warn/service:i%20d%2F2%3Fx%23%25:1?note=n%C3%B6te+%26+%3F%23%2B%25"
        agent.wait(wanted)
        assert agent.services[named]["Tags"] == ["ü:ö&"]
        assert running.get("/module/consul/health/i%20d/2%3fx%23%25?n=1")[0] == 429
        for lua in ("handle:passing(0.5)", "handle:passing(0/0)", "handle:passing(1)", "handle:passing(-1)"):
            with pytest.raises(AssertionError, match=r"whole number|has 1 checks"):
                running.run(lua)
        assert running.stop() == 0
        assert not agent.services


def test_a_slow_agent_holds_nobody_up(tmp_path: Path) -> None:
    more = '<consul><service><web id="s" port="1" address="::1"><check PUSH="1s"/></web></service></consul>'
    with Agent() as agent:
        agent.going.clear()
        with program(tmp_path, agent.url, more=more) as running:
            assert running.run(REGISTER) == "0 1 2 lua-1"
            assert running.run("handle:critical(0, 'late') return 'answers'") == "answers"
            assert running.get("/module/consul/health/lua-1?n=1")[0] == 502
            running.wait(lambda: running.metric("mtev_consul_failures_total") > 0)
            agent.going.set()
            agent.wait("PUT /v1/agent/check/pass/service:s:1", "PUT /v1/agent/check/fail/service:lua-1:1?note=late")
            assert running.stop() == 0
            assert not agent.services


def test_how_it_boots_is_told_and_shown(tmp_path: Path) -> None:
    more = '<consul><service><web id="bs" port="1" address="127.0.0.1"><check PUSH="2s"/></web></service></consul>'
    config = "<boot_state>critical</boot_state>"
    with Agent() as agent, program(tmp_path, agent.url, config=config, more=more) as running:
        agent.wait("PUT /v1/agent/check/fail/service:bs:1")
        assert running.get("/module/consul/health")[0] == 502


VALUES = """<vals><a>consul:some/key</a><b>consul:fallback:missing/key</b><c>consul:missing/key2</c>
<d>CONSUL:fb:{some/key}</d><e>consul:fb:some/key</e><f x="consul:some/key"/><g>consul:top</g></vals>"""


def test_values_of_the_configuration_stand_in_the_store_and_are_followed(tmp_path: Path) -> None:
    def value(path: str) -> str:
        return running.run(f"return mtev.conf_get_string('//vals/{path}')")

    agent = Agent(some__key="value-one", top="of the top")
    with agent, program(tmp_path, agent.url, more=VALUES) as running:
        found = [value(each) for each in ("a", "b", "c", "d", "e", "f/@x", "g")]
        assert found == [
            "value-one", "fallback", "nil", "CONSUL:fb:{some/key}", "value-one", "value-one", "of the top",
        ]  # fmt: skip
        agent.wait("GET /v1/kv/some%2Fkey?raw=true", "GET /v1/kv/some/?recurse=1&index=0&wait=300s")
        agent.set("some/key", "value-two")
        running.wait(lambda: value("a") == "value-two")
        agent.set("missing/key", "here now")
        running.wait(lambda: value("b") == "here now")
        agent.set("some/key", None)
        running.wait(lambda: value("e") == "fb")
        raw = [each for each, _, _ in agent.requests if "raw=true" in each]
        assert len(raw) == len(set(raw))  # asked once


@pytest.mark.parametrize(
    "nonsense", [b'[{"Name": "some/key"}]', b"[1]", b'{"error": "none"}', b"<html>", b'[{"Key": "k", "Value": "$"}]']
)
def test_what_is_no_value_is_told_and_values_are_followed_on(tmp_path: Path, nonsense: bytes) -> None:
    def value() -> str:
        return running.run("return mtev.conf_get_string('//vals/a')")

    agent = Agent(some__key="value-one")
    with agent, program(tmp_path, agent.url, more="<vals><a>consul:some/key</a></vals>") as running:
        assert value() == "value-one"
        agent.nonsense = nonsense
        agent.set("some/key", "value-two")
        running.wait(lambda: "/v1/kv/some/?recurse=1&index=0" in running.errors() or "trying again" in running.errors())
        agent.nonsense = b""
        running.wait(lambda: value() == "value-two")
        assert "Traceback" not in running.errors()


def test_keys_may_have_what_means_something_in_urls(tmp_path: Path) -> None:
    def value() -> str:
        return running.run("return mtev.conf_get_string('//vals/a')")

    agent = Agent(**{"pre fix#/50% of?/a b": "one"})
    config, more = "<kv_prefix>pre fix#</kv_prefix>", "<vals><a>consul:50% of?/a b</a></vals>"
    with agent, program(tmp_path, agent.url, config=config, more=more) as running:
        assert value() == "one"
        agent.wait("GET /v1/kv/pre%20fix%23/50%25%20of%3F/?recurse=1")
        agent.set("pre fix#/50% of?/a b", "two")
        running.wait(lambda: value() == "two")


def test_keys_are_below_the_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_BEARER_TOKEN", "envtok")
    config = "<kv_prefix>pre/fix</kv_prefix><bearer_token>other</bearer_token>"
    agent = Agent(pre__fix__some__key="prefixed")
    with agent, program(tmp_path, agent.url, config=config, more=VALUES) as running:
        assert running.run("return mtev.conf_get_string('//vals/a')") == "prefixed"
        agent.wait("GET /v1/kv/pre/fix/some%2Fkey?raw=true", "GET /v1/kv/pre/fix/some/?recurse=1")
        assert {token for _, token, _ in agent.requests} == {"Bearer envtok"}


MINE = """
from runtime import log
from runtime.modules import consul

class Mine:
    def configure(self, config):
        pass
    def init(self):
        consul.kv_attach("w", lambda key, value, index: log.error.log(f"seen {key} {value!r} {index}\\n"))
"""


def test_a_program_follows_values(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    with Agent(w="one", other="x") as agent:
        modules = MODULE.format(url=agent.url, config="")
        with Program(tmp_path, f'{modules}<generic image="mine" name="Mine" directory="{tmp_path}"/>') as running:
            running.wait(lambda: "seen w b'one' 100" in running.errors())
            agent.set("w", "two")
            running.wait(lambda: "seen w b'two' 101" in running.errors())
            agent.set("w", None)
            running.wait(lambda: "seen w None 102" in running.errors())
            assert "other" not in running.errors()


def test_without_an_agent_values_are_their_fallbacks(tmp_path: Path) -> None:
    with program(tmp_path, "http://127.0.0.1:1", more=VALUES) as running:
        assert running.run("return mtev.conf_get_string('//vals/b')") == "fallback"
        assert "Connection refused" in running.errors()


@pytest.mark.parametrize(
    ("config", "more", "wrong"),
    [
        ("<boot_state>bogus</boot_state>", "", "boot_state: expected passing, warning, critical, got 'bogus'"),
        ("<boot_sate>passing</boot_sate>", "", "there is no key boot_sate, expected boot_state"),
        ("", '<web port="99999"/>', "<web> port='99999': expected a number from 1 to 65535"),
        ("", '<web port="1"><check HTP="/x"/></web>', "there is no attribute HTP, expected HTTP"),
        ("", '<web port="1"><chek HTTP="/x"/></web>', "there is no element chek, expected check"),
        ("", '<web port="1"><check PUSH="soon"/></web>', "PUSH='soon'"),
        ("", '<web port="1"><check PUSH="1s" TCP="a:1"/></web>', "expected one of HTTP, HTTPS, TCP and PUSH"),
        ("", '<web port="1"><weights passing="x"/></web>', "passing='x': expected a number"),
    ],
)
def test_a_wrong_configuration_stops_the_start(config: str, more: str, wrong: str, tmp_path: Path) -> None:
    more = f"<consul><service>{more}</service></consul>"
    wanted = pytest.raises(AssertionError, match=re.escape(wrong))
    with wanted, program(tmp_path, "http://127.0.0.1:1", config=config, more=more):
        pass
