"""The timetable of a soak: the same for a seed, and nothing that matters is left to chance."""

from __future__ import annotations

import pytest

from local.cosmos.faults import parse_rules
from tests.soak.plan import (
    FAULT_SETS,
    FREEZE_FROM,
    FREEZE_SECONDS,
    LOSING_HOSTS,
    OUTAGE,
    OUTAGE_SECONDS,
    SOURCES,
    SPLIT_CONTAINERS,
    Kind,
    make_plan,
)
from tests.soak.traffic import ONE_HALF_FROM


def test_a_seed_gives_the_same_timetable() -> None:
    assert make_plan(3, 600) == make_plan(3, 600)
    assert make_plan(3, 600) != make_plan(4, 600)


@pytest.mark.parametrize("seconds", [60, 120, 600])
@pytest.mark.parametrize("seed", range(20))
def test_every_soak_has_what_matters(seed: int, seconds: float) -> None:
    steps = make_plan(seed, seconds)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert all(0 <= step.at < seconds for step in steps)
    kinds = {step.kind for step in steps}
    assert {Kind.KILL_HOST, Kind.STOP_HOST, Kind.KILL_DATABASE, Kind.SPLIT_AND_KILL} <= kinds
    assert {step.subject for step in steps if step.kind is Kind.SPLIT} == set(SPLIT_CONTAINERS)
    assert {step.subject for step in steps if step.kind is Kind.FAULTS} == set(FAULT_SETS)
    assert sum(step.loses for step in steps) == LOSING_HOSTS


@pytest.mark.parametrize("seed", range(20))
def test_sources_are_split_before_any_of_their_ranges_was_read_and_before_one_half_is_silent(
    seed: int,
) -> None:
    steps = make_plan(seed, 600)
    (look,) = (step.at for step in steps if step.kind is Kind.LOOK)
    splits = [step for step in steps if step.kind is Kind.SPLIT and step.subject in SOURCES]
    assert {step.subject for step in splits} == set(SOURCES)
    assert all(look < step.at < ONE_HALF_FROM * 600 for step in splits)


@pytest.mark.parametrize("seed", range(20))
def test_a_frozen_host_is_thawed_within_the_soak(seed: int) -> None:
    assert all(step.kind is not Kind.FREEZE_HOST for step in make_plan(seed, FREEZE_FROM - 1))
    steps = make_plan(seed, FREEZE_FROM)
    (frozen,) = (step.at for step in steps if step.kind is Kind.FREEZE_HOST)
    (thawed,) = (step.at for step in steps if step.kind is Kind.THAW_HOST)
    assert thawed == frozen + FREEZE_SECONDS < FREEZE_FROM


@pytest.mark.parametrize("seed", range(20))
def test_nothing_but_time_ends_the_outage(seed: int) -> None:
    faults = [step for step in make_plan(seed, 600) if step.kind is Kind.FAULTS]
    begin = next(index for index, step in enumerate(faults) if step.subject == OUTAGE)
    assert faults[begin + 1].subject == "none"
    assert faults[begin + 1].at - faults[begin].at == pytest.approx(OUTAGE_SECONDS)


@pytest.mark.parametrize("name", FAULT_SETS)
def test_the_server_takes_the_faults(name: str) -> None:
    rules, _ = parse_rules({"rules": FAULT_SETS[name]})
    assert len(rules) == len(FAULT_SETS[name])
