"""The mathematical functions. What has no finite real value is undefined."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from local.cosmos.query.functions import NUMBER, lenient, strict
from local.cosmos.query.values import UNDEFINED, is_int64, number


def _real(name: str, compute: Callable[..., float], arguments: int = 1, least: int | None = None) -> None:
    def body(*values: float) -> Any:
        try:
            return number(compute(*values))
        except (ValueError, OverflowError, ZeroDivisionError):
            # outside its domain, or beyond a double
            return UNDEFINED

    strict(name, *([NUMBER] * arguments), least=least)(body)


def _rounded(value: float, digits: float = 0) -> float:
    """Round half away from zero, to so many decimal digits; Python rounds half to even."""
    scale = 10.0 ** int(digits)  # a double, so that it overflows where an integer would grow
    scaled = abs(value) * scale
    whole = math.floor(scaled)
    nearest = whole + 1 if scaled - whole >= 0.5 else whole
    return math.copysign(nearest / scale, value) if digits else math.copysign(nearest, value)


_real("ABS", abs)
_real("CEILING", math.ceil)
_real("FLOOR", math.floor)
_real("ROUND", _rounded, 2, least=1)
_real("TRUNC", math.trunc)
_real("SIGN", lambda value: (value > 0) - (value < 0))
_real("SQRT", math.sqrt)
_real("SQUARE", lambda value: value * value)
_real("POWER", lambda base, exponent: math.pow(base, exponent), 2)
_real("EXP", math.exp)
_real(
    "LOG", lambda value, base=math.e: math.log(value) if base == math.e else math.log(value, base), 2, least=1
)
_real("LOG10", math.log10)
_real("SIN", math.sin)
_real("COS", math.cos)
_real("TAN", math.tan)
_real("COT", lambda value: 1 / math.tan(value))
_real("ASIN", math.asin)
_real("ACOS", math.acos)
_real("ATAN", math.atan)
_real("ATN2", math.atan2, 2)
_real("DEGREES", math.degrees)
_real("RADIANS", math.radians)


def _whole(name: str, compute: Callable[[int, int], int]) -> None:
    def body(left: float, right: float) -> Any:
        if not (is_int64(left) and is_int64(right)):
            return UNDEFINED
        return compute(int(left), int(right))

    strict(name, NUMBER, NUMBER)(body)


def _signed(value: int) -> int:
    """Wrap to 64 bits, two's complement."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


_whole("INTADD", lambda left, right: _signed(left + right))
_whole("INTSUB", lambda left, right: _signed(left - right))
_whole("INTMUL", lambda left, right: _signed(left * right))
_whole("INTBITAND", lambda left, right: _signed(left & right))
_whole("INTBITOR", lambda left, right: _signed(left | right))
_whole("INTBITXOR", lambda left, right: _signed(left ^ right))


# The other bits of the second operand are left out, as the processors that the service runs on do.
_whole("INTBITLEFTSHIFT", lambda left, right: _signed(left << (right & 63)))
_whole("INTBITRIGHTSHIFT", lambda left, right: _signed(left) >> (right & 63))


@strict("INTBITNOT", NUMBER)
def _int_bit_not(value: float) -> Any:
    return ~int(value) if is_int64(value) else UNDEFINED


def _divided(left: float, right: float, *, remainder: bool) -> Any:
    if right == 0 or not (is_int64(left) and is_int64(right)):
        return UNDEFINED
    quotient = abs(int(left)) // abs(int(right))
    quotient = quotient if (left < 0) == (right < 0) else -quotient
    if remainder:
        return int(left) - quotient * int(right)
    return quotient if is_int64(quotient) else UNDEFINED


@strict("INTDIV", NUMBER, NUMBER)
def _int_div(left: float, right: float) -> Any:
    return _divided(left, right, remainder=False)


@strict("INTMOD", NUMBER, NUMBER)
def _int_mod(left: float, right: float) -> Any:
    return _divided(left, right, remainder=True)


@strict("NUMBERBIN", NUMBER, NUMBER, least=1)
def _number_bin(value: float, size: float = 1) -> Any:
    return number(math.floor(value / size) * size) if size > 0 else UNDEFINED


@lenient("PI", 0, 0)
def _pi() -> Any:
    return math.pi


@lenient("RAND", 0, 0)
def _rand() -> Any:
    return random.random()
