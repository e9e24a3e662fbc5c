"""A mark in ``view_state``, by which a fleet notices that its state was deleted or restored.

``fleet_state`` has a copy of the mark. Both only grow, the mark first, so a copy is never above its mark. A
mark that is missing, or below its copy, shows that ``view_state`` is not the state that was counted: it was
made again, or restored to a moment before the mark grew last. Counting on would count from a part of the
documents, and the views would show it. The fleet therefore refuses to work until a new generation counts
everything.

A process that runs while the container is deleted and made again cannot read the new one: its client asks for
what it has seen in the old one. It notices that the container has another resource id.

The mark grows when the auditor finds documents that were written since it looked last.

Limit: a restore to a moment after the mark grew last, or of both containers, is not noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.charges import record_charge
from shared.cosmos.control import ControlDocument, Scope
from shared.errors import SettingsError
from shared.ledger.generations import Generations
from shared.settings import Settings

MARK = "mark"
"""Id of the mark, and its ``kind``."""

READS = 3
"""Reads of a mark that seems to be too old, before it is believed: a replica may lag."""

PAUSE_SECONDS = 1.0
"""Seconds between two of them."""


class StateMark:
    """The mark of one generation."""

    def __init__(
        self,
        state: ContainerProxy,
        fleet_state: ContainerProxy,
        settings: Settings,
        *,
        generations: Generations,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        number = settings.generation
        self._container = state
        self._resource_id: str | None = None
        """That of the container when it was looked at first."""
        self._mark = ControlDocument(state, f"{number}:{MARK}", MARK, partition_field="shard")
        self._copy = ControlDocument(fleet_state, Scope.STATE, f"state-{number}")
        self._generation = number
        self._generations = generations
        self._clock = clock

    async def check(self) -> None:
        """Compare the mark with its copy.

        Raises
        ------
        SettingsError
            ``view_state`` was deleted or restored.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        if await self._is_same_container():
            copied = _at(await self._copy.read())  # before the mark, which grows first
            for attempt in range(READS):
                if attempt:
                    await asyncio.sleep(PAUSE_SECONDS)
                if _at(await self._mark.read()) >= copied:
                    return
        following = max(await self._generations.recorded(), default=self._generation) + 1
        raise SettingsError(
            f"view_state is not the state that generation {self._generation} has counted: it was deleted, or "
            f"restored to an earlier moment. Set FLEET_GENERATION to {following} to count everything again, "
            "see docs/how-to/start-a-new-generation.md."
        )

    async def _is_same_container(self) -> bool:
        found = str((await self._container.read(response_hook=record_charge))["_rid"])
        self._resource_id = self._resource_id or found
        return found == self._resource_id

    async def advance(self) -> None:
        """Check the mark, then let it grow.

        Raises
        ------
        SettingsError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`check`.
        """
        await self.check()
        now = round(self._clock.timestamp() * 1000)

        def grow(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
            return None if stored is not None and stored["at"] >= now else {"kind": MARK, "at": now}

        await self._mark.update(grow)
        await self._copy.update(grow)


def _at(stored: Mapping[str, Any] | None) -> int:
    return 0 if stored is None else int(stored["at"])
