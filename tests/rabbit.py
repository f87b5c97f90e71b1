"""RabbitMQ as Debian packs it, on ports and in folders of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
from launching import free_ports
from waiting import until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
PATIENCE = 180.0


def missing() -> bool:
    return not SERVER.exists() or shutil.which("erl") is None


class Rabbit:
    """A broker; users are guest alone.  It can be stopped, and started again on its port."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, distribution, self.epmd = free_ports(3)
        (directory / "plugins").write_text("[].\n")
        (directory / "rabbit.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\n")
        self.environment = os.environ | {
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(self.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbit.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(directory / "generated"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Up, until it lets somebody in."""
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [str(SERVER)], env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        until(self._is_up, (self.directory / "output").read_text, PATIENCE)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, (self.directory / "output").read_text()
        try:
            self._connect().close()
        except (OSError, pika.exceptions.AMQPError):
            return False
        return True

    def control(self, *words: str) -> None:
        """What ``rabbitmqctl`` does."""
        command = [str(SERVER.with_name("rabbitmqctl")), "-n", self.environment["RABBITMQ_NODENAME"], *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self) -> None:
        """Down, with all connections."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self) -> None:
        """Gone, with Erlang's daemon of names."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        subprocess.run(["epmd", "-port", str(self.epmd), "-kill"], capture_output=True, env=self.environment)

    def _connect(self) -> Any:
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, socket_timeout=10))

    def publish(self, exchange: str, route: str, *payloads: bytes) -> None:
        """As somebody else."""
        connection = self._connect()
        channel = connection.channel()
        for each in payloads:
            channel.basic_publish(exchange, route, each)
        connection.close()

    def queue(self, name: str, exchange: str, route: str) -> None:
        """A queue that stays, over restarts too."""
        connection = self._connect()
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        channel.queue_bind(name, exchange, route)
        connection.close()

    def take(self, name: str, wanted: int, patience: float = 60.0) -> list[bytes]:
        """So many messages of a queue, at least; waits for them."""
        connection = self._connect()
        channel = connection.channel()
        found: list[bytes] = []
        deadline = time.monotonic() + patience
        while len(found) < wanted and time.monotonic() < deadline:
            method, _, payload = channel.basic_get(name, auto_ack=True)
            if method is None:
                connection.sleep(0.05)
            else:
                found.append(payload)
        connection.close()
        return found

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What *question* says of a channel."""
        connection = self._connect()
        try:
            return question(connection.channel())
        finally:
            connection.close()
