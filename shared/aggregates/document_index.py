"""The index of a person's documents: on which hours' ledger pages their entries are.

Each entry is a token of six characters: four of a hash of the document, two of the hour within the month. A
document costs six bytes, and nothing has to be indexed by the service. The hash has 24 bits. Two documents
of one person with the same hash cost a read of a page that does not have the entry, and change no count.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Self

from xxhash import xxh3_64_digest

from shared.units import EventHour, Month

_HASH, _TOKEN = 4, 6
"""Characters of a hash and of a token."""

_DIGITS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


def document_hash(source: str, document_id: str) -> str:
    """Return the hash of a document among those of its person."""
    return urlsafe_b64encode(xxh3_64_digest(f"{source}\0{document_id}".encode())[:3]).decode()


def reference_hash(source: str, reference: str) -> str:
    """Return the hash of a source's documents that refer to one document of another source."""
    return document_hash(f"{source} to", reference)


class DocumentIndex:
    """The tokens of a person's documents, by source and month. A token may occur several times."""

    __slots__ = ("_months",)

    def __init__(self, months: Mapping[str, str] | None = None) -> None:
        self._months: dict[str, str] = dict(months or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentIndex) and self._months == other._months

    __hash__ = None  # type: ignore[assignment]  # an index changes

    def __bool__(self) -> bool:
        return bool(self._months)

    def add(self, source: str, hashed: str, hour: EventHour) -> None:
        """Record that a document's entry is on a source's pages of an hour."""
        month, token = _key(source, hour), hashed + _code(hour)
        tokens = self._months.get(month, "")
        at = _position(tokens, token)
        self._months[month] = tokens[:at] + token + tokens[at:]

    def discard(self, source: str, hashed: str, hour: EventHour) -> None:
        """Drop one record of :meth:`add`, if there is one."""
        month, token = _key(source, hour), hashed + _code(hour)
        tokens = self._months.get(month, "")
        at = _position(tokens, token)
        if tokens[at : at + _TOKEN] == token:
            tokens = tokens[:at] + tokens[at + _TOKEN :]
        if tokens:
            self._months[month] = tokens
        else:
            self._months.pop(month, None)

    def hours_of(self, hashed: str) -> Iterator[EventHour]:
        """Yield the hours whose pages may have a document with this hash."""
        for key, tokens in self._months.items():
            month = key.rpartition("|")[2]
            at = _position(tokens, hashed)
            while tokens[at : at + _HASH] == hashed:
                yield _hour(month, tokens[at + _HASH : at + _TOKEN])
                at += _TOKEN

    def hours(self) -> set[tuple[str, EventHour]]:
        """Return the sources and hours whose pages have documents of the person."""
        return {
            (key.partition("|")[0], _hour(key.partition("|")[2], tokens[at + _HASH : at + _TOKEN]))
            for key, tokens in self._months.items()
            for at in range(0, len(tokens), _TOKEN)
        }

    def has_source(self, source: str) -> bool:
        """Return whether the index has any document of a source."""
        return any(key.startswith(source) for key in self._months)

    def months(self) -> set[tuple[str, Month]]:
        """Return the sources and months with documents of the person."""
        return {(source, Month(month)) for key in self._months for source, _, month in [key.partition("|")]}

    def drop(self, source: str, month: Month) -> None:
        """Drop the records of a source's month, whose pages have ended."""
        self._months.pop(f"{source}|{month}", None)

    @property
    def weight(self) -> int:
        """Size of its JSON in bytes."""
        return sum(len(key) + 6 + len(tokens) for key, tokens in self._months.items())

    def copy(self) -> DocumentIndex:
        """Return an independent copy."""
        return DocumentIndex(self._months)

    def encode(self) -> dict[str, str]:
        """Return the form in which it is stored: the sorted tokens of each month, one after the other."""
        return self._months

    @classmethod
    def decode(cls, stored: Mapping[str, str]) -> Self:
        """Read what :meth:`encode` wrote."""
        return cls(stored)


def _position(tokens: str, start: str) -> int:
    """Return where the first token that is not less than ``start`` begins."""
    low, high = 0, len(tokens) // _TOKEN
    while low < high:
        middle = (low + high) // 2
        if tokens[middle * _TOKEN : middle * _TOKEN + len(start)] < start:
            low = middle + 1
        else:
            high = middle
    return low * _TOKEN


def _key(source: str, hour: EventHour) -> str:
    return f"{source}|{hour[:4]}{hour[5:7]}"


@lru_cache(maxsize=1_024)
def _code_of(number: int) -> str:
    return _DIGITS[number // 64] + _DIGITS[number % 64]


def _code(hour: EventHour) -> str:
    return _code_of((int(hour[8:10]) - 1) * 24 + int(hour[11:]))


def _hour(month: str, code: str) -> EventHour:
    day, hour = divmod(_DIGITS.index(code[0]) * 64 + _DIGITS.index(code[1]), 24)
    return EventHour(f"{month[:4]}-{month[4:]}-{day + 1:02d}T{hour:02d}")
