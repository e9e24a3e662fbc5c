"""Deciding many rows: one that is refused stops no other, and a failing service ends it early."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from shared.errors import PoisonChangedError, ReplayError
from shared.maintenance.decide import BATCH, Action, Decider, DecisionReport
from shared.poison.rows import Status


class Rows:
    """Stands in for the store and the replayer: it refuses given ids, and fails from a number on."""

    def __init__(self, refused: dict[str, str] | None = None, fails_after: int | None = None) -> None:
        self.refused = refused or {}
        self.fails_after = fails_after
        self.replayed: list[str] = []
        self.decided: dict[str, tuple[Status, str, Any]] = {}

    async def replay(self, row_id: str, *, by: str, stored_copy: bool) -> None:
        if row_id in self.refused:
            raise ReplayError(f"{row_id} {self.refused[row_id]}")
        self.replayed.append(row_id)

    async def set_status(self, row_id: str, status: Status, *, by: str, seen: Any) -> None:
        if self.fails_after is not None and len(self.decided) >= self.fails_after:
            raise ServiceRequestError("no connection")
        if row_id in self.refused:
            raise PoisonChangedError(f"{row_id}: {self.refused[row_id]}")
        self.decided[row_id] = status, by, seen


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"poison_{number}", "source_etag": str(number)} for number in range(count)]


async def decide(stand_in: Any, action: Action, count: int, progress: list[int]) -> DecisionReport:
    def on_progress(report: DecisionReport) -> None:
        progress.append(len(report.decided) + report.refused)

    decider = Decider(poison=stand_in, replayer=stand_in)
    return await decider.decide(action, rows(count), by="me", on_progress=on_progress)


async def test_refusals_are_grouped_by_reason_and_stop_no_other_row() -> None:
    refused = {"poison_3": "failed again: user_rating is 9", "poison_70": "failed again: user_rating is 9"}
    stand_in, progress = Rows(refused | {"poison_5": "is gone"}), list[int]()
    report = await decide(stand_in, Action.REPLAY, 100, progress)
    assert set(stand_in.replayed) == set(report.decided)
    assert len(report.decided) == 97
    assert {why: refusal.ids for why, refusal in report.refusals.items()} == {
        "failed again: user_rating is 9": ["poison_3", "poison_70"],
        "is gone": ["poison_5"],
    }
    assert progress == [BATCH, 100]


@pytest.mark.parametrize(
    ("action", "status"), [(Action.RESOLVE, Status.RESOLVED), (Action.DISCARD, Status.DISCARDED)]
)
async def test_a_decision_is_about_the_version_that_was_listed(action: Action, status: Status) -> None:
    stand_in = Rows({"poison_1": "has failed again since: user_rating is 7"})
    report = await decide(stand_in, action, 3, [])
    assert stand_in.decided == {
        "poison_0": (status, "me", {"id": "poison_0", "source_etag": "0"}),
        "poison_2": (status, "me", {"id": "poison_2", "source_etag": "2"}),
    }
    assert list(report.refusals) == ["has failed again since: user_rating is 7"]


async def test_a_failing_service_ends_it_after_the_batch() -> None:
    stand_in, progress = Rows(fails_after=BATCH + 10), list[int]()
    with pytest.raises(ServiceRequestError):
        await decide(stand_in, Action.DISCARD, 10 * BATCH, progress)
    assert progress == [BATCH]
    assert len(stand_in.decided) == BATCH + 10
