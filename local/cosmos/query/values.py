"""The value model: JSON values and *undefined*, their equality, order and arithmetic.

Undefined is what a missing property evaluates to. It is contagious in most operators, it vanishes from
projections, and a filter lets only ``true`` pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from decimal import Decimal
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


def is_int64(value: float) -> bool:
    """Say whether a number is a signed integer of 64 bits."""
    return -(2**63) <= value < 2**63 and value == int(value)


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
    return value if value is UNDEFINED or isinstance(value, str) else _json_text(value)


def _json_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_json_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_json_text(name)}:{_json_text(item)}' for name, item in value.items())}}}"
    return _number_text(value) if type(value) is float else json.dumps(value, ensure_ascii=False)


def _number_text(value: float) -> str:
    """Return a double as ECMAScript writes it: whole ones without a point, no zeros before an exponent."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if 1e-6 <= abs(value) < 1e-4:
        return format(Decimal(text), "f")
    mantissa, sign, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent):+d}" if sign else text
