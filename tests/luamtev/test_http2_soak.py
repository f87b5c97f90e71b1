"""HTTP/2 for a long time: frames changed at random, and connections that ask very often.

The library is compiled with assertions, which end a process; so the fuzzing runs in one of its own.
"""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import ngh2
import pytest
from webprogram import Web

SECONDS = 60

FUZZ = r"""
import random, struct, sys, time

from runtime.http import CLOSE, GZIP, Limits
from runtime.http.message.sampler import Sampler
from runtime.http.protocol.batches import Offer
from runtime.http.protocol.conversation import Terms
from runtime.http.protocol.frames import PREFACE
from runtime.http.protocol.http2 import Http2

seed, seconds, last = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
rng = random.Random(seed)


def frame(kind, payload=b"", stream=0, flags=0):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def head(method, path, *fields):
    pairs = [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", b"a"), *fields]
    return b"".join(literal(*each) for each in pairs)


def session():
    "Frames of a client that keeps to the rules, each by itself."
    frames, number = [PREFACE, frame(4, struct.pack(">HI", 4, rng.choice([0, 1, 100, 65535, 1 << 20])))], 1
    for _ in range(rng.randint(1, 30)):
        choice = rng.random()
        method = rng.choice([b"GET", b"HEAD", b"POST"])
        path = rng.choice([b"/", b"/large", b"/later", b"/close", b"/parts"])
        if choice < 0.35:
            frames.append(frame(1, head(b"GET", path), number, 5))
        elif choice < 0.6:
            body = bytes(rng.randint(0, 3000))
            frames.append(frame(1, head(method, path, (b"content-length", b"%d" % len(body))), number, 4))
            while body:
                size = rng.randint(1, len(body))
                frames.append(frame(0, body[:size], number))
                body = body[size:]
            frames.append(frame(0, b"", number, 1) if rng.random() < 0.5 else frame(1, literal(b"x", b"y"), number, 5))
        elif choice < 0.7:
            block = head(b"GET", path, (b"x", b"y" * 100))
            at = rng.randint(0, len(block))
            frames += [frame(1, block[:at], number, 1), frame(9, block[at:], number, 4)]
        elif choice < 0.8 and number > 2:
            frames.append(frame(3, struct.pack(">I", rng.randint(0, 13)), rng.randrange(1, number, 2)))
        elif choice < 0.9:
            increment = struct.pack(">I", rng.choice([1, 5000, 1 << 20]))
            frames.append(frame(8, increment, rng.choice([0, max(1, number - 2)])))
        else:
            window = struct.pack(">HI", 4, rng.choice([0, 10, 1 << 30]))
            others = [frame(6, b"12345678"), frame(4, b"", 0, 1), frame(2, b"\0\0\0\0\x10", number), frame(4, window)]
            frames.append(rng.choice([*others, frame(0xAA, b"x")]))
        if choice < 0.7:
            number += 2
    return frames


def broken(frames):
    frames = list(frames)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        at = rng.randrange(len(frames))
        choice = rng.random()
        if choice < 0.3 and frames[at]:
            data = bytearray(frames[at])
            data[rng.randrange(len(data))] = rng.randrange(256)
            frames[at] = bytes(data)
        elif choice < 0.45:
            del frames[at]
        elif choice < 0.6:
            frames.insert(at, frames[rng.randrange(len(frames))])
        elif choice < 0.75:
            other = rng.randrange(len(frames))
            frames[at], frames[other] = frames[other], frames[at]
        elif choice < 0.9:
            kind, flags = rng.randrange(12), rng.randrange(256)
            frames.insert(at, frame(kind, rng.randbytes(rng.randrange(40)), rng.randrange(8), flags))
        else:
            frames[at] = frames[at][: rng.randrange(len(frames[at]) + 1)]
        if not frames:
            break
    return b"".join(frames)


def serve(request, response):
    path = request.path
    if path == b"/later":
        waiting.append(response)
        return
    if path == b"/close":
        response.option(CLOSE)
    elif path == b"/parts":
        response.write(b"one")
        response.flush()
        response.option(0)
    response.write(bytes(100_000) if path == b"/large" else request.payload or b"answer")
    response.flush_end()


def many(batch, _budget):
    answers = []
    for at, each in enumerate(batch.asked):
        if each.offer.path == b"/large":
            answers.append((200, b"x: y\r\n", bytes(50_000)))
        elif each.offer.path == b"/later":
            answers.append(None)
            waiting.append(batch.response(at))
        else:
            answers.append((200, b"content-type: a/b\r\n", b"answer"))
    return answers[: rng.randint(1, len(answers))]


class Batcher:
    def generation(self):
        return 1

    def offer(self, peer, method, uri):
        return Offer(many, 0, uri, None) if method == b"GET" else None

    def sampler(self):
        names = rng.choice([frozenset(), frozenset((b":authority",))])
        return rng.choice([None, Sampler(0.3, names, lambda headers: rng.random() < 0.5)])

    def settle(self, *_):
        pass


end, runs = time.monotonic() + seconds, 0
while time.monotonic() < end:
    data = broken(session())
    with open(last, "wb") as file:
        file.write(data)
    waiting = []
    http = Http2(serve, Limits(max_upload=2000), batcher=Batcher() if rng.random() < 0.5 else None,
                 terms=Terms(budget=rng.choice([0.0, 1.0])))
    clock = 0.0
    while data and not http.closing:
        size = rng.choice([1, 5, 100, len(data)])
        http.now = clock = clock + 0.001
        http.feed(data[:size])
        data = data[size:]
        for _ in range(rng.randint(0, 3)):
            if not waiting:
                break
            response = waiting.pop(rng.randrange(len(waiting)))
            response.write(b"late")
            response.flush_end()
        for _ in range(2000):
            if not http.unfinished:
                break
            http.advance()
        assert http.closing or not http.unfinished
        if rng.random() < 0.8:
            said = sum(map(len, http.output))
            http.output.clear()
            http.sent(said)
            assert said < 4_000_000
        if rng.random() < 0.05:
            http.expire(clock * 10000)
    assert http.backlog >= 0
    if rng.random() < 0.3:
        http.finish()
    http.disconnected()
    assert not http.streams
    runs += 1
print(runs)
"""


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2))
def test_frames_changed_at_random_never_end_the_process(tmp_path: Path, seed: int) -> None:
    seed = seed or int.from_bytes(os.urandom(4), "big")
    program = [sys.executable, "-c", FUZZ, str(seed), str(SECONDS), str(tmp_path / "last")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    last = (tmp_path / "last").read_bytes().hex()
    assert done.returncode == 0, f"seed {seed}: {done.returncode}\n{done.stderr[-2000:]}\n{last[:4000]}"
    assert "failed on" not in done.stderr, f"seed {seed}\n{done.stderr[:3000]}\n{last[:4000]}"
    assert int(done.stdout) > 100


OWN = """
function handler(rest)
  local http = rest:http()
  local req = http:request()
  local what = req:querystring("n")
  local kind = tonumber(what:match("%d+$")) % 100
  if kind == 7 then error("as asked: " .. what) end
  if kind == 13 then mtev.sleep(0.001) end
  if kind == 21 then http:write("<") http:flush() end
  http:write(what)
  http:flush_end()
end
"""
CONNECTIONS, REQUESTS, AT_ONCE = 32, 100_000, 50


def exchange(client: ngh2.Connection, sock: socket.socket, texts: list[str]) -> None:
    """Ask for each of *texts* at once, and see that each has its own answer."""
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a")]
    asked = {
        client.send_request([*fields, (b":path", b"/?n=" + each.encode())], end_stream=True): each for each in texts
    }
    status: dict[int, bytes] = {}
    bodies: dict[int, bytes] = dict.fromkeys(asked, b"")
    while asked:
        sock.sendall(client.data_to_send())
        data = sock.recv(1 << 16)
        assert data, "the server closed"
        client.receive_data(data)
        for event in client.events():
            if isinstance(event, ngh2.ResponseReceived):
                status[event.stream_id] = dict(event.headers)[b":status"]
            elif isinstance(event, ngh2.DataReceived):
                bodies[event.stream_id] += event.data
            elif isinstance(event, ngh2.StreamClosed):
                number = event.stream_id
                text = asked.pop(number)
                kind = int(text.partition("-")[2]) % 100
                if kind == 7:
                    assert status[number] == b"500", text
                else:
                    right = ("<" + text if kind == 21 else text).encode()
                    assert (status[number], bodies[number]) == (b"200", right), text


@pytest.mark.soak
def test_every_answer_is_its_own(web: Web) -> None:
    web.start(OWN, threads=2)
    failures: list[str] = []

    def ask(which: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", web.port), timeout=60) as sock:
                client = ngh2.Connection(ngh2.Role.CLIENT)
                client.initiate_connection()
                for first in range(0, REQUESTS, AT_ONCE):
                    exchange(client, sock, [f"{which}-{number}" for number in range(first, first + AT_ONCE)])
        except Exception as failure:
            failures.append(f"connection {which}: {failure!r}")

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(CONNECTIONS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert web.stop() == 0
