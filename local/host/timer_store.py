"""One document per timer beside the leases: who runs it, when it ran last and when it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from local.host.lease_store import utc_now


class TimerLockLostError(Exception):
    """Another instance runs this timer by now."""


@dataclass(frozen=True, slots=True)
class TimerStatus:
    """What the platform calls the schedule status of a timer."""

    schedule: str
    last: datetime | None
    next: datetime

    def to_document(self) -> dict[str, Any]:
        """Return the status as it is stored."""
        return {
            "Schedule": self.schedule,
            "Last": self.last.isoformat() if self.last else None,
            "Next": self.next.isoformat(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TimerStatus:
        """Read a stored status."""
        last = document.get("Last")
        return cls(
            schedule=str(document["Schedule"]),
            last=datetime.fromisoformat(last) if last else None,
            next=datetime.fromisoformat(str(document["Next"])),
        )


class TimerLock:
    """The lock document of one timer, as this process sees it."""

    def __init__(
        self, container: ContainerProxy, *, name: str, owner: str, process: str, expiration: float
    ) -> None:
        self._container = container
        self._owner = owner
        self._process = process
        self._expiration = expiration
        self._lock = asyncio.Lock()
        self._id = f"timer..{name}"
        self._document: dict[str, Any] = {}
        self._restarted = True
        self.written = datetime(1970, 1, 1, tzinfo=UTC)
        """When this process wrote the lock last."""

    @property
    def status(self) -> TimerStatus | None:
        """The status that the document holds."""
        stored = self._document.get("ScheduleStatus")
        return TimerStatus.from_document(stored) if stored else None

    async def try_acquire(self) -> bool:
        """Take the lock if nobody holds it or its holder is dead.

        The first attempt also takes what carries this instance's own name: a killed predecessor left it.
        """
        restarted, self._restarted = self._restarted, False
        try:
            found = await self._container.read_item(self._id, self._id)
        except CosmosResourceNotFoundError:
            found = None
        now = utc_now()
        if found is None:
            self._document = {"id": self._id}
            self._stamp(now)
            try:
                self._document = dict(await self._container.create_item(self._document))
            except CosmosResourceExistsError:
                return False
            self.written = now
            return True
        expires = datetime.fromisoformat(str(found["timestamp"])) + timedelta(seconds=self._expiration)
        mine = found.get("Owner") == self._owner and (restarted or found.get("process") == self._process)
        if found.get("Owner") is not None and not mine and expires > now:
            return False
        self._document = dict(found)
        try:
            await self._write()
        except TimerLockLostError:
            return False
        return True

    async def renew(self) -> None:
        """Keep the lock; :class:`TimerLockLostError` if another instance has it."""
        await self._write()

    async def save(self, status: TimerStatus) -> None:
        """Store the status and keep the lock; :class:`TimerLockLostError` if another instance has it."""
        await self._write(ScheduleStatus=status.to_document())

    async def release(self) -> None:
        """Give the lock back, so that any instance may take it at once."""
        await self._write(Owner=None, process=None)

    def _stamp(self, now: datetime) -> None:
        self._document.update(Owner=self._owner, process=self._process, timestamp=now.isoformat())

    async def _write(self, **changes: Any) -> None:
        async with self._lock:
            now = utc_now()
            self._stamp(now)
            self._document.update(changes)
            try:
                written = await self._container.replace_item(
                    self._id,
                    self._document,
                    etag=self._document["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
            except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError) as error:
                raise TimerLockLostError(f"the lock {self._id} was taken over") from error
            self._document = dict(written)
            self.written = now
