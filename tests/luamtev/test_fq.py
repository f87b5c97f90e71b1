"""The module fq in the real program, with Lua that publishes and is hooked to what comes, and a broker."""

import re
import socket
from functools import partial
from pathlib import Path

import pytest
from fqbroker import RECEIVED, Broker
from moduleprogram import Program

MODULE = '<generic image="fq" name="fq"><config>{config}</config></generic>'
MQ = """<network><mq type="fq"><host>127.0.0.1</host><port>{port}</port><user>reader</user><pass>secret</pass>
<exchange>exm</exchange><program>{program}</program>{more}</mq></network>"""

HOOK = """
heard = {}
package.loaded.taker = { take = function(client, id, msg, payload)
  heard[#heard + 1] = table.concat({ client.user, id, msg.exchange, msg.route, msg.sender, msg.hops, payload }, " ")
end }
return mtev.hook("mtev_fq_handle_message_dyn", "taker", "take")
"""


def program(directory: Path, port: int, *, bound: str = 'prefix:"a."', more: str = "", config: str = "") -> Program:
    logs = '<log name="tofq" type="fq" path="exm/a.log"/>'
    return Program(directory, MODULE.format(config=config), MQ.format(port=port, program=bound, more=more), logs=logs)


def has_bound(broker: Broker) -> None:
    broker.wait(lambda: bool(broker.bindings) and all(each.data for each in broker.sessions.values()))


def test_lua_publishes_and_is_handed_what_comes(tmp_path: Path) -> None:
    with Broker(password=b"secret") as broker, program(tmp_path, broker.port) as running:
        assert running.run(HOOK) == "true"
        has_bound(broker)
        assert running.run("return mtev.fq.send('exm', 'a.one', 'hello', 0)") == "1"
        running.run("mtev.fq.send('exm', 'z.two', 'not bound')")
        running.run("mtev.log('tofq', 'a log line\\n')")
        assert running.run("return mtev.fq.send('exm', 'a.three', 'no such connection', 5)") == "0"
        broker.wait(lambda: len(broker.published) == 3)
        running.wait(lambda: running.run("return #heard") == "2")
        assert running.run("return heard[1]") == "reader 0 exm a.one reader 10.0.0.1,127.0.0.1 hello"
        assert "a.log.tofq" in running.run("return heard[2]")
        assert running.metric("mtev_fq_sent_total") == 3
        assert running.metric("mtev_fq_received_total") == 2
        with socket.create_connection(("127.0.0.1", running.console)) as console:
            console.sendall(b"show fq\r\n")
            shown = b""
            while b"(s) msgs rx" not in shown:
                shown += console.recv(65536)
        assert b"(c) msgs tx: 3" in shown and b'program: prefix:"a."' in shown


@pytest.mark.parametrize(
    ("lua", "wrong"),
    [
        ("mtev.fq.send('e', 'r')", "fq.send(exchange, route, payload[, id])"),
        ("mtev.fq.send(('e'):rep(128), 'r', 'p')", "exchange: expected at most 127 bytes"),
        ("mtev.fq.send('e', ('r'):rep(128), 'p')", "route: expected at most 127 bytes"),
    ],
)
def test_what_cannot_be_published_is_an_error(lua: str, wrong: str, tmp_path: Path) -> None:
    with program(tmp_path, 1) as running:
        assert wrong in running.run(f"return select(2, pcall(function() {lua} end))")


def test_nothing_is_lost_while_the_broker_is_away(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port) as running:
        has_bound(broker)
        running.run("mtev.fq.send('exm', 'a', 'before')")
        broker.wait(lambda: len(broker.published) == 1)
        broker.stop()
        running.run("for i = 1, 2000 do mtev.fq.send('exm', 'a', 'away ' .. i) end")
        running.wait(lambda: "trying again" in running.errors())
        with Broker(broker.port) as again:
            again.wait(lambda: len(again.published) == 2000)
            assert [each[2] for each in again.published] == [b"away %d" % each for each in range(1, 2001)]
            running.run("mtev.fq.send('exm', 'a', 'after')")
            again.wait(lambda: again.published[-1][2] == b"after")
        assert running.metric("mtev_fq_dropped_total") == 0
        assert running.metric("mtev_fq_connects_total") == 2


def test_what_is_beyond_the_backlog_is_dropped_and_counted(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port, more="<backlog>1000</backlog>") as running:
        has_bound(broker)
        broker.stop()
        running.wait(lambda: "trying again" in running.errors())
        took = running.run("local n = 0 for i = 1, 50 do n = n + mtev.fq.send('e', 'r', ('x'):rep(75)) end return n")
        assert took == "10"  # of 100 bytes each
        assert running.metric("mtev_fq_dropped_total") == 40
        with Broker(broker.port) as again:
            again.wait(lambda: len(again.published) == 10)
            assert running.run("return mtev.fq.send('e', 'r', 'small')") == "1"
            again.wait(lambda: len(again.published) == 11)


def test_a_slow_broker_holds_nobody_up(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port) as running:
        has_bound(broker)
        broker.reading.clear()
        running.run("for i = 1, 300 do mtev.fq.send('e', 'r', i .. ('x'):rep(40000)) end")
        assert running.run("return 'answers'") == "answers"
        broker.reading.set()
        broker.wait(lambda: len(broker.published) == 300)
        assert [int(each[2].rstrip(b"x")) for each in broker.published] == list(range(1, 301))


def test_what_a_slow_broker_has_no_room_for_is_counted(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port, more="<backlog>400000</backlog>") as running:
        has_bound(broker)
        broker.reading.clear()
        lua = "local n = 0 for i = 1, 300 do n = n + mtev.fq.send('e', 'r', i .. ('x'):rep(40000)) end return n"
        took = int(running.run(lua))
        while running.run("return mtev.fq.send('e', 'r', '0' .. ('x'):rep(40000))") == "1":
            took += 1
        dropped = running.metric("mtev_fq_dropped_total")
        assert took + dropped > 300 and dropped > 0
        broker.reading.set()
        broker.wait(lambda: len(broker.published) == took)
        running.wait(lambda: running.metric("mtev_fq_sent_total") == took)
        assert running.run("return mtev.fq.send('e', 'r', 'after')") == "1"
        broker.wait(lambda: broker.published[-1][2] == b"after")
        assert len(broker.published) == took + 1
        assert running.metric("mtev_fq_dropped_total") == dropped


def test_a_broker_that_closes_the_data_connection_at_first_is_tried_again(tmp_path: Path) -> None:
    with Broker() as broker:
        broker.hasty = 2
        with program(tmp_path, broker.port) as running:
            running.run("mtev.fq.send('exm', 'a', 'waits')")
            broker.wait(lambda: [each[2] for each in broker.published] == [b"waits"])
            assert broker.hasty == 0
            assert running.metric("mtev_fq_connects_total") == 1


def test_a_binding_is_made_again_when_the_broker_is_back(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port) as running:
        running.run(HOOK)
        has_bound(broker)
        broker.deliver(b"exm", b"a.x", b"before")
        running.wait(lambda: running.run("return #heard") == "1")
        broker.stop()
        with Broker(broker.port) as again:
            has_bound(again)
            again.deliver(b"exm", b"a.x", b"after")
            running.wait(lambda: running.run("return #heard") == "2")


def is_told(running: Program, line: str) -> bool:
    return line in running.errors()


def test_without_brokers_it_does_nothing_and_says_so(tmp_path: Path) -> None:
    with Program(tmp_path, MODULE.format(config="") + '<generic image="amqp" name="amqp"/>') as running:
        for name in ("fq", "amqp"):
            told = f'there is no <mq type="{name}"> in the configuration, so {name} does nothing'
            running.wait(partial(is_told, running, told))
            assert running.run(f"return mtev.{name}.send('e', 'r', 'nobody')") == "0"
        assert running.stop() == 0


def test_what_had_not_reached_the_broker_is_sent_again(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port) as running:
        has_bound(broker)
        broker.reading.clear()
        running.run("for i = 1, 300 do mtev.fq.send('e', 'r', i .. ('x'):rep(40000)) end")
        running.wait(lambda: running.metric("mtev_fq_sent_total") > 3)
        broker.stop()
        with Broker(broker.port) as again:
            again.wait(lambda: bool(again.published) and again.published[-1][2].startswith(b"300x"))
            came = [int(each[2].rstrip(b"x")) for each in again.published]
        assert came == list(range(came[0], 301))
        lost = came[0] - 1 - len(broker.published)  # below 0: it was read as the broker went, and comes twice
        assert abs(lost) * 40000 <= 4 * RECEIVED  # what the system had taken for the broker that went
        running.wait(lambda: running.metric("mtev_fq_sent_total") == 300)


def test_a_broker_that_says_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with program(tmp_path, port) as running:
            running.run("mtev.fq.send('exm', 'a', 'waits')")
            running.wait(lambda: "not up after 5 s" in running.errors())
            silent.close()
            with Broker(port) as broker:
                broker.wait(lambda: len(broker.published) == 1)


def test_refused_credentials_are_logged_and_tried_again(tmp_path: Path) -> None:
    with Broker(password=b"another") as broker, program(tmp_path, broker.port) as running:
        running.wait(lambda: "the broker says: access denied" in running.errors())
        running.run("mtev.fq.send('exm', 'a', 'waits')")
        broker.password = b"secret"
        broker.wait(lambda: len(broker.published) == 1)
        assert running.errors().count("access denied") == 1
        assert "secret" not in running.errors()


def test_a_refused_binding_is_logged_and_the_connection_kept(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port, bound="nonsense") as running:
        running.wait(lambda: "refuses to bind 'nonsense' of exm" in running.errors())
        running.run("mtev.fq.send('exm', 'a', 'sent all the same')")
        broker.wait(lambda: len(broker.published) == 1)


def test_an_error_in_a_hook_is_logged_and_the_rest_is_handled(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port, config="<poll_limit>1</poll_limit>") as running:
        running.run(
            HOOK.replace("heard[#heard + 1]", "if payload == 'bad' then error('as asked') end heard[#heard + 1]")
        )
        has_bound(broker)
        for payload in (b"one", b"bad", b"two"):
            broker.deliver(b"exm", b"a.x", payload)
        running.wait(lambda: running.run("return #heard") == "2")
        assert "as asked" in running.errors()


def test_what_was_published_goes_out_before_the_process_ends(tmp_path: Path) -> None:
    with Broker() as broker, program(tmp_path, broker.port) as running:
        has_bound(broker)
        running.run("for i = 1, 5000 do mtev.fq.send('e', 'r', ('x'):rep(1000)) end")
        assert running.stop() == 0
        broker.wait(lambda: len(broker.published) == 5000)


@pytest.mark.parametrize(
    ("config", "more", "wrong"),
    [
        ("<poll_limit>many</poll_limit>", "", "poll_limit: expected a number"),
        ("<fanout>x</fanout>", "", "fanout: expected a number"),
        ("<fanout_pool>nosuch</fanout_pool>", "", "fanout_pool: there is no pool 'nosuch'"),
        ("<pol_limit>1</pol_limit>", "", "there is no key pol_limit, expected poll_limit"),
        ("", "<backlog>-1</backlog>", "backlog: expected a number"),
        ("", "<prot>1</prot>", "there is no element prot, expected port"),
        ("", f"<user>{'u' * 128}</user>", "user: expected 1 to 127 bytes"),
    ],
)
def test_a_wrong_configuration_stops_the_start(config: str, more: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(wrong)), program(tmp_path, 1, more=more, config=config):
        pass


def test_messages_are_handled_on_several_threads(tmp_path: Path) -> None:
    modules = MODULE.format(config="<fanout>0</fanout><fanout_pool>default</fanout_pool>")
    more = MQ.replace("{program}", 'prefix:""').replace("{more}", "")
    with Broker() as broker, Program(tmp_path, modules, more.format(port=broker.port), threads=2) as running:
        has_bound(broker)
        for each in range(500):
            broker.deliver(b"exm", b"x", b"%d" % each)
        running.wait(lambda: running.metric("mtev_fq_received_total") == 500)
        assert running.stop() == 0
