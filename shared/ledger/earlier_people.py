"""What the generation before knows of people, and the sources may no longer hold.

A generation counts what the sources hold. A person whose first interactions have expired would be new for a
second time. The latest complete generation before knows the first visit, and one point read per person tells
it when the person's own state is made.

The same document says which accounts refused. The register of people knows that too, except what a release
counted that had no register.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import FURTHER_ACCOUNTS, REFUSED_KEY
from shared.concurrency import for_each
from shared.cosmos.items import find_item
from shared.ledger.document_version import Version
from shared.ledger.generations import FIRST_LAYOUT, Generation, Generations
from shared.ledger.known_accounts import KnownAccount, merged_accounts
from shared.ledger.partials import PARTIAL, Partial, partial_id
from shared.ledger.people_register import RegisteredPerson
from shared.ledger.shards import ShardId, shard_of
from shared.units import Day

MAX_CONCURRENT_READS = 8

_PLAIN_IN_FIRST_LAYOUT = re.compile(r"[A-Za-z0-9._:|@ \-]{1,200}")
"""User ids that the first layout put into ids as they are. Others it hashed whole."""


class EarlierPerson(NamedTuple):
    """What is known of a person from before their state was made."""

    first_day: Day | None = None
    """The first active day."""
    accounts: Mapping[str, KnownAccount] = {}
    """The accounts, by document id."""
    has_unnamed_refusal: bool = False
    """Whether an account refused of which the state does not have the id."""

    @property
    def refusals(self) -> dict[str, Version]:
        """The versions of the accounts that refused or could not be read, by document id."""
        return {name: account.version for name, account in self.accounts.items() if account.refused}

    @property
    def refused(self) -> bool:
        """Whether the person refused."""
        return self.has_unnamed_refusal or bool(self.refusals)


NOT_KNOWN = EarlierPerson()


class EarlierPeople:
    """Reads people from the latest complete generation before that of the settings, if there is one."""

    def __init__(self, state: ContainerProxy, generations: Generations) -> None:
        self._state = state
        self._generations = generations
        self._others: dict[int, Generation] | None = None

    async def find(self, user_ids: Collection[str]) -> dict[str, EarlierPerson]:
        """Return those people of whom the generation before has state.

        Without one nothing is read, except the record of generations once.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        if self._others is None:
            self._others = await self._generations.others()
        before = self._generations.latest_before(self._others)
        if before is None:
            return {}
        generation = self._others[before]

        async def one(user_id: str) -> tuple[str, EarlierPerson | None]:
            shard, document_id = address_of(user_id, before, generation)
            stored = await find_item(self._state, document_id, shard)
            return user_id, None if stored is None else earlier_person(stored, generation.layout)

        found = await for_each(user_ids, one, max_concurrency=MAX_CONCURRENT_READS)
        return {user_id: earlier for user_id, earlier in found if earlier is not None}


def with_registered(earlier: EarlierPerson, registered: RegisteredPerson) -> EarlierPerson:
    """Return what a generation knows of a person, and the register: of an account in its newest version."""
    accounts = merged_accounts(earlier.accounts, registered.accounts)
    unnamed = accounts.pop(FURTHER_ACCOUNTS, None) is not None
    return earlier._replace(accounts=accounts, has_unnamed_refusal=earlier.has_unnamed_refusal or unnamed)


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
    accounts = {
        document_id: KnownAccount(Version.decode(account["v"]), bool(account["f"].get(REFUSED_KEY)))
        for document_id, account in partial.record.accounts.items()
        if document_id != FURTHER_ACCOUNTS
    }
    return EarlierPerson(min(days, default=None), accounts, FURTHER_ACCOUNTS in partial.record.accounts)
