"""Settling: what counts as drained and published, and what is told otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from azure.core.exceptions import ServiceRequestError

from local import drain
from local.connection import Connection
from local.drain import DrainResult, drain_feeds, print_lag, rounds_needed
from local.host.feed import RangeSplitError
from local.host.lag import FeedEnds, FeedLag, LeaseLag
from local.host.leases import FeedRange

CONNECTION = Connection({}, "a test")
Measurement = tuple[FeedLag, ...] | Exception


def feed(container: str, pending: int, *, uncovered: int = 0, owner: str | None = "host-1") -> FeedLag:
    lease = LeaseLag(token="0", owner=owner, continuation="1", pending=pending, drained=pending == 0)
    gaps = tuple(FeedRange(f"{number:02X}", f"{number + 1:02X}") for number in range(uncovered))
    return FeedLag(f"on_{container}", "db", container, (lease,), gaps)


def both(source: int, state: int) -> tuple[FeedLag, ...]:
    return feed("user_interactions", source), feed("view_state", state)


class ScriptedMeter:
    """Gives the measurements it was made with, the last one for ever. Its feeds grow, or have ended."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self.left = list(measurements)
        self.measured = 0
        self.rounds = 0
        self.grows = True

    async def __aenter__(self) -> ScriptedMeter:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def ends(self) -> FeedEnds:
        self.rounds += self.grows
        return {"round": ((FeedRange("", "FF"), self.rounds),)}

    async def measure(self, up_to: FeedEnds) -> list[FeedLag]:
        self.measured += 1
        assert up_to == {"round": ((FeedRange("", "FF"), self.rounds),)}
        now = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if isinstance(now, Exception):
            raise now
        return list(now)


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch):
    def script(*values: Measurement) -> ScriptedMeter:
        meter = ScriptedMeter(values)
        monkeypatch.setattr(drain, "LagMeter", lambda app_dir: meter)
        monkeypatch.setattr(drain, "SHORTEST_PAUSE", 0.0)
        monkeypatch.setattr(drain, "LONGEST_PAUSE", 0.0)
        return meter

    return script


async def test_one_round_is_not_enough_for_a_chain_of_two(measurements) -> None:
    # Both look drained at first; then what the source's invocation wrote shows up downstream.
    meter = measurements(both(0, 0), both(0, 7), both(0, 0))
    settled = await drain_feeds(CONNECTION, timeout=60)
    assert settled.drained
    assert (meter.rounds, meter.measured) == (2, 3)


async def test_one_round_is_enough_if_nothing_was_written_meanwhile(measurements) -> None:
    meter = measurements(both(3, 0), both(0, 0))
    meter.grows = False
    assert (await drain_feeds(CONNECTION, timeout=60)).drained
    assert meter.measured == 2


async def test_a_feed_that_is_behind_is_waited_for(measurements) -> None:
    meter = measurements(both(5, 0), both(2, 3), both(0, 1), both(0, 0), both(0, 0))
    assert (await drain_feeds(CONNECTION, timeout=60)).drained
    assert (meter.rounds, meter.measured) == (2, 5)


async def test_the_time_over_the_last_lag_is_returned(measurements) -> None:
    measurements(both(5, 1))
    settled = await drain_feeds(CONNECTION, timeout=0)
    assert not settled.drained
    assert [row["pending"] for row in settled.as_json()["feeds"]] == [5, 1]


async def test_a_range_without_a_lease_is_not_drained(measurements) -> None:
    measurements((feed("user_interactions", 0, uncovered=2),))
    settled = await drain_feeds(CONNECTION, timeout=0)
    assert not settled.drained
    assert settled.as_json()["feeds"][0]["ranges_without_lease"] == 2


async def test_a_database_that_is_away_for_a_moment_is_asked_again(measurements) -> None:
    measurements(both(1, 0), ServiceRequestError("connection refused"), both(0, 0), both(0, 0))
    settled = await drain_feeds(CONNECTION, timeout=60)
    assert settled.drained
    assert settled.error is None


async def test_a_database_that_stays_away_is_named_with_the_last_known_lag(measurements) -> None:
    measurements(both(4, 0), ServiceRequestError("connection refused"))
    settled = await drain_feeds(CONNECTION, timeout=0.05)
    assert not settled.drained
    assert settled.error == "ServiceRequestError: connection refused"
    assert settled.feeds == both(4, 0)


async def test_a_round_counts_once_although_the_next_ends_are_not_told_at_first(
    measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = measurements(both(0, 0), both(0, 0), both(0, 7), both(0, 0))
    tell, refused = meter.ends, [ServiceRequestError("connection refused")]

    async def ends() -> FeedEnds:
        if meter.measured == 1 and refused:
            raise refused.pop()
        return await tell()

    monkeypatch.setattr(meter, "ends", ends)
    assert (await drain_feeds(CONNECTION, timeout=60)).drained
    assert meter.measured == 4


async def test_a_split_while_it_measures_is_measured_again(measurements) -> None:
    measurements(RangeSplitError("the range lies on 2 partitions"), both(0, 0))
    assert (await drain_feeds(CONNECTION, timeout=60)).drained


def test_as_many_rounds_are_needed_as_containers_are_monitored() -> None:
    assert rounds_needed((feed("a", 0), feed("a", 0))) == 1
    assert rounds_needed(both(0, 0)) == 2


def test_the_lag_is_printed_per_feed(capsys: pytest.CaptureFixture[str]) -> None:
    feeds = (feed("user_interactions", 1200, owner=None), feed("view_state", 0))
    print_lag(DrainResult(False, feeds, 3.0), as_json=False)
    text = capsys.readouterr().out
    assert "1,200" in text
    assert "no host works on it" in text
    print_lag(DrainResult(False, feeds, 3.0), as_json=True)
    assert json.loads(capsys.readouterr().out)["drained"] is False
