"""The formulas of ``docs/scores.md``, computed anew."""

from __future__ import annotations

import math

from tests.differences import Near


def near(score: float | None) -> Near | None:
    """A score is rounded, and so may be what it is made from."""
    return None if score is None else Near(score, 3e-4)


def half_at(value: float, half: float) -> float:
    return value / (value + half)


def weighted(*parts: tuple[float, float | None]) -> float | None:
    known = [(weight, value) for weight, value in parts if value is not None]
    total = sum(weight for weight, _ in known)
    return sum(weight * value for weight, value in known) / total if known else None


def satisfaction(ratings: list[float]) -> float | None:
    return None if not ratings else (fair_rating(ratings) - 1) / 4  # type: ignore[operator]


def fair_rating(ratings: list[float]) -> float | None:
    return (3 * 5 + sum(ratings)) / (5 + len(ratings)) if ratings else None


def wilson(hits: int, total: int) -> float | None:
    if not total:
        return None
    z, p = 1.959964, hits / total
    root = math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return max(0.0, (p + z * z / (2 * total) - z * root) / (1 + z * z / total))


def confidence(sample: int) -> float:
    z = 1.959964
    return 1 - z / math.sqrt(sample + z * z)


def engagement(active: int, interactions: int, silent: int, days: int) -> float:
    frequency = half_at(active / (days + 7), 0.1)
    volume = half_at(interactions / (days + 7), 0.4)
    return 0.3 * 2 ** (-silent / 7) + 0.4 * frequency + 0.3 * volume


def depth(
    interactions: int, citations: int, passages: int, texts: int, complexity: float | None
) -> float | None:
    if not interactions:
        return None
    parts = half_at(passages / texts, 5) if texts else 0.0
    return weighted((0.4, complexity), (0.3, half_at(citations / interactions, 2)), (0.3, parts))


def _still_here(silent: float, active: int, spanned: int) -> float:
    return ((28 + spanned) / (28 + spanned + silent)) ** (4 + active - 1)


def churn_risk(silent: int, active: int, spanned: int) -> float | None:
    return 0.1 / (0.1 + 0.9 * _still_here(silent, active, spanned)) if active else None


def next_session(silent: int, active: int, spanned: int) -> float | None:
    risk = churn_risk(silent, active, spanned)
    if risk is None:
        return None
    base = 28 + spanned + silent
    return (1 - risk) * (1 - (base / (base + 7)) ** (4 + active - 1))


def upgrade(engagement: float | None, risk: float | None, satisfied: float | None) -> float | None:
    if engagement is None or risk is None:
        return None
    # From the scores as they are shown: a risk that is shown as 1 leaves nothing.
    parts = [(0.5, round(engagement, 4)), (0.3, 1 - round(risk, 4))]
    parts += [] if satisfied is None else [(0.2, round(satisfied, 4))]
    total = sum(weight for weight, _ in parts)
    return math.prod(value ** (weight / total) for weight, value in parts)


def trending(recent: int, earlier: int) -> float:
    return (recent + 5) / (recent + earlier + 10)


def effectiveness(satisfied: float | None, relevance: float | None, accuracy: float | None) -> float | None:
    return weighted((0.4, satisfied), (0.35, relevance), (0.25, accuracy))


def efficiency(milliseconds: float | None, dollars: float | None, target: float) -> float | None:
    if milliseconds is None:
        return None
    cost = None if dollars is None else 1 - half_at(dollars, 0.01)
    return weighted((0.7, 1 - half_at(milliseconds, 4 * target)), (0.3, cost))


def priority(citations: int, effective: float | None) -> float | None:
    return None if effective is None else math.sqrt(half_at(citations, 50) * (1 - effective))


def resolution_efficiency(incidents: int, resolved: int, hours: float | None) -> float | None:
    if not resolved:
        return 0.0
    return None if hours is None else resolved / incidents * 24 / (24 + hours)
