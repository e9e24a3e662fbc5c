"""Manifests and parts of derived documents in ``view_state``.

A derived document has a manifest: its inputs with their revisions, its figures, and its rows if they are
few. Many rows are divided into parts, which are documents of the same logical partition. A build writes new
parts under names that no other build uses, and then the manifest, under the manifest's etag. Readers
therefore never see parts of two builds. Parts that no manifest names are deleted by a later build.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.builds.content import CONTENT_VERSION, Content, Figures, merged, nested, parts_for, size_of
from shared.builds.graph import CONTENT, month_of_label
from shared.builds.reader import BuildReader
from shared.clock import Clock
from shared.concurrency import batched
from shared.cosmos.charges import record_charge
from shared.facts import USER_INTERACTIONS
from shared.ledger.retention import DEFAULT_RETENTION, Retention
from shared.units import to_millis

DERIVED = "derived"
"""``kind`` of a stored derived document."""

SINGLE_READS = 2
"""Up to this number, manifests are read from their own partitions. A query over all physical partitions costs
more, and ``daily_metrics`` asks for one manifest with every publication."""

LABELS_PER_QUERY = 100

ABANDONED_SECONDS = 3_600
"""Age from which a part that the manifest does not name is deleted. A build takes minutes, and a reader that
finds a part deleted reads the manifest again."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a derived document was built from, and where its rows are."""

    label: str
    """The period, and the slice if there is one: ``2025-08-05``, ``202508``, ``2025-08-05.001``."""
    revision: int
    version: int
    """:data:`~shared.builds.content.CONTENT_VERSION` of the build."""
    inputs: Mapping[str, int]
    """Revision of each input: of a shard's partial of the day, or of another content."""
    figures: Figures
    parts: int
    """Number of parts, 0 if the manifest itself has the rows."""
    build: str
    """Distinguishes the parts of this build from those of others."""
    written: int
    """Time of the write, in seconds since the epoch."""
    etag: str

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read a stored manifest."""
        return cls(
            stored["label"],
            stored["revision"],
            stored["version"],
            stored["inputs"],
            Figures(**stored["figures"]),
            stored["parts"],
            stored["build"],
            stored["_ts"],
            stored["_etag"],
        )

    def is_stale(self, inputs: Mapping[str, int]) -> bool:
        """Return whether a build from these inputs could differ from this one."""
        return self.version != CONTENT_VERSION or self.inputs != inputs

    def is_ahead_of(self, inputs: Mapping[str, int]) -> bool:
        """Return whether an input is missing or older than here: a replica that was read lags behind."""
        return any(inputs.get(name, -1) < revision for name, revision in self.inputs.items())


class DerivedStore:
    """Reads and writes the contents of one generation."""

    def __init__(
        self, state: ContainerProxy, generation: int, clock: Clock, retention: Retention = DEFAULT_RETENTION
    ) -> None:
        self._retention = retention
        self._state = state
        self._reader = BuildReader(state, generation)
        self._generation = generation
        self._clock = clock

    def partition(self, label: str) -> str:
        """Return the logical partition of a content."""
        return f"{self._generation}:{CONTENT}:{label}"

    async def find(self, label: str) -> Manifest | None:
        """Return the manifest of a content, None if it was never built.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer. So do all other methods.
        """
        async for item in self._reader.manifests([_manifest_id(label)], self.partition(label)):
            return Manifest.decode(item)
        return None

    async def manifests(self, labels: Iterable[str]) -> dict[str, Manifest]:
        """Return the manifests of contents that were built, by label."""
        found: dict[str, Manifest] = {}
        labels = list(labels)
        if len(labels) <= SINGLE_READS:
            read = [await self.find(label) for label in labels]
            return {manifest.label: manifest for manifest in read if manifest is not None}
        for chunk in batched(labels, LABELS_PER_QUERY):
            async for item in self._reader.manifests([_manifest_id(label) for label in chunk]):
                found[item["label"]] = Manifest.decode(item)
        return found

    async def read(
        self, groups: Sequence[Sequence[Manifest]], coarse: int = 1, number_of_coarse: int = 0
    ) -> AsyncIterator[tuple[int, int, list[Content]]]:
        """Yield number, number of parts, and the merged rows of each group of contents, part by part.

        The number of parts is that of the content with most parts.

        Parameters
        ----------
        coarse, number_of_coarse
            Only parts within one part of this coarser division are read. It is a power of two.

        Raises
        ------
        CosmosResourceNotFoundError
            A later build has replaced one of the contents. Read the manifests again.
        """
        parts = max([coarse, *(manifest.parts for group in groups for manifest in group)])
        sources = [[_Source(self, manifest, parts) for manifest in group] for group in groups]
        for number in (each for each in nested(parts) if each % coarse == number_of_coarse):
            yield (
                number,
                parts,
                [merged([await source.part(number) for source in group]) for group in sources],
            )

    async def read_part(self, manifest: Manifest, number: int) -> Content:
        """Return the rows of one part, or all rows of a content without parts.

        Raises
        ------
        CosmosResourceNotFoundError
            A later build has replaced the content.
        """
        part = (
            _part_id(manifest.label, manifest.build, number)
            if manifest.parts
            else _manifest_id(manifest.label)
        )
        partition = self.partition(manifest.label)
        item = await self._state.read_item(part, partition, response_hook=record_charge)
        if item["build"] != manifest.build:
            raise CosmosResourceNotFoundError(status_code=404, message=f"{manifest.label} was built again")  # type: ignore[no-untyped-call]
        content = Content.decode(item["rows"])
        for sheet in range(1, item.get("sheets", 1)):
            more = await self._state.read_item(f"{part}.{sheet}", partition, response_hook=record_charge)
            content.merge(Content.decode(more["rows"]))
        return content

    def begin(self, label: str, stored: Manifest | None) -> ContentWriter:
        """Return the writer of one build of a content. ``stored`` is the manifest that it replaces."""
        return ContentWriter(
            self._state, self._reader, self.partition(label), label, stored, self._clock, self._retention
        )


class _Source:
    """A content that is read part by part, with the stored part that was read last."""

    def __init__(self, store: DerivedStore, manifest: Manifest, parts: int) -> None:
        self._store = store
        self._manifest = manifest
        self._parts = parts
        self._number = -1
        self._pieces: Mapping[int, Content] = {}

    async def part(self, number: int) -> Content:
        """Return the rows of a part of the finer division."""
        own = number % max(1, self._manifest.parts)
        if own != self._number:
            content = await self._store.read_part(self._manifest, own)
            self._number, self._pieces = own, content.split(self._parts, own)
        return self._pieces.get(number, Content())


class ContentWriter:
    """Writes one build of a content: :meth:`add` each group of rows, then :meth:`commit`."""

    def __init__(
        self,
        state: ContainerProxy,
        reader: BuildReader,
        partition: str,
        label: str,
        stored: Manifest | None,
        clock: Clock,
        retention: Retention,
    ) -> None:
        self._retention = retention
        self._state = state
        self._reader = reader
        self._partition = partition
        self._label = label
        self._stored = stored
        self._clock = clock
        self._build = secrets.token_hex(8)
        self._figures = Figures()
        self._parts: int | None = None
        self._rows: Mapping[str, Any] | None = None

    async def add(self, group: int, groups: int, content: Content) -> None:
        """Write the rows of one group of parts. The size of the first one decides the number of parts."""
        self._figures = self._figures.plus(content.figures())
        if self._parts is None:
            self._parts = groups * parts_for(size_of(content.encode()))
        if self._parts == 1:
            self._rows = content.encode()
            return
        pieces = content.split(self._parts, group)
        for number in range(group, self._parts, groups):
            sheets = pieces.get(number, Content()).sheets()
            for sheet, rows in reversed([*enumerate(sheets)]):
                await self._write_sheet(number, sheet, rows, len(sheets))

    async def commit(self, inputs: Mapping[str, int]) -> Manifest | None:
        """Write the manifest. Return None if another instance built the content in the meantime.

        A write that succeeded without an answer counts as the other instance's.
        """
        stored, parts = self._stored, self._parts or 1
        revision = int(self._clock.timestamp() * 1000)
        body = {
            "id": _manifest_id(self._label),
            "shard": self._partition,
            "kind": DERIVED,
            "label": self._label,
            "revision": revision if stored is None else max(revision, stored.revision + 1),
            "version": CONTENT_VERSION,
            "inputs": dict(inputs),
            "figures": self._figures.encode(),
            "parts": 0 if parts == 1 else parts,
            "build": self._build,
            "ttl": self._ttl(),
        }
        if parts == 1:
            body["rows"] = self._rows or {}
        try:
            written: Mapping[str, Any] = await self._write_manifest(body)
        except (
            CosmosAccessConditionFailedError,
            CosmosResourceExistsError,
            CosmosResourceNotFoundError,
        ):
            return None
        if parts > 1 or (stored is not None and stored.parts):
            await self._delete_abandoned()
        return Manifest.decode(written)

    def _ttl(self) -> int:
        """Return the time to live of the content: it ends with the state that it is built from."""
        now = to_millis(self._clock.now())
        return self._retention.ttl_of(USER_INTERACTIONS, month_of_label(self._label), now)

    async def _write_sheet(self, number: int, sheet: int, rows: Mapping[str, Any], sheets: int) -> None:
        part = _part_id(self._label, self._build, number)
        body = {
            "id": f"{part}.{sheet}" if sheet else part,
            "shard": self._partition,
            "kind": DERIVED,
            "build": self._build,
            "sheets": sheets,
            "rows": rows,
            "ttl": self._ttl(),
        }
        await self._state.upsert_item(body, response_hook=record_charge)

    async def _write_manifest(self, body: dict[str, Any]) -> Mapping[str, Any]:
        if self._stored is None:
            return await self._state.create_item(body, response_hook=record_charge)
        return await self._state.replace_item(
            body["id"],
            body,
            etag=self._stored.etag,
            match_condition=MatchConditions.IfNotModified,
            response_hook=record_charge,
        )

    async def _delete_abandoned(self) -> None:
        """Delete the parts of builds that were replaced or not completed."""
        until = self._clock.timestamp() - ABANDONED_SECONDS
        own = _part_id(self._label, self._build, "")
        async for part in self._reader.parts(self._partition, f"{_manifest_id(self._label)}|"):
            if part["id"].startswith(own) or part["_ts"] > until:
                continue
            try:
                await self._state.delete_item(
                    part["id"],
                    self._partition,
                    etag=part["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                    response_hook=record_charge,
                )
            except CosmosResourceNotFoundError:
                continue  # another instance deleted it


def _manifest_id(label: str) -> str:
    return f"{CONTENT}|{label}"


def _part_id(label: str, build: str, number: int | str) -> str:
    return f"{_manifest_id(label)}|{build}|{number}"
