#!/bin/sh
# RabbitMQ 3.10 (Debian 12) with publisher confirms, pika 1.4: one message for an exchange that is not there closes the
# channel (404), as AMQP says.  What was published before it on the same channel, to an exchange that is there, and has
# arrived in its queue, may never be confirmed; what was published behind it is gone.  So whoever sends again what was
# not confirmed sends some twice, and must drop the hopeless one, or the channel closes for ever.
set -e
folder=$(mktemp -d)
trap 'kill "$broker" 2>/dev/null || true; wait 2>/dev/null || true; epmd -port "$ERL_EPMD_PORT" -kill >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pika==1.4.4'
free() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free)
export HOME="$folder" ERL_EPMD_PORT="$(free)" RABBITMQ_DIST_PORT="$(free)" RABBITMQ_NODE_PORT="$port"
export RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODENAME="finding$port@localhost" RABBITMQ_MNESIA_BASE="$folder/data"
export RABBITMQ_LOG_BASE="$folder/log" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" RABBITMQ_PID_FILE="$folder/pid"
echo '[].' > "$folder/plugins"
/usr/lib/rabbitmq/bin/rabbitmq-server > "$folder/output" 2>&1 &
broker=$!
"$folder/venv/bin/python" - "$port" <<'PYTHON'
import sys
import time

import pika

parameters = pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]), connection_attempts=120, retry_delay=1)
setup = pika.BlockingConnection(parameters)
print("pika", pika.__version__, "RabbitMQ", setup._impl.server_properties["version"])
channel = setup.channel()
channel.queue_declare("kept", durable=True)
confirmed, closed = [], []


def opened(channel):
    channel.add_on_close_callback(lambda _channel, why: (closed.append(why.reply_code), connection.close()))
    channel.confirm_delivery(lambda frame: confirmed.append(frame.method), callback=lambda _: publish(channel))


def publish(channel):
    for each in range(200):
        channel.basic_publish("", "kept", b"before %d" % each)
    channel.basic_publish("nosuch", "kept", b"hopeless")
    for each in range(200):
        channel.basic_publish("", "kept", b"behind %d" % each)


connection = pika.SelectConnection(
    parameters,
    on_open_callback=lambda connection: connection.channel(on_open_callback=opened),
    on_close_callback=lambda connection, _why: connection.ioloop.stop(),
)
connection.ioloop.start()
time.sleep(1)
arrived = channel.queue_declare("kept", passive=True, durable=True).method.message_count
highest = max([each.delivery_tag for each in confirmed], default=0)
print(f"closed with {closed}; of 200 before and 200 behind {arrived} arrived, confirmed up to {highest}")
setup.close()
sys.exit(0 if closed == [404] and arrived == 200 and highest < 200 else 1)
PYTHON
