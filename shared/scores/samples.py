"""Estimates from small samples: shares, ratings, and the confidence in them."""

from __future__ import annotations

from math import sqrt

from shared.scores.shapes import Number, clamp01, non_negative, rounded

CONFIDENCE_LEVEL = 0.95
"""The usual level. The specification's sample of content_popularity uses it."""

Z_95 = 1.959964
"""The two-sided normal quantile of the confidence level."""

LOWEST_RATING = 1
"""The specification's scale of user_rating is 1 to 5."""

HIGHEST_RATING = 5
"""The specification's scale of user_rating is 1 to 5."""

NEUTRAL_RATING = 3
"""The middle of the scale: the assumed rating before there is a rating."""

NEUTRAL_RATINGS = 5
"""Weight of the assumption in ratings. A first rating of 5 then gives 3.33, not the top of a ranking."""


def wilson_lower_bound(*, hits: Number, total: Number) -> float | None:
    """Return the share that a small sample supports.

    The lower end of Wilson's score interval (Wilson 1927): 3 of 3 counts for less than 90 of 100.
    For rankings by a share: retention, completion, false positives.

    Formula: (p + z²/2n − z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n), with p = hits / total, n = total, z = Z_95.

    Parameters
    ----------
    hits
        Number with the property, at most ``total``.
    total
        Size of the sample; None or 0 gives None.

    Returns
    -------
    float | None
        0 to 1.
    """
    if hits is None or not total or total < 0:
        return None
    n, p = float(total), clamp01(hits / total)
    spread = Z_95 * sqrt(p * (1 - p) / n + (Z_95 / (2 * n)) ** 2)
    return rounded(clamp01((p + Z_95 * Z_95 / (2 * n) - spread) / (1 + Z_95 * Z_95 / n)))


def bayesian_average_rating(*, rating_sum: Number, ratings: Number) -> float | None:
    """Return the mean rating, drawn to the middle of the scale while there are few ratings.

    The Bayesian average. For rankings by rating and ``content_popularity``:
    ``trending_topics[].satisfaction_score``.

    Formula: (NEUTRAL_RATING × NEUTRAL_RATINGS + rating_sum) / (NEUTRAL_RATINGS + ratings).

    Parameters
    ----------
    rating_sum
        Sum of the ratings, each 1 to 5.
    ratings
        How many there are; None or 0 gives None.

    Returns
    -------
    float | None
        1 to 5.
    """
    if rating_sum is None or not ratings or ratings < 0:
        return None
    mean = (NEUTRAL_RATING * NEUTRAL_RATINGS + rating_sum) / (NEUTRAL_RATINGS + ratings)
    return rounded(min(HIGHEST_RATING, max(LOWEST_RATING, mean)))


def satisfaction(*, rating_sum: Number, ratings: Number) -> float | None:
    """Return the ratings as a share of the scale. Other scores use it as ``satisfaction_score``.

    The Bayesian average on a scale from 0 to 1. For ``content_analytics``:
    ``topic_analytics.primary_topics[].user_engagement``; ``content_popularity``:
    ``trending_content[].user_engagement``.

    Formula: (bayesian_average_rating − LOWEST_RATING) / (HIGHEST_RATING − LOWEST_RATING).

    Parameters
    ----------
    rating_sum
        Sum of the ratings, each 1 to 5.
    ratings
        How many there are; None or 0 gives None.

    Returns
    -------
    float | None
        0 to 1; 0.5 is neutral.
    """
    rating = bayesian_average_rating(rating_sum=rating_sum, ratings=ratings)
    if rating is None:
        return None
    return rounded((rating - LOWEST_RATING) / (HIGHEST_RATING - LOWEST_RATING))


def growth_rate(*, recent: Number, earlier: Number) -> float | None:
    """Return the relative growth of a figure since an earlier period.

    For ``engagement_summary``: ``trend_analysis.growth_rate_monthly``; ``incidents_by_content``:
    ``trend_analysis.incident_growth_rate``; ``content_popularity``: ``trending_topics[].growth_rate``.

    Formula: recent / earlier − 1.

    Parameters
    ----------
    recent
        The figure of the period.
    earlier
        The figure of an earlier period of the same length; None or 0 gives None.

    Returns
    -------
    float | None
        −1 (down to zero) and up; 0 is no change.
    """
    if recent is None or not earlier or earlier < 0:
        return None
    return rounded(non_negative(recent) / earlier - 1)


def data_completeness(*, given: Number, expected: Number) -> float | None:
    """Return the share of expected fields that the source documents contain.

    For ``user_analytics``: ``quality_indicators.data_completeness``; ``daily_metrics``:
    ``data_completeness``; ``content_analytics``: ``data_quality_score``.

    Formula: given / expected.

    Parameters
    ----------
    given
        Number of given fields, over all documents and all fields that the view reads.
    expected
        Documents times fields; None or 0 gives None.

    Returns
    -------
    float | None
        0 to 1.
    """
    if given is None or not expected or expected < 0:
        return None
    return rounded(clamp01(given / expected))


def calculation_confidence(*, sample_size: Number) -> float | None:
    """Return the confidence in shares and means over a number of interactions.

    One minus the width of Wilson's score interval (Wilson 1927) of a share of one half, where the interval is
    widest. For ``user_analytics``: ``quality_indicators.calculation_confidence``.

    Formula: 1 − z / √(sample_size + z²), with z = Z_95.

    Parameters
    ----------
    sample_size
        Interactions behind the figures.

    Returns
    -------
    float | None
        0 (no sample) to 1; 30 interactions give 0.66, 127 give 0.83.
    """
    if sample_size is None:
        return None
    return rounded(clamp01(1 - Z_95 / sqrt(non_negative(sample_size) + Z_95 * Z_95)))
