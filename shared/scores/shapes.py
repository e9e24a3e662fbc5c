"""The curves that scores are made of, each within 0 to 1 by construction."""

from __future__ import annotations

from math import exp, log

Number = int | float | None
"""What a score takes: None where the figure is not known."""

DIGITS = 4
"""To which scores are rounded: as many as the fleet's shares have."""


def rounded(value: float) -> float:
    """Return a score as it is shown."""
    return round(value, DIGITS)


def count(value: float) -> float:
    """Return a count or a time; a clock that runs ahead can give less than nothing, which is nothing."""
    return max(0.0, float(value))


def unit(value: float) -> float:
    """Return a share, held within 0 to 1."""
    return min(1.0, max(0.0, float(value)))


def saturating(value: float, half: float) -> float:
    """Return ``value / (value + half)``: 0 at nothing, a half at ``half``, 1 in the limit."""
    return 1 - half / (half + count(value))


def decaying(value: float, half: float) -> float:
    """Return ``2 ** -(value / half)``: 1 at nothing, a half at ``half``, 0 in the limit."""
    return float(0.5 ** (count(value) / half))


def weighted_mean(*parts: tuple[float, float | None]) -> float | None:
    """Return the mean of the known ``(weight, value)`` pairs, None where no value is known."""
    known = [(weight, unit(value)) for weight, value in parts if value is not None]
    if not known:
        return None
    return unit(sum(weight * value for weight, value in known) / sum(weight for weight, _ in known))


def weighted_geometric_mean(*parts: tuple[float, float | None]) -> float | None:
    """Return the geometric mean of the known ``(weight, value)`` pairs: one that is zero makes it zero."""
    known = [(weight, unit(value)) for weight, value in parts if value is not None]
    if not known:
        return None
    if not all(value > 0 for _, value in known):
        return 0.0
    return unit(exp(sum(weight * log(value) for weight, value in known) / sum(weight for weight, _ in known)))
