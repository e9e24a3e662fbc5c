"""People's first visits in the state of the generation before, which the sources may no longer hold.

A generation counts what the sources hold. A person whose first interactions have expired would be new in it
for a second time. The state of the generation before knows the day. One point read per person answers it,
when the person's own state is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.concurrency import for_each
from shared.cosmos.items import find_item
from shared.ledger.generations import FIRST_LAYOUT, Generation, Generations
from shared.ledger.partials import PARTIAL, Partial, partial_id
from shared.ledger.shards import ShardId, shard_of
from shared.units import Day

MAX_CONCURRENT_READS = 8

_PLAIN_IN_FIRST_LAYOUT = re.compile(r"[A-Za-z0-9._:|@ \-]{1,200}")
"""User ids that the first layout put into ids as they are. Others it hashed whole."""


class FirstVisits:
    """Reads first visits from the latest complete generation before that of the settings, if there is one."""

    def __init__(self, state: ContainerProxy, generations: Generations) -> None:
        self._state = state
        self._generations = generations
        self._before: tuple[int, Generation] | None = None
        self._known = False

    async def first_days(self, user_ids: Collection[str]) -> dict[str, Day]:
        """Return the first active day of each person whom the generation before knows as active.

        Without an earlier generation nothing is read, except its record once.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        if not self._known:
            self._before = await self._generations.before()
            self._known = True
        if self._before is None:
            return {}
        number, generation = self._before

        async def one(user_id: str) -> tuple[str, Day | None]:
            shard, document_id = address_of(user_id, number, generation)
            stored = await find_item(self._state, document_id, shard)
            return user_id, None if stored is None else first_active_day(stored, generation.layout)

        found = await for_each(user_ids, one, max_concurrency=MAX_CONCURRENT_READS)
        return {user_id: day for user_id, day in found if day is not None}


def address_of(user_id: str, number: int, generation: Generation) -> tuple[ShardId, str]:
    """Return the shard and the id of a person's ``person`` partial in a generation."""
    shard = shard_of(user_id, shards=generation.shards, generation=number)
    if generation.layout != FIRST_LAYOUT:
        return shard, partial_id(PartialKey(person.NAME, user_id))
    is_plain = _PLAIN_IN_FIRST_LAYOUT.fullmatch(user_id)
    key = user_id if is_plain else f"~{sha256(user_id.encode()).hexdigest()}"
    return shard, f"{PARTIAL}|{person.NAME}|{key}"


def first_active_day(stored: Mapping[str, Any], layout: int) -> Day | None:
    """Return the first active day that a stored ``person`` partial knows, None if it knows none.

    Parameters
    ----------
    layout
        The layout of the partial's generation. In the first one the state counts days by their date.
    """
    if layout == FIRST_LAYOUT:
        return min(map(Day, stored["state"].get("days", ())), default=None)
    partial = Partial.decode(stored)
    days = person.active_days(partial.state)
    if partial.record is not None and partial.record.first_known is not None:
        days.add(partial.record.first_known)
    return min(days, default=None)
