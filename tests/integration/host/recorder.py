"""What the functions of a test app saw, and how they shall behave: shared between test and app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One invocation as the function's code saw it."""

    function: str
    ids: tuple[str, ...]
    retry: int
    documents: Any = field(repr=False)
    context: Any = field(repr=False, compare=False, default=None)


async def _succeed(seen: Seen) -> None:
    return None


class Recorder:
    """Collects invocations; ``behave`` runs inside each and may wait or raise."""

    def __init__(self) -> None:
        self.all: list[Seen] = []
        self.done: list[Seen] = []
        self.behave: Callable[[Seen], Awaitable[None]] = _succeed
        self._changed = asyncio.Condition()

    async def handle(self, function: str, documents: Any, context: Any) -> None:
        """Called by the app."""
        ids = tuple(str(document["id"]) for document in documents)
        seen = Seen(function, ids, context.retry_context.retry_count, documents, context)
        await self._note(self.all, seen)
        await self.behave(seen)
        await self._note(self.done, seen)

    async def _note(self, where: list[Seen], seen: Seen) -> None:
        async with self._changed:
            where.append(seen)
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after each invocation's beginning and end."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(condition)

    def ids(self, function: str = "work") -> list[str]:
        """Return the ids of all documents whose invocation succeeded, in that order."""
        return [one for seen in self.done if seen.function == function for one in seen.ids]


current = Recorder()


def reset() -> Recorder:
    """Begin anew; the app of the next test finds this one."""
    global current
    current = Recorder()
    return current
