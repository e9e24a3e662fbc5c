"""What facts have in common: where they stand on the ledger, and how a page stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Self

from shared.units import Day, EventHour, Micro, Millis, Month, event_hour, minute_of_day, to_micro

UNKNOWN = "unknown"
"""Stands for a persona, model, text, category, type or severity that the document does not name."""


class Passage(NamedTuple):
    """A place in a text; chapter and verse are None where the whole text or chapter is meant."""

    text: str
    chapter: str | None
    verse: str | None

    @property
    def key(self) -> str:
        """The passage as one key, ``bhagavad_gita|2|47``."""
        return f"{self.text}|{self.chapter or ''}|{self.verse or ''}"

    @property
    def content_id(self) -> str:
        """The passage as the specification names content, ``bhagavad_gita_2_47``."""
        return "_".join(part for part in self if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A source document reduced to numbers and labels; ``at`` is when it happened."""

    user_id: str
    at: Millis

    STORED_KEYS: ClassVar[Mapping[str, str]] = {}
    """Names of the stored fields, each with the short key that a page stores it under."""

    REFERS: ClassVar[str | None] = None
    """Short key of the field that names a document of another source, if there is one."""

    @property
    def hour(self) -> EventHour:
        """The UTC hour it happened in: the ledger page it belongs to."""
        return event_hour(self.at)

    @property
    def day(self) -> Day:
        """The UTC day it happened on."""
        return Day(self.hour[:10])

    @property
    def month(self) -> Month:
        """The UTC month it happened in."""
        return Month(self.hour[:4] + self.hour[5:7])

    @property
    def minute_of_day(self) -> int:
        """Minutes since midnight UTC, 0 to 1439."""
        return minute_of_day(self.at)

    def encode(self) -> dict[str, Any]:
        """Return the form in which a ledger page stores it: short keys, defaults left out."""
        return {
            short: value
            for name, short, default in _stored(type(self))
            if (value := getattr(self, name)) != default
        }

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        return cls(
            user_id=user_id, **{name: stored[short] for name, short, _ in _stored(cls) if short in stored}
        )


_layouts: dict[type[Fact], tuple[tuple[str, str, object], ...]] = {}


def _stored(kind: type[Fact]) -> tuple[tuple[str, str, object], ...]:
    """Return name, short key and default of each field that is stored."""
    if kind not in _layouts:
        defaults = {field.name: field.default for field in fields(kind)}
        _layouts[kind] = tuple((name, short, defaults[name]) for name, short in kind.STORED_KEYS.items())
        assert {*defaults} == {*kind.STORED_KEYS, "user_id"}  # noqa: S101  a field without a short key would be lost
    return _layouts[kind]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Stands on the ledger for a document whose current version cannot be read.

    It counts in no view. It remembers the version, so that an older one that can be read, and is delivered
    late, is not counted in its place. ``at`` is when it was written, in milliseconds since the epoch.
    ``refused`` if it is an account: that its owner agrees to anything, nobody can read in it.
    """

    user_id: str
    at: Millis
    refused: bool = False

    @property
    def hour(self) -> EventHour:
        """The UTC hour it was written in."""
        return event_hour(self.at)

    def encode(self) -> dict[str, Any]:
        """Return the form in which a ledger page stores it."""
        return {WITHDRAWN: self.at} | ({_REFUSED: True} if self.refused else {})

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        return cls(user_id, stored[WITHDRAWN], stored.get(_REFUSED, False))


WITHDRAWN = "withdrawn"
"""The key by which a stored fact says that it is :class:`Withdrawn`."""

_REFUSED = "no"


def rounded(value: float | None) -> int | None:
    """Return a measured value as a whole number."""
    return None if value is None else round(value)


def micro_or_none(value: float | None) -> Micro | None:
    """Return a measured value as fixed point."""
    return None if value is None else to_micro(value)
