"""What other generations know of people, and the sources may no longer hold.

A generation counts what the sources hold. Two things about a person may have left them:

- **The first visit.** A person whose first interactions have expired would be new for a second time.
- **A refusal.** A person who refused, and whose account was deleted since, would seem never to have been
  asked. What is published about them would return.

The latest complete generation before knows the first visit. A refusal is a fact about a person, not about a
generation. So every other recorded generation is asked for it: incomplete ones too, and later ones. One point
read per person and generation answers both, when the person's own state is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from shared.aggregates import person
from shared.aggregates.base import PartialKey
from shared.aggregates.person_record import FURTHER_ACCOUNTS, REFUSED_KEY
from shared.concurrency import for_each
from shared.cosmos.items import find_item
from shared.ledger.document_version import Version, VersionOrder
from shared.ledger.generations import FIRST_LAYOUT, Generation, Generations
from shared.ledger.partials import PARTIAL, Partial, partial_id
from shared.ledger.shards import ShardId, shard_of
from shared.units import Day

MAX_CONCURRENT_READS = 8

_PLAIN_IN_FIRST_LAYOUT = re.compile(r"[A-Za-z0-9._:|@ \-]{1,200}")
"""User ids that the first layout put into ids as they are. Others it hashed whole."""


class EarlierAccount(NamedTuple):
    """What a generation counted of an account."""

    version: Version
    refused: bool
    """Whether it refused or could not be read."""


class EarlierPerson(NamedTuple):
    """What other generations know of a person."""

    first_day: Day | None = None
    """The first active day."""
    accounts: Mapping[str, EarlierAccount] = {}
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
    """Reads people from the other recorded generations, if there are any."""

    def __init__(self, state: ContainerProxy, generations: Generations) -> None:
        self._state = state
        self._generations = generations
        self._others: dict[int, Generation] | None = None

    async def find(self, user_ids: Collection[str]) -> dict[str, EarlierPerson]:
        """Return those people of whom another generation has state.

        Without another generation nothing is read, except the record of generations once.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        if self._others is None:
            self._others = await self._generations.others()
        others = self._others
        before = self._generations.latest_before(others)

        async def one(user_id: str) -> tuple[str, EarlierPerson | None]:
            known: list[EarlierPerson] = []
            for number, generation in sorted(others.items()):
                shard, document_id = address_of(user_id, number, generation)
                stored = await find_item(self._state, document_id, shard)
                if stored is not None:
                    person = earlier_person(stored, generation.layout)
                    known.append(person if number == before else person._replace(first_day=None))
            return user_id, merged(known) if known else None

        found = await for_each(user_ids if others else (), one, max_concurrency=MAX_CONCURRENT_READS)
        return {user_id: earlier for user_id, earlier in found if earlier is not None}


def merged(known: Iterable[EarlierPerson]) -> EarlierPerson:
    """Return what several generations know of a person, from the earliest generation to the latest.

    Of an account the newest version decides. If it is not clear which one is newer, the account refuses.
    Refusals of accounts without an id: the latest generation that knows any account decides, because its
    record was made from what those before it knew.
    """
    days: list[Day] = []
    accounts: dict[str, EarlierAccount] = {}
    has_unnamed_refusal = False
    for each in known:
        if each.first_day is not None:
            days.append(each.first_day)
        if each.accounts or each.has_unnamed_refusal:
            has_unnamed_refusal = each.has_unnamed_refusal
        for document_id, account in each.accounts.items():
            if document_id not in accounts or _replaces(account, accounts[document_id]):
                accounts[document_id] = account
    return EarlierPerson(min(days, default=None), accounts, has_unnamed_refusal)


def _replaces(account: EarlierAccount, known: EarlierAccount) -> bool:
    """Return whether an account that a later generation counted replaces the same one of an earlier."""
    order = account.version.order_against(known.version)
    if order is VersionOrder.UNKNOWN:
        return account.version.ts > known.version.ts or (
            account.refused and account.version.ts == known.version.ts
        )
    return order is not VersionOrder.OLDER


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
        document_id: EarlierAccount(Version.decode(account["v"]), bool(account["f"].get(REFUSED_KEY)))
        for document_id, account in partial.record.accounts.items()
        if document_id != FURTHER_ACCOUNTS
    }
    return EarlierPerson(min(days, default=None), accounts, FURTHER_ACCOUNTS in partial.record.accounts)
