"""The base class of facts: their ledger page, and how a page stores them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Self

from shared.privacy.forms import UNKNOWN as UNKNOWN
from shared.privacy.forms import label
from shared.units import Day, EventHour, Micro, Millis, Month, event_hour, minute_of_day, to_micro


class Passage(NamedTuple):
    """A passage of a text. ``chapter`` is None for a whole text, ``verse`` is None for a whole chapter."""

    text: str
    chapter: str | None
    verse: str | None

    @property
    def key(self) -> str:
        """The key of the passage, ``bhagavad_gita|2|47``."""
        return f"{self.text}|{self.chapter or ''}|{self.verse or ''}"

    @property
    def content_id(self) -> str:
        """The specification's content id of the passage, ``bhagavad_gita_2_47``."""
        return "_".join(part for part in self if part is not None)


_LONGEST_NUMERAL = 128
"""Characters of the longest chapter or verse in which :func:`passage_of` looks for both. Longer ones are
sentences."""

_BOTH = re.compile(r"(?:.*[^\d.:])?(\d+)[.:](\d+(?:-\d+)?)")
"""Chapter and verse in one text: ``2:47``, ``2.47``, ``Gita 2.14``, ``2.14-16``."""


def passage_of(text: str, chapter: str | None, verse: str | None) -> Passage:
    """Return the passage that a citation, or a document about a passage, means. One passage has one spelling.

    1. A chapter ``2:47`` or ``2.47`` without a verse is chapter 2, verse 47. So is a verse ``2:47``,
       ``2.47`` or ``Gita 2.47`` without a chapter, or of chapter 2.
    2. A chapter ``2:47`` with verse 47 is chapter 2.
    3. A number has no leading zeros.
    4. Chapter and verse are names: see :func:`~shared.documents.common.label`.

    Parameters
    ----------
    text
        Name of the text, as :func:`~shared.documents.common.label` returns it.
    """
    chapter, verse = _numeral(chapter), _numeral(verse)
    in_chapter, in_verse = _both(chapter), _both(verse)
    if in_chapter and (verse is None or (":" in (chapter or "") and verse == in_chapter[1])):
        chapter, verse = in_chapter
    elif in_verse and chapter in (None, in_verse[0]):
        chapter, verse = in_verse
    return Passage(text, label(chapter or "") or None, label(verse or "") or None)


def _both(numeral: str | None) -> tuple[str | None, str | None] | None:
    """Return chapter and verse of a text that has both, None if it does not."""
    found = _BOTH.fullmatch(numeral) if numeral and len(numeral) <= _LONGEST_NUMERAL else None
    return None if found is None else (_numeral(found[1]), _numeral(found[2]))


def _numeral(text: str | None) -> str | None:
    """Return a chapter or verse without blanks around it and leading zeros, None for a blank one."""
    stripped = (text or "").strip()
    return (stripped.lstrip("0") or "0") if stripped.isdecimal() else stripped or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A source document reduced to numbers and labels. ``at`` is the time of the event."""

    user_id: str
    at: Millis

    STORED_KEYS: ClassVar[Mapping[str, str]] = {}
    """Names of the stored fields, each with its short key on a page."""

    @property
    def reference(self) -> str | None:
        """The key by which the index finds the fact from the document of another source that it refers to.

        None if it refers to none.
        """
        return None

    @classmethod
    def stored_reference(cls, stored: Mapping[str, Any]) -> str | None:
        """Return :attr:`reference` of a stored fact, without decoding it."""
        return None

    @property
    def hour(self) -> EventHour:
        """The UTC hour of the event. It decides the ledger page."""
        return event_hour(self.at)

    @property
    def day(self) -> Day:
        """The UTC day of the event."""
        return Day(self.hour[:10])

    @property
    def month(self) -> Month:
        """The UTC month of the event."""
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
class Uncounted:
    """The ledger's record of a document whose current version cannot be read.

    It counts in no view. Its entry stores the version, so that an older, readable version that is delivered
    late is not counted. ``at`` is the time of the write, in milliseconds since the epoch. ``refused`` is True
    for a user's account: an unreadable account gives no consent.
    """

    user_id: str
    at: Millis
    refused: bool = False

    @property
    def reference(self) -> None:
        """None: whatever the document refers to cannot be read."""
        return

    @property
    def hour(self) -> EventHour:
        """The UTC hour of the write."""
        return event_hour(self.at)

    def encode(self) -> dict[str, Any]:
        """Return the form in which a ledger page stores it."""
        return {STORED_UNCOUNTED: self.at} | ({_REFUSED: True} if self.refused else {})

    @classmethod
    def decode(cls, user_id: str, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote on the page of ``user_id``."""
        return cls(user_id, stored[STORED_UNCOUNTED], stored.get(_REFUSED, False))


STORED_UNCOUNTED = "withdrawn"
"""Key of a stored fact that marks it as :class:`Uncounted`."""

_REFUSED = "no"


def rounded(value: float | None) -> int | None:
    """Return a measured value as a whole number."""
    return None if value is None else round(value)


def micro_or_none(value: float | None) -> Micro | None:
    """Return a measured value as fixed point."""
    return None if value is None else to_micro(value)
