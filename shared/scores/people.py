"""Scores of one person over one period: engagement, depth, churn risk and predictions."""

from __future__ import annotations

from typing import NamedTuple

from shared.scores.samples import wilson_lower_bound
from shared.scores.shapes import (
    Number,
    clamp01,
    decaying,
    non_negative,
    rounded,
    saturating,
    weighted_geometric_mean,
    weighted_mean,
)

RECENCY_HALF_LIFE_DAYS = 7
"""A week without a visit halves a person's recency. A week is the rate of the calendar."""

PERIOD_START_DAYS = 7
"""Empty days added to the period, so that one visit on the first of a month is not a daily habit."""

HALF_ACTIVE_SHARE = 0.1
"""Four days out of thirty give half of full frequency, twenty give 0.84."""

HALF_INTERACTIONS_A_DAY = 0.4
"""Fifteen questions in thirty days give half of full volume, two on each of twenty days 0.73."""

ENGAGEMENT_WEIGHTS = {"recency": 0.3, "frequency": 0.4, "volume": 0.3}
"""Frequency is the best sign of a habit, so it weighs most. Recency and volume share the rest."""

HALF_CITATIONS = 2
"""Two citations per answer are half of full depth. An answer with a handful of citations has most of it."""

HALF_PASSAGES = 5
"""Five passages of each text are half of full depth: more than the well-known verse, less than a study."""

DEPTH_WEIGHTS = {"complexity": 0.4, "citations": 0.3, "passages": 0.3}
"""The person's questions weigh most. The sources of the answers follow from them."""

PRIOR_VISITS = 4
"""The assumption about a new person weighs as much as four gaps between visits. A daily visitor who skips a
weekend is then not at risk (0.26); a person with a single visit a month ago is (0.67)."""

PRIOR_DAYS = 28
"""Four gaps of a week: the assumed rate."""

PRIOR_GONE = 0.1
"""Chance of having left on the day of the last visit. It shifts all risks and does not change their order."""

NEXT_SESSION_DAYS = 7
"""Days ahead within which the next session is predicted: the following week."""

UPGRADE_WEIGHTS = {"engagement": 0.5, "staying": 0.3, "satisfaction": 0.2}
"""Use is the broadest sign of interest, so engagement weighs most. Staying comes next. Ratings are few, so
they weigh least."""


class _VisitRate(NamedTuple):
    """The gamma posterior of a person's visits per day. Its mean is ``shape / days``."""

    shape: float
    days: float

    def probability_of_inactivity(self, days: float, already: float = 0) -> float:
        """Return the chance that a person who has not left is inactive for ``days`` more days."""
        return float(((self.days + already) / (self.days + already + days)) ** self.shape)


def _visit_rate(days_active: float, days_spanned: float) -> _VisitRate:
    return _VisitRate(PRIOR_VISITS + days_active - 1, PRIOR_DAYS + non_negative(days_spanned))


def _gone(rate: _VisitRate, days_inactive: float) -> float:
    return PRIOR_GONE / (PRIOR_GONE + (1 - PRIOR_GONE) * rate.probability_of_inactivity(days_inactive))


def engagement(
    *, days_active: Number, interactions: Number, days_inactive: Number, period_days: Number
) -> float | None:
    """Return how strong a person's habit of using the product is.

    RFM (recency, frequency, and the volume of questions instead of money), each on a saturating curve. For
    ``user_analytics``: ``user_profile.engagement_score``, and averaged in ``engagement_summary``.

    Formula: the mean, weighted by ENGAGEMENT_WEIGHTS, of recency = 2^(−days_inactive /
    RECENCY_HALF_LIFE_DAYS), frequency = a / (a + HALF_ACTIVE_SHARE) with a = days_active / (period_days +
    PERIOD_START_DAYS), and volume = v / (v + HALF_INTERACTIONS_A_DAY) with v = interactions / (period_days +
    PERIOD_START_DAYS).

    Parameters
    ----------
    days_active
        Days of the period with an interaction.
    interactions
        Interactions of the period.
    days_inactive
        Days from the last interaction to the time of the score: the refresh, or the end of a period that is
        over. The score decreases with it, so the view must be refreshed.
    period_days
        Days of the period that have passed, at least 1.

    Returns
    -------
    float | None
        0 to 1; None where an input is not known.
    """
    if days_active is None or interactions is None or days_inactive is None or period_days is None:
        return None
    days = max(1.0, float(period_days)) + PERIOD_START_DAYS
    recency = decaying(days_inactive, RECENCY_HALF_LIFE_DAYS)
    frequency = saturating(days_active / days, HALF_ACTIVE_SHARE)
    volume = saturating(interactions / days, HALF_INTERACTIONS_A_DAY)
    weights = ENGAGEMENT_WEIGHTS
    mean = weighted_mean(
        (weights["recency"], recency), (weights["frequency"], frequency), (weights["volume"], volume)
    )
    return None if mean is None else rounded(mean)


def content_depth(
    *, interactions: Number, citations: Number, passages: Number, texts: Number, complexity: Number
) -> float | None:
    """Return the depth of a person's questions into the texts.

    A weighted mean of saturating parts. For ``user_analytics``: ``content_metrics.content_depth_score``, and
    averaged in ``engagement_summary``.

    Formula: the mean, weighted by DEPTH_WEIGHTS, of complexity, c / (c + HALF_CITATIONS) with c = citations /
    interactions, and p / (p + HALF_PASSAGES) with p = passages / texts. Without complexity, of the other two.

    Parameters
    ----------
    interactions
        Interactions of the period; None or 0 gives None.
    citations
        Citations in their answers.
    passages
        Distinct passages among them.
    texts
        Distinct texts among them; 0 without citations. More texts for the same number of passages mean less
        depth.
    complexity
        Mean complexity of the questions, 0 to 1; None if no question has one.

    Returns
    -------
    float | None
        0 to 1.
    """
    if not interactions or interactions < 0 or citations is None or passages is None or texts is None:
        return None
    weights = DEPTH_WEIGHTS
    mean = weighted_mean(
        (weights["complexity"], complexity),
        (weights["citations"], saturating(citations / interactions, HALF_CITATIONS)),
        (weights["passages"], saturating(passages / texts, HALF_PASSAGES) if texts > 0 else 0.0),
    )
    return None if mean is None else rounded(mean)


def churn_risk(*, days_inactive: Number, days_active: Number, days_spanned: Number) -> float | None:
    """Return the chance that a person has left, from their inactivity compared with their own rate.

    The idea of Pareto/NBD (Schmittlein, Morrison and Colombo 1987) with a fixed chance of having left. Visits
    occur at random at a rate with a gamma prior. Bayes' rule weighs "left" against "inactive". A daily
    visitor is at risk after a week; a monthly visitor is not. A longer span of days gives a better estimate
    of the rate. For ``user_analytics``: ``predictions.churn_risk_score``, and averaged in
    ``engagement_summary``.

    Formula: g / (g + (1 − g) × s), with g = PRIOR_GONE and s = (d / (d + days_inactive))^v the chance that a
    person who has not left is inactive for that long, v = PRIOR_VISITS + days_active − 1, d = PRIOR_DAYS +
    days_spanned.

    Parameters
    ----------
    days_inactive
        Days from the last interaction to the time of the score. It grows without new events, so the view must
        be refreshed.
    days_active
        Days with an interaction; None or less than 1 gives None.
    days_spanned
        Days from the first of them to the last; 0 if there is one.

    Returns
    -------
    float | None
        PRIOR_GONE (on the day of a visit) to 1; lower is better.
    """
    if days_inactive is None or days_active is None or days_spanned is None or days_active < 1:
        return None
    return rounded(clamp01(_gone(_visit_rate(days_active, days_spanned), non_negative(days_inactive))))


def next_session_probability(
    *,
    days_inactive: Number,
    days_active: Number,
    days_spanned: Number,
    horizon_days: float = NEXT_SESSION_DAYS,
) -> float | None:
    """Return the chance of a visit within the next days, by the same model as the churn risk.

    The expectation of Pareto/NBD, over the gamma posterior of the visits' rate. For ``user_analytics``:
    ``predictions.next_session_probability``.

    Formula: (1 − churn risk) × (1 − ((d + days_inactive) / (d + days_inactive + horizon_days))^v), with v
    and d as in the churn risk.

    Parameters
    ----------
    days_inactive
        Days from the last interaction to the time of the score. It grows without new events, so the view must
        be refreshed.
    days_active
        Days with an interaction; None or less than 1 gives None.
    days_spanned
        Days from the first of them to the last; 0 if there is one.
    horizon_days
        Number of days ahead; NEXT_SESSION_DAYS by default.

    Returns
    -------
    float | None
        0 to 1 − PRIOR_GONE.
    """
    if days_inactive is None or days_active is None or days_spanned is None or days_active < 1:
        return None
    rate, inactive = _visit_rate(days_active, days_spanned), non_negative(days_inactive)
    comes = 1 - rate.probability_of_inactivity(non_negative(horizon_days), already=inactive)
    return rounded(clamp01((1 - _gone(rate, inactive)) * comes))


def upgrade_propensity(
    *, engagement_score: Number, churn_risk_score: Number, satisfaction_score: Number
) -> float | None:
    """Return how likely a person without a paid plan is to upgrade, relative to others. It is not a chance.

    A weighted geometric mean, so that a person who has left or is never active scores low. The caller must
    know whether a person pays. For ``user_analytics``: ``predictions.upgrade_propensity``.

    Formula: the geometric mean, weighted by UPGRADE_WEIGHTS, of engagement, staying = 1 − churn risk, and
    satisfaction. Without ratings, of the first two.

    Parameters
    ----------
    engagement_score
        As ``engagement`` gives it.
    churn_risk_score
        As ``churn_risk`` gives it.
    satisfaction_score
        As ``satisfaction`` gives it; None if the person has rated nothing.

    Returns
    -------
    float | None
        0 to 1.
    """
    if engagement_score is None or churn_risk_score is None:
        return None
    weights = UPGRADE_WEIGHTS
    mean = weighted_geometric_mean(
        (weights["engagement"], engagement_score),
        (weights["staying"], 1 - churn_risk_score),
        (weights["satisfaction"], satisfaction_score),
    )
    return None if mean is None else rounded(mean)


def recommendation_confidence(*, in_interests: Number, interactions: Number) -> float | None:
    """Return the confidence that the next question falls within the interests that a profile names.

    The lower end of Wilson's score interval of the share of questions that did. For ``user_analytics``:
    ``predictions.content_recommendation_confidence``.

    Formula: as ``wilson_lower_bound``, of in_interests out of interactions.

    Parameters
    ----------
    in_interests
        Interactions in one of the named categories.
    interactions
        Interactions that have a category; None or 0 gives None.

    Returns
    -------
    float | None
        0 to 1.
    """
    return wilson_lower_bound(hits=in_interests, total=interactions)
