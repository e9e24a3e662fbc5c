"""A trend is judged after warm-up, and not at all where a series is too short."""

from __future__ import annotations

import os

import pytest

from tests.soak.memory import MEGABYTE, SHORTEST_SERIES, WARM_UP_SECONDS, Series, resident


def series(seconds: float, per_minute: float, *, bound: float = 5.0) -> Series:
    made = Series("host-1", 1, bound)
    for second in range(0, int(seconds), 2):
        steady = 100 * MEGABYTE + round(max(0.0, second - WARM_UP_SECONDS) * per_minute / 60 * MEGABYTE)
        wobble = MEGABYTE if second % 4 else -MEGABYTE
        start = -round(max(0.0, WARM_UP_SECONDS - second) * MEGABYTE)  # steep while it warms up
        made.samples.append((float(second), steady + wobble + start))
    return made


def test_growth_of_the_warm_up_is_not_held_against_a_process() -> None:
    flat = series(400, 0)
    assert flat.trend() == pytest.approx(0, abs=0.1)
    assert flat.flat() is True


def test_a_leak_shows_with_its_size() -> None:
    leaking = series(400, 12)
    assert leaking.trend() == pytest.approx(12, abs=0.2)
    assert leaking.flat() is False
    assert series(400, 12, bound=13).flat() is True


@pytest.mark.parametrize("seconds", [0, 10, WARM_UP_SECONDS, WARM_UP_SECONDS + SHORTEST_SERIES - 4])
def test_a_short_series_is_not_judged(seconds: float) -> None:
    short = series(seconds, 100)
    assert short.trend() is None
    assert short.flat() is None
    assert short.as_json()["mb_per_minute"] is None


def test_the_account_has_first_last_and_peak() -> None:
    shown = series(400, 0).as_json()
    assert shown["first_mb"] < shown["last_mb"] <= shown["peak_mb"]
    assert shown["samples"] == 200


def test_resident_memory_is_that_of_a_process_that_exists() -> None:
    assert (resident(os.getpid()) or 0) > MEGABYTE
    assert resident(2**22 + 1) is None
