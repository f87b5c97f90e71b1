#!/bin/sh
# gevent 26.9.0 (libev loop): a callback of loop.run_callback that asks for itself again with run_callback is not run in
# the next turn of the loop but in the same pass, up to 50 times before gevent looks at the clock, and so before it polls
# any descriptor.  With 5 ms of work a call, a descriptor that has long been ready waits a quarter of a second for its
# watcher; asyncio's call_soon, whose name and use are the same, runs what was added in the next turn, after polling.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gevent==26.9.0'
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import socket

import gevent
from gevent.event import Event


def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.send(b"x")  # so it is ready from the beginning
    return ours, theirs


def with_gevent():
    ours, theirs = pair()
    loop = gevent.get_hub().loop
    calls, done = 0, Event()
    found = []

    def readable():
        found.append(calls)
        watcher.stop()

    def again():
        nonlocal calls
        calls += 1
        if calls < 200:
            loop.run_callback(again)
        else:
            done.set()

    watcher = loop.io(ours.fileno(), 1)
    watcher.start(readable)
    loop.run_callback(again)
    done.wait()
    return found[0] if found else calls


async def with_asyncio():
    ours, theirs = pair()
    loop = asyncio.get_running_loop()
    calls, done = 0, asyncio.Event()
    found = []

    def readable():
        found.append(calls)
        loop.remove_reader(ours)

    def again():
        nonlocal calls
        calls += 1
        if calls < 200:
            loop.call_soon(again)
        else:
            done.set()

    loop.add_reader(ours, readable)
    loop.call_soon(again)
    await done.wait()
    return found[0]


print("gevent", gevent.__version__)
first, second = with_gevent(), asyncio.run(with_asyncio())
print("calls before a ready descriptor was seen: gevent", first, "asyncio", second)
assert first >= 50, "gevent looks earlier now"
assert second <= 2
PYTHON
