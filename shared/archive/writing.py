"""Store a piece of a page: its blobs, and the part of the manifest that lists them.

1. The part is written as unfinished, with all blobs that are to be stored.
2. The blobs are stored, unless there are some of these names. The storage compares the MD5 of what it got.
3. If the newest version that exists has the same content, it is left as it is: another part lists it. If it
   has other content, that is kept, and the new content gets the next version. With those, 1 comes again.
4. The part is written as finished, with what was stored.
5. Documents of people who were erased meanwhile are deleted again. A later erasure finds the blobs itself.
6. The unfinished part is deleted.

A process may die between any two steps. The page is archived again then; what it stored is found at 3, and
:func:`finish_parts` completes its part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from shared.archive.content import Copy, copy_of, sha256
from shared.archive.manifests import UNFINISHED, Part, finished_name, unfinished_name
from shared.archive.names import BlobName, blob_name, parse_name
from shared.archive.store import CONCURRENCY, Archive, Archived, ErasedAmong, metadata_of
from shared.concurrency import for_each
from shared.errors import ConflictError

LEFT_AFTER = timedelta(hours=1)
"""Age of an unfinished part from which its process is not at work any more: no invocation lasts as long."""


@dataclass(slots=True)
class Outcome:
    """What became of documents."""

    archived: int = 0
    """Documents whose content was stored now."""
    known: int = 0
    """Documents whose content was there already."""
    versions: int = 0
    """Of the archived: documents of which other content was there already. It is kept."""
    undated: int = 0
    """Documents without a usable time of their own, dated by their last write."""
    left_out: int = 0
    """Documents with fields that the table of fields does not have: they are not archived."""
    erased: int = 0
    """Documents of people who are erased. They are not archived."""
    stored_bytes: int = 0

    def add(self, other: Outcome) -> None:
        """Add what became of further documents."""
        for name in Outcome.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class _Blob(NamedTuple):
    """A document on its way to the storage."""

    name: BlobName
    copy: Copy
    document: Mapping[str, Any]


async def store_piece(
    archive: Archive,
    part_of: Part,
    documents: Sequence[Mapping[str, Any]],
    *,
    generation: int,
    outcome: Outcome,
    erased_among: ErasedAmong,
) -> None:
    """Store the copies of documents.

    Parameters
    ----------
    part_of
        The part to write, without entries.
    generation
        The generation that had counted the documents.

    Raises
    ------
    StorageUnavailableError, ConflictError, HttpResponseError
        The storage did not answer, refused, or another process wrote the same part. Whatever was stored is
        found when the documents are archived again.
    """
    pending = _named(archive, part_of.container, documents, outcome)
    stored: dict[str, _Blob] = {}
    unfinished = unfinished_name(part_of.id)
    while pending:
        listed = {name: sha256(each.copy.content) for name, each in (stored | pending).items()}
        part = Part(part_of.id, part_of.container, part_of.range, listed)
        await archive.blobs.replace(unfinished, part.encode(archive.ring), etag=None)

        async def store(each: _Blob) -> _Blob | None:
            return await _store(archive, part_of, each, generation, outcome, stored)

        again = await for_each(pending.values(), store, max_concurrency=CONCURRENCY)
        pending = {each.name.text(): each for each in again if each is not None}
    if stored:
        digests = {name: sha256(each.copy.content) for name, each in stored.items()}
        await _finish(archive, Part(part_of.id, part_of.container, part_of.range, digests))
    users = {user for each in stored.values() if isinstance(user := each.document.get("user_id"), str)}
    for user in await erased_among(users):
        await archive.erase_person(user, [part_of.id])
    await archive.blobs.delete(unfinished)
    outcome.archived += len(stored)
    outcome.versions += sum(each.name.version > 1 for each in stored.values())
    outcome.stored_bytes += sum(len(each.copy.content) for each in stored.values())


def _named(
    archive: Archive, container: str, documents: Sequence[Mapping[str, Any]], outcome: Outcome
) -> dict[str, _Blob]:
    """Return the copies of documents by the name that each is to have. No two have one name."""
    pending: dict[str, _Blob] = {}
    for document in documents:
        copy = copy_of(container, document, archive.ring)
        outcome.undated += not copy.is_dated
        outcome.left_out += copy.left_out
        name = blob_name(copy.day, copy.owner, copy.document_id)
        while name.text() in pending:
            name = name._replace(version=name.version + 1)
        pending[name.text()] = _Blob(name, copy, document)
    return pending


async def _store(
    archive: Archive,
    part: Part,
    each: _Blob,
    generation: int,
    outcome: Outcome,
    stored: dict[str, _Blob],
) -> _Blob | None:
    """Store a blob. Return None, or what is to be stored under the next name."""
    name, content = each.name.text(), each.copy.content
    metadata = metadata_of(
        each.copy, each.name, each.document, part.container, generation=generation, part=part.id
    )
    while not await archive.blobs.create(name, content, metadata=metadata, cold=True):
        found = await archive.blobs.properties(name)
        if found is None:
            continue  # deleted in between
        if found.metadata.get("part") == part.id and found.metadata.get("sha256") == metadata["sha256"]:
            break  # stored by an attempt whose answer was lost
        following = each.name._replace(version=each.name.version + 1)
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        of_container = found.metadata.get("container") == part.container
        same = of_container and found.metadata.get("sha256") == metadata["sha256"] and found.md5 == md5
        if same and found.metadata.get("etag") == metadata["etag"]:
            outcome.known += 1  # this very write, whatever is archived after it under the same name
            return None
        if await archive.blobs.properties(following.text()) is not None:
            return each._replace(name=following)
        if not same:
            return each._replace(name=following)
        outcome.known += 1
        return None
    stored[name] = each
    return None


async def _finish(archive: Archive, part: Part) -> None:
    name, content = finished_name(part.id), part.encode(archive.ring)
    if await archive.blobs.create(name, content):
        return
    found = await archive.blobs.read(name)
    if found is None or found[0] != content:
        raise ConflictError("another process wrote the same part of a manifest")


async def finish_parts(archive: Archive, now: datetime, erased_among: ErasedAmong) -> int:
    """Complete the parts that processes left when they died; return how many.

    Of the blobs that such a part lists, those stay in it that it stored. The others were stored by another
    part, or not at all, and are due again. People who were erased meanwhile are deleted: the process died
    before it could look.
    """
    finished = 0
    async for stored in archive.blobs.find(UNFINISHED):
        if now - stored.modified < LEFT_AFTER:
            continue
        found = await archive.blobs.read(stored.name)
        part = None if found is None else Part.decode(found[0], archive.ring)
        if part is None:
            continue
        blobs = await for_each(part.entries, archive.blobs.properties, max_concurrency=CONCURRENCY)
        own = {blob.name for blob in blobs if blob is not None and blob.metadata.get("part") == part.id}
        finished_part = await archive.blobs.read(finished_name(part.id))
        listed = None if finished_part is None else Part.decode(finished_part[0], archive.ring)
        if own and finished_part is None:
            await _finish(archive, part.only(own))
        users = {each.user for blob in blobs if blob is not None and (each := Archived.of(blob)) is not None}
        for name in (*part.entries, *(listed.entries if listed is not None else ())):
            users.add(parsed.user_id if (parsed := parse_name(name)) is not None else None)
        for user in await erased_among({user for user in users if user}):
            await archive.erase_person(user, [part.id])
        for day in part.days:
            orphans = [
                each.stored.name
                async for each in archive.find(day)
                if each.part == part.id and each.stored.name not in part.entries
            ]
            await for_each(orphans, archive.blobs.delete, max_concurrency=CONCURRENCY)
        await archive.blobs.delete(stored.name)
        finished += 1
    return finished
