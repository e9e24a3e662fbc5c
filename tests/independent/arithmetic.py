"""Means, shares, quantiles and frequencies, computed plainly."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tests.differences import Near

Document = dict[str, Any]


def rounded(value: float | None, digits: int) -> Near | None:
    """A value that is shown with so many digits after the point."""
    return None if value is None else Near(value, 0.5001 * 10**-digits + 1e-12)


def mean(values: Sequence[float], digits: int) -> Near | None:
    return rounded(math.fsum(values) / len(values), digits) if values else None


def average(values: list[float]) -> float | None:
    """The mean to the last digit, so that it rounds as its decimals say."""
    return float(sum(map(Fraction, map(str, values))) / len(values)) if values else None


def part_of(part: float, whole: float, digits: int = 4) -> Near | None:
    return rounded(part / whole, digits) if whole else None


def nearest_rank(values: Sequence[float], q: float) -> Near | None:
    """The exact quantile, which is shown within one per cent and then rounded to a tenth."""
    if not values:
        return None
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    return Near(exact, exact * 0.01 + 0.0501)


def most_frequent(counts: Mapping[Any, int], k: int) -> list[Any]:
    """The k that occur most; of those that occur equally often, the first by name."""
    return sorted(counts, key=lambda key: (-counts[key], key))[:k]


FEWEST = 5
"""People who must share a name before it is shown."""


def are_enough(people: int) -> bool:
    """Whether a group of people is so large that figures of it are of no one in particular."""
    return people >= FEWEST


def shared(people: Mapping[str, int]) -> dict[str, int]:
    """The names, with their people, that enough people share."""
    return {name: number for name, number in people.items() if number >= FEWEST}


def most_frequent_one(values: Iterable[Any]) -> Any:
    return next(iter(most_frequent(Counter(values), 1)), None)


def grouped(documents: Iterable[Document], key: Callable[[Document], Any]) -> dict[Any, list[Document]]:
    groups: dict[Any, list[Document]] = defaultdict(list)
    for document in documents:
        groups[key(document)].append(document)
    return groups


def named(documents: list[Document], name_of: Callable[[Document], str]) -> dict[str, list[Document]]:
    """Group under the 100 names that occur most; whatever has another name comes under "other"."""
    often = most_frequent(Counter(map(name_of, documents)), 100)
    return grouped(documents, lambda d: name_of(d) if name_of(d) in often else "other")


def nothing(*names: str) -> dict[str, None]:
    """Fields that interactions do not supply."""
    return dict.fromkeys(names)


def dollars(costs: Sequence[int]) -> Near | None:
    return Near(sum(costs) / 1e9, 1e-9) if costs else None
