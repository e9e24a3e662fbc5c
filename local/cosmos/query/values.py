"""The value model: JSON values and *undefined*, their equality, order and arithmetic.

Undefined is what a missing property evaluates to. It is contagious in most operators, it vanishes from
projections, and a filter lets only ``true`` pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from typing import Any, Final, final

LARGEST_INTEGER: Final = 2**53
"""Beyond it a double, which is what the service computes with, no longer holds every integer."""


@final
class Undefined:
    """The type of ``UNDEFINED``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()

_RANKS: dict[type, int] = {
    Undefined: 0,
    type(None): 1,
    bool: 2,
    int: 3,
    float: 3,
    str: 4,
    list: 5,
    dict: 6,
}


def rank(value: Any) -> int:
    """Return the place of the value's type in the service's order: undefined, null, boolean, number, …."""
    return _RANKS[type(value)]


def is_number(value: Any) -> bool:
    """Say whether it is a number; a boolean is none."""
    return type(value) is int or type(value) is float


def is_primitive(value: Any) -> bool:
    """Say whether it is null, a boolean, a number or a string."""
    return 1 <= rank(value) <= 4


def number(value: float) -> Any:
    """Return a result of arithmetic as JSON has it: undefined where it is not finite, whole where it is."""
    if type(value) is int:
        return value if -LARGEST_INTEGER <= value <= LARGEST_INTEGER else _double(value)
    if not math.isfinite(value):
        return UNDEFINED
    if value.is_integer() and abs(value) <= LARGEST_INTEGER:
        return int(value)
    return value


def _double(value: int) -> Any:
    try:
        return float(value)
    except OverflowError:
        return UNDEFINED


def same(left: Any, right: Any) -> bool:
    """Say whether two defined values are equal: of one type, and deeply equal."""
    kind = type(left)
    if kind is not type(right):
        return is_number(left) and is_number(right) and bool(left == right)
    if kind is list:
        return len(left) == len(right) and all(map(same, left, right))
    if kind is dict:
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    return bool(left == right)


def identity(value: Any) -> Hashable:
    """Return a key that two values share if and only if they are the same; for DISTINCT and GROUP BY."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is list:
        return (5, *map(identity, value))
    if kind is dict:
        return (6, frozenset((key, identity(item)) for key, item in value.items()))
    return (rank(value), value)


def sort_key(value: Any) -> tuple[int, Any]:
    """Return a key that sorts by type first, then by value; arrays and objects by their text."""
    place = rank(value)
    if 2 <= place <= 4:
        return place, value
    if place >= 5:
        return place, json.dumps(value, sort_keys=True)
    return place, 0


def text_of(value: Any) -> Any:
    """Return the value as a string, the way ToString has it."""
    if value is UNDEFINED or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
