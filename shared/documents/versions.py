"""Schema versions: a document of any known version is brought to the newest one before it is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.documents.common import quote
from shared.documents.upcasters import (
    incident_version,
    interaction_to_0_2,
    interaction_to_1_0,
    interaction_to_1_1,
    interaction_version,
    session_to_0_2,
    session_to_1_0,
    session_version,
    user_to_1_0,
    user_version,
)
from shared.errors import DocumentError

USER = "user"
USER_SESSION = "user_session"
USER_INTERACTION = "user_interaction"
ABUSE_INCIDENT = "abuse_incident"

VERSION_FIELDS = ("schema_version", "profile_version")
"""Where a document may say its version; of two, the first decides."""

_WRITTEN = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Upcaster:
    """One step: from the version before to the next."""

    to: str
    change: Callable[[Mapping[str, Any]], dict[str, Any]]
    """A pure function: a changed copy. It may count on no type of what it reads."""


@dataclass(frozen=True, slots=True)
class History:
    """All versions of one type of document.

    Parameters
    ----------
    oldest
        The version that the first step starts from.
    steps
        The steps from there to the newest version, in order.
    unmarked
        Tells the version of a document that does not say it, by its shape.
    """

    oldest: str
    steps: tuple[Upcaster, ...]
    unmarked: Callable[[Mapping[str, Any]], str]

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version, oldest first."""
        return (self.oldest, *(step.to for step in self.steps))

    @property
    def newest(self) -> str:
        """The version that parsing expects."""
        return self.steps[-1].to if self.steps else self.oldest


HISTORIES: dict[str, History] = {
    USER: History("0.1", (Upcaster("1.0", user_to_1_0),), user_version),
    USER_SESSION: History(
        "0.1", (Upcaster("0.2", session_to_0_2), Upcaster("1.0", session_to_1_0)), session_version
    ),
    USER_INTERACTION: History(
        "0.1",
        (
            Upcaster("0.2", interaction_to_0_2),
            Upcaster("1.0", interaction_to_1_0),
            Upcaster("1.1", interaction_to_1_1),
        ),
        interaction_version,
    ),
    ABUSE_INCIDENT: History("1.0", (), incident_version),
}
"""The newest are the specification's ``CURRENT_SCHEMAS``, 1.0 for a type that is not in it. What was written
before there were versions is called 0.1 and 0.2."""


class SchemaVersionManager:
    """Knows the versions of every type of document, and how to get from each to the newest.

    Parameters
    ----------
    histories
        By type of document.
    """

    def __init__(self, histories: Mapping[str, History]) -> None:
        self._lines = {name: _Line.of(history) for name, history in histories.items()}

    def version_of(self, document_type: str, document: Mapping[str, Any]) -> str:
        """Return the version a document says it has, or what its shape tells.

        Raises
        ------
        DocumentError
            It says a version that is none, that is newer than this release, or that never was.
        """
        line = self._lines[document_type]
        return line.history.versions[line.position(document)]

    def upcast(self, document_type: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a document in the newest version of its type, which ``schema_version`` then says.

        The document that comes in is not changed; fields that no step knows are kept. A document of the
        newest version comes back as it is.

        Raises
        ------
        DocumentError
            Its version cannot be read here, or a part of it that a step must open is no object.
        KeyError
            There is no such type.
        """
        line = self._lines[document_type]
        newest = document
        for step in line.history.steps[line.position(document) :]:
            newest = step.change(newest)
        return {**newest, "schema_version": line.newest}


@dataclass(frozen=True, slots=True)
class _Line:
    """A history, prepared for looking versions up."""

    history: History
    newest: str
    places: Mapping[str, int]
    """How many steps of the history each version has behind it."""

    @classmethod
    def of(cls, history: History) -> _Line:
        return cls(history, history.newest, {name: n for n, name in enumerate(history.versions)})

    def position(self, document: Mapping[str, Any]) -> int:
        written: str | None = None
        for field in reversed(VERSION_FIELDS):
            if document.get(field) is not None:
                written = self._read(field, document[field])
        return self.places[self.history.unmarked(document) if written is None else written]

    def _read(self, field: str, value: object) -> str:
        match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise DocumentError(field, f"{quote(value)} is not a version such as '1.0'")
        version = (int(match[1]), int(match[2]))
        if version > _pair(self.newest):
            raise DocumentError(
                field, f"{quote(value)} is newer than {self.newest}, the newest this release reads"
            )
        name = f"{version[0]}.{version[1]}"
        if name not in self.places:
            raise DocumentError(field, f"{quote(value)} is none of {', '.join(self.places)}")
        return name


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


_MANAGER = SchemaVersionManager(HISTORIES)


def upcast(document_type: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document in the newest version of its type: :meth:`SchemaVersionManager.upcast`.

    Raises
    ------
    DocumentError
        Its version cannot be read here, or a part of it that a step must open is no object.
    """
    return _MANAGER.upcast(document_type, document)
