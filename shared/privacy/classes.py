"""The classes of fields, the places that a value may go to, and which class may go where.

The specification names three classes (``data_classification``). A class for secrets is added, because a
session token is none of the three, and one for identifiers, without which nothing can be found or deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

MIN_PEOPLE = 5
"""People who must share a name before a view about everybody shows it. A name that fewer people share may be
about one of them, whatever it says. Five is the usual lower bound of published statistics."""


class FieldClass(StrEnum):
    """The class of a field. A field without an entry in the table counts as :attr:`SECRET`."""

    SECRET = "secret"  # noqa: S105  the name of a class
    """A program that knows it can act as the person: a session token."""
    USER_PII = "user_pii"
    """Names, addresses and what stands for one: who a person is, or where."""
    SENSITIVE_CONTENT = "sensitive_content"
    """What a person or a reviewer wrote, and what was answered."""
    IDENTIFIER = "identifier"
    """Ids of documents, people and sessions: pseudonyms that find and delete documents."""
    ANALYTICS_ONLY = "analytics_only"
    """Numbers, times, flags and names of what was used."""


class Place(StrEnum):
    """A place that a value of a source document may go to. No value of a document goes into a log."""

    STATE = "state"
    """``view_state`` and ``fleet_state``."""
    PERSON_VIEW = "person_view"
    """Views about one person, in the person's own partition."""
    FLEET_VIEW = "fleet_view"
    """Views about everybody. Names need :data:`MIN_PEOPLE`."""
    POISON = "poison"
    """Rows of ``poison_messages``, and with them what the command line and HTTP print of a row."""
    ERROR = "error"
    """Error messages and traces. Of what may go there, only numbers and times are quoted."""
    ARCHIVE = "archive"
    """Archived documents."""
    EXPORT = "export"
    """The export of a person's data, for that person. Notes of reviewers are left out."""
    LOG = "log"
    """Log lines."""


ALLOWED: Mapping[FieldClass, frozenset[Place]] = MappingProxyType(
    {
        FieldClass.SECRET: frozenset(),
        FieldClass.USER_PII: frozenset({Place.ARCHIVE, Place.EXPORT}),
        FieldClass.SENSITIVE_CONTENT: frozenset({Place.ARCHIVE, Place.EXPORT}),
        FieldClass.IDENTIFIER: frozenset(
            {Place.STATE, Place.PERSON_VIEW, Place.POISON, Place.ARCHIVE, Place.EXPORT}
        ),
        FieldClass.ANALYTICS_ONLY: frozenset(set(Place) - {Place.LOG}),
    }
)
"""The places that the values of each class may go to."""


def may_go(field_class: FieldClass, place: Place) -> bool:
    """Return whether values of a class may go to a place."""
    return place in ALLOWED[field_class]
