"""What the generation before knows of people, and the sources may no longer hold.

A generation counts what the sources hold. Two things about a person may have left them:

- **The first visit.** A person whose first interactions have expired would be new for a second time.
- **A refusal.** A person who refused, and whose account was deleted since, would seem never to have been
  asked. What is published about them would return.

The state of the generation before knows both. One point read per person answers it, when the person's own
state is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import REFUSED_KEY
from shared.concurrency import for_each
from shared.cosmos.items import find_item
from shared.ledger.document_version import Version
from shared.ledger.generations import FIRST_LAYOUT, Generation, Generations
from shared.ledger.partials import PARTIAL, Partial, partial_id
from shared.ledger.shards import ShardId, shard_of
from shared.units import Day

MAX_CONCURRENT_READS = 8

_PLAIN_IN_FIRST_LAYOUT = re.compile(r"[A-Za-z0-9._:|@ \-]{1,200}")
"""User ids that the first layout put into ids as they are. Others it hashed whole."""


class EarlierPerson(NamedTuple):
    """What the generation before knows of a person."""

    first_day: Day | None = None
    """The first active day."""
    refusals: Mapping[str, Version] = {}
    """The accounts that refused or could not be read: the version of each, by document id."""
    has_unnamed_refusal: bool = False
    """Whether an account refused of which the state does not have the id."""


NOT_KNOWN = EarlierPerson()


class EarlierPeople:
    """Reads people from the latest complete generation before that of the settings, if there is one."""

    def __init__(self, state: ContainerProxy, generations: Generations) -> None:
        self._state = state
        self._generations = generations
        self._before: tuple[int, Generation] | None = None
        self._known = False

    async def find(self, user_ids: Collection[str]) -> dict[str, EarlierPerson]:
        """Return those people of whom the generation before has state.

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

        async def one(user_id: str) -> tuple[str, EarlierPerson | None]:
            shard, document_id = address_of(user_id, number, generation)
            stored = await find_item(self._state, document_id, shard)
            return user_id, None if stored is None else earlier_person(stored, generation.layout)

        found = await for_each(user_ids, one, max_concurrency=MAX_CONCURRENT_READS)
        return {user_id: earlier for user_id, earlier in found if earlier is not None}


def address_of(user_id: str, number: int, generation: Generation) -> tuple[ShardId, str]:
    """Return the shard and the id of a person's ``person`` partial in a generation."""
    shard = shard_of(user_id, shards=generation.shards, generation=number)
    if generation.layout != FIRST_LAYOUT:
        return shard, partial_id(PartialKey(person.NAME, user_id))
    is_plain = _PLAIN_IN_FIRST_LAYOUT.fullmatch(user_id)
    key = user_id if is_plain else f"~{sha256(user_id.encode()).hexdigest()}"
    return shard, f"{PARTIAL}|{person.NAME}|{key}"


def earlier_person(stored: Mapping[str, Any], layout: int) -> EarlierPerson:
    """Return what a stored ``person`` partial knows.

    Parameters
    ----------
    layout
        The layout of the partial's generation. In the first one the state counts days by their date, and
        accounts that refuse by their number.
    """
    if layout == FIRST_LAYOUT:
        state = stored["state"]
        first = min(map(Day, state.get("days", ())), default=None)
        return EarlierPerson(first, has_unnamed_refusal=bool(state.get("sums", {}).get("refused")))
    partial = Partial.decode(stored)
    days = person.active_days(partial.state)
    if partial.record is None:
        return EarlierPerson(min(days, default=None))
    if partial.record.first_known is not None:
        days.add(partial.record.first_known)
    refusals = {
        document_id: Version.decode(account["v"])
        for document_id, account in partial.record.accounts.items()
        if account["f"].get(REFUSED_KEY)
    }
    return EarlierPerson(min(days, default=None), refusals)
