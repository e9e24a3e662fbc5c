"""Scores of texts, passages, topics and personas: trend, effectiveness, efficiency, priority."""

from __future__ import annotations

from math import sqrt

from shared.scores.shapes import Number, clamp01, non_negative, rounded, saturating, weighted_mean

STEADY_CITATIONS = 5
"""Citations added to both sides of a trend. One citation after none is no trend; fifty citations are."""

EFFECTIVENESS_WEIGHTS = {"satisfaction": 0.4, "relevance": 0.35, "citation_accuracy": 0.25}
"""The person's own verdict weighs most, then whether the answer met the question, then its sources."""

TARGET_RESPONSE_MS = 1_200
"""The target for response times in the specification's sample, for personas without one."""

HALF_TARGETS = 4
"""Multiple of the target that halves the part. Apdex calls users frustrated from there on."""

HALF_COST_USD = 0.01
"""Cost that halves the part: one cent per answer. The specification's sample day spends 12.45 USD on 1,690
answers."""

EFFICIENCY_WEIGHTS = {"speed": 0.7, "cost": 0.3}
"""People wait for every answer; the cost is the operator's."""

HALF_PRIORITY_CITATIONS = 50
"""Fifty citations are half of full demand. Texts with few citations have low priority."""


def trending(*, recent: Number, recent_hours: Number, earlier: Number, earlier_hours: Number) -> float | None:
    """Return the trend of demand: 0.5 is no change.

    The mean of a beta posterior: the share of the recent window in both windows, scaled to equal length, with
    the same number of citations added to each side. For ``content_popularity``:
    ``top_foundational_texts[].trending_score``.

    Formula: (recent + k) / (recent + expected + 2k), with k = STEADY_CITATIONS and expected = earlier ×
    recent_hours / earlier_hours.

    Parameters
    ----------
    recent
        Citations, or questions, in the window.
    recent_hours
        Length of the window; None or 0 gives None.
    earlier
        Citations in the window before it.
    earlier_hours
        Length of the window before it; None or 0 gives None.

    Returns
    -------
    float | None
        0 to 1: above 0.5 rising, below it falling.
    """
    if recent is None or earlier is None or not recent_hours or not earlier_hours:
        return None
    if recent_hours < 0 or earlier_hours < 0:
        return None
    now, expected = non_negative(recent), non_negative(earlier) * (recent_hours / earlier_hours)
    return rounded(clamp01((now + STEADY_CITATIONS) / (now + expected + 2 * STEADY_CITATIONS)))


def response_effectiveness(
    *, satisfaction_score: Number, relevance: Number, citation_accuracy: Number
) -> float | None:
    """Return how well answers serve the people who asked.

    A weighted mean of the known inputs. For ``content_analytics``:
    ``performance_metrics.response_effectiveness``; ``content_popularity``:
    ``personality_rankings[].response_quality``; ``personality_vectors``:
    ``usage_metrics.effectiveness_score``.

    Formula: the mean, weighted by EFFECTIVENESS_WEIGHTS, of those of the three inputs that are known.

    Parameters
    ----------
    satisfaction_score
        As ``satisfaction`` gives it; None where nothing was rated.
    relevance
        Mean response_relevance, 0 to 1.
    citation_accuracy
        Mean citation_accuracy, 0 to 1.

    Returns
    -------
    float | None
        0 to 1; None where none of the three is known.
    """
    weights = EFFECTIVENESS_WEIGHTS
    mean = weighted_mean(
        (weights["satisfaction"], satisfaction_score),
        (weights["relevance"], relevance),
        (weights["citation_accuracy"], citation_accuracy),
    )
    return None if mean is None else rounded(mean)


def efficiency(*, avg_response_ms: Number, avg_cost_usd: Number, target_ms: Number = None) -> float | None:
    """Return how quickly and cheaply a persona answers.

    A weighted mean of hyperbolic decays. For ``content_popularity``:
    ``personality_rankings[].efficiency_score``.

    Formula: the mean, weighted by EFFICIENCY_WEIGHTS, of speed = h / (h + avg_response_ms) with
    h = HALF_TARGETS × target_ms, and cost = c / (c + avg_cost_usd) with c = HALF_COST_USD. Without a cost,
    the first alone.

    Parameters
    ----------
    avg_response_ms
        Mean response time; None gives None.
    avg_cost_usd
        Mean cost of an answer; None where nothing was priced.
    target_ms
        The persona's target; TARGET_RESPONSE_MS without one.

    Returns
    -------
    float | None
        0 to 1.
    """
    if avg_response_ms is None:
        return None
    cost = None if avg_cost_usd is None else 1 - saturating(avg_cost_usd, HALF_COST_USD)
    weights, half = EFFICIENCY_WEIGHTS, HALF_TARGETS * (target_ms or TARGET_RESPONSE_MS)
    mean = weighted_mean((weights["speed"], 1 - saturating(avg_response_ms, half)), (weights["cost"], cost))
    return None if mean is None else rounded(mean)


def enhancement_priority(*, citations: Number, effectiveness: Number) -> float | None:
    """Return the priority of work on a text: high for a text with much use and low effectiveness.

    A geometric mean of demand and shortfall. For ``content_analytics``:
    ``content_recommendations.priority_score``.

    Formula: √(citations / (citations + HALF_PRIORITY_CITATIONS) × (1 − effectiveness)).

    Parameters
    ----------
    citations
        Citations of the period.
    effectiveness
        As ``response_effectiveness`` gives it.

    Returns
    -------
    float | None
        0 to 1.
    """
    if citations is None or effectiveness is None:
        return None
    return rounded(sqrt(saturating(citations, HALF_PRIORITY_CITATIONS) * (1 - clamp01(effectiveness))))
