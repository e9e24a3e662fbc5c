"""The timetable of a soak: the same for a seed, and nothing that matters is left to chance."""

from __future__ import annotations

import pytest

from local.cosmos.faults import parse_rules
from tests.soak.plan import (
    FAULT_SETS,
    FREEZE_FROM,
    FREEZE_SECONDS,
    KILLS_DATABASE,
    LAST_DATABASE_KILL,
    OUTAGE,
    OUTAGE_SECONDS,
    SPLIT_CONTAINERS,
    Kind,
    make_plan,
)


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
    last_kill = max(step.at for step in steps if step.kind in KILLS_DATABASE)
    assert last_kill <= seconds * LAST_DATABASE_KILL


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
