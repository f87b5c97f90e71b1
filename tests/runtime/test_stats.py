"""Counters and histograms."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from runtime import stats
from runtime.stats import Counter, Histogram


@given(st.floats(1e-9, 1e9))
def test_a_value_is_in_the_bucket_of_its_first_two_digits(value: float) -> None:
    histogram = Histogram()
    histogram.add(value)
    [(bound, count)] = histogram.buckets().items()
    assert count == 1
    assert bound * (1 - 1e-9) <= value <= bound * 1.12


@given(st.lists(st.floats(-1, 1e6)))
def test_nothing_is_lost(values: list[float]) -> None:
    histogram = Histogram()
    for each in values:
        histogram.add(each)
    buckets = histogram.buckets()
    assert sum(buckets.values()) == len(values)
    assert list(buckets) == sorted(buckets)
    assert buckets.get(0.0, 0) == sum(each <= 1e-128 for each in values)
    histogram.reset()
    assert histogram.buckets() == {}


def test_threads_count_together() -> None:
    counter, histogram = Counter(), Histogram()

    def work() -> None:
        for _ in range(20_000):
            counter.add()
            histogram.add(0.1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert counter.value == 80_000
    assert histogram.buckets() == {0.1: 80_000}


def test_metrics_are_found_by_name_and_tags() -> None:
    one = stats.counter("test_metric", {"a": "1", "b": "2"})
    assert stats.counter("test_metric", {"b": "2", "a": "1"}) is one
    assert stats.counter("test_metric") is not one
    one.add(2)
    found = {(each.name, each.tags): each.value for each in stats.read()}
    assert found["test_metric", (("a", "1"), ("b", "2"))] == 2
