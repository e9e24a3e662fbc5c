"""Read the built contents that documents are computed from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.aggregates.base import PartialKey
from shared.builds.content import Figures
from shared.builds.graph import CONTENT
from shared.builds.store import DerivedStore, Manifest
from shared.views.base import Collector, View

MAX_CONCURRENT_READS = 4
"""Documents whose contents one instance reads concurrently. Each holds one part of up to 62 contents."""


@dataclass(frozen=True, slots=True)
class BuiltInput:
    """The contents that a document is computed from. Those that were never built are left out."""

    groups: Sequence[Sequence[Manifest]] = ()

    def __iter__(self) -> Iterator[Manifest]:
        """Yield every manifest."""
        for group in self.groups:
            yield from group

    @property
    def revision(self) -> int:
        """Sum of the revisions: every build of any of them increases it."""
        return sum(manifest.revision for manifest in self)

    def revision_until(self, moment: int) -> int:
        """Return the sum of the revisions that were written up to a moment, in seconds."""
        return sum(manifest.revision for manifest in self if manifest.written <= moment)

    @property
    def newest_at(self) -> datetime:
        """When the newest of them was written."""
        return datetime.fromtimestamp(max((manifest.written for manifest in self), default=0), UTC)

    def revisions(self) -> list[tuple[PartialKey, list[tuple[str, int]]]]:
        """Return the revision of each content."""
        return [(PartialKey(CONTENT, m.label), [(m.label, m.revision)]) for m in self]

    @property
    def figures(self) -> Figures | None:
        """The figures of the first group, None if none of it was built."""
        if not self.groups or not self.groups[0]:
            return None
        figures = Figures()
        for manifest in self.groups[0]:
            figures = figures.plus(manifest.figures)
        return figures


class ContentReader:
    """Reads the contents of documents."""

    def __init__(self, store: DerivedStore) -> None:
        self._store = store
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_READS)

    async def find(self, view: View, key: str) -> BuiltInput:
        """Return the manifests of the contents that a view's documents are computed from.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        groups = view.contents(key)
        if not groups:
            return BuiltInput()
        found = await self._store.manifests(dict.fromkeys(label for group in groups for label in group))
        return BuiltInput([[found[label] for label in group if label in found] for group in groups])

    async def collect(self, collector: Collector, built: BuiltInput) -> None:
        """Give a collector all parts of the contents, as often as it asks for.

        Raises
        ------
        CosmosResourceNotFoundError
            A later build has replaced one of the contents. Find them again.
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        async with self._slots:
            for number in range(collector.passes):
                async for _, _, parts in self._store.read(built.groups):
                    collector.add(number, parts)
