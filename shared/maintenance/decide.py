"""Decide poison rows, one or thousands: replay, resolve or discard them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.concurrency import batched, for_each
from shared.errors import RefusedError
from shared.maintenance.replay import Replayer
from shared.poison.rows import Status
from shared.poison.store import PoisonStore

CONCURRENCY = 8
"""Rows that are decided concurrently. More would compete for the shards that replayed documents fold into."""

BATCH = 64
"""Rows after which progress is reported. If the service fails, the rows of this batch are the last tried."""


class Action(StrEnum):
    """What an operator decides about a row."""

    REPLAY = "replay"
    RESOLVE = "resolve"
    DISCARD = "discard"

    @property
    def outcome(self) -> Status:
        """The status of a row afterwards."""
        return OUTCOMES[self]


OUTCOMES = {
    Action.REPLAY: Status.REPLAYED,
    Action.RESOLVE: Status.RESOLVED,
    Action.DISCARD: Status.DISCARDED,
}


@dataclass(slots=True)
class Refusal:
    """Rows that could not be decided for one reason."""

    why: str
    """The message of the first row, without its id."""
    ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class DecisionReport:
    """The outcome of the rows."""

    action: Action
    decided: list[str] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By reason."""

    @property
    def refused(self) -> int:
        """Rows that could not be decided."""
        return sum(len(refusal.ids) for refusal in self.refusals.values())


class Decider:
    """Decides rows of ``poison_messages``."""

    def __init__(self, *, poison: PoisonStore, replayer: Replayer) -> None:
        self._poison = poison
        self._replayer = replayer

    async def decide(
        self,
        action: Action,
        rows: Sequence[Mapping[str, Any]],
        *,
        by: str,
        stored_copy: bool = False,
        on_progress: Callable[[DecisionReport], None] = lambda _: None,
    ) -> DecisionReport:
        """Decide rows as :meth:`PoisonStore.list` yields them. A row that cannot be decided stops no other.

        A row is resolved or discarded only if no other version of its document failed after it was listed.

        Parameters
        ----------
        stored_copy
            Replay a row's own copy if its document no longer exists: see :meth:`Replayer.replay`.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. Rows of earlier batches are decided. Deciding the pending rows again
            continues.
        """
        report = DecisionReport(action)

        async def one(row: Mapping[str, Any]) -> None:
            try:
                await self._decide(action, row, by, stored_copy)
            except RefusedError as error:
                why = _reason(str(error), row["id"])
                report.refusals.setdefault(why, Refusal(why)).ids.append(row["id"])
            else:
                report.decided.append(row["id"])

        for batch in batched(rows, BATCH):
            await for_each(batch, one, max_concurrency=CONCURRENCY)
            on_progress(report)
        return report

    async def _decide(self, action: Action, row: Mapping[str, Any], by: str, stored_copy: bool) -> None:
        if action is Action.REPLAY:
            await self._replayer.replay(row["id"], by=by, stored_copy=stored_copy)
        else:
            await self._poison.set_status(row["id"], action.outcome, by=by, seen=row)


def _reason(message: str, row_id: str) -> str:
    """Return a message without the id at its beginning."""
    return re.sub(rf"^{re.escape(row_id)}:? ", "", message)
