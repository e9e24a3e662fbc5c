"""A process that keeps something of every write is found; one whose cache fills is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.soak.memory import BOUND_PER_WRITE, LAPS, MEGABYTE, Series, resident

WRITES = 250

PROCESS = """
import sys
from collections import OrderedDict

cache, kept, kind = OrderedDict(), [], sys.argv[1]
for line in sys.stdin:
    for key in range(250):
        value = bytearray(20_000)
        if kind == "leaks":
            kept.append(value)
        elif kind == "leaks_a_little":
            kept.append(bytearray(8_000))
        elif kind == "caches":  # every document of the lap
            cache[key] = value
        elif kind == "evicts":  # the cache is smaller than a lap
            cache[key] = value
            if len(cache) > 100:
                cache.popitem(last=False)
    print("done", flush=True)
"""


def laps_of(kind: str) -> Series:
    """Return the memory of a real process after each lap."""
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        series = Series(kind, process.pid)
        for _ in range(LAPS):
            process.stdin.write("lap\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            size = resident(process.pid)
            assert size is not None
            series.laps.append(size)
        process.stdin.close()
    return series


@pytest.mark.parametrize(("kind", "least"), [("leaks", 18_000), ("leaks_a_little", 7_000)])
def test_a_process_with_a_leak_is_found(kind: str, least: int) -> None:
    growth = laps_of(kind).growth(WRITES)
    assert growth is not None
    assert growth > max(least, BOUND_PER_WRITE)


@pytest.mark.parametrize("kind", ["caches", "evicts", "does_nothing"])
def test_a_cache_that_fills_is_no_leak(kind: str) -> None:
    series = laps_of(kind)
    growth = series.growth(WRITES)
    assert growth is not None
    assert growth < BOUND_PER_WRITE / 4
    if kind == "caches":
        assert max(series.laps) > 5 * MEGABYTE


def growth_of(*megabytes: float) -> float | None:
    return Series("made", 1, laps=[round(size * MEGABYTE) for size in megabytes]).growth(WRITES)


def test_neither_a_jump_nor_memory_that_is_freed_now_and_then_is_growth() -> None:
    assert growth_of(60, 100, 100, 100, 109, 109, 109, 109) == 0
    assert growth_of(60, 100, 102, 104, 106, 108, 110, 100) == 0
    assert (growth_of(60, 100, 99, 101, 100, 99, 101, 100) or 0) <= 0


def test_growth_in_most_laps_is_found_whatever_the_first_laps_were() -> None:
    assert growth_of(60, 100, 102, 104, 106, 108, 110, 112) == 2 * MEGABYTE / WRITES
    assert growth_of(300, 100, 102, 104, 104, 108, 110, 112) == 2 * MEGABYTE / WRITES


def test_a_process_that_was_not_there_in_all_laps_is_not_judged() -> None:
    assert Series("late", 1, laps=[MEGABYTE] * (LAPS - 1)).growth(WRITES) is None
    assert Series("late", 1, laps=[MEGABYTE] * LAPS).growth(0) is None
    assert Series("late", 1).as_json(WRITES)["bytes_per_write"] is None


def test_the_report_has_first_last_and_peak() -> None:
    shown = Series("host-1", 1, [(0.0, 5 * MEGABYTE), (2.0, 9 * MEGABYTE), (4.0, 7 * MEGABYTE)]).as_json(1)
    assert (shown["first_mb"], shown["last_mb"], shown["peak_mb"]) == (5, 7, 9)


def test_resident_memory_is_that_of_a_process_that_exists() -> None:
    assert (resident(os.getpid()) or 0) > MEGABYTE
    assert resident(2**22 + 1) is None
