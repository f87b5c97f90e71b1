"""A client of fq on a loop of this process, and a broker."""

from queue import Queue

from fqbroker import Broker
from waiting import until

from runtime import eventer
from runtime.modules.fq import wire
from runtime.modules.fq.client import Client, Settings


def test_a_peer_is_let_in_with_its_node_and_gets_messages(loops: eventer.Pool) -> None:
    came: Queue[wire.Message] = Queue()

    def deliver(_client: Client, messages: list[wire.Message], done: object) -> None:
        for each in messages:
            came.put(each)
        assert callable(done)
        done()

    with Broker() as broker:
        settings = Settings("127.0.0.1", broker.port, exchange=b"e", program=b'prefix:""', node=bytes((10, 0, 0, 9)))
        client = Client(settings, 0, loops.threads[0], deliver)
        client.start()
        broker.wait(lambda: bool(broker.bindings) and all(each.data for each in broker.sessions.values()))
        broker.deliver(b"e", b"r", b"to the peer")
        message = came.get(timeout=60)
        assert (message.route, message.payload, message.sender) == (b"r", b"to the peer", b"test")
        assert broker.peers == [bytes((10, 0, 0, 9))]
        client.stop()
        broker.wait(lambda: not broker.sessions)


def test_a_name_that_no_host_has_is_tried_again(loops: eventer.Pool) -> None:
    client = Client(Settings("nosuch.invalid", 1), 0, loops.threads[0], lambda *_: None)
    client.start()
    assert client.publish(b"e", b"r", b"waits")
    until(lambda: "no such host" in client.trouble)
    assert len(client.backlog) == 1
    client.stop()
