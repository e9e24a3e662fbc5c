"""A process that grows on and on is noticed; one that warms up, or takes and frees, is not."""

from __future__ import annotations

import random

import pytest

from local.host.memory import MIB, POINTS, WINDOW, Growth, MemoryWatch, resident_bytes


class Process:
    """Memory as a test says it is."""

    def __init__(self, limit: int) -> None:
        self.size = 100 * MIB
        self.watch = MemoryWatch(limit, measure=lambda: self.size)

    def run(self, function: str, growth: float, times: int) -> list[Growth]:
        found = []
        for _ in range(times):
            self.size += round(growth)
            if (report := self.watch.after(function)) is not None:
                found.append(report)
        return found


def test_a_leak_is_reported_with_its_function_and_again_as_it_goes_on() -> None:
    process = Process(limit=64 * MIB)
    first, *more = process.run("leaky", MIB, 300)
    assert list(first.functions) == ["leaky"]
    assert 64 * MIB <= first.grown <= 64 * MIB + WINDOW * MIB
    assert first.resident <= 100 * MIB + (64 + 3 * WINDOW) * MIB
    assert len(more) >= 2


def test_of_several_functions_the_one_that_grows_comes_first() -> None:
    process = Process(limit=50 * MIB)
    reports = []
    for _ in range(200):
        reports += process.run("leaky", MIB, 1) + process.run("tidy", 0, 1)
    assert list(reports[0].functions) == ["leaky"]


def test_a_slow_leak_is_a_leak() -> None:
    process = Process(limit=8 * MIB)
    assert process.run("slow", 20_000, 1_000)


def test_a_warm_up_is_not_a_leak() -> None:
    process = Process(limit=64 * MIB)
    assert process.run("warm", 60 * MIB / 100, 100) == []  # a cache that fills to its bound
    assert process.run("warm", 0, 1_000) == []
    assert process.run("warm", 60 * MIB / 100, 100) == []  # and another one later


def test_a_step_is_not_a_leak() -> None:
    process = Process(limit=64 * MIB)
    assert process.run("steps", 500 * MIB, 1) == []
    assert process.run("steps", 0, POINTS * WINDOW * 2) == []


def test_taking_and_freeing_is_not_a_leak() -> None:
    process, dice = Process(limit=64 * MIB), random.Random(7)
    for _ in range(3_000):
        process.size = 100 * MIB + dice.randrange(300 * MIB)
        assert process.watch.after("busy") is None


def test_the_memory_of_this_process_is_measured() -> None:
    before = resident_bytes()
    kept = bytearray(b"x" * 64 * MIB)
    assert resident_bytes() - before > 32 * MIB
    assert len(kept) == 64 * MIB


def test_a_limit_is_met_only_by_growth_beyond_it() -> None:
    process = Process(limit=64 * MIB)
    assert process.run("small", MIB, 60) == []


@pytest.mark.parametrize("limit", [MIB, 1_000 * MIB])
def test_a_single_window_never_counts(limit: int) -> None:
    process = Process(limit)
    assert process.run("one", 100 * MIB, WINDOW) == []
