"""The record of generations: shards and layout of each, when it began, and whether it has counted everything.

Settings alone do not show that the number of shards was changed under a generation with state, or that a
release with another layout of the state counted it. The fold would look for people in other shards, or under
other ids, and count them twice. The fleet therefore records a generation when it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.control import ControlDocument, Scope
from shared.cosmos.queries import Query, run_query
from shared.errors import GenerationIncompleteError, SettingsError
from shared.settings import Settings

MARGIN_DAYS = 35
"""Margin of a generation whose record does not state it."""

LAYOUT = 2
"""Number of the layout of ``view_state`` that this release reads and writes. A change of ids, keys or stored
fields that an earlier release's state does not have needs the next number, and so a new generation."""

FIRST_LAYOUT = 1
"""Layout of a generation whose record does not name one: the release that began it did not know layouts."""

ANY_DOCUMENT = Query("any_document", "SELECT TOP 1 c.id FROM c")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of the state."""

    shards: int
    began: int
    """Time of its beginning, in seconds since the epoch (UTC)."""
    complete: bool
    """Whether everything written before its beginning is counted. Only then may its figures be published."""
    margin_days: int = MARGIN_DAYS
    """Days by which its state outlives the sources: see :class:`~shared.ledger.retention.Retention`."""
    layout: int = LAYOUT
    """Layout of its state in ``view_state``."""
    completed: int | None = None
    """When it became complete, in seconds since the epoch (UTC). None before, and if it was not recorded."""

    @property
    def counted(self) -> int:
        """When its first count of the sources ended, in seconds since the epoch; its beginning until then.

        What the sources still hold at this time, the generation has counted.
        """
        return self.began if self.completed is None else self.completed


class Generations:
    """Protects the state from contradicting settings, and published figures from incomplete ones.

    Parameters
    ----------
    outputs
        The containers that a fleet writes: that of the state, and those of the views.
    """

    def __init__(
        self,
        container: ContainerProxy,
        settings: Settings,
        *,
        outputs: Sequence[ContainerProxy] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._document = ControlDocument(container, Scope.GENERATIONS, "generations")
        self._number = settings.generation
        self._shards = settings.shards
        self._margin_days = settings.state_margin_days
        self._outputs = outputs
        self._clock = clock
        self._complete: Generation | None = None

    async def check(self) -> Generation | None:
        """Compare the settings with the record; return the generation, None if it has not begun.

        Raises
        ------
        SettingsError
            The generation began with another number of shards or another layout of the state, or a later
            generation has replaced it.
        """
        return self._validated(await self.recorded())

    async def recorded(self) -> dict[int, Generation]:
        """Return all recorded generations, by number.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        return _decode(await self._document.read())

    async def others(self) -> dict[int, Generation]:
        """Return the recorded generations except that of the settings, as far as this release can read them.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        recorded = await self.recorded()
        return {n: one for n, one in recorded.items() if n != self._number and one.layout <= LAYOUT}

    def latest_before(self, others: Mapping[int, Generation]) -> int | None:
        """Return the number of the latest complete one that is before that of the settings."""
        return max((n for n, one in others.items() if n < self._number and one.complete), default=None)

    async def begin(self) -> Generation:
        """Return the generation of the settings. Record it if it is new.

        The first generation of an account replaces no published figures, so it is complete immediately. If
        there is no record and yet a fleet has written state or views, the record is lost: the generation is
        incomplete, as any later one.

        Raises
        ------
        SettingsError
            As :meth:`check`.
        """
        recorded = await self.recorded()
        generation = self._validated(recorded)
        if generation is None:
            is_first = not recorded and not await self._have_output()

            def change(known: dict[int, Generation]) -> bool:
                if self._validated(known) is not None:
                    return False
                now = int(self._clock.timestamp())
                known[self._number] = Generation(
                    self._shards, now, complete=is_first and not known, margin_days=self._margin_days
                )
                return True

            generation = await self._update(change)
            if not recorded and not generation.complete:
                _log.warning("generations_lost", generation=self._number)
        self._complete = generation if generation.complete else None
        return generation

    async def _have_output(self) -> bool:
        """Return whether the fleet's containers hold anything."""
        for container in self._outputs:
            async for _ in run_query(container, ANY_DOCUMENT, {}):
                return True
        return False

    async def is_complete(self) -> bool:
        """Return whether the figures of this generation may be published. Reads the record until they may."""
        return await self.completed() is not None

    async def completed(self) -> Generation | None:
        """Return the generation if its figures may be published, None before. Reads the record until then.

        Raises
        ------
        SettingsError
            As :meth:`check`.
        """
        if self._complete is None:
            generation = await self.check()
            self._complete = generation if generation is not None and generation.complete else None
        return self._complete

    async def complete(self) -> None:
        """Record that everything written before the beginning of this generation is counted."""

        def change(known: dict[int, Generation]) -> bool:
            generation = self._validated(known)
            if generation is None:
                raise ValueError(f"generation {self._number} has not begun")
            now = int(self._clock.timestamp())
            known[self._number] = replace(generation, complete=True, completed=now)
            return not generation.complete

        self._complete = await self._update(change)

    async def forget(self, number: int) -> None:
        """Remove the record of an earlier generation, after its state was deleted.

        Raises
        ------
        ValueError
            The generation is not earlier than that of the settings.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer, through all retries.
        """
        if number >= self._number:
            raise ValueError(f"generation {number} is not earlier than {self._number}")

        def without(stored: dict[str, Any] | None) -> dict[str, Any] | None:
            known = _decode(stored)
            return None if known.pop(number, None) is None else _encode(known)

        await self._document.update(without)

    def incomplete_error(self) -> GenerationIncompleteError:
        """Return the error for a caller that requests figures of an incomplete generation."""
        return GenerationIncompleteError(
            f"Generation {self._number} has not counted everything yet: its figures are held back until an "
            "audit has caught up with all feeds."
        )

    def _validated(self, known: dict[int, Generation]) -> Generation | None:
        generation = known.get(self._number)
        if generation is not None and generation.layout != LAYOUT:
            release = "an earlier release" if generation.layout < LAYOUT else "a later release"
            raise SettingsError(
                f"The setting FLEET_GENERATION is {self._number}, but generation {self._number} was counted "
                f"by {release} (layout {generation.layout} of the state; this release has {LAYOUT}): set it "
                f"to {max(known) + 1} to count everything again, see docs/how-to/start-a-new-generation.md."
            )
        if generation is not None and generation.shards != self._shards:
            raise SettingsError(
                f"The setting FLEET_SHARDS is {self._shards}, but generation {self._number} was begun with "
                f"{generation.shards} shards: set it to {generation.shards}, or set FLEET_GENERATION to "
                f"{max(known) + 1} to count everything again."
            )
        later = [number for number, other in known.items() if number > self._number and other.complete]
        if later:
            raise SettingsError(
                f"The setting FLEET_GENERATION is {self._number}, but generation {max(later)} has taken its "
                f"place: set it to {max(later)}, or to {max(known) + 1} to count everything again."
            )
        return generation

    async def _update(self, change: Callable[[dict[int, Generation]], bool]) -> Generation:
        """Apply a change to the recorded generations. The change returns whether it changed anything."""
        changed = False

        def apply(stored: dict[str, Any] | None) -> dict[str, Any] | None:
            nonlocal changed
            known = _decode(stored)
            changed = change(known)
            return _encode(known) if changed else None

        after = await self._document.update(apply)
        if changed:
            _log.info("generation_recorded", generation=self._number, shards=self._shards)
        return _decode(after)[self._number]


def _decode(stored: dict[str, Any] | None) -> dict[int, Generation]:
    if stored is None:
        return {}
    return {int(number): _decode_one(value) for number, value in stored["generations"].items()}


def _decode_one(stored: dict[str, Any]) -> Generation:
    """Read a record. A release that did not know a field has left it out; a later one may have others."""
    known = {field.name for field in fields(Generation)}
    return Generation(**{"layout": FIRST_LAYOUT} | {n: v for n, v in stored.items() if n in known})


def _encode(generations: dict[int, Generation]) -> dict[str, Any]:
    return {"generations": {str(number): asdict(one) for number, one in sorted(generations.items())}}
