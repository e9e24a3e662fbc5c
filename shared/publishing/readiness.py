"""Which views are built: counted from everything there is. The others are held back until they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.control import ControlDocument, Scope
from shared.settings import Settings
from shared.views import VIEWS

REMEMBERED_SECONDS = 2.0
"""How long an instance relies on what it read. A rebuild waits longer before it begins."""


class _State(NamedTuple):
    built: frozenset[str]
    unpublished: frozenset[str]
    """Of those, the ones of which documents may still show what was there before they were built."""

    def without(self, views: frozenset[str]) -> _State:
        return _State(self.built - views, self.unpublished - views)


class Builds:
    """The views of the current generation whose state counts everything.

    The first release that asks finds the state it has counted itself, and writes down all its views. A view
    that a later release adds is not among them: its state begins with that release, and is held back until
    it is rebuilt.
    """

    def __init__(self, container: ContainerProxy, settings: Settings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._document = ControlDocument(container, Scope.BUILDS, f"views-{settings.generation}")
        self._clock = clock
        self._read_at: float | None = None
        self._built: frozenset[str] = frozenset()

    async def built(self) -> frozenset[str]:
        """Return the names of the views that may be published."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at > REMEMBERED_SECONDS:
            self._built, _ = await self._read()
            self._read_at = now
        return self._built

    async def unpublished(self) -> frozenset[str]:
        """Return the names of the views that were built, and whose publication did not end."""
        _, unpublished = await self._read()
        return unpublished

    async def set_aside(self, views: Iterable[str]) -> None:
        """Hold views back: their state is about to be wrong for a while."""
        those = frozenset(views)
        await self._change(lambda state: state.without(those))

    async def complete(self, views: Iterable[str]) -> None:
        """Let views be published again, all of them from the beginning."""
        those = frozenset(views)
        await self._change(lambda state: _State(state.built | those, state.unpublished | those))

    async def finish(self, views: Iterable[str]) -> None:
        """Say that all documents of views show what was built."""
        those = frozenset(views)
        await self._change(lambda state: _State(state.built, state.unpublished - those))

    async def _change(self, change: Callable[[_State], _State]) -> None:
        await self._document.update(lambda stored: _encode(change(_decode(stored))))
        self._read_at = None

    async def _read(self) -> _State:
        stored = await self._document.read()
        if stored is None:
            # Written down: a view that a later release adds is not among these.
            stored = await self._document.update(
                lambda known: _encode(_decode(None)) if known is None else None
            )
        return _decode(stored)


def _decode(stored: Mapping[str, Any] | None) -> _State:
    if stored is None:
        return _State(frozenset(VIEWS), frozenset())
    return _State(frozenset(stored["built"]), frozenset(stored.get("unpublished", ())))


def _encode(state: _State) -> dict[str, Any]:
    return {name: sorted(views) for name, views in state._asdict().items()}
