"""Leases spread evenly over instances, whatever the starting position, and move no more than needed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from local.host.balancing import select_leases_to_take
from local.host.leases import FeedRange, Lease

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def lease(number: int, owner: str | None, age: float = 0) -> Lease:
    feed_range = FeedRange(f"{number:04X}", f"{number + 1:04X}")
    written = NOW - timedelta(seconds=age)
    properties = {"process": f"{owner}-p"} if owner else {}
    return Lease(
        str(number), feed_range.token, feed_range, owner=owner, timestamp=written, properties=properties
    )


def take(leases: list[Lease], owner: str, **options: bool) -> list[str]:
    chosen = select_leases_to_take(
        leases, owner=owner, process=f"{owner}-p", now=NOW, expiration=60, **options
    )
    return [found.id for found in chosen]


def test_the_first_instance_takes_everything() -> None:
    assert take([lease(n, None) for n in range(4)], "a") == ["0", "1", "2", "3"]


def test_a_second_instance_steals_one_at_a_time_until_it_has_its_share() -> None:
    leases = [lease(n, "a") for n in range(4)]
    assert take(leases, "b") == ["0"]
    leases[0] = lease(0, "b")
    assert take(leases, "b") == ["1"]
    leases[1] = lease(1, "b")
    assert take(leases, "b") == []


def test_expired_leases_are_taken_before_any_is_stolen() -> None:
    leases = [lease(0, "a"), lease(1, "a"), lease(2, "dead", age=61), lease(3, None)]
    assert take(leases, "b") == ["2", "3"]


def test_a_live_lease_is_not_expired() -> None:
    assert take([lease(0, "a", age=59)], "b") == []


def test_no_leases_nothing_to_take() -> None:
    assert take([], "a") == []


def test_a_restarted_instance_takes_its_own_leases_at_once_but_only_in_its_first_round() -> None:
    old = [replace(lease(n, "a"), properties={"process": "killed"}) for n in range(2)]
    assert take(old, "a", first_round=True) == ["0", "1"]
    # Later, the same name with another process is somebody else: two hosts must not take from each other.
    assert take([old[0], lease(1, "a")], "a") == []


@settings(deadline=None)  # 24 leases and 8 instances take many rounds
@given(st.integers(0, 24), st.integers(1, 8), st.randoms())
def test_rounds_of_balancing_end_even_and_stay_so(count: int, instances: int, order: random.Random) -> None:
    names = [f"host-{n}" for n in range(instances)]
    owners: list[str | None] = [None] * count
    for _ in range(count * instances + 2):
        before = list(owners)
        order.shuffle(names)
        for name in names:
            for chosen in take([lease(n, owner) for n, owner in enumerate(owners)], name):
                owners[int(chosen)] = name
        if owners == before:
            break
    held = Counter(dict.fromkeys(names, 0))
    held.update(name for name in owners if name)
    assert None not in owners
    if count:
        assert max(held.values()) == -(-count // instances)
        assert min(held.values()) == count // instances
    assert owners == before  # nobody takes from anybody any more
