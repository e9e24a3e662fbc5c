"""The content of a period: counts by text, chapter, passage, topic and persona, and readers. Pure.

A row is a kind, a key and whole numbers. Rows of two contents are added number by number, in any order. A
content is divided into parts by a hash of the key, so that each part is small however many keys there are.
All rows of one passage are in one part. A ranking can therefore be computed part by part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from xxhash import xxh3_64_intdigest

from shared.builds.rows import PEOPLE, AllRow, Kind, ReadersRow, TextRow, TopicRow
from shared.facts import Passage
from shared.privacy.classes import MIN_PEOPLE

CONTENT_VERSION = 4
"""Changes with the meaning of any row. Documents of another version are built again."""

PART_BYTES = 128 * 1024
"""Bytes of JSON above which a content is divided. Its parts have half of this to all of it."""

_PERSON_CHARACTERS = 11
"""Length of a person's hash: see :func:`~shared.units.hash_key`."""


_OF_PEOPLE = frozenset(PEOPLE.values())


class Figures(NamedTuple):
    """The figures of a content that stand in its manifest."""

    interactions: int = 0
    citations: int = 0
    passages: int = 0
    """Different passages."""
    windows: Mapping[str, Sequence[int]] = MappingProxyType({})
    """The rows of :attr:`Kind.WINDOWS`, by window."""

    def plus(self, other: Figures) -> Figures:
        """Return the sum of both."""
        windows = Content({Kind.WINDOWS: self.windows})
        windows.merge(Content({Kind.WINDOWS: other.windows}))
        return Figures(
            self.interactions + other.interactions,
            self.citations + other.citations,
            self.passages + other.passages,
            windows.rows(Kind.WINDOWS),
        )

    def encode(self) -> dict[str, Any]:
        """Return the form in which a manifest has them."""
        return self._asdict() | {"windows": {window: list(row) for window, row in self.windows.items()}}


class Content:
    """Rows by kind and key."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[Kind, Mapping[str, Iterable[int]]] | None = None) -> None:
        self._rows: dict[Kind, dict[str, list[int]]] = {
            kind: {key: list(row) for key, row in of_kind.items()} for kind, of_kind in (rows or {}).items()
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]  # a content changes

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def __repr__(self) -> str:
        return f"Content({self._rows!r})"

    def add(self, kind: Kind, key: str, row: Sequence[int]) -> None:
        """Add a row to the row of its key.

        Of days on which something was cited, the last one is kept. Of people, those with the lowest numbers
        are kept: the same ones in whichever order they are added.
        """
        rows = self._rows.setdefault(kind, {})
        known = rows.get(key)
        if known is None:
            rows[key] = list(row)
            return
        if kind in _OF_PEOPLE:
            rows[key] = sorted({*known, *row})[:MIN_PEOPLE]
            return
        last = known[-1]
        if len(row) > len(known):  # it is of an earlier version
            known += [0] * (len(row) - len(known))
        for column, amount in enumerate(row):
            known[column] += amount
        if kind is Kind.PASSAGES:
            known[-1] = max(last, known[-1] - last)

    def put(self, kind: Kind, key: str, row: Iterable[int]) -> None:
        """Set the row of a key."""
        self._rows.setdefault(kind, {})[key] = list(row)

    def merge(self, other: Content) -> None:
        """Add all rows of another content."""
        for kind, rows in other._rows.items():
            for key, row in rows.items():
                self.add(kind, key, row)

    def rows(self, kind: Kind) -> Mapping[str, list[int]]:
        """Return the rows of a kind, by key."""
        return self._rows.get(kind, {})

    def keep(self, kind: Kind, keys: Iterable[str]) -> None:
        """Drop the rows of a kind, except those of some keys."""
        rows = self.rows(kind)
        self._rows[kind] = {key: rows[key] for key in keys if key in rows}

    def keep_shared(self, kind: Kind) -> None:
        """Drop the rows of a kind that fewer than :data:`~shared.privacy.classes.MIN_PEOPLE` people share."""
        people = self.rows(PEOPLE[kind])
        self.keep(kind, [key for key in self.rows(kind) if len(people.get(key, ())) == MIN_PEOPLE])
        self.drop(PEOPLE[kind])

    def drop(self, kind: Kind) -> None:
        """Drop the rows of a kind."""
        self._rows.pop(kind, None)

    @property
    def all(self) -> AllRow:
        """The row about everything."""
        return AllRow(*self.rows(Kind.ALL).get("", ()))

    def text(self, text: str) -> TextRow:
        """Return the row of a text, zeros without one."""
        return TextRow(*self.rows(Kind.TEXTS).get(text, ()))

    def topic(self, topic: str) -> TopicRow:
        """Return the row of a topic, zeros without one."""
        return TopicRow(*self.rows(Kind.TOPICS).get(topic, ()))

    def readers(self, text: str) -> ReadersRow:
        """Return the numbers of readers of a text, as :meth:`count_readers` counted them."""
        return ReadersRow(*self.rows(Kind.READER_COUNTS).get(text, ()))

    def figures(self) -> Figures:
        """Return the figures of this content. Those of all parts add up to those of the whole."""
        passages = {after_first(key) for key in self.rows(Kind.PASSAGES)}
        return Figures(*self.all, len(passages), self.rows(Kind.WINDOWS))

    def count_readers(self) -> None:
        """Replace the readers by their numbers. Correct if all days of a person and text are in this part."""
        for key, (days, *_) in self.rows(Kind.READERS).items():
            self.add(Kind.READER_COUNTS, before_last(key), ReadersRow(1, int(days > 1)))
        self.drop(Kind.READERS)

    def split(self, parts: int, number: int = 0) -> dict[int, Content]:
        """Divide the rows into parts by the hash of their keys. A part without rows is left out.

        Parameters
        ----------
        number
            The part of a coarser division that these rows are. Numbers of readers stay in the part with this
            number: they are sums over its people, and add up over all parts.
        """
        if parts == 1:
            return {0: self}
        found: dict[int, Content] = {}
        for kind, rows in self._rows.items():
            for key, row in rows.items():
                part = number if kind is Kind.READER_COUNTS else part_of(kind, key, parts)
                found.setdefault(part, Content()).put(kind, key, row)
        return found

    def sheets(self) -> list[dict[str, Any]]:
        """Return the stored forms of a part: of one document, or of several that are small enough.

        Rows of one passage are in one part, and documents may name any number of topics with it.

        Raises
        ------
        ValueError
            As :meth:`encode`.
        """
        whole = self.encode()
        number = parts_for(size_of(whole) // 2)
        if number == 1:
            return [whole]
        sheets = [Content() for _ in range(number)]
        for kind, rows in self._rows.items():
            for key, row in rows.items():
                sheets[xxh3_64_intdigest(f"{kind}|{key}".encode()) % number].put(kind, key, row)
        return [sheet.encode() for sheet in sheets]

    def encode(self) -> dict[str, Any]:
        """Return the stored form. The readers of a text are one string of hashes: each read it on one day.

        Raises
        ------
        ValueError
            A reader has more than one day. Only the content of a day is stored with its readers.
        """
        stored: dict[str, Any] = {k: rows for k, rows in self._rows.items() if k is not Kind.READERS and rows}
        readers: dict[str, list[str]] = {}
        for key, row in self.rows(Kind.READERS).items():
            if row != [1]:
                raise ValueError(f"a reader of {before_last(key)!r} has {row[0]} days in the content of one")
            text, _, person = key.rpartition("|")
            readers.setdefault(text, []).append(person)
        if readers:
            stored[Kind.READERS] = {text: "".join(sorted(people)) for text, people in readers.items()}
        return stored

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` returned."""
        content = cls({Kind(kind): rows for kind, rows in stored.items() if kind != Kind.READERS})
        for text, people in stored.get(Kind.READERS, {}).items():
            for start in range(0, len(people), _PERSON_CHARACTERS):
                content.put(Kind.READERS, f"{text}|{people[start : start + _PERSON_CHARACTERS]}", [1])
        return content


def merged(contents: Iterable[Content]) -> Content:
    """Return the sum of several contents."""
    total = Content()
    for content in contents:
        total.merge(content)
    return total


def size_of(encoded: Mapping[str, Any]) -> int:
    """Return the bytes of a stored content as JSON."""
    return len(json.dumps(encoded, separators=(",", ":")))


def parts_for(size: int) -> int:
    """Return the number of parts, a power of two, for a content of so many bytes."""
    parts = 1
    while size > parts * PART_BYTES:
        parts *= 2
    return parts


def part_of(kind: Kind, key: str, parts: int) -> int:
    """Return the part of a row. All rows of one passage have the same part."""
    match kind:
        case Kind.PASSAGES:
            key = after_first(key)
        case Kind.PASSAGE_TOPICS | Kind.PASSAGE_TOPIC_PEOPLE:
            key = before_last(key)
    return xxh3_64_intdigest(key.encode()) % parts


def person_number(user_id: str) -> int:
    """Return a person as a number that the service stores exactly: it stores numbers as doubles."""
    return xxh3_64_intdigest(user_id.encode()) >> 11


def nested(parts: int) -> Iterator[int]:
    """Yield all parts so that those within one part of a coarser division follow each other.

    Parts are powers of two: part ``n`` of 64 lies in part ``n % 16`` of 16.
    """
    bits = parts.bit_length() - 1
    yield from (int(f"{n:0{bits}b}"[::-1], 2) if bits else 0 for n in range(parts))


def after_first(key: str) -> str:
    """Return a key without its first name: the passage of ``persona|text|chapter|verse``."""
    return key.partition("|")[2]


def before_last(key: str) -> str:
    """Return a key without its last name: the passage of ``text|chapter|verse|topic``."""
    return key.rpartition("|")[0]


def passage_from(key: str) -> Passage:
    """Return the passage of ``text|chapter|verse``."""
    text, chapter, verse = key.split("|")
    return Passage(text, chapter or None, verse or None)
