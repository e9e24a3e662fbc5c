"""The curves of the scores. Each is within 0 to 1 by construction."""

from __future__ import annotations

from math import exp, log

Number = int | float | None
"""An input of a score. None means that the figure is not known."""

DIGITS = 4
"""Decimal digits of scores: the same number as for the fleet's shares."""


def rounded(value: float) -> float:
    """Return a score rounded to :data:`DIGITS`."""
    return round(value, DIGITS)


def non_negative(value: float) -> float:
    """Return a count or a time, at least 0. A clock that runs ahead can give a negative time."""
    return max(0.0, float(value))


def clamp01(value: float) -> float:
    """Return a share, limited to 0 to 1."""
    return min(1.0, max(0.0, float(value)))


def saturating(value: float, half: float) -> float:
    """Return ``value / (value + half)``: 0 at 0, a half at ``half``, 1 in the limit."""
    return 1 - half / (half + non_negative(value))


def decaying(value: float, half: float) -> float:
    """Return ``2 ** -(value / half)``: 1 at 0, a half at ``half``, 0 in the limit."""
    return float(0.5 ** (non_negative(value) / half))


def weighted_mean(*parts: tuple[float, float | None]) -> float | None:
    """Return the mean of the known ``(weight, value)`` pairs, None if no value is known."""
    known = [(weight, clamp01(value)) for weight, value in parts if value is not None]
    if not known:
        return None
    return clamp01(sum(weight * value for weight, value in known) / sum(weight for weight, _ in known))


def weighted_geometric_mean(*parts: tuple[float, float | None]) -> float | None:
    """Return the geometric mean of the known ``(weight, value)`` pairs. It is zero if one value is zero."""
    known = [(weight, clamp01(value)) for weight, value in parts if value is not None]
    if not known:
        return None
    if not all(value > 0 for _, value in known):
        return 0.0
    return clamp01(
        exp(sum(weight * log(value) for weight, value in known) / sum(weight for weight, _ in known))
    )
