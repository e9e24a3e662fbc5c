"""Compare the archive with its manifests.

An entry whose blob is gone is lost, unless it was erased: an erasure removes entries, and the part says how
many. A blob whose bytes have another hash than its entry is changed. A part whose keyed hash is wrong was
changed by hand. A blob that no part lists was put there by something else, or its part was deleted.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from shared.archive.content import sha256
from shared.archive.manifests import FINISHED, UNFINISHED, Part, finished_name, unfinished_name
from shared.archive.names import PREFIX
from shared.archive.store import CONCURRENCY, Archive, Archived, Progress
from shared.concurrency import batched, for_each
from shared.cosmos.charges import Cost, measured_cost

SAMPLED_PARTS = 10
"""Parts that a sample is taken from."""

REMEMBERED_PARTS = 64
"""Parts that are kept in memory while all blobs are looked through: neighbours are in the same few."""


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    CHANGED = "changed"
    MANIFEST_CHANGED = "manifest changed"
    UNLISTED = "unlisted"


class Problem(NamedTuple):
    """One thing that is not as it was archived."""

    kind: Kind
    name: str
    """Name of the blob. It contains a user id, unless it is that of a manifest."""


@dataclass(slots=True)
class VerifyReport:
    """The outcome of a verification."""

    parts: int = 0
    documents: int = 0
    """Blobs that were read and compared."""
    erased: int = 0
    """Documents of erased people, in the parts that were read."""
    unfinished: int = 0
    """Parts that are being written, or were left by a process that died. The next run completes them."""
    problems: list[Problem] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)


class Verifier:
    """Verifies an archive. Changes nothing."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def verify(self, *, sample: int | None, on_progress: Progress = lambda done: None) -> VerifyReport:
        """Compare blobs with the manifests.

        Parameters
        ----------
        sample
            About how many blobs to compare. None compares all, and looks for blobs that no part lists.
        """
        report = VerifyReport()
        with measured_cost() as report.cost:
            async for _ in self._archive.blobs.find(UNFINISHED):
                report.unfinished += 1
            if sample is None:
                async for stored in self._archive.blobs.find(FINISHED):
                    await self._verify_part(stored.name, None, report, on_progress)
                await self._find_unlisted(report)
            else:
                for name in await self._sampled_parts():
                    await self._verify_part(name, -(-sample // SAMPLED_PARTS), report, on_progress)
        return report

    async def _sampled_parts(self) -> list[str]:
        """Return parts at random, each with the same probability."""
        chosen: list[str] = []
        seen = 0
        async for stored in self._archive.blobs.find(FINISHED):
            seen += 1
            if len(chosen) < SAMPLED_PARTS:
                chosen.append(stored.name)
            elif (place := random.randrange(seen)) < SAMPLED_PARTS:
                chosen[place] = stored.name
        return chosen

    async def _verify_part(
        self, name: str, most: int | None, report: VerifyReport, on_progress: Progress
    ) -> None:
        part = await self._part(name)
        report.parts += 1
        if part is None or not part.is_genuine or finished_name(part.id) != name:
            report.problems.append(Problem(Kind.MANIFEST_CHANGED, name))
        if part is None:
            return
        report.erased += part.erased
        entries: Sequence[tuple[str, str]] = list(part.entries.items())
        if most is not None and most < len(entries):
            entries = random.sample(entries, most)
        for some in batched(entries, 10 * CONCURRENCY):
            compare = partial(self._compare, part.container)
            found = await for_each(some, compare, max_concurrency=CONCURRENCY)
            report.problems += [problem for problem in found if problem is not None]
            report.documents += len(some)
            on_progress(report.documents)

    async def _compare(self, container: str, entry: tuple[str, str]) -> Problem | None:
        name, digest = entry
        found = await self._archive.blobs.read(name)
        if found is None:
            return Problem(Kind.LOST, name)
        content, stored = found
        known = stored.metadata.get("container"), stored.metadata.get("sha256")
        if sha256(content) != digest or known != (container, digest):
            return Problem(Kind.CHANGED, name)
        return None

    async def _find_unlisted(self, report: VerifyReport) -> None:
        known: OrderedDict[str, Part | None] = OrderedDict()
        async for stored in self._archive.blobs.find(PREFIX):
            archived = Archived.of(stored)
            of = "" if archived is None else archived.part
            if of not in known:
                known[of] = await self._part(finished_name(of)) or await self._part(unfinished_name(of))
                if len(known) > REMEMBERED_PARTS:
                    known.popitem(last=False)
            known.move_to_end(of)
            part = known[of]
            if part is None or stored.name not in part.entries:
                report.problems.append(Problem(Kind.UNLISTED, stored.name))

    async def _part(self, name: str) -> Part | None:
        found = await self._archive.blobs.read(name)
        return None if found is None else Part.decode(found[0], self._archive.ring)
