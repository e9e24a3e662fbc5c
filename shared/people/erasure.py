"""The erasure of a person: numbered steps, each of which may be repeated, and may run twice at once.

1. **Tombstone**: write it, in ``fleet_state`` and in Blob Storage. From now on nothing of the person is
   counted where they have no record, and no generation makes one.
2. **State**: subtract everything about the person from every generation. An empty record stays, so that no
   instance that read the register before step 1 can make it again.
3. **Views**: delete what is published about the person.
4. **Poison**: delete the rows of the person's documents.
5. **Sources**: delete the person's documents.
6. **Archive**: delete archived documents, and what manifests say of them.
7. **Exports**: delete exports of the person's data.
8. **Release**: wait until no instance can make the record any more, then delete it.
9. **Verify**: look through all places again. If anything is left, go back to step 2.
10. **End**: take the person's id out of the request. What remains is the audit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from enum import IntEnum
from typing import Protocol

import structlog

from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import VIEW_STATE
from shared.cosmos.retries import ERASED_RECORD_SECONDS
from shared.errors import DamagedStateError, ErasureError
from shared.ledger.people_register import PeopleRegister
from shared.people.places import SOURCE_CONTAINERS, Places
from shared.people.requests import Request, Requests, Status
from shared.people.state import StateEraser
from shared.people.tombstones import Tombstone, TombstoneBlobs
from shared.poison.rows import PARTITION as POISON
from shared.publishing.consent import USER_LEVEL_CONTAINERS

MOST_ROUNDS = 20
"""Times that a request begins again because something was left. More is a fault, for a person to look at."""

ROUNDS = "rounds"
"""The count of a request that is no place: how often it began again."""

_log = structlog.get_logger(__name__)


class Step(IntEnum):
    """The steps, in their order."""

    TOMBSTONE = 1
    STATE = 2
    VIEWS = 3
    POISON = 4
    SOURCES = 5
    ARCHIVE = 6
    EXPORTS = 7
    RELEASE = 8
    VERIFY = 9
    END = 10


class Store(Protocol):
    """Another place that has something of people: the archive, and the exports."""

    name: str

    async def find(self, user_id: str) -> int:
        """Return how many things there are of a person."""

    async def erase(self, user_id: str) -> int:
        """Delete them; return how many there were."""


class Eraser:
    """Takes erasures from step to step. The next step is stored after each one.

    Parameters
    ----------
    archive, exports
        The stores of steps 6 and 7.
    """

    def __init__(
        self,
        *,
        requests: Requests,
        register: PeopleRegister,
        state: StateEraser,
        places: Places,
        tombstones: TombstoneBlobs,
        archive: Store,
        exports: Store,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._requests = requests
        self._register = register
        self._state = state
        self._places = places
        self._tombstones = tombstones
        self._archive = archive
        self._exports = exports
        self._clock = clock

    async def find(self, user_id: str) -> dict[str, int]:
        """Return how much is stored of a person, by place and without zeroes: what an erasure would find.

        Raises
        ------
        ErasureError
            A generation has a layout that this release cannot write.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        found = {f"{VIEW_STATE} {name}": n for name, n in (await self._state.find(user_id)).items()}
        for name in (*USER_LEVEL_CONTAINERS, *SOURCE_CONTAINERS):
            found[name] = len([None async for _ in self._places.documents(name, user_id)])
        found[POISON] = len([None async for _ in self._places.poison_rows(user_id)])
        found["fleet_state"] = len([None async for _ in self._places.controls(user_id)])
        for store in (self._archive, self._exports):
            found[store.name] = await store.find(user_id)
        return {name: number for name, number in found.items() if number}

    async def advance(self, request: Request) -> Request:
        """Do the next step of an erasure; return the request as it is stored afterwards.

        A step whose time has not come leaves the request as it is: see :meth:`wait_seconds`. A step that a
        person has to help marks it as refused. Both are tried again.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, ConflictError, AzureError
            The service did not answer, or other instances kept writing. The step is repeated.
        """
        user_id, step = request.user_id, Step(request.step)
        if user_id is None or self.wait_seconds(request) > 0:
            return request
        try:
            found, following = await self._do(step, user_id, request)
        except (ErasureError, DamagedStateError) as error:
            problem = str(error)
            return await self._requests.update(
                request.id, lambda known: replace(known, status=Status.REFUSED, problem=problem)
            )
        ended = step is Step.END

        def change(known: Request) -> Request:
            if known.step != step:  # another instance has done it
                return known
            known = replace(known.counted(found), step=following, status=Status.RUNNING, problem=None)
            if step is Step.TOMBSTONE:
                known = replace(known, tombstone_at=self._clock.timestamp())
            return self._requests.ended(known) if ended else known

        after = await self._requests.update(request.id, change)
        _log.info("erasure_step", request=request.id, step=step.value, found=sum(found.values()))
        return after

    def wait_seconds(self, request: Request) -> float:
        """Return for how long the next step has to wait."""
        if request.step != Step.RELEASE or request.tombstone_at is None:
            return 0.0
        return max(0.0, request.tombstone_at + ERASED_RECORD_SECONDS - self._clock.timestamp())

    async def _do(self, step: Step, user_id: str, request: Request) -> tuple[Mapping[str, int], int]:
        """Do a step; return what it found, and the step after it."""
        places = self._places
        match step:
            case Step.TOMBSTONE:
                await self._tombstones.put(Tombstone(*await self._register.write_tombstone(user_id)))
                return {}, step + 1
            case Step.STATE:
                return {f"{VIEW_STATE} entries": await self._state.erase(user_id)}, step + 1
            case Step.VIEWS:
                return await _of_each(USER_LEVEL_CONTAINERS, lambda n: places.delete(n, user_id)), step + 1
            case Step.POISON:
                return {POISON: await places.delete_poison(user_id)}, step + 1
            case Step.SOURCES:
                return await _of_each(SOURCE_CONTAINERS, lambda n: places.delete(n, user_id)), step + 1
            case Step.ARCHIVE:
                return {self._archive.name: await self._archive.erase(user_id)}, step + 1
            case Step.EXPORTS:
                return {self._exports.name: await self._exports.erase(user_id)}, step + 1
            case Step.RELEASE:
                await self._state.release(user_id)
                await places.move_positions(user_id)
                return {}, step + 1
            case Step.VERIFY:
                return await self._verify(user_id, request)
            case Step.END:
                return {}, step

    async def _verify(self, user_id: str, request: Request) -> tuple[Mapping[str, int], int]:
        """Look through all places again. Documents that the person has written meanwhile are left."""
        left = await self.find(user_id)
        if not left and await self._register.is_erased(user_id):
            return {}, Step.END
        rounds = request.counts.get(ROUNDS, 0) + 1
        if rounds > MOST_ROUNDS:
            raise ErasureError(
                f"After {MOST_ROUNDS} rounds there is still something in {', '.join(left)}. Does the account "
                "of the person still work?"
            )
        _log.warning("erasure_left", request=request.id, places=len(left))
        return {ROUNDS: 1}, Step.STATE if await self._register.is_erased(user_id) else Step.TOMBSTONE


async def _of_each(names: tuple[str, ...], work: Callable[[str], Awaitable[int]]) -> dict[str, int]:
    return {name: await work(name) for name in names}
