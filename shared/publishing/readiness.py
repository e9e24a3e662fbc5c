"""Which documents may be published: of complete generations, views that count everything, whole periods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from azure.cosmos.aio import ContainerProxy

from shared.builds.graph import month_of_label
from shared.clock import SYSTEM_CLOCK, Clock
from shared.containers import DAY
from shared.cosmos.control import ControlDocument, Scope
from shared.facts import USER_INTERACTIONS
from shared.ledger.generations import MARGIN_DAYS, Generation, Generations
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.publishing.plan import DocumentKey, contents_of, inputs_of
from shared.publishing.whole_periods import first_day, publishable
from shared.settings import Settings
from shared.units import Day, month_of, to_millis
from shared.views import VIEWS

REMEMBERED_SECONDS = 2.0
"""How long an instance reuses a read, in seconds. A rebuild waits longer before it begins."""

_log = structlog.get_logger(__name__)


class _State(NamedTuple):
    built: frozenset[str]
    unpublished: frozenset[str]
    """Those of the built views that may still have documents from before the rebuild."""

    def without(self, views: frozenset[str]) -> _State:
        return _State(self.built - views, self.unpublished - views)


class ViewReadiness:
    """The views of the current generation whose state counts everything.

    The first release that reads the record has counted the state itself, and records all its views as ready.
    A view that a later release adds is not recorded, because its state begins with that release. The
    documents of that view are held back until it is rebuilt.
    """

    def __init__(
        self,
        container: ContainerProxy,
        settings: Settings,
        *,
        generations: Generations,
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._retention = retention
        self._document = ControlDocument(container, Scope.BUILDS, f"views-{settings.generation}")
        self._generations = generations
        self._clock = clock
        self._read_at: float | None = None
        self._ready: frozenset[str] = frozenset()

    async def held_back(self, documents: Sequence[DocumentKey]) -> frozenset[DocumentKey]:
        """Return the documents that may not be written now. Only a refusal deletes them.

        While the generation is incomplete, all are held back: partial figures never replace those of an
        earlier generation. Once it is complete, the documents of views that are not ready are held back, and
        for good the documents of periods that the sources no longer held whole: see :mod:`whole_periods`. So
        are documents of which any state is closed: what is left of it would replace the whole.

        Raises
        ------
        SettingsError
            The settings contradict what ``fleet_state`` records of the generation.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        generation = await self._generations.completed()
        if generation is None:
            _log.info("views_held_back", documents=len(documents))
            return frozenset(documents)
        ready = await self.ready()
        return frozenset(
            document
            for document in documents
            if document.view not in ready or not _is_whole(document, generation) or self._is_closed(document)
        )

    def _is_closed(self, document: DocumentKey) -> bool:
        """Return whether any state that a document is computed from has ended, or is about to."""
        now = to_millis(self._clock.now())
        try:
            built = {month_of_label(label) for group in contents_of(document) for label in group}
            closed = [self._retention.is_closed(USER_INTERACTIONS, month, now) for month in built]
        except ValueError:
            return False  # the key is malformed: publishing it fails, and the error names it
        return any(closed) or any(self._retention.is_partial_closed(t, now) for t in inputs_of(document))

    async def may_publish(self, sources: Iterable[str], first: Day) -> bool:
        """Return whether what is computed from sources of a day and later may be written.

        For documents that are computed from no key of a view, but from people's days and summaries of months.

        Raises
        ------
        SettingsError, CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            As :meth:`held_back`.
        """
        generation = await self._generations.completed()
        if generation is None or not _held_whole(sources, first, generation):
            return False
        return not self._retention.is_closed(USER_INTERACTIONS, month_of(first), to_millis(self._clock.now()))

    async def require_complete(self) -> None:
        """Raise unless the generation is complete.

        Raises
        ------
        GenerationIncompleteError
            This generation has not counted everything yet.
        """
        if not await self._generations.is_complete():
            raise self._generations.incomplete_error()

    async def ready(self) -> frozenset[str]:
        """Return the names of the views whose state counts everything.

        The answer may be :data:`REMEMBERED_SECONDS` old.
        """
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at > REMEMBERED_SECONDS:
            self._ready, _ = await self._read()
            self._read_at = now
        return self._ready

    async def unpublished(self) -> frozenset[str]:
        """Return the names of the ready views whose documents were not all published after a rebuild."""
        _, unpublished = await self._read()
        return unpublished

    async def hold_back(self, views: Iterable[str]) -> None:
        """Record that views are not ready, because a rebuild is about to change their state."""
        names = frozenset(views)
        await self._change(lambda state: state.without(names))

    async def mark_counted(self, views: Iterable[str]) -> None:
        """Record that the state of views counts everything, and that no document of it is published yet."""
        names = frozenset(views)
        await self._change(lambda state: _State(state.built | names, state.unpublished | names))

    async def mark_published(self, views: Iterable[str]) -> None:
        """Record that all documents of views are published."""
        names = frozenset(views)
        await self._change(lambda state: _State(state.built, state.unpublished - names))

    async def _change(self, change: Callable[[_State], _State]) -> None:
        await self._document.update(lambda stored: _encode(change(_decode(stored))))
        self._read_at = None

    async def _read(self) -> _State:
        stored = await self._document.read()
        if stored is None:
            # Recorded at the first read. The record does not contain a view that a later release adds.
            stored = await self._document.update(
                lambda known: _encode(_decode(None)) if known is None else None
            )
        return _decode(stored)


def _is_whole(document: DocumentKey, generation: Generation) -> bool:
    """Return whether the sources held the document's period whole. The publisher reports malformed keys."""
    view = VIEWS[document.view]
    try:
        first = first_day(document.key, view.periods)
    except ValueError:
        return True
    return _held_whole(view.sources, first, generation)


def _held_whole(sources: Iterable[str], first: Day, generation: Generation) -> bool:
    """Return whether sources held everything from a day on when the generation had counted them.

    A margin above the default tells that documents are written long after their own time, such as imported
    history: the sources hold them for that much longer after it.
    """
    written_later = max(0, generation.margin_days - MARGIN_DAYS) * DAY
    return publishable(sources, first, generation.counted - written_later)


def _decode(stored: Mapping[str, Any] | None) -> _State:
    if stored is None:
        return _State(frozenset(VIEWS), frozenset())
    return _State(frozenset(stored["built"]), frozenset(stored.get("unpublished", ())))


def _encode(state: _State) -> dict[str, Any]:
    return {name: sorted(views) for name, views in state._asdict().items()}
