"""Which views are built: counted from everything there is. The others are held back until they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.cosmos.charges import record_charge
from shared.cosmos.items import find_item
from shared.cosmos.retries import retrying
from shared.settings import Settings
from shared.views import VIEWS

SCOPE = "builds"
"""Logical partition of ``fleet_state`` with one document per generation."""

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

    def __init__(
        self, container: ContainerProxy, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._container = container
        self._id = f"views-{settings.generation}"
        self._clock = clock
        self._read_at: float | None = None
        self._built: frozenset[str] = frozenset()

    async def built(self) -> frozenset[str]:
        """Return the names of the views that may be published."""
        now = self._clock()
        if self._read_at is None or now - self._read_at > REMEMBERED_SECONDS:
            (self._built, _), _ = await self._read()
            self._read_at = now
        return self._built

    async def unpublished(self) -> frozenset[str]:
        """Return the names of the views that were built, and whose publication did not end."""
        (_, unpublished), _ = await self._read()
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
        async for attempt in retrying(CosmosAccessConditionFailedError):
            with attempt:
                state, etag = await self._read()
                item = self._item(change(state))
                await self._container.replace_item(
                    item["id"],
                    item,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                    response_hook=record_charge,
                )
        self._read_at = None

    async def _read(self) -> tuple[_State, str]:
        async for attempt in retrying(CosmosResourceNotFoundError, CosmosResourceExistsError):
            with attempt:
                item = await find_item(self._container, self._id, SCOPE)
                if item is None:
                    item = await self._container.create_item(
                        self._item(_State(frozenset(VIEWS), frozenset())), response_hook=record_charge
                    )
                state = _State(frozenset(item["built"]), frozenset(item.get("unpublished", ())))
                return state, item["_etag"]
        raise AssertionError("the retry policy either returns or raises")

    def _item(self, state: _State) -> dict[str, Any]:
        lists = {name: sorted(views) for name, views in state._asdict().items()}
        return {"id": self._id, "scope": SCOPE, **lists}
