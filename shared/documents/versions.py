"""Schema versions. A document of any known version is converted to the newest one before it is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.documents.common import must_be
from shared.documents.upcasters import (
    content_to_1_1,
    content_to_1_2,
    content_version,
    incident_version,
    interaction_to_0_2,
    interaction_to_1_0,
    interaction_to_1_1,
    interaction_version,
    profile_version,
    session_to_0_2,
    session_to_1_0,
    session_version,
    user_to_1_0,
    user_version,
)
from shared.errors import DocumentError, NewerVersionError
from shared.privacy.forms import Form

USER = "user"
USER_SESSION = "user_session"
USER_INTERACTION = "user_interaction"
ABUSE_INCIDENT = "abuse_incident"
PERSONALITY_CONTENT = "personality_content"
PERSONALITY_PROFILE = "personality_profile"

VERSION_FIELDS = ("schema_version", "profile_version")
"""Fields in which a document may say its version. Of two, the first decides; both must be readable."""

_WRITTEN = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Upcaster:
    """One step from a version to the next."""

    to: str
    change: Callable[[Mapping[str, Any]], dict[str, Any]]
    """A pure function that returns a changed copy. It may not rely on the type of any field."""


@dataclass(frozen=True, slots=True)
class History:
    """All versions of one document type.

    Parameters
    ----------
    oldest
        The version before the first step.
    steps
        The steps from the oldest to the newest version, in order.
    unmarked
        Returns the version of a document that does not state it, by its shape.
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

    def version_of(self, document: Mapping[str, Any]) -> str:
        """Return the version that a document is read as: the one that it says, or that its shape shows.

        A version with a higher minor number than the newest is read as the newest.

        Raises
        ------
        NewerVersionError
            It says a version with a higher major number than the newest.
        DocumentError
            It says a version that is none, or that never existed.
        """
        written = self.written(document)
        if written is None:
            return self.unmarked(document)
        return self.newest if _pair(written) > _pair(self.newest) else written

    def written(self, document: Mapping[str, Any]) -> str | None:
        """Return the version that a document says it has, None if it says none. Raises as above."""
        written: str | None = None
        for field in reversed(VERSION_FIELDS):
            if document.get(field) is not None:
                written = self._checked(field, document[field])
        return written

    def _checked(self, field: str, value: object) -> str:
        match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise DocumentError(field, must_be(value, "must be a version such as '1.0'", Form.VERSION))
        version, newest = (int(match[1]), int(match[2])), _pair(self.newest)
        name = f"{version[0]}.{version[1]}"
        if version > newest:
            if version[0] > newest[0]:
                requirement = f"must be at most {self.newest}, the newest that this release reads"
                raise NewerVersionError(field, must_be(value, requirement, Form.VERSION))
            return name
        if name not in self.versions:
            raise DocumentError(
                field, must_be(value, f"must be one of {', '.join(self.versions)}", Form.VERSION)
            )
        return name


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
    PERSONALITY_CONTENT: History(
        "1.0", (Upcaster("1.1", content_to_1_1), Upcaster("1.2", content_to_1_2)), content_version
    ),
    PERSONALITY_PROFILE: History("1.0", (), profile_version),
}
"""The newest versions are the specification's ``CURRENT_SCHEMAS``, 1.0 for a type without an entry there.
Documents from before there were versions are called 0.1 and 0.2."""


def upcast(document_type: str, document: Mapping[str, Any], to: str | None = None) -> dict[str, Any]:
    """Return a document in a version of its type, which its ``schema_version`` then says.

    The given document is not changed. Fields that no step knows stay as they are.

    Parameters
    ----------
    to
        The version; the newest if it is None. It may not be older than the document's.

    Raises
    ------
    DocumentError
        Its version cannot be read here, or a part of it that a step must open is no object.
    KeyError
        There is no such type.
    """
    history = HISTORIES[document_type]
    to = to or history.newest
    done, end = history.versions.index(history.version_of(document)), history.versions.index(to)
    newer = document
    for step in history.steps[done:end]:
        newer = step.change(newer)
    return {**newer, "schema_version": to}


def newer_version(document_type: str, document: Mapping[str, Any]) -> str | None:
    """Return the version that a document says it has if it is newer than the newest, None otherwise.

    Raises
    ------
    NewerVersionError, DocumentError
        As :meth:`History.version_of`.
    KeyError
        There is no such type.
    """
    history = HISTORIES[document_type]
    written = history.written(document)
    return written if written is not None and _pair(written) > _pair(history.newest) else None


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
