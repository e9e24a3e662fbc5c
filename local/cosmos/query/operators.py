"""The operators: what they make of values. None of them raises; what makes no sense is undefined."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from local.cosmos.query.errors import QueryError
from local.cosmos.query.values import UNDEFINED, is_number, number, rank, same


def negation(value: Any) -> Any:
    return not value if type(value) is bool else UNDEFINED


UNARY: dict[str, Callable[[Any], Any]] = {
    "NOT": negation,
    "-": lambda value: number(-value) if is_number(value) else UNDEFINED,
    "+": lambda value: value if is_number(value) else UNDEFINED,
    "~": lambda value: ~_int32(value) if is_number(value) else UNDEFINED,
}


def equal(left: Any, right: Any) -> Any:
    if type(left) is str and type(right) is str:
        return left == right
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    return same(left, right)


def unequal(left: Any, right: Any) -> Any:
    return negation(equal(left, right))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def evaluate(left: Any, right: Any) -> Any:
        place = rank(left)
        if place != rank(right) or not 1 <= place <= 4:
            return UNDEFINED
        return compare(left, right) if left is not None else compare(0, 0)

    return evaluate


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def evaluate(left: Any, right: Any) -> Any:
        if not (is_number(left) and is_number(right)):
            return UNDEFINED
        try:
            return number(compute(left, right))
        except (ZeroDivisionError, OverflowError, ValueError):
            # a division by zero, or a result beyond a double
            return UNDEFINED

    return evaluate


def _int32(value: float) -> int:
    bits = int(value) & 0xFFFFFFFF
    return bits - 2**32 if bits >= 2**31 else bits


def _bitwise(compute: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    return _arithmetic(lambda left, right: compute(_int32(left), _int32(right)))


def _concatenated(left: Any, right: Any) -> Any:
    return left + right if type(left) is str and type(right) is str else UNDEFINED


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "=": equal,
    "!=": unequal,
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(operator.truediv),
    "%": _arithmetic(math.fmod),
    "&": _bitwise(operator.and_),
    "|": _bitwise(operator.or_),
    "^": _bitwise(operator.xor),
    "<<": _bitwise(lambda left, right: _int32(left << (right & 31))),
    ">>": _bitwise(lambda left, right: left >> (right & 31)),
    ">>>": _bitwise(lambda left, right: (left & 0xFFFFFFFF) >> (right & 31)),
    "||": _concatenated,
}


_SPECIAL = re.compile(r"[\\\[&|~]")
"""What means something inside a set of a regular expression, or will, and nothing inside one of LIKE."""


@lru_cache(1024)
def like_pattern(pattern: str, escape: str) -> re.Pattern[str]:
    """Return the regular expression of a LIKE pattern. It tries each piece between two ``%`` once, leftmost.

    The pieces have a fixed length, so that a later place never matches where the leftmost one does not.
    """
    parts: list[str] = []
    pieces = [parts]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if escape and character == escape and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        elif character == "%":
            parts = []
            pieces.append(parts)
        elif character == "_":
            parts.append(".")
        elif character == "[" and (end := pattern.find("]", position + 1)) > 0:
            body = pattern[position:end]
            negated = "^" if body.startswith("^") else ""
            body = _SPECIAL.sub(r"\\\g<0>", body[len(negated) :])
            parts.append(f"[{negated}{body}]")
            position = end + 1
        else:
            parts.append(re.escape(character))
    try:
        return re.compile(_joined(["".join(piece) for piece in pieces]), re.DOTALL)
    except re.error as error:
        raise QueryError(f"The LIKE pattern {pattern!r} is not valid: {error}.") from None


def _joined(pieces: list[str]) -> str:
    """Return what matches the pieces in their order, with anything between them."""
    first, *between = pieces
    if not between:
        return first
    *between, last = between
    return first + "".join(f"(?>.*?{piece})" for piece in between if piece) + ".*" + last
