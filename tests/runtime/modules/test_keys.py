"""Every key of every loadable module: its default, values that it does not take, and its line in the reference."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime import conf, eventer, modules
from runtime.conf import ConfError
from runtime.modules import _registered, amqp, consul, fq

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "modules.md"

LONG = "x" * 254
PORTS = ["http", "0", "65536", "-1", "8765x", "", "1.5", "0x10", "9" * 30, "٣"]
NUMBERS = ["many", "-", "", "1e3", "0x1", "9" * 40, "²"]
KEY = "c2VjcmV0"  # what is no key is still a secret

WRONG: dict[str, dict[str, list[str]]] = {
    "amqp": {"poll_limit": [*NUMBERS, "-1"]},
    "fq": {"poll_limit": [*NUMBERS, "-1"], "fanout": NUMBERS, "fanout_pool": ["nowhere", ""]},
    "consul": {
        "boot_state": ["fine", "", "Passing"],
        "agent": ["nowhere", "http://", "ftp://a", "http://a:b", "http://a b", "", "http://user:secret@"],
        "bearer_token": ["secr\u00e9t"],
        "kv_prefix": [],
    },
    "http_hmac_cookie": {
        "key": [KEY, "00" * 31, "", "not base 64!", "0" * 63 + "g", "00" * 64],
        "max_age": [*NUMBERS, "0", "-1", "1.5"],
        "max_failures": [*NUMBERS, "0", "-1"],
        "failure_window": [*NUMBERS, "0", "-1"],
        "domain": ["exa mple.test", "example.test; HttpOnly", "ex\u00e4mple.test"],
        "user_": ["secret"],
        "user_" + "n" * 256: ["secret"],
    },
    "http_observer": {
        "max_count": [*NUMBERS, "0", "-1"],
        "max_age": [*NUMBERS, "0", "-1"],
        "header_in_": ["field"],
        "header_in_X-Upper": ["field"],
        "header_out_": ["field"],
        "header_out_content-type": [""],
    },
    "zipkin_jaeger": {
        "host": ["", "a b", "a/b", "http://a", "user@a"],
        "port": PORTS,
        "period": [*NUMBERS, "0"],
        "max_batch": [*NUMBERS, "0"],
        "backlog": [*NUMBERS, "0"],
        "retries": [*NUMBERS, "-1"],
    },
    "zipkin_otlp": {
        "url": ["nowhere", "http://", "ftp://a", "http://a:b", "http://a:0", "http://[::1", "", "http://u:secret@ b"],
        "protocol": ["grpc", "", "JSON"],
        "compression": ["zstd", ""],
        "ca_chain": ["/there/is/no/file", ""],
        "service_name": [],
        "timeout": [*NUMBERS, "0"],
        "period": [*NUMBERS, "0"],
        "max_batch": [*NUMBERS, "0"],
        "backlog": [*NUMBERS, "0"],
        "retries": [*NUMBERS, "-1"],
        "header_": ["value"],
        "header_authorization": ["Bearer secret\n\tX: y"],
        "resource_": ["value"],
    },
    "zipkin_fq": {
        "host": ["", LONG],
        "port": PORTS,
        "user": ["", "x" * 128],
        "pass": ["secret" * 11_000],
        "exchange": ["", "x" * 128],
        "routing_prefix": ["", "x" * 112],
        "route_prefix": ["", "x" * 112],
        "backlog": [*NUMBERS, "0"],
    },
}
"""By module and key, what it is not to be."""

BROKERS: dict[str, dict[str, list[str]]] = {
    "amqp": {
        "host": ["", LONG],
        "port": PORTS,
        "vhost": ["", "x" * 256],
        "user": ["", "x" * 256],
        "pass": ["secret" * 11_000],
        "framesize": [*NUMBERS, "4095", "131073"],
        "exchange": ["", "x" * 256],
        "bindingkey": ["x" * 256],
        "routingkey": ["x" * 256],
        "queuename": ["x" * 256],
        "backlog": [*NUMBERS, "-1"],
    },
    "fq": {
        "host": ["", LONG],
        "port": PORTS,
        "user": ["", "x" * 128],
        "pass": ["secret" * 11_000],
        "exchange": ["x" * 128],
        "program": ['prefix:"' + "x" * 128],
        "backlog": [*NUMBERS, "-1"],
    },
}
"""Likewise of what stands in an ``<mq type=…>``."""

CHECKS: dict[str, list[str]] = {
    "DeregisterCriticalServiceAfter": ["soon", "", "5", "1 m", "-1m", "5sec"],
    "deregister_after": ["soon", ""],
    "Interval": ["soon", "", "5", "5S"],
    "interval": ["soon"],
    "Timeout": ["never", ""],
    "timeout": ["never"],
    "Method": ["GET /", "", "1"],
    "method": ["G\u00cbT"],
    "HTTP": ["health", "", "ftp://a", "/a b"],
    "HTTPS": ["health", ""],
    "TCP": ["here", "", "a:b", ":1 "],
    "PUSH": ["soon", "", "0s", "-1s", "5"],
}
"""Likewise of the attributes of Consul's ``<check>``."""

SERVICE: dict[str, list[str]] = {"port": [*PORTS], "id": [], "address": []}
WEIGHTS = {"passing": ["-1", "many", "65536", ""], "warning": ["-1", "65536"]}

DEFAULTS: dict[tuple[str, str], tuple[str, Any]] = {
    ("amqp", "poll_limit"): ("10000", lambda made: made.poll_limit),
    ("fq", "poll_limit"): ("10000", lambda made: made.poll_limit),
    ("fq", "fanout_pool"): ("`default`", lambda made: made.pool),
    ("fq", "fanout"): ("1", lambda made: made.fanout),
    ("consul", "boot_state"): ("`passing`", lambda made: made.boot_state),
    ("consul", "agent"): ("`http://localhost:8500`", lambda made: made.registrar._agent.url),
    ("http_hmac_cookie", "max_age"): ("86400", lambda made: made.max_age),
    ("http_hmac_cookie", "max_failures"): ("5", lambda made: made.max_failures),
    ("http_hmac_cookie", "failure_window"): ("60", lambda made: made.failure_window),
    ("http_observer", "max_count"): ("10000", lambda made: made.max_count),
    ("http_observer", "max_age"): ("30", lambda made: made.max_age),
    ("zipkin_jaeger", "host"): ("127.0.0.1", lambda made: made.batches.url.split("/")[2].partition(":")[0]),
    ("zipkin_jaeger", "port"): ("9411", lambda made: made.batches.url.split("/")[2].partition(":")[2]),
    ("zipkin_jaeger", "period"): ("500", lambda made: made.batches.period * 1000),
    ("zipkin_jaeger", "max_batch"): ("500", lambda made: made.batches.max_batch),
    ("zipkin_jaeger", "backlog"): ("5000", lambda made: made.batches.backlog),
    ("zipkin_jaeger", "retries"): ("0", lambda made: made.batches.retries),
    ("zipkin_otlp", "url"): ("http://127.0.0.1:4318/v1/traces", lambda made: made.batches.url),
    ("zipkin_otlp", "protocol"): ("protobuf", lambda made: made.content_type.rpartition("-")[2]),
    ("zipkin_otlp", "timeout"): ("10000", lambda made: made.batches.timeout * 1000),
    ("zipkin_otlp", "retries"): ("5", lambda made: made.batches.retries),
    ("zipkin_fq", "exchange"): ("logging", lambda made: made.exchange.decode()),
    ("zipkin_fq", "routing_prefix"): ("zipkin.thrift.", lambda made: made.prefix.decode()),
    ("zipkin_fq", "backlog"): ("16777216", lambda made: made.settings.backlog),
}
"""What stands in the reference, and what is so."""


@pytest.fixture(autouse=True)
def pools(loops: eventer.Pool) -> Iterator[None]:
    before = conf.current_or_none()
    yield
    conf.set_current(before)
    conf.VALUE_FIXUP.unregister("consul")


def loaded(directory: Path, text: str) -> list[Any]:
    """The modules of a configuration in a file, configured."""
    file = directory / "keys.conf"
    file.write_text(text)
    conf.set_current(conf.load(file))
    return [each.module for each in modules.load(conf.current())]


def refusal(directory: Path, text: str) -> str:
    with pytest.raises(ConfError) as refused:
        loaded(directory, text)
    return str(refused.value)


def escaped(value: str) -> str:
    return (
        value.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace("\n", "&#10;")
        .replace("\t", "&#9;")
        .replace('"', "&quot;")
    )


def generic(name: str, config: str) -> str:
    element = f'<generic image="{name}" name="{name}">\n<config>\n{config}</config></generic>'
    return f"<app>\n<modules>\n{element}</modules></app>"


@pytest.mark.parametrize("name", WRONG)
def test_values_that_cannot_be_used_are_refused_with_their_line(name: str, tmp_path: Path) -> None:
    for key, values in WRONG[name].items():
        for value in values:
            said = refusal(tmp_path, generic(name, f"<{key}>{escaped(value)}</{key}>"))
            assert said.startswith(f"{tmp_path}/keys.conf:5: module {name} (image {name}): {key}:"), (key, value, said)
            assert "secret" not in said and KEY not in said
            assert len(said) < 500 + len(key)


@pytest.mark.parametrize("kind", BROKERS)
def test_brokers_are_refused_with_their_line(kind: str, tmp_path: Path) -> None:
    for key, values in BROKERS[kind].items():
        for value in values:
            module = f'<modules><generic image="{kind}" name="{kind}"/></modules>'
            text = f'<app>\n{module}<network><mq type="{kind}">\n<{key}>{escaped(value)}</{key}></mq></network></app>'
            said = refusal(tmp_path, text)
            assert said.startswith(f'{tmp_path}/keys.conf:3: <mq type="{kind}">: {key}:'), (key, value, said)
            assert "secret" not in said


@pytest.mark.parametrize(
    ("element", "wrong"),
    [
        ('<web port="1" address="a">\n<check {}/></web>', CHECKS),
        ('<web port="1" address="a">\n<weights {}/></web>', WEIGHTS),
        ("\n<web {}/>", SERVICE),
    ],
    ids=["check", "weights", "service"],
)
def test_services_are_refused_with_their_line(element: str, wrong: dict[str, list[str]], tmp_path: Path) -> None:
    for attribute, values in wrong.items():
        for value in values:
            inner = element.format(f'{attribute}="{escaped(value)}"')
            module = '<modules><generic image="consul" name="consul"/></modules>'
            said = refusal(tmp_path, f"<app>{module}\n<consul><service>{inner}</service></consul></app>")
            assert said.startswith(f"{tmp_path}/keys.conf:3: <"), (attribute, value, said)
            assert f"{attribute}=" in said


def test_no_key_is_left_out() -> None:
    for name, wrong in WRONG.items():
        known = modules._made(_registered[name, name]).KEYS
        assert set(wrong) >= known.used, name
        assert all(any(key.startswith(prefix) for key in wrong) for prefix in known.prefixes), name
    assert set(WRONG) == {name for (_, name), target in _registered.items() if target.startswith("runtime.modules.")}
    assert set(BROKERS["amqp"]) == set(amqp._KNOWN) and set(BROKERS["fq"]) == set(fq._KNOWN)
    assert set(CHECKS) == consul._configuration._CHECK.used
    assert set(WEIGHTS) == consul._configuration._WEIGHTS.used
    assert set(SERVICE) == consul._configuration._SERVICE.used


@pytest.mark.parametrize("name", WRONG)
def test_every_key_stands_in_the_reference_with_its_default(name: str, tmp_path: Path) -> None:
    text = REFERENCE.read_text()
    section = re.search(rf"^##+ {name}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    assert section is not None
    rows = {
        key: row
        for row in section[1].splitlines()
        if row.startswith("|")
        for key in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    documented = " ".join(rows)
    known = modules._made(_registered[name, name]).KEYS
    for key in [*known.used, *BROKERS.get(name, ())]:
        assert key in rows or f"`{key}`" in section[1], key
    for prefix in known.prefixes:
        assert f"{prefix}NAME" in documented
    (made,) = loaded(tmp_path, generic(name, ""))
    for (module, key), (written, is_so) in DEFAULTS.items():
        if module == name:
            assert written in rows[key].replace("as above", ""), key
            value = is_so(made)
            assert written.strip("`") == (f"{value:g}" if isinstance(value, float) else str(value)), key
