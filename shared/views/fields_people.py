"""The origin of every field of the views about people: ``user_analytics`` and ``engagement_summary``."""

from __future__ import annotations

from shared.views.fields_base import NOT_MEASURED, STATE

USER_ANALYTICS = {
    "id": "user_analytics_, the first eight characters of the user id, and the period: 20250805, 2025W32, 202508, 2025Q3",
    "partition_key": "the user id",
    "user_id": "the user id",
    "document_type": "always user_analytics",
    "analysis_period": "daily, weekly (ISO weeks), monthly or quarterly; users who refuse analytics_consent have no document",
    "period_start": "first second of the period, UTC",
    "period_end": "last second of the period, UTC",
    "data_freshness": "UTC time at which the state behind the document was last written",
    "user_profile.user_tier": "tier of the latest month of the period in which the person was here: new in the first month they ever were, else the highest they reach (engagement_summary); as of their last day of it. churned: no interaction in the 30 days up to state.tick. As of the same day it is the "
    "tier in which engagement_summary counts the person",
    "user_profile.engagement_score": "score engagement, of the days of the period that have passed, a day with an interaction included; inactivity counts to state.tick",
    "user_profile.expertise_level": "third of content_depth_score as published: beginner, intermediate, advanced",
    "user_profile.primary_interests": "the five most frequent query_category, most frequent first",
    "user_profile.personality_affinity": "the five personas asked most, most asked first",
    "session_metrics.total_sessions": "distinct session_id with an interaction, or the start of the session, in the period",
    "session_metrics.peak_usage_hour": "hour with most interactions, by the clock of users.timezone (UTC without one); half hours of UTC are counted",
    "session_metrics.session_frequency_days": "days from the first active day to the last / (sessions − 1)",
    "session_metrics.avg_session_duration_min": "mean duration of the sessions that started in the period and have ended, as in daily_metrics",
    "session_metrics.session_completion_rate": "completed / (completed + abandoned + expired)",
    "session_metrics.preferred_session_length": "most frequent of short (under 5 minutes), medium (to 15), long",
    "session_metrics.session_satisfaction_avg": "mean user_satisfaction_rating of the sessions that started in the period, 1 to 5",
    "session_metrics.session_quality_avg": "mean session_quality_score of these sessions",
    "session_metrics.avg_time_on_guidance_seconds": "mean engagement_indicators.time_on_guidance of these sessions",
    "interaction_metrics.total_interactions": "interactions",
    "interaction_metrics.avg_interactions_per_session": "interactions that name a session / total_sessions",
    "interaction_metrics.query_complexity_avg": "mean of query_complexity: low 0, medium 0.5, high 1",
    "interaction_metrics.response_satisfaction_avg": "mean user_rating, 1 to 5",
    "interaction_metrics.citation_engagement_rate": "share of the sessions that started in the period, and give citation_interactions, in which it is above 0",
    "content_metrics.foundational_texts_accessed": "distinct sources cited, the 100 cited most, by name",
    "content_metrics.content_discovery_rate": "of the passages cited on each day: the share that was cited on no earlier day since the first of the month in which the period begins",
    "content_metrics.content_retention_rate": "1 − content_discovery_rate",
    "content_metrics.content_depth_score": "mean content_depth_score of the sessions that started in the period; if none gives it, score content_depth",
    "content_metrics.favorite_content_types": "the three content_category of the cited passages in personality_vectors, most cited first; null if none has one. As of the calculation",
    "behavioral_insights.peak_engagement_time": "part of the day with most interactions, by the clock of users.timezone: morning 5–11, "
    "afternoon 12–16, evening 17–21, else night",
    "behavioral_insights.usage_pattern": "by share of the days passed on which the person was here: occasional to 0.1, consistent_seeker to 0.5, else intensive_learner",
    "behavioral_insights.session_triggers": NOT_MEASURED,
    "behavioral_insights.response_preferences": "users.content_preferences.citation_style and _with_citations; without_citations for the style none",
    "behavioral_insights.learning_progression": "advancing, receding or steady (within 2 %): query_complexity_avg of the later half of the days with an interaction, against the earlier half (the shorter one)",
    "predictions.churn_risk_score": "score churn_risk, from the days of the period; inactivity counts to state.tick",
    "predictions.lifetime_value_estimate": NOT_MEASURED,
    "predictions.next_session_probability": "score next_session_probability, within seven days of state.tick",
    "predictions.upgrade_propensity": "score upgrade_propensity; null for people whose subscription_tier is premium or enterprise",
    "predictions.content_recommendation_confidence": "score recommendation_confidence, of the five primary_interests",
    "cost.nano_usd": "whole nano-dollars of the priced interactions; null if none was priced",
    "cost.inexact_interactions": "interactions whose cost is not exact, as in daily_metrics",
    "cost.unpriced_interactions": "interactions with tokens for which no price was known",
    "cost.unmeasured_interactions": "interactions without both token counts: no cost",
    "quality_indicators.data_completeness": "of both token counts, query_category, query_complexity and "
    "user_rating: the share that the interactions give",
    "quality_indicators.calculation_confidence": "score calculation_confidence",
    "quality_indicators.sample_size": "interactions",
    "quality_indicators.statistical_significance": "true from 30 interactions on",
    "next_calculation_due": "start of the UTC day after state.tick, when the scores change although nothing else does; null for days, and for periods that are over. A change of the data is calculated before",
    **STATE,
}

ENGAGEMENT_SUMMARY = {
    "id": "engagement_summary_, tier and month; there is none of a month before it begins",
    "partition_key": "the tier",
    "engagement_tier": "new: the first month in which a person was here. power_user, engaged, casual: the highest "
    "whose criteria the month meets. churned: no interaction for 30 days as of state.tick, whichever month the last "
    "one was in; these people are in no other tier, and their figures are those of the month in which they were "
    "here last. Users who refuse analytics_consent are in none, from the next count on",
    "document_type": "always engagement_summary",
    "tier_criteria.min_sessions_monthly": "sessions of the month; null for new and churned",
    "tier_criteria.min_engagement_score": "engagement score of the whole month as of the person's last day in it",
    "tier_criteria.min_content_depth": "content_depth_score of the month",
    "tier_criteria.retention_rate_threshold": "the specification's 0.75, for information",
    "user_count": "people, as of state.tick",
    "percentage_of_total": "share of the people of all five tiers",
    "avg_metrics.sessions_per_month": "sessions / people; null of fewer than five people",
    "avg_metrics.engagement_score": "mean of the people's scores of the month, as of state.tick; null of fewer than five people",
    "avg_metrics.session_duration_min": "mean over their sessions that have ended; null of fewer than five people",
    "avg_metrics.content_depth_score": "mean of the people's scores; null of fewer than five people",
    "avg_metrics.satisfaction_rating": "mean user_rating of their interactions, 1 to 5; null of fewer than five people",
    "common_patterns.preferred_personalities": "the three personas that most people asked most often in the "
    "month, at least five people each; of more than 20,000 people, among the 250 of each tier that are ahead while they are counted",
    "common_patterns.peak_usage_times": "the three parts of the UTC day in which most people were most active; at least five people each; these people live in many time zones",
    "common_patterns.content_preferences": "the three query_category that most people asked about most often, at least five "
    "people each; "
    "of more than 20,000 people as for personas",
    "common_patterns.session_triggers": NOT_MEASURED,
    "business_value.avg_lifetime_value": NOT_MEASURED,
    "business_value.upgrade_conversion_rate": NOT_MEASURED,
    "business_value.referral_rate": NOT_MEASURED,
    "business_value.churn_risk": "mean of the people's churn_risk of the month, as of state.tick; null of fewer than five people",
    "trend_analysis.growth_rate_monthly": "people per day that has begun / those of the month before − 1; of churned: "
    "user_count / that of the end of the month before − 1",
    "trend_analysis.retention_trend": "improving, declining or stable (within 2 %): share of people who were here "
    "in the month before as well, against the month before; null if either month is of fewer than five people",
    "trend_analysis.engagement_trend": "increasing, decreasing or stable (within 2 %) against the month before; null if either month is of fewer than five people",
    "trend_analysis.satisfaction_trend": "increasing, decreasing or stable (within 2 %) against the month before; null if either month is of fewer than five people",
    "last_updated": "as calculated_at",
    "data_freshness": "hourly: how often the documents are computed",
    "sample_size": "as user_count",
    **STATE,
    "calculated_at": "UTC time at which the people were counted",
    "state.revision": "the same in milliseconds since 1970; a lower one never overwrites a higher one",
    "state.digest": "hash of the month and the revision",
}
