#!/bin/sh
# opentelemetry 1.45 under gevent 26.9: a span that is begun in gevent.spawn is no child of the span that spawns it, but the
# root of a trace of its own, where asyncio's tasks and a plain call have their parent.  gevent's greenlets begin with no
# context variables at all, those of its thread pool too: a trace falls to pieces at each spawn, without a word.
# contextvars.copy_context().run as the greenlet's function mends it.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gevent==26.9.0' 'opentelemetry-sdk==1.45.2'
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import contextvars
import sys
from importlib.metadata import version

import gevent
import gevent.threadpool
from opentelemetry.sdk.trace import TracerProvider

print("gevent", gevent.__version__, "opentelemetry-sdk", version("opentelemetry-sdk"))
tracer = TracerProvider().get_tracer("finding")


def is_child():
    """Whether a span that begins here has a parent."""
    with tracer.start_as_current_span("inner") as span:
        return span.parent is not None


async def in_task():
    return await asyncio.create_task(wrapped())


async def wrapped():
    return is_child()


with tracer.start_as_current_span("outer"):
    seen = {
        "a call": is_child(),
        "asyncio.create_task": asyncio.run(in_task()),
        "gevent.spawn": gevent.spawn(is_child).get(),
        "gevent's thread pool": gevent.threadpool.ThreadPool(1).apply(is_child),
        "gevent.spawn(copy_context().run)": gevent.spawn(contextvars.copy_context().run, is_child).get(),
    }
for where, found in seen.items():
    print(f"{where}: {'child' if found else 'a trace of its own'}")
sys.exit(list(seen.values()) != [True, True, False, False, True])
PYTHON
