"""The register of people: what is known of a person whatever generation counts, in ``fleet_state``.

It has a document for two kinds of people only, in a partition per person, under the keyed hash of their id:

- **An erased person** has a tombstone: the hash, the id of its key, and a time. It stays for ever, and says
  that nothing of the person is counted, published or brought back.
- **A person who has ever refused** user-level analytics has their accounts: of each, the newest version that
  any generation counted, and whether it refused. So a refusal stays known when the account, and the
  generation that counted it, are gone.

It is read when a person's record is made in the state: a point read per key of the ring. It costs nothing for
people who have a record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.concurrency import batched
from shared.containers import CATALOGUE, DAY
from shared.cosmos.control import ControlDocument
from shared.cosmos.queries import Query, in_list, numbered, run_query
from shared.ledger.document_version import Version
from shared.ledger.known_accounts import KnownAccount, merged_accounts
from shared.privacy.keyring import KeyedHash, KeyRing
from shared.units import iso

DOCUMENT_ID = "person"

SCOPE_PREFIX = "person|"
"""Beginning of the partition of a person. The rest is :attr:`~shared.privacy.keyring.KeyedHash.name`."""

REFUSAL_TTL = max(each.default_ttl or 0 for each in CATALOGUE) + 400 * DAY
"""Seconds for which refusals are known after the last of them changed: longer than any document of a person
whose accounts are deleted is kept, in the sources and in the state."""


SCOPES_OF_A_QUERY = 100
"""People who are looked for in one query: its text stays short."""

_ERASED = "SELECT c.scope FROM c WHERE IS_DEFINED(c.erased_at)"


class RegisteredPerson(NamedTuple):
    """What the register knows of a person."""

    erased: bool = False
    accounts: Mapping[str, KnownAccount] = {}
    """The accounts, by document id, of a person who has ever refused."""


NOT_REGISTERED = RegisteredPerson()


class PeopleRegister:
    """Reads and writes the register.

    Every method raises ``CosmosHttpResponseError``, ``ServiceRequestError`` and ``ServiceResponseError`` if
    the service did not answer.
    """

    def __init__(self, container: ContainerProxy, ring: KeyRing, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._container = container
        self._ring = ring
        self._clock = clock

    async def read(self, user_id: str) -> RegisteredPerson:
        """Return what is known of a person, under whichever key."""
        accounts: dict[str, KnownAccount] = {}
        for hashed in self._ring.candidates(user_id):
            known = _decode(await self._document(hashed).read())
            if known.erased:
                return known
            accounts = merged_accounts(accounts, known.accounts)
        return RegisteredPerson(accounts=accounts)

    async def is_erased(self, user_id: str) -> bool:
        """Return whether a person was erased."""
        return (await self.read(user_id)).erased

    async def erased_among(self, user_ids: Collection[str]) -> frozenset[str]:
        """Return those of some people who were erased: one query for every hundred hashes."""
        of = {
            f"{SCOPE_PREFIX}{hashed.name}": user_id
            for user_id in user_ids
            for hashed in self._ring.candidates(user_id)
        }
        found: set[str] = set()
        for some in batched(of, SCOPES_OF_A_QUERY):
            query = Query("erased_among", f"{_ERASED} AND c.scope IN ({in_list('scope', some)})")
            rows = run_query(self._container, query, numbered("scope", some))
            found |= {of[row["scope"]] async for row in rows}
        return frozenset(found)

    async def record_accounts(
        self,
        user_id: str,
        accounts: Mapping[str, KnownAccount],
        replaced: Mapping[str, Version] | None = None,
    ) -> None:
        """Record accounts of a person of whom any refuses, or has refused. A tombstone stays as it is.

        Parameters
        ----------
        accounts
            Accounts by document id.
        replaced
            The versions that the given ones took the place of: a live document may have decided it.
        """

        def change(stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            known = _decode(stored)
            after = merged_accounts(known.accounts, accounts, replaced or {})
            if known.erased or (stored is not None and after == known.accounts):
                return None
            return {"accounts": {name: each.encode() for name, each in after.items()}, "ttl": REFUSAL_TTL}

        if accounts:
            await self._document(self._ring.hash(user_id)).update(change)

    async def write_tombstone(self, user_id: str) -> tuple[KeyedHash, str]:
        """Write a person's tombstone, unless there is one; return its hash and its time.

        What the register knew of the person is gone afterwards.
        """
        first, found = self._ring.hash(user_id), None
        for hashed in self._ring.candidates(user_id):
            stored = await self._document(hashed).read()
            if _decode(stored).erased and stored is not None:
                found = hashed, str(stored["erased_at"])
            elif stored is not None and hashed != first:
                await self.restore(hashed, iso(self._clock.now()))
        if found is None:
            found = first, await self.restore(first, iso(self._clock.now()))
        return found

    async def restore(self, hashed: KeyedHash, erased_at: str) -> str:
        """Write the tombstone of a hash, unless there is one; return the time of the one that stays."""

        def change(stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            if _decode(stored).erased:
                return None
            return {"key_id": hashed.key_id, "digest": hashed.digest, "erased_at": erased_at}

        stored = await self._document(hashed).update(change)
        return str(stored["erased_at"])

    def _document(self, hashed: KeyedHash) -> ControlDocument:
        return ControlDocument(self._container, f"{SCOPE_PREFIX}{hashed.name}", DOCUMENT_ID)


def _decode(stored: Mapping[str, Any] | None) -> RegisteredPerson:
    if stored is None:
        return NOT_REGISTERED
    accounts = {
        name: KnownAccount(Version.decode(version), refused)
        for name, (version, refused) in stored.get("accounts", {}).items()
    }
    return RegisteredPerson("erased_at" in stored, accounts)
