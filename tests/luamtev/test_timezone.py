"""Periods of time zones against zoneinfo itself, at random times and at the edges found."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from luamtev.api.timezone import timezone_open, timezone_period

ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Africa/Casablanca", "Australia/Lord_Howe", "Asia/Kathmandu"]


def expected(zone: str, epoch: int) -> tuple[int, bool, str]:
    time = datetime.fromtimestamp(epoch, UTC).astimezone(ZoneInfo(zone))
    offset = time.utcoffset()
    assert offset is not None
    return int(offset.total_seconds()), bool(time.dst()), str(time.tzname())


@given(zone=st.sampled_from(ZONES), epoch=st.integers(-5_000_000_000, 20_000_000_000))
def test_a_period_holds_from_its_first_second_to_its_last(zone: str, epoch: int) -> None:
    timezone_open(zone.encode())
    start, stop, *told = timezone_period(zone.encode(), epoch)
    assert start <= epoch < stop
    for time in (epoch, start, stop - 1):
        assert tuple(told) == expected(zone, time)


@given(epoch=st.integers(-(10**11), 10**12))
def test_times_beyond_the_calendar_have_a_period(epoch: int) -> None:
    timezone_open(b"America/New_York")
    start, stop, *_ = timezone_period(b"America/New_York", epoch)
    assert start <= epoch < stop
