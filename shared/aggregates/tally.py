"""The state of an aggregate: named maps of integer counts. Adding and then subtracting leaves no trace.

Additions may come in any order and grouping, and each can be subtracted again. A count that reaches zero is
dropped, so that equal states are equal documents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, log

SUMS = "sums"
"""Name of the map that holds plain sums. All other maps hold counts by key."""

PART = ":"
"""Separates the name of a part from the name of a map in it."""

OTHER = "other"
"""Replaces all keys that are not shown by name."""

RELATIVE_ERROR = 0.01
"""Each histogram bucket is (1 + e) / (1 - e) times as wide as the one before. The middle of a bucket is then
within 1 % of every value in it.

This is the bucketing of DDSketch (Masson, Rim and Lee, VLDB 2019). The relative error is bounded at every
quantile, and histograms merge by adding counts. The range from 1 ms to 1 hour has about 755 buckets; a day
uses some dozens of them.
"""

_MAP_BYTES, _COUNT_BYTES = 24, 10
"""JSON bytes of a map and of a count, without the count's key: quotes, colon, comma and digits."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = log(_GAMMA)


class CountSink(ABC):
    """The interface for counting amounts: a tally, or one part of it."""

    __slots__ = ()

    @abstractmethod
    def count(self, name: str, key: str, amount: int = 1) -> None:
        """Add ``amount`` to the count of ``key`` in the map ``name``."""

    def add(self, name: str, amount: int) -> None:
        """Add ``amount`` to the sum ``name``."""
        self.count(SUMS, name, amount)

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Count ``value``, which is not negative, in the histogram ``name``."""
        self.count(name, bucket_of(value), times)

    def sample(self, name: str, value: int | None) -> None:
        """Add a measured value to a mean; None means that it was not measured."""
        if value is not None:
            self.add(name, value)
            self.add(f"{name}#", 1)

    def sample_by(self, name: str, key: str, value: int | None) -> None:
        """Add a measured value to the mean of ``key``; None means that it was not measured."""
        if value is not None:
            self.count(name, key, value)
            self.count(f"{name}#", key)


class Tally(CountSink):
    """Sums, counts by key and histograms, all of them integers."""

    __slots__ = ("_maps",)

    def __init__(self, maps: Mapping[str, Mapping[str, int]] | None = None) -> None:
        self._maps: dict[str, dict[str, int]] = {name: dict(m) for name, m in (maps or {}).items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self._maps == other._maps

    __hash__ = None  # type: ignore[assignment]  # a tally changes

    def __bool__(self) -> bool:
        return bool(self._maps)

    def __repr__(self) -> str:
        return f"Tally({self._maps!r})"

    def count(self, name: str, key: str, amount: int = 1) -> None:
        """Add ``amount`` to the count of ``key`` in the map ``name``."""
        if not amount:
            return
        counts = self._maps.get(name)
        if counts is None:
            self._maps[name] = {key: amount}
            return
        total = counts.get(key, 0) + amount
        if total:
            counts[key] = total
            return
        del counts[key]
        if not counts:
            del self._maps[name]

    def part_writer(self, part: str) -> CountSink:
        """Return a sink that counts into one part of this tally; :meth:`part` reads the part."""
        return _PartWriter(self, f"{part}{PART}")

    def parts(self) -> set[str]:
        """Return the names of the parts that are not empty."""
        return {name.partition(PART)[0] for name in self._maps if PART in name}

    def part(self, part: str) -> Tally:
        """Return a copy of one part as a tally, empty if there is no such part."""
        start = f"{part}{PART}"
        return Tally({n.removeprefix(start): m for n, m in self._maps.items() if n.startswith(start)})

    def merge(self, other: Tally, sign: int = 1) -> None:
        """Add ``other``, or subtract it with ``sign=-1``."""
        for name, counts in other._maps.items():
            mine = self._maps.get(name)
            if mine is None:
                self._maps[name] = {key: sign * amount for key, amount in counts.items()}
                continue
            for key, amount in counts.items():
                total = mine.get(key, 0) + sign * amount
                if total:
                    mine[key] = total
                else:
                    del mine[key]
            if not mine:
                del self._maps[name]

    def copy(self) -> Tally:
        """Return an independent tally with the same counts."""
        return Tally(self._maps)

    def total(self, name: str) -> int:
        """Return the sum ``name``, 0 if there is none."""
        return self._maps.get(SUMS, {}).get(name, 0)

    def counts(self, name: str) -> Mapping[str, int]:
        """Return the map ``name``, empty if there is none."""
        return self._maps.get(name, {})

    def mean(self, name: str, unit: int = 1, digits: int = 4) -> float | None:
        """Return the mean of what :meth:`sample` added, in ``unit``s, None if there was no sample."""
        return ratio(self.total(name), self.total(f"{name}#") * unit, digits)

    def sum_over(self, name: str, keys: Iterable[str]) -> int:
        """Return the sum of the counts of some keys in the map ``name``."""
        counts = self.counts(name)
        return sum(counts.get(key, 0) for key in keys)

    def mean_over(self, name: str, keys: Sequence[str], unit: int = 1, digits: int = 4) -> float | None:
        """Return the mean of what :meth:`sample_by` added for some keys, None if there was no sample."""
        return ratio(self.sum_over(name, keys), self.sum_over(f"{name}#", keys) * unit, digits)

    @property
    def weight(self) -> int:
        """Size of its JSON in bytes, estimated."""
        return sum(
            _MAP_BYTES + _bytes_of(counts) + _COUNT_BYTES * len(counts) for counts in self._maps.values()
        )

    def encode(self) -> dict[str, dict[str, int]]:
        """Return the form in which a partial stores it."""
        return self._maps


def _bytes_of(keys: Iterable[str]) -> int:
    text = "".join(keys)
    return len(text) if text.isascii() else len(text.encode())


class _PartWriter(CountSink):
    """Counts into one part of a tally: the maps whose names have the part's prefix."""

    __slots__ = ("_start", "_whole")

    def __init__(self, whole: Tally, start: str) -> None:
        self._whole = whole
        self._start = start

    def count(self, name: str, key: str, amount: int = 1) -> None:
        self._whole.count(f"{self._start}{name}", key, amount)


def merged(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of several tallies."""
    total = Tally()
    for tally in tallies:
        total.merge(tally)
    return total


def bucket_of(value: float) -> str:
    """Return the histogram bucket of a value that is not negative. Zero has its own bucket."""
    if value < 0:
        raise ValueError(f"a histogram accepts no negative value, got {value}")
    return "z" if value == 0 else str(ceil(log(value) / _LOG_GAMMA))


def bucket_value(bucket: str) -> float:
    """Return the representative value of a bucket, within 1 % of every value counted in it."""
    return 0.0 if bucket == "z" else float(2 * _GAMMA ** int(bucket) / (_GAMMA + 1))


def quantile(histogram: Mapping[str, int], q: float) -> float | None:
    """Return the value at quantile ``q`` (0–1, nearest rank) of a histogram, None if it is empty."""
    total = sum(histogram.values())
    if not total:
        return None
    rank = max(1, ceil(q * total))
    seen = 0
    ordered = sorted(histogram, key=lambda bucket: -1e9 if bucket == "z" else int(bucket))
    for bucket in ordered:
        seen += histogram[bucket]
        if seen >= rank:
            return bucket_value(bucket)
    return bucket_value(ordered[-1])


def top(counts: Mapping[str, int], k: int) -> list[str]:
    """Return the ``k`` keys with the highest counts. Ties are in order of the keys."""
    return sorted(counts, key=lambda key: (-counts[key], key))[:k]


def group_by_display_name(
    counts: Mapping[str, int], k: int, name_of: Callable[[str], str] = str
) -> dict[str, list[str]]:
    """Group keys by display name: the ``k`` names with the highest counts, and all other keys as ``other``.

    Parameters
    ----------
    name_of
        Returns the display name of a key. Keys with the same name form one group.
    """
    groups: dict[str, list[str]] = {}
    for key in sorted(counts):
        groups.setdefault(name_of(key), []).append(key)
    kept = top({name: sum(counts[key] for key in keys) for name, keys in groups.items()}, k)
    displayed = {name: groups.pop(name) for name in sorted(kept)}
    if groups:
        displayed.setdefault(OTHER, []).extend(key for keys in groups.values() for key in keys)
    return displayed


def ratio(part: int, whole: int, digits: int = 4) -> float | None:
    """Return ``part / whole`` rounded to ``digits``, None if ``whole`` is zero."""
    return round(part / whole, digits) if whole else None
