"""What operators, functions and timers do for one person: the same calls for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import VIEW_STATE
from shared.cosmos.queries import Query, run_query
from shared.documents.users import owner_of
from shared.facts import USERS
from shared.ledger.generations import Generations
from shared.ledger.people_register import PeopleRegister
from shared.ledger.reader import StateReader
from shared.ledger.shards import all_shards
from shared.people.deleted_accounts import DeletedAccounts
from shared.people.erasure import Eraser
from shared.people.export import Exporter
from shared.people.exports import Exports
from shared.people.places import SOURCE_CONTAINERS
from shared.people.requests import Kind, Reason, Request, Requests, Status
from shared.people.tombstones import TombstoneBlobs
from shared.privacy.keyring import KeyRing
from shared.publishing.consent import USER_LEVEL_CONTAINERS

OWNERS = Query("owners", "SELECT DISTINCT c.user_id FROM c")
OWNERS_OF_ACCOUNTS = Query("owners_of_accounts", "SELECT c.id, c.user_id, c.partition_key FROM c")

BY_TIMER = "timer"
"""Who asks for the erasure of a person whose account was deleted."""

_log = structlog.get_logger(__name__)

OnStep = Callable[[Request], Awaitable[None]]


@dataclass(slots=True)
class ReapplyReport:
    """What applying the tombstones again has found."""

    tombstones: int = 0
    """Copies in Blob Storage, all of which the register knows now."""
    requests: tuple[str, ...] = ()
    """Erasures of people who had come back."""


class People:
    """Exports and erases people.

    Methods raise ``CosmosHttpResponseError``, ``ServiceRequestError``, ``ServiceResponseError`` and
    ``StorageUnavailableError`` if a service did not answer. All may be repeated.
    """

    def __init__(
        self,
        *,
        database: DatabaseProxy,
        requests: Requests,
        eraser: Eraser,
        exports: Exports,
        exporter: Exporter,
        deleted_accounts: DeletedAccounts,
        register: PeopleRegister,
        tombstones: TombstoneBlobs,
        generations: Generations,
        ring: KeyRing,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.requests = requests
        self.eraser = eraser
        self.exports = exports
        self.exporter = exporter
        self._database = database
        self._deleted_accounts = deleted_accounts
        self._register = register
        self._tombstones = tombstones
        self._generations = generations
        self._ring = ring
        self._clock = clock

    async def erase(self, user_id: str, *, reason: Reason, by: str) -> Request:
        """Begin the erasure of a person, known or not; return the request."""
        request = await self.requests.begin(Kind.ERASE, user_id, reason=reason, by=by)
        _log.info("person_request", request=request.id, kind=request.kind.value)
        return request

    async def export(self, user_id: str, *, by: str) -> Request:
        """Begin the export of a person's data; return the request."""
        request = await self.requests.begin(Kind.EXPORT, user_id, reason=Reason.PERSON, by=by)
        _log.info("person_request", request=request.id, kind=request.kind.value)
        return request

    async def record_export(self, user_id: str, *, by: str, documents: Mapping[str, int]) -> Request:
        """Record an export that was written into a file; return its audit."""
        return await self.requests.record(Kind.EXPORT, user_id, reason=Reason.PERSON, by=by, counts=documents)

    async def advance(self, request_id: str) -> tuple[Request, float]:
        """Do the next step of a request; return it, and the seconds until another step can be done.

        Raises
        ------
        RequestNotFoundError
            There is no such request.
        """
        request = await self.requests.get(request_id)
        if request.kind is Kind.EXPORT:
            return await self.exports.make(request), 0.0
        request = await self.eraser.advance(request)
        return request, self.eraser.wait_seconds(request)

    async def run(self, request_id: str, on_step: OnStep) -> Request:
        """Do all steps of a request; return it at its end, or when a person has to help.

        Parameters
        ----------
        on_step
            Called after each step.
        """
        while True:
            request, seconds = await self.advance(request_id)
            await on_step(request)
            if not request.is_running or request.status is Status.REFUSED:
                return request
            await asyncio.sleep(min(seconds, 1.0))

    async def work(self, seconds: float) -> int:
        """Begin and continue what is due: deleted accounts, requests, expired exports; return the steps done.

        Parameters
        ----------
        seconds
            Time after which no further step begins.
        """
        began = self._clock.monotonic()
        deadline = began + seconds
        await self.exports.delete_expired()
        await self._begin_due(began + seconds / 2)
        steps = 0
        for request_id in [request.id async for request in self.requests.running()]:
            while self._clock.monotonic() < deadline:
                request, waits = await self.advance(request_id)
                steps += 1
                if not request.is_running or request.status is Status.REFUSED or waits > 0:
                    break
        return steps

    async def _begin_due(self, deadline: float) -> None:
        """Begin the erasures of people whose accounts were deleted, until half of the time is over.

        However many they are, the other half is left for steps, and their erasure ends before more begin.
        """
        erased = {each.person async for each in self.requests.running() if each.kind is Kind.ERASE}
        async for user_id in self._deleted_accounts.due():
            if self._clock.monotonic() >= deadline:
                return
            if erased.isdisjoint(hashed.name for hashed in self._ring.candidates(user_id)):
                await self.erase(user_id, reason=Reason.ACCOUNT_DELETED, by=BY_TIMER)

    async def reapply_tombstones(self, by: str) -> ReapplyReport:
        """Put the tombstones back after a restore of the database, and erase again who came back with it."""
        hashes: set[str] = set()
        async for tombstone in self._tombstones.all():
            await self._register.restore(tombstone.hashed, tombstone.erased_at)
            hashes.add(tombstone.hashed.name)
        back: set[str] = set()
        async for user_id in self._everybody():
            if any(hashed.name in hashes for hashed in self._ring.candidates(user_id)):
                back.add(user_id)
        requests = [await self.erase(user_id, reason=Reason.RESTORED, by=by) for user_id in sorted(back)]
        return ReapplyReport(len(hashes), tuple(request.id for request in requests))

    async def _everybody(self) -> AsyncIterator[str]:
        """Yield the ids of all people of whom anything is stored, some of them several times."""
        accounts = self._database.get_container_client(USERS)
        async for row in run_query(accounts, OWNERS_OF_ACCOUNTS, {}):
            owner = owner_of(row)
            if owner is not None:
                yield owner
        for name in (*SOURCE_CONTAINERS, *USER_LEVEL_CONTAINERS):
            async for row in run_query(self._database.get_container_client(name), OWNERS, {}):
                if isinstance(row.get("user_id"), str):
                    yield row["user_id"]
        state = StateReader(self._database.get_container_client(VIEW_STATE))
        for number, generation in (await self._generations.recorded()).items():
            for shard in all_shards(shards=generation.shards, generation=number):
                async for stored in state.persons_of_shard(shard):
                    yield str(stored["key"])
