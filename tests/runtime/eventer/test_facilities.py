"""What the eventer logs, and the setting ``debugging``."""

import os
import re
import threading

import pytest
from hearing import hear, wait_for

from runtime import conf, eventer, log
from runtime.eventer import READ, Event, Pool


def test_threads_and_queues_are_told_as_they_come_and_go() -> None:
    heard, timed = hear("debug/eventer"), hear("debug/time")
    eventer.init(conf.loads(b"<app><eventer><config><concurrency>1</concurrency></config></eventer></app>"))
    try:
        eventer.start()
        eventer.jobq_create("disk", 3)
        tid = eventer.choose_owner(0).tid
        wait_for(heard, r"^loop default: 1 threads$")
        wait_for(heard, rf"^e:default/0 runs as thread {tid}$")
        wait_for(heard, r"^job queue disk: concurrency 3$")
        wait_for(timed, rf"^e:default/0 \(thread {tid}\) may run on processors [\d,]+$")
    finally:
        eventer.stop()
    wait_for(heard, r"^e:default/0 stops and lets go of \d+ events$")


def fails(*_: object) -> None:
    raise KeyError("mistake")


def test_what_fails_goes_to_its_own_error_log(loops: Pool) -> None:
    heard, errors = hear("error/eventer"), hear("error")
    eventer.add_in(fails, None, 0)
    wait_for(heard, r"callback .*fails failed on e:default/0")
    eventer.simple_asynch(fails, back=fails)
    wait_for(heard, r"callback .*fails failed on e:default/0")
    reader, writer = os.pipe()
    os.write(writer, b"x")
    eventer.run_in_thread(eventer.alloc_fd(fails, None, reader, READ), READ).join(20)
    wait_for(heard, r"callback .*fails failed on a thread of its own")
    for line in heard():
        wait_for(errors, "^" + re.escape(line))  # that is where it leads
    os.close(reader)
    os.close(writer)


@pytest.fixture
def debugging() -> None:
    setting = b"<app><eventer><config><concurrency>1</concurrency><debugging>1</debugging></config></eventer></app>"
    eventer.init(conf.loads(setting))
    eventer.start()


def test_with_debugging_all_that_happens_to_events_is_told(debugging: None) -> None:
    heard, errors = hear("debug/eventer"), hear("error/eventer")
    done = threading.Event()

    def due(*_: object) -> None:
        done.set()

    removed = eventer.add_in(due, None, 1000)
    eventer.remove(removed)
    eventer.add_in(due, None, 0)
    done.wait(20)
    try:
        wait_for(heard, r"due> added, of e:default/0$")
        wait_for(heard, r"due> removed, of e:default/0$")
        wait_for(heard, r"callback .*due with 0x08 returned None$")
        assert errors() == []
    finally:
        eventer.stop()
    count = len(heard())
    eventer.pool_create("default", 1)
    eventer.start()
    again = threading.Event()
    eventer.add_in(lambda *_: again.set(), None, 0)
    again.wait(20)
    eventer.stop()
    assert not [
        line for line in heard()[count:] if " returned " in line or " added, " in line
    ]  # it ends with its configuration


def test_with_debugging_what_callbacks_do_wrong_is_told(debugging: None) -> None:
    errors = hear("error/eventer")
    reader, writer = os.pipe()
    os.write(writer, b"x")
    later: list[Event] = []

    def closes(event: Event, *_: object) -> int:
        os.dup2(event.fd, 200)
        os.close(event.fd)
        later.append(event)
        eventer.current().post(lambda: (os.dup2(200, event.fd), eventer.remove(event), os.close(200)))
        return READ

    eventer.add_in(lambda *_: READ, None, 0)
    eventer.add(eventer.alloc_recurrent(lambda *_: READ, None))
    try:
        wait_for(errors, r"of a timer returned 0x1, which means nothing")
        wait_for(errors, r"of a recurrent event returned 0x1, expected RECURRENT or 0")
        eventer.add(eventer.alloc_fd(closes, None, reader, READ))
        wait_for(errors, rf"closes closed descriptor {reader}, whose event goes on")
    finally:
        eventer.stop()
        os.close(writer)


def test_without_debugging_nobody_looks(loops: Pool) -> None:
    errors = hear("error/eventer")
    done = threading.Event()
    eventer.add_in(lambda *_: READ, None, 0)
    eventer.add_in(lambda *_: done.set(), None, 0)
    done.wait(20)
    assert errors() == []
    assert log.facility("debug/eventer").enabled is False
