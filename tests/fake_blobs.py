"""A container of blobs in memory, with the methods of :class:`~shared.storage.blobs.BlobStore`.

A test may let an operation fail before or after it is done: as a process that dies, or a lost answer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import IO

from shared.errors import ConflictError
from shared.storage.blobs import BlobStore, Stored


class Death(BaseException):
    """The process is gone."""


class FakeBlobs(BlobStore):
    """Blobs by name."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.blobs: dict[str, tuple[bytes, Stored]] = {}
        self.tiers: dict[str, bool] = {}
        self.requests = 0
        self.dies_at: int | None = None
        """Number of the operation after which the process is gone. Odd: it was done before."""
        self.interruption: tuple[int, Callable[[], Awaitable[object]]] | None = None
        """What another process does before an operation of this number."""
        self._now = now
        self._etags = count(1)

    async def _operation(self) -> bool:
        """Count an operation; return whether it is done before the process dies with it."""
        await asyncio.sleep(0)
        self.requests += 1
        if self.interruption is not None and self.requests >= self.interruption[0]:
            _, work = self.interruption
            self.interruption, dies_at, self.dies_at = None, self.dies_at, None
            before = self.requests
            await work()
            self.requests, self.dies_at = before, dies_at
        if self.dies_at is not None and 2 * self.requests > self.dies_at:
            if self.dies_at % 2:
                return True
            raise Death
        return False

    def _put(self, name: str, content: bytes, metadata: Mapping[str, str] | None) -> None:
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        modified = datetime.fromtimestamp(self._now(), UTC)
        known = Stored(name, len(content), md5, dict(metadata or {}), f"e{next(self._etags)}", modified)
        self.blobs[name] = content, known

    async def create(
        self, name: str, content: bytes, *, metadata: Mapping[str, str] | None = None, cold: bool = False
    ) -> bool:
        dies = await self._operation()
        assert 1 <= len(name) <= 1_024
        exists = name in self.blobs
        if not exists:
            self._put(name, content, metadata)
            self.tiers[name] = cold
        if dies:
            raise Death
        return not exists

    async def replace(
        self, name: str, content: bytes, *, metadata: Mapping[str, str] | None = None, etag: str | None
    ) -> None:
        dies = await self._operation()
        if etag is not None and (name not in self.blobs or self.blobs[name][1].etag != etag):
            raise ConflictError("changed")
        self._put(name, content, metadata)
        if dies:
            raise Death

    async def properties(self, name: str) -> Stored | None:
        if await self._operation():
            raise Death
        return self.blobs[name][1] if name in self.blobs else None

    async def read(self, name: str) -> tuple[bytes, Stored] | None:
        if await self._operation():
            raise Death
        return self.blobs.get(name)

    async def delete(self, name: str) -> bool:
        dies = await self._operation()
        existed = self.blobs.pop(name, None) is not None
        if dies:
            raise Death
        return existed

    async def find(self, prefix: str) -> AsyncIterator[Stored]:
        if await self._operation():
            raise Death
        for name in sorted(self.blobs):
            if name.startswith(prefix) and name in self.blobs:
                yield self.blobs[name][1]

    async def folders(self, prefix: str) -> list[str]:
        if await self._operation():
            raise Death
        return sorted(
            {
                prefix + name[len(prefix) :].split("/", 1)[0] + "/"
                for name in self.blobs
                if name.startswith(prefix) and "/" in name[len(prefix) :]
            }
        )

    async def upload(self, name: str, file: IO[bytes], *, metadata: Mapping[str, str]) -> None:
        dies = await self._operation()
        self._put(name, file.read(), metadata)
        if dies:
            raise Death

    async def link(self, name: str, until: datetime) -> str:
        return f"https://storage/{name}?until={until.isoformat()}"

    def change(self, name: str, content: bytes) -> None:
        """Change a blob by hand: its metadata stay."""
        self._put(name, content, self.blobs[name][1].metadata)
