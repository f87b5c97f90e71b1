"""The module amqp in the real program, with Lua that publishes and is hooked to what comes, and RabbitMQ."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from moduleexamples import example
from moduleprogram import Program
from rabbit import Rabbit, missing
from relay import Relay

MODULE = '<generic image="amqp" name="amqp"><config>{config}</config></generic>'
MQ = """<mq type="amqp"><host>127.0.0.1</host><port>{port}</port><exchange>amq.topic</exchange>{more}</mq>"""

HOOK = """
heard, seen = {}, {}
package.loaded.taker = {
  take = function(client, id, msg, payload)
    heard[#heard + 1] = table.concat({ client.user, id, msg.exchange, msg.route, payload }, " ")
  end,
  connection = function(client, id, connected)
    seen[#seen + 1] = client.id .. " " .. id .. " " .. tostring(connected)
  end,
}
return tostring(mtev.hook("mtev_amqp_handle_message_dyn", "taker", "take"))
  .. tostring(mtev.hook("mtev_amqp_handle_connection_dyn", "taker", "connection"))
"""


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    if missing():
        pytest.skip("RabbitMQ is not installed")
    made = Rabbit(tmp_path_factory.mktemp("rabbit"))
    made.start()
    yield made
    made.close()


def program(directory: Path, port: int, *more: str, config: str = "") -> Program:
    mqs = "".join(MQ.format(port=port, more=each) for each in more or ("",))
    return Program(directory, MODULE.format(config=config), f"<network>{mqs}</network>")


def is_up(running: Program, connections: int = 1) -> None:
    running.wait(lambda: running.metric("mtev_amqp_connects_total") >= connections)


def test_lua_publishes_and_is_handed_what_comes(rabbit: Rabbit, tmp_path: Path) -> None:
    with program(tmp_path, rabbit.port, "<routingkey>a.*</routingkey><queuename>lua</queuename>", "") as running:
        assert running.run(HOOK) == "truetrue"
        is_up(running, 2)
        assert running.run("return mtev.amqp.send('amq.topic', 'a.one', 'hello', 1)") == "1"
        running.run("mtev.amqp.send('amq.topic', 'b.two', 'bound by nobody', 0, true)")
        rabbit.publish("amq.topic", "a.three", b"from elsewhere")
        running.wait(lambda: running.run("return #heard") == "2")
        heard = sorted(running.run(f"return heard[{each}]") for each in (1, 2))
        assert heard == ["guest 0 amq.topic a.one hello", "guest 0 amq.topic a.three from elsewhere"]
        running.wait(lambda: running.metric("mtev_amqp_returned_total") == 1)
        running.wait(lambda: running.metric("mtev_amqp_sent_total") == 2)
        assert running.stop() == 0
    with pytest.raises(Exception, match="NOT_FOUND"):  # the queue went with its consumer
        rabbit.ask(lambda channel: channel.queue_declare("lua", passive=True))


def test_the_example_of_the_reference(rabbit: Rabbit, tmp_path: Path) -> None:
    shown = example("amqp").at("<user>guest</user>", f"<port>{rabbit.port}</port><user>guest</user>")
    with Program(tmp_path, shown.modules, shown.more) as running:
        running.run(shown.lua)
        running.wait(lambda: "127.0.0.1\t0\tamq.topic\tin.one\thello\n" in running.errors())


def test_nothing_is_lost_while_the_broker_is_away(rabbit: Rabbit, tmp_path: Path) -> None:
    rabbit.queue("kept", "amq.topic", "k")
    with program(tmp_path, rabbit.port, "<routingkey>bound</routingkey>") as running:
        running.run(HOOK)
        is_up(running)
        running.run("mtev.amqp.send('amq.topic', 'k', 'before')")
        assert rabbit.take("kept", 1) == [b"before"]
        rabbit.stop()
        running.run("for i = 1, 3000 do mtev.amqp.send('amq.topic', 'k', 'away ' .. i) end")
        running.wait(lambda: "trying again" in running.errors())
        rabbit.start()
        found = rabbit.take("kept", 3000)
        assert found == [b"away %d" % each for each in range(1, 3001)]
        assert running.run("return mtev.amqp.send('amq.topic', 'k', 'after')") == "1"
        assert rabbit.take("kept", 1) == [b"after"]
        assert running.metric("mtev_amqp_dropped_total") == 0
        running.wait(lambda: running.metric("mtev_amqp_sent_total") == 3002)
        seen = running.run("return table.concat(seen, ',')")
        assert seen.removeprefix("0 0 true,") == "0 0 false,0 0 true", (
            "with the first one, if the hook was there by then"
        )
        rabbit.publish("amq.topic", "bound", b"again")
        running.wait(lambda: running.run("return table.concat(heard, ',')") == "guest 0 amq.topic bound again")


def test_what_is_beyond_the_backlog_is_dropped_and_counted(tmp_path: Path) -> None:
    with program(tmp_path, 1, "<backlog>1000</backlog>") as running:
        took = running.run("local n = 0 for i = 1, 50 do n = n + mtev.amqp.send('e', 'r', ('x'):rep(98)) end return n")
        assert took == "10"  # of 100 bytes each
        assert running.metric("mtev_amqp_dropped_total") == 40


MANY = """
local n = 0
for i = 1, 100 do n = n + mtev.amqp.send('amq.topic', 'slow', ('%08d'):format(i) .. ('x'):rep(99992)) end
return n
"""


def test_a_broker_that_does_not_read_holds_nobody_up(rabbit: Rabbit, tmp_path: Path) -> None:
    rabbit.queue("slow", "amq.topic", "slow")
    with Relay(rabbit.port) as relay, program(tmp_path, relay.port, "<backlog>4000000</backlog>") as running:
        is_up(running)
        relay.pause()
        assert running.run(MANY) == "39"  # of 100,013 bytes each
        assert running.metric("mtev_amqp_dropped_total") == 61
        assert running.metric("mtev_amqp_sent_total") == 0
        assert running.run("return mtev.amqp.send('amq.topic', 'slow', ('y'):rep(99999))") == "0"
        relay.resume()
        found = rabbit.take("slow", 39)
        assert [int(each[:8]) for each in found] == list(range(1, 40)) and {len(each) for each in found} == {100_000}
        running.wait(lambda: running.metric("mtev_amqp_sent_total") == 39)
        relay.pause()
        assert running.run(MANY) == "39"
        relay.cut()  # what was written is not known to have arrived
        relay.resume()
        again = rabbit.take("slow", 39)
        assert [int(each[:8]) for each in again] == list(range(1, 40))
        assert running.metric("mtev_amqp_connects_total") == 2
        assert running.stop() == 0


def block(rabbit: Rabbit, running: Program) -> int:
    """Have the broker be short of memory; how many messages it took to learn of that."""
    rabbit.control("set_vm_memory_high_watermark", "0.0000001")
    sent: list[int] = []

    def is_told() -> bool:  # whoever publishes
        sent.append(int(running.run("return mtev.amqp.send('amq.topic', 'slow', 'told?')")))
        return "the broker takes no messages for now: low on memory" in running.errors()

    running.wait(is_told)
    return sum(sent)


def unblock(rabbit: Rabbit) -> None:
    rabbit.control("set_vm_memory_high_watermark", "0.4")


def test_a_broker_short_of_memory_gets_everything_later(rabbit: Rabbit, tmp_path: Path) -> None:
    rabbit.queue("blocked", "amq.topic", "slow")
    with program(tmp_path, rabbit.port, "<backlog>4000000</backlog>") as running:
        is_up(running)
        try:
            took = block(rabbit, running) + sum(int(running.run(MANY)) for _ in range(2))
            assert running.metric("mtev_amqp_dropped_total") > 0
            assert running.run("return 'answers'") == "answers"
        finally:
            unblock(rabbit)
        assert len(rabbit.take("blocked", took)) == took
        running.wait(lambda: running.metric("mtev_amqp_sent_total") == took)
        assert "takes messages again" in running.errors()
        assert running.metric("mtev_amqp_connects_total") == 1


def test_a_process_ends_in_time_while_its_broker_is_short_of_memory(rabbit: Rabbit, tmp_path: Path) -> None:
    with program(tmp_path, rabbit.port) as running:
        is_up(running)
        try:
            block(rabbit, running)
            running.run(MANY)
            assert running.stop() == 0
            assert "messages that the broker has not confirmed" in running.errors()
        finally:
            unblock(rabbit)


def test_an_exchange_that_is_not_there_costs_only_what_is_for_it(rabbit: Rabbit, tmp_path: Path) -> None:
    rabbit.queue("others", "amq.topic", "o")
    with program(tmp_path, rabbit.port) as running:
        is_up(running)
        running.run("mtev.amqp.send('nosuch', 'k', 'lost') mtev.amqp.send('amq.topic', 'o', 'gets through')")
        assert rabbit.take("others", 1) == [b"gets through"]
        assert running.metric("mtev_amqp_refused_total") == 1
        assert "no exchange 'nosuch'" in running.errors()


def test_a_missing_exchange_to_consume_from_is_logged_and_leaves_no_queues(rabbit: Rabbit, tmp_path: Path) -> None:
    more = "<bindingkey>x</bindingkey><queuename>leftover</queuename><exchange>absent</exchange>"
    with program(tmp_path, rabbit.port, more) as running:
        running.wait(lambda: "no exchange 'absent'" in running.errors())
        assert running.errors().count("no exchange 'absent'") == 1
        with pytest.raises(Exception, match="NOT_FOUND"):
            rabbit.ask(lambda channel: channel.queue_declare("leftover", passive=True))
        rabbit.ask(lambda channel: channel.exchange_declare("absent", auto_delete=True))
        is_up(running)


@pytest.mark.parametrize(
    ("more", "wrong"),
    [("<pass>wrong secret</pass>", "ACCESS_REFUSED"), ("<vhost>/nosuch</vhost>", "vhost /nosuch not found")],
)
def test_refused_credentials_are_logged_once(more: str, wrong: str, rabbit: Rabbit, tmp_path: Path) -> None:
    with program(tmp_path, rabbit.port, more) as running:
        running.wait(lambda: wrong in running.errors())
        assert running.errors().count(wrong) == 1
        assert "wrong secret" not in running.errors()
        assert running.stop() == 0


def test_credentials_that_are_mended_let_everything_through(rabbit: Rabbit, tmp_path: Path) -> None:
    rabbit.control("add_user", "mended", "not yet")
    rabbit.control("set_permissions", "mended", ".*", ".*", ".*")
    more = "<user>mended</user><pass>by now</pass><routingkey>mended</routingkey>"
    with program(tmp_path, rabbit.port, more) as running:
        running.run(HOOK)
        running.wait(lambda: "ACCESS_REFUSED" in running.errors())
        running.run("mtev.amqp.send('amq.topic', 'mended', 'waits')")
        rabbit.control("change_password", "mended", "by now")
        running.wait(lambda: running.run("return table.concat(heard, ',')") == "mended 0 amq.topic mended waits")
        rabbit.publish("amq.topic", "mended", b"from elsewhere")
        running.wait(lambda: running.run("return #heard") == "2")
        assert "by now" not in running.errors()


def test_a_broker_that_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, program(tmp_path, silent.getsockname()[1]) as running:
        running.run("mtev.amqp.send('e', 'r', 'waits')")
        assert running.run("return 'answers'") == "answers"
        assert running.stop() == 0


def test_an_error_in_a_hook_is_logged_and_the_rest_is_handled(rabbit: Rabbit, tmp_path: Path) -> None:
    config = "<poll_limit>1</poll_limit>"
    with program(tmp_path, rabbit.port, "<bindingkey>f</bindingkey>", config=config) as running:
        failing = "if payload == 'bad' then error('as asked') end heard[#heard + 1]"
        running.run(HOOK.replace("heard[#heard + 1]", failing))
        is_up(running)
        rabbit.publish("amq.topic", "f", b"one", b"bad", b"two")
        running.wait(lambda: running.run("return #heard") == "2")
        assert "as asked" in running.errors()
        assert running.metric("mtev_amqp_connects_total") == 1


@pytest.mark.parametrize(
    ("config", "more", "wrong"),
    [
        ("<poll_limit>-</poll_limit>", "", "poll_limit: expected a number"),
        ("<fanout>1</fanout>", "", "there is no key fanout, expected poll_limit"),
        ("", "<framesize>1</framesize>", "framesize: expected a number from 4096 to 131072"),
        ("", "<port>99999</port>", "port: expected a number"),
        ("", "<routingkeys>1</routingkeys>", "there is no element routingkeys, expected routingkey"),
    ],
)
def test_a_wrong_configuration_stops_the_start(config: str, more: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(wrong)), program(tmp_path, 1, more, config=config):
        pass


def test_messages_of_every_kind_come_through(rabbit: Rabbit, tmp_path: Path) -> None:
    with program(tmp_path, rabbit.port, "<bindingkey>#</bindingkey><exchange>amq.topic</exchange>") as running:
        running.run(HOOK)
        is_up(running)
        running.run("""
          mtev.amqp.send("amq.topic", "big", ("\\0x"):rep(600000))
          mtev.amqp.send("amq.topic", "empty", "")
          mtev.amqp.send("amq.topic", ("r"):rep(255), "long")
          mtev.amqp.send("amq.topic", "ü€", "\\255")
          mtev.amqp.send("amq.topic", "", "no route")
          mtev.amqp.send("", "nosuchqueue", "for nobody")""")
        running.wait(lambda: running.run("return #heard") == "5")
        assert running.run("return heard[1] == 'guest 0 amq.topic big ' .. ('\\0x'):rep(600000)") == "true"
        assert running.run("return heard[4] == 'guest 0 amq.topic ü€ \\255'") == "true"
        assert running.run("return heard[2] .. ',' .. #heard[3] .. ',' .. heard[5]") == (
            "guest 0 amq.topic empty ,278,guest 0 amq.topic  no route"
        )
        running.wait(lambda: running.metric("mtev_amqp_sent_total") == 6)


def test_what_cannot_be_published_is_an_error(tmp_path: Path) -> None:
    with program(tmp_path, 1) as running:
        for lua, wrong in (
            ("mtev.amqp.send('e', 'r')", "amqp.send(exchange, route, payload[, id[, mandatory]])"),
            ("mtev.amqp.send(('e'):rep(256), 'r', 'p')", "exchange: expected at most 255 bytes of UTF-8"),
            ("mtev.amqp.send('e', ('ü'):rep(128), 'p')", "route: expected at most 255 bytes of UTF-8"),
            ("mtev.amqp.send('e', '\\255', 'p')", "route: expected at most 255 bytes of UTF-8"),
        ):
            assert wrong in running.run(f"return select(2, pcall(function() {lua} end))")
