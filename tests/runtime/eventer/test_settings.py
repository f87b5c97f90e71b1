"""The keys of <eventer><config>: what each does, and how a value that cannot be used is named."""

import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from hearing import hear, wait_for
from hypothesis import given
from hypothesis import strategies as st

from runtime import conf, eventer, log
from runtime.eventer import EventerError, _config


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    eventer.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def configure(text: str, attributes: str = "") -> None:
    document = f"<app><eventer {attributes}><config><concurrency>1</concurrency>{text}</config></eventer></app>"
    eventer.init(conf.loads(document.encode()))


def test_what_is_not_configured_has_the_manuals_defaults() -> None:
    eventer.init()
    found = eventer.settings()
    assert not found.debugging
    assert (found.loop_threshold, found.jobq_threshold) == (0.0, 0.0)
    assert found.default_queue_threads == 10
    assert not found.lifo
    assert found.default_ca_chain is None
    assert found.ssl_ctx_cache_expiry == 5.0
    assert found.dhparam_files == {}


def test_each_key_is_taken_over(tmp_path: Path) -> None:
    chain = tmp_path / "ca.pem"
    chain.write_text("")
    configure(
        "<debugging>1</debugging><show_loop_callbacks_threshold>2.5</show_loop_callbacks_threshold>"
        "<show_jobq_callbacks_threshold>-1</show_jobq_callbacks_threshold>"
        "<default_queue_threads>3</default_queue_threads><default_jobq_ordering>LIFO</default_jobq_ordering>"
        f"<default_ca_chain>{chain}</default_ca_chain><ssl_ctx_cache_expiry>60</ssl_ctx_cache_expiry>"
        "<ssl_dhparam1024_file/><ssl_dhparam2048_file>/tmp/dh</ssl_dhparam2048_file>"
    )
    found = eventer.settings()
    assert found.debugging
    assert (found.loop_threshold, found.jobq_threshold) == (0.0025, None)
    queue = eventer.jobq_retrieve()
    assert queue is not None
    assert queue.figures()["desired_concurrency"] == 3
    assert queue.lifo
    assert found.default_ca_chain == str(chain)
    assert found.ssl_ctx_cache_expiry == 60.0
    assert found.dhparam_files == {"ssl_dhparam1024_file": "", "ssl_dhparam2048_file": "/tmp/dh"}


@pytest.mark.parametrize(
    ("value", "desired", "least", "most", "safety", "backlog", "lifo"),
    [
        ("4", 4, 0, 0, "gc", 0, False),
        ("4,2,8", 4, 2, 8, "gc", 0, False),
        ("4,6", 6, 6, 6, "gc", 0, False),
        ("4,2,0", 4, 2, 0, "gc", 0, False),
        ("1,0,1,none", 1, 0, 1, "none", 0, False),
        ("2, 1, 4, cs, 100, lifo", 2, 1, 4, "cs", 100, True),
        ("2,,,,7,fifo", 2, 0, 0, "gc", 7, False),
    ],
)
def test_a_job_queue_is_made_from_its_key(
    value: str, desired: int, least: int, most: int, safety: str, backlog: int, lifo: bool
) -> None:
    configure(f"<jobq_disk>{value}</jobq_disk>")
    queue = eventer.jobq_retrieve("disk")
    assert queue is not None
    figures = queue.figures()
    assert (figures["desired_concurrency"], figures["min_concurrency"], figures["max_concurrency"]) == (
        desired,
        least,
        most,
    )
    assert (queue.safety, queue.lifo, queue.max_backlog) == (safety, lifo, backlog)


def test_the_default_order_holds_for_queues_that_name_none() -> None:
    configure("<default_jobq_ordering>lifo</default_jobq_ordering><jobq_a>1</jobq_a><jobq_b>1,,,,,fifo</jobq_b>")
    assert [queue.lifo for queue in eventer.jobqs()] == [True, False, True]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<show_loop_callbacks_threshold>-2</show_loop_callbacks_threshold>", "show_loop_callbacks_threshold: '-2'"),
        ("<show_jobq_callbacks_threshold>x</show_jobq_callbacks_threshold>", "show_jobq_callbacks_threshold: 'x'"),
        ("<rlim_nofiles>255</rlim_nofiles>", "rlim_nofiles: '255' is no number of files of at least 256"),
        ("<default_queue_threads>0</default_queue_threads>", "default_queue_threads: '0'"),
        ("<default_jobq_ordering>life</default_jobq_ordering>", "default_jobq_ordering: 'life' .* lifo or fifo"),
        ("<default_ca_chain>/nowhere/ca</default_ca_chain>", "default_ca_chain: cannot read '/nowhere/ca': No such"),
        ("<ssl_ctx_cache_expiry>-5</ssl_ctx_cache_expiry>", "ssl_ctx_cache_expiry: '-5'"),
        ("<jobq_x>0</jobq_x>", "jobq_x: '0' is no number of threads of at least 1"),
        ("<jobq_x/>", "jobq_x: ''"),
        ("<jobq_x>1,a</jobq_x>", "jobq_x: 'a' is no minimum"),
        ("<jobq_x>1,1,b</jobq_x>", "jobq_x: 'b' is no maximum"),
        ("<jobq_x>4,3,2</jobq_x>", "jobq_x: '4,3,2' has a minimum above its maximum"),
        ("<jobq_x>1,1,1,much</jobq_x>", "jobq_x: 'much' is no memory safety"),
        ("<jobq_x>1,1,1,gc,-1</jobq_x>", "jobq_x: '-1' is no backlog"),
        ("<jobq_x>1,1,1,gc,1,last</jobq_x>", "jobq_x: 'last' is no order"),
        ("<jobq_x>1,1,1,gc,1,lifo,</jobq_x>", r"jobq_x: .* is not concurrency\[,min"),
        ("<jobq_>1</jobq_>", "jobq_: a job queue needs a name"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_key(text: str, named: str) -> None:
    with pytest.raises(conf.ConfError, match=named):
        configure(text)
    assert eventer.pools() == []


@given(st.dictionaries(st.sampled_from(["jobq_x", "loop_x", "concurrency", "rlim_nofiles"]), st.text(max_size=12)))
def test_any_text_is_either_taken_or_refused_by_name(keys: dict[str, str]) -> None:
    refused: list[EventerError] = []
    found = _config.parse(keys, refused.append)
    assert all(any(f"eventer {key}: " in str(each) for key in keys) for each in refused)
    if not refused:
        assert all(queue.concurrency >= 1 for queue in found.jobqs.values())


def test_other_keys_are_left_alone() -> None:
    configure("<speed>ludicrous</speed>")


def test_an_implementation_must_exist_on_the_platform() -> None:
    with pytest.raises(conf.ConfError, match="implementation: 'select' is none: expected epoll, kqueue or ports"):
        configure("", 'implementation="select"')
    with pytest.raises(conf.ConfError, match="'ports' does not exist on this platform"):
        configure("", 'implementation="ports"')


def test_the_limit_of_descriptors_is_raised_as_far_as_allowed() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    configure("<rlim_nofiles>400</rlim_nofiles>")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400
    assert eventer.setrlimit() == 400
    eventer.stop()
    eventer.init()
    soft, now = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert now == hard, "the hard limit is raised for nobody who did not ask"
    assert soft == min(1048576, hard) if hard != resource.RLIM_INFINITY else 1048576


def test_slow_callbacks_are_logged_by_name_above_the_threshold(tmp_path: Path) -> None:
    path = tmp_path / "log"
    stream = log.stream_find("debug/eventer/callbacks/loop/default")
    stream.add_outlet(log.new_stream("file", type="file", path=str(path)))
    configure("<show_loop_callbacks_threshold>0</show_loop_callbacks_threshold>")
    eventer.start()
    done: Queue[Any] = Queue()

    def slow(*_: object) -> None:
        done.put(threading.current_thread().name)

    eventer.name_callback("test/slow", slow)
    for threshold in (3600.0, None, 0.0):
        eventer.settings().loop_threshold = threshold
        eventer.add_in(slow, None, 0.0)
        assert done.get(timeout=20) == "e:default/0"
        settled = threading.Event()
        eventer.choose_owner(0).post(settled.set)
        assert settled.wait(20)
        assert ("test/slow took " in path.read_text()) is (threshold == 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "<ssl_ctx_cache_expiry>60</ssl_ctx_cache_expiry>",
            r"^eventer ssl_ctx_cache_expiry means nothing here: contexts",
        ),
        ("<ssl_dhparam1024_file>/x</ssl_dhparam1024_file>", r"^eventer ssl_dhparam1024_file means nothing here: "),
        ("<ssl_dhparam2048_file>/x</ssl_dhparam2048_file>", r"^eventer ssl_dhparam2048_file means nothing here: "),
        ("<jobq_x>1,,,cs</jobq_x>", r"^eventer jobq_x: memory safety 'cs' means nothing here: "),
        ("<jobq_x>1,,,none</jobq_x>", r"^eventer jobq_x: memory safety 'none' means nothing here: "),
    ],
)
def test_what_can_mean_nothing_here_is_said_in_notice(text: str, said: str) -> None:
    heard = hear("notice")
    configure(text)
    assert len(heard()) == 1
    wait_for(heard, said)


def test_what_is_not_set_or_means_what_it_says_is_not_mentioned() -> None:
    heard = hear("notice")
    configure("<ssl_dhparam2048_file/><jobq_x>1,,,gc</jobq_x><default_queue_threads>3</default_queue_threads>")
    assert heard() == []


def test_settings_hold_until_the_last_loop_has_ended(tmp_path: Path) -> None:
    eventer.init(
        conf.loads(
            b"<app><eventer><config><concurrency>1</concurrency>"
            b"<show_loop_callbacks_threshold>600000</show_loop_callbacks_threshold></config></eventer></app>"
        )
    )
    path = tmp_path / "slow"
    stream = log.stream_find("debug/eventer/callbacks/loop/default")
    stream.add_outlet(log.new_stream("test/slow", type="file", path=str(path)))
    stream.set_flags(stream.get_flags() | log.ENABLED)
    eventer.start()
    pool = eventer.pool()
    assert pool is not None
    seen: list[float | None] = []
    pool.threads[0].on_stop(lambda: seen.append(eventer.settings().loop_threshold))
    pool.threads[0].post(lambda: seen.append(eventer.settings().loop_threshold))
    eventer.stop()
    assert seen == [600.0, 600.0]
    assert path.read_text() == ""
    assert eventer.settings().loop_threshold == 0.0
