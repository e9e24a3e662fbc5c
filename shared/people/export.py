"""The export of a person's data: a zip archive of JSON files that the person can read.

Every file is written document by document, so that memory does not grow with their number. The manifest,
which is the last file, says how many documents each has, and its hash.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import structlog

from shared.archive.content import ADDED_BY_THE_SERVICE
from shared.archive.store import Archive
from shared.clock import SYSTEM_CLOCK, Clock
from shared.people.places import SOURCE_CONTAINERS, Places
from shared.poison.rows import PARTITION as POISON
from shared.privacy.classes import Place
from shared.privacy.fields import FIELDS
from shared.privacy.redaction import without_secrets
from shared.publishing.consent import USER_LEVEL_CONTAINERS
from shared.units import iso

OF_REVIEWERS = frozenset(
    {
        "human_reviewer",
        "review_notes",
        "feedback_data.reviewer_feedback",
        "feedback_data.suggested_improvements",
    }
)
"""Fields of incidents with what reviewers wrote, and who they are: not the person's data."""

FILES: Mapping[str, tuple[str, str]] = {
    "users": ("account.json", "Your account, its preferences and what you consented to"),
    "user_sessions": ("sessions.json", "When you used the platform, and how"),
    "user_interactions": ("conversations.json", "What you asked, what was answered, and how you rated it"),
    "abuse_incidents": ("incidents.json", "Content that was flagged, and what was decided"),
    "user_analytics": ("analytics.json", "What was computed about you"),
    POISON: ("not_processed.json", "Documents about you that could not be processed, in parts"),
    "archive": ("archived.json", "Older copies of the documents above"),
}
"""File and meaning, by container; the archive's own at the end."""

README = """This archive has what the platform stores about you, as of {time}.

Each file is a list of documents in JSON, a format that any text editor shows.

{files}
Left out are session tokens, with which anybody could act as you; notes of people who reviewed flagged
content; and fields that the platform does not know. manifest.json says how many documents each file has, and
its SHA-256 hash.
"""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ExportReport:
    """What an export has."""

    documents: dict[str, int] = field(default_factory=dict)
    """Documents by file, without empty files."""

    @property
    def total(self) -> int:
        """Documents of all files."""
        return sum(self.documents.values())


class Exporter:
    """Writes exports. Reads everything each time, so that two of them may differ."""

    def __init__(self, places: Places, archive: Archive, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._places = places
        self._archive = archive
        self._clock = clock

    async def write(self, user_id: str, target: IO[bytes]) -> ExportReport:
        """Write the export of a person into a file.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError, StorageUnavailableError
            A service did not answer. What was written is of no use.
        """
        report, hashes = ExportReport(), dict[str, str]()
        made = iso(self._clock.now())
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (file, _) in FILES.items():
                number, digest = await self._write_file(archive, file, self._documents(name, user_id))
                if number:
                    report.documents[file] = number
                hashes[file] = digest
            files = "".join(f"{file}: {meaning}.\n" for file, meaning in FILES.values())
            archive.writestr("README.txt", README.format(time=made, files=files))
            manifest = {
                "made_at": made,
                "files": {
                    file: {"documents": report.documents.get(file, 0), "sha256": digest}
                    for file, digest in hashes.items()
                },
            }
            archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        return report

    async def _write_file(
        self, archive: zipfile.ZipFile, name: str, documents: AsyncIterator[Mapping[str, Any]]
    ) -> tuple[int, str]:
        number, digest = 0, hashlib.sha256()
        with archive.open(name, "w", force_zip64=True) as file:

            def put(text: str) -> None:
                data = text.encode("utf-8", "replace")
                digest.update(data)
                file.write(data)

            async for document in documents:
                put("[\n" if number == 0 else ",\n")
                put(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True))
                number += 1
            put("\n]\n" if number else "[]\n")
        return number, digest.hexdigest()

    async def _documents(self, name: str, user_id: str) -> AsyncIterator[Mapping[str, Any]]:
        if name in (*SOURCE_CONTAINERS, *USER_LEVEL_CONTAINERS):
            async for stored in self._places.documents(name, user_id):
                yield exported(name, stored.document)
        elif name == POISON:
            async for row in self._places.poison_rows(user_id):
                yield _without(row, ADDED_BY_THE_SERVICE | {"trace"})
        else:
            names = self._archive.names_in_copies(user_id)
            async for found in self._archive.find_person(user_id):
                read = await self._archive.read(found.stored.name)
                if read is None:  # a document may be erased or restored meanwhile
                    continue
                document = json.loads(read[0])
                owner = document.get("user_id")
                if not isinstance(owner, str) or owner not in names:  # copied by hand into this folder
                    _log.warning("export_foreign_blob", source=found.container)
                    continue
                yield {
                    "container": found.container,
                    "day": found.name.day.isoformat(),
                    "document": exported(found.container, document),
                }


def exported(container: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person gets of a document: no secrets, no notes of reviewers, nothing of the service."""
    body = _without(document, ADDED_BY_THE_SERVICE)
    if container in FIELDS:
        permitted = without_secrets(container, body, Place.EXPORT).document
        assert isinstance(permitted, dict)  # noqa: S101  a copy of an object
        body = _without_paths(permitted, OF_REVIEWERS)
    return body


def _without(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in frozenset(names)}


def _without_paths(document: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    body = dict(document)
    for path in paths:
        first, _, rest = path.partition(".")
        if not rest:
            body.pop(first, None)
        elif first in body:
            body[first] = _within(body[first], rest)
    return body


def _within(value: Any, path: str) -> Any:
    """Return an object, or each object of a list, without what is at a path."""
    if isinstance(value, list):
        return [_within(each, path) for each in value]
    return _without_paths(value, [path]) if isinstance(value, dict) else value
