"""Let something happen before one operation of a run, for each of its operations in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from tests.fakes import FakeContainer, Killed

Action = Callable[[], Awaitable[None]]


class Interruption:
    """Runs an action before the ``at``-th operation on some containers, as a context.

    Operations of the action itself do not count, and none after the context.

    Attributes
    ----------
    happened
        Whether the run had that many operations.
    """

    def __init__(self, containers: Iterable[FakeContainer], at: int, action: Action) -> None:
        self.happened = False
        self._left = at
        self._action = action
        self._is_active = False
        for container in containers:
            self._wrap(container)

    def __enter__(self) -> Self:
        self._is_active = True
        return self

    def __exit__(self, *_: object) -> None:
        self._is_active = False

    def _wrap(self, container: Any) -> None:
        begin = container._begin

        async def interrupted(operation: str) -> None:
            await begin(operation)
            if not self._is_active:
                return
            self._left -= 1
            if not self._left:
                self._is_active, self.happened = False, True
                await self._action()

        container._begin = interrupted


async def die() -> None:
    """End the process here."""
    raise Killed


async def at_every_operation(run: Callable[[int], Awaitable[bool]]) -> int:
    """Call ``run`` with 1, 2, 3 and so on, while it says that there is such an operation; return how many."""
    at = 1
    while await run(at):
        at += 1
    return at - 1
