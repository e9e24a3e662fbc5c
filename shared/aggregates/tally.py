"""The state of an aggregate: typed integer counters. Adding and then subtracting leaves no trace.

Additions may come in any order and grouping, and each can be subtracted again. A count that reaches zero is
dropped, so that equal states are equal documents.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from math import ceil, log
from typing import Any, NamedTuple, Self

OTHER = "other"
"""Replaces all keys that are not shown by name."""

RELATIVE_ERROR = 0.01
"""Each histogram bucket is (1 + e) / (1 - e) times as wide as the one before. The middle of a bucket is then
within 1 % of every value in it.

This is the bucketing of DDSketch (Masson, Rim and Lee, VLDB 2019). The relative error is bounded at every
quantile, and histograms merge by adding counts. The range from 1 ms to 1 hour has about 755 buckets; a day
uses some dozens of them.
"""

_BYTES_OF_TALLY, _MAP_BYTES, _COUNT_BYTES, _MEAN_BYTES = 60, 24, 10, 18
"""JSON bytes of a tally, of a map, of a count and of a mean, without the keys of the latter two."""

_STORED = ("sums", "means", "counts", "means_by", "parts")

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = log(_GAMMA)


class Mean(NamedTuple):
    """The total of measured values and their number."""

    total: int
    samples: int

    def value(self, unit: int = 1, digits: int = 4) -> float | None:
        """Return the mean in ``unit``s, None without samples."""
        return ratio(self.total, self.samples * unit, digits)


NO_SAMPLES = Mean(0, 0)

_NOTHING: dict[str, Any] = {}
"""Stands for every dictionary that has no entries yet. It is never changed."""


class Tally:
    """Sums, means, counts by key, means by key, and parts, which are tallies again. All integers.

    The empty tally is falsy. Entries that reach zero are dropped. A copy shares the parts that neither side
    has changed.
    """

    __slots__ = ("_counts", "_means", "_means_by", "_parts", "_shared", "_sums")

    def __init__(self) -> None:
        # Most tallies use few of these, and a fold makes many tallies: dictionaries are made when needed.
        self._sums: dict[str, int] = _NOTHING
        # A mean is a list of total and samples: lists are added to in place.
        self._means: dict[str, list[int]] = _NOTHING
        self._counts: dict[str, dict[str, int]] = _NOTHING
        self._means_by: dict[str, dict[str, list[int]]] = _NOTHING
        self._parts: dict[str, Tally] = _NOTHING
        self._shared: set[str] | frozenset[str] = frozenset()
        """Parts that belong to another tally too: they are copied before they change."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.encode() == other.encode()

    __hash__ = None  # type: ignore[assignment]  # a tally changes

    def __bool__(self) -> bool:
        return bool(self._sums or self._means or self._counts or self._means_by or any(self._parts.values()))

    def __repr__(self) -> str:
        return f"Tally({self.encode()!r})"

    def add(self, name: str, amount: int) -> None:
        """Add ``amount`` to the sum ``name``."""
        if amount:
            if self._sums is _NOTHING:
                self._sums = {}
            _add(self._sums, name, amount)

    def count(self, name: str, key: str, amount: int = 1) -> None:
        """Add ``amount`` to the count of ``key`` in the group ``name``."""
        if not amount:
            return
        counts = self._counts.get(name)
        if counts is None:
            if self._counts is _NOTHING:
                self._counts = {}
            self._counts[name] = {key: amount}
            return
        _add(counts, key, amount)
        if not counts:
            del self._counts[name]

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Count ``value``, which is not negative, in the histogram ``name``."""
        self.count(name, bucket_of(value), times)

    def sample(self, name: str, value: int | None) -> None:
        """Add a measured value to the mean ``name``; None means that it was not measured."""
        if value is not None:
            self._add_to_mean(name, value, 1)

    def sample_by(self, name: str, key: str, value: int | None) -> None:
        """Add a measured value to the mean of ``key`` in ``name``; None means that it was not measured."""
        if value is None:
            return
        if self._means_by is _NOTHING:
            self._means_by = {}
        means = self._means_by.setdefault(name, {})
        _add_mean(means, key, value, 1)
        if not means:
            del self._means_by[name]

    def merge_mean(self, name: str, mean: Mean) -> None:
        """Add the values of a mean to the mean ``name``."""
        self._add_to_mean(name, *mean)

    def _add_to_mean(self, name: str, total: int, samples: int) -> None:
        if self._means is _NOTHING:
            self._means = {}
        _add_mean(self._means, name, total, samples)

    def part(self, name: str) -> Tally:
        """Return a part, to count into it. A part that stays empty does not count as an entry."""
        found = self._parts.get(name)
        if found is None:
            if self._parts is _NOTHING:
                self._parts = {}
            found = self._parts[name] = Tally()
        elif name in self._shared:
            self._shared -= {name}
            found = self._parts[name] = found.copy()
        return found

    def drop_part(self, name: str) -> None:
        """Drop a part with everything that is counted in it."""
        if name in self._parts:
            del self._parts[name]
            self._shared -= {name}

    def parts(self) -> dict[str, Tally]:
        """Return the parts that are not empty, by name. They are not to be changed."""
        return {name: part for name, part in self._parts.items() if part}

    def merge(self, other: Tally, sign: int = 1) -> None:
        """Add ``other``, or subtract it with ``sign=-1``."""
        for name, amount in other._sums.items():
            self.add(name, sign * amount)
        for name, (total, samples) in other._means.items():
            self._add_to_mean(name, sign * total, sign * samples)
        if other._counts and self._counts is _NOTHING:
            self._counts = {}
        for name, counts in other._counts.items():
            mine = self._counts.setdefault(name, {})
            for key, amount in counts.items():
                _add(mine, key, sign * amount)
            if not mine:
                del self._counts[name]
        if other._means_by and self._means_by is _NOTHING:
            self._means_by = {}
        for name, means in other._means_by.items():
            own = self._means_by.setdefault(name, {})
            for key, (total, samples) in means.items():
                _add_mean(own, key, sign * total, sign * samples)
            if not own:
                del self._means_by[name]
        for name, part in other._parts.items():
            self.part(name).merge(part, sign)

    def copy(self) -> Tally:
        """Return an independent tally with the same entries."""
        copied = Tally()
        copied._sums = self._sums.copy()
        copied._means = {name: mean.copy() for name, mean in self._means.items()}
        copied._counts = {name: counts.copy() for name, counts in self._counts.items()}
        copied._means_by = {
            name: {key: mean.copy() for key, mean in means.items()} for name, means in self._means_by.items()
        }
        copied._parts = self._parts.copy()
        copied._shared = set(self._parts)
        self._shared = set(self._parts)
        return copied

    def total(self, name: str) -> int:
        """Return the sum ``name``, or the total of the mean ``name``; 0 without an entry."""
        mean = self._means.get(name)
        return self._sums.get(name, 0) if mean is None else mean[0]

    def samples(self, name: str) -> int:
        """Return the number of values in the mean ``name``."""
        return self.mean_of(name).samples

    def mean_of(self, name: str) -> Mean:
        """Return what :meth:`sample` added to ``name``."""
        mean = self._means.get(name)
        return NO_SAMPLES if mean is None else Mean(*mean)

    def counts(self, name: str) -> Mapping[str, int]:
        """Return the counts of the group ``name``, empty if there is none."""
        return self._counts.get(name, {})

    def means_by(self, name: str) -> Mapping[str, Mean]:
        """Return the means by key of ``name``, empty if there are none."""
        return {key: Mean(*mean) for key, mean in self._means_by.get(name, {}).items()}

    def mean(self, name: str, unit: int = 1, digits: int = 4) -> float | None:
        """Return the mean of what :meth:`sample` added, in ``unit``s, None if there was no sample."""
        return self.mean_of(name).value(unit, digits)

    def sum_over(self, name: str, keys: Iterable[str]) -> int:
        """Return the sum of the counts of some keys in the group ``name``."""
        counts = self.counts(name)
        return sum(counts.get(key, 0) for key in keys)

    def over(self, name: str, keys: Iterable[str]) -> Mean:
        """Return the sum of the means of some keys in ``name``."""
        means = self._means_by.get(name, {})
        found = [means[key] for key in keys if key in means]
        return Mean(sum(mean[0] for mean in found), sum(mean[1] for mean in found))

    def mean_over(self, name: str, keys: Iterable[str], unit: int = 1, digits: int = 4) -> float | None:
        """Return the mean of what :meth:`sample_by` added for some keys, None if there was no sample."""
        return self.over(name, keys).value(unit, digits)

    @property
    def weight(self) -> int:
        """Size of its JSON in bytes, estimated."""
        size = _BYTES_OF_TALLY
        for entries, each in ((self._sums, _COUNT_BYTES), (self._means, _MEAN_BYTES)):
            if entries:
                size += _bytes_of(entries) + each * len(entries)
        for groups, each in ((self._counts, _COUNT_BYTES), (self._means_by, _MEAN_BYTES)):
            for keys in groups.values():
                size += _MAP_BYTES + _bytes_of(keys) + each * len(keys)
        return size + sum(_MAP_BYTES + part.weight for part in self._parts.values() if part)

    def bytes_of_names(self, excluded: Collection[str]) -> int:
        """Return the estimated bytes of all counts and means by key, except those of some groups."""
        return sum(
            _MAP_BYTES + _bytes_of(keys) + each * len(keys)
            for groups, each in ((self._counts, _COUNT_BYTES), (self._means_by, _MEAN_BYTES))
            for name, keys in groups.items()
            if name not in excluded
        )

    def encode(self) -> dict[str, Any]:
        """Return the form in which a partial stores it. Shares the tally's dictionaries."""
        parts = {name: part.encode() for name, part in self._parts.items() if part}
        whole = zip(_STORED, (self._sums, self._means, self._counts, self._means_by, parts), strict=True)
        return {name: entries for name, entries in whole if entries}

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`encode` wrote. Takes over the stored dictionaries."""
        tally = cls()
        tally._sums = stored.get("sums", _NOTHING)
        tally._means = stored.get("means", _NOTHING)
        tally._counts = stored.get("counts", _NOTHING)
        tally._means_by = stored.get("means_by", _NOTHING)
        tally._parts = {name: cls.decode(part) for name, part in stored.get("parts", {}).items()}
        return tally


def _add(counts: dict[str, int], key: str, amount: int) -> None:
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)


def _add_mean(means: dict[str, list[int]], key: str, total: int, samples: int) -> None:
    known = means.get(key)
    if known is None:
        if total or samples:
            means[key] = [total, samples]
        return
    known[0] += total
    known[1] += samples
    if not (known[0] or known[1]):
        del means[key]


def _bytes_of(keys: Iterable[str]) -> int:
    text = "".join(keys)
    return len(text) if text.isascii() else len(text.encode())


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
