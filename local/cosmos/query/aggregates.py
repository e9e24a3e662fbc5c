"""COUNT, COUNTIF, SUM, AVG, MIN and MAX: a value is added at a time, undefined ones are left out."""

from __future__ import annotations

import math
from typing import Any, Protocol

from local.cosmos.query.values import UNDEFINED, is_number, is_primitive, number, sort_key


class Aggregate(Protocol):
    """What one aggregate of one group has come to."""

    def add(self, value: Any) -> None:
        """Take in the argument's value for one row."""

    def result(self) -> Any:
        """Return the aggregate of all rows so far."""


class Count:
    """How many rows had a defined value."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, value: Any) -> None:
        """Count the value if it is defined."""
        if value is not UNDEFINED:
            self._count += 1

    def result(self) -> Any:
        """Return the count."""
        return self._count


class CountIf(Count):
    """How many rows had the value true."""

    def add(self, value: Any) -> None:
        """Count the value if it is true."""
        if value is True:
            self._count += 1


class Sum:
    """The sum; undefined once a value is not a number or the sum is beyond a double, 0 over nothing."""

    def __init__(self) -> None:
        self._whole = 0
        self._fractions: list[float] = []
        self._count = 0
        self._broken = False

    def add(self, value: Any) -> None:
        """Add the value."""
        if value is UNDEFINED:
            return
        if type(value) is int:
            self._whole += value
        elif is_number(value):
            self._fractions.append(value)
            if len(self._fractions) >= 1_000:  # so that memory does not grow with the rows
                self._fold()
        else:
            self._broken = True
        self._count += 1

    def _fold(self) -> None:
        try:
            self._fractions = [math.fsum(self._fractions)]
        except OverflowError:
            self._fractions = []
            self._broken = True

    def result(self) -> Any:
        """Return the sum; undefined where it is beyond a double."""
        return self._divided(1)

    def _divided(self, by: int) -> Any:
        if self._broken:
            return UNDEFINED
        try:
            total = math.fsum([*self._fractions, self._whole]) if self._fractions else self._whole
            return number(total if by == 1 else total / by)
        except OverflowError:
            return UNDEFINED


class Average(Sum):
    """The mean; undefined once a value is not a number, and over nothing."""

    def result(self) -> Any:
        """Return the mean."""
        return self._divided(self._count) if self._count else UNDEFINED


class _Extreme:
    _sign = 1

    def __init__(self) -> None:
        self._value: Any = UNDEFINED
        self._broken = False

    def add(self, value: Any) -> None:
        """Keep the value if it is the more extreme one."""
        if value is UNDEFINED:
            return
        if not is_primitive(value):
            self._broken = True
        elif self._value is UNDEFINED or self._precedes(value):
            self._value = value

    def _precedes(self, value: Any) -> bool:
        if self._sign > 0:
            return sort_key(value) < sort_key(self._value)
        return sort_key(value) > sort_key(self._value)

    def result(self) -> Any:
        """Return the extreme; undefined over nothing, and where a value is an array or object."""
        return UNDEFINED if self._broken else self._value


class Min(_Extreme):
    """The first value in the order of types and values."""


class Max(_Extreme):
    """The last value in the order of types and values."""

    _sign = -1


AGGREGATES: dict[str, type[Count] | type[Sum] | type[Min] | type[Max]] = {
    "COUNT": Count,
    "COUNTIF": CountIf,
    "SUM": Sum,
    "AVG": Average,
    "MIN": Min,
    "MAX": Max,
}
