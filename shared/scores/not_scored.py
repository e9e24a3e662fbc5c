"""Score-like fields of the specification's analytics documents that have no measurement."""

from __future__ import annotations

NOT_SCORED = {
    "user_analytics.predictions.lifetime_value_estimate": "no payment is recorded, and cost is not value",
    "engagement_summary.business_value.avg_lifetime_value": "as lifetime_value_estimate",
    "engagement_summary.business_value.upgrade_conversion_rate": "a profile has only the current tier",
    "engagement_summary.business_value.referral_rate": "nothing says who brought whom",
    "content_analytics.content_overview.content_completeness": "no list of what a text should hold",
    "content_analytics.content_overview.translation_quality": "an expert's judgement",
    "content_analytics.usage_metrics.avg_time_spent_seconds": "the time spent on a passage is not recorded",
    "content_analytics.usage_metrics.bounce_rate": "opening and leaving a passage is not recorded",
    "content_analytics.performance_metrics.search_ranking_position": "the place of a hit is not recorded",
    "content_analytics.quality_metrics.translation_accuracy": "an expert's judgement",
    "content_analytics.quality_metrics.cultural_sensitivity": "an expert's judgement",
    "content_analytics.quality_metrics.contextual_appropriateness": "an expert's judgement",
    "content_analytics.quality_metrics.citation_completeness": "which citations are missing is not recorded",
    "content_analytics.quality_metrics.expert_validation_score": "an expert's judgement",
    "daily_metrics.system_performance.availability_percent": "who could not ask left no interaction",
    "daily_metrics.content_performance.foundational_texts_coverage": "no list of all passages",
    "daily_metrics.business_metrics.nps_score": "people are not asked whether they would recommend the "
    "product; a rating of an answer is another question",
    "daily_metrics.business_metrics.churn_rate": "a person is known to have left after thirty days, not on "
    "a day; engagement_summary counts churned people",
    "daily_metrics.business_metrics.feature_adoption_rate": "the use of features is not recorded",
    "incidents_by_content.trend_analysis.user_education_effectiveness": "a warning is recorded, what came of "
    "it is not: who was suspended or left has no second incident either",
    "system_health.performance_metrics.availability": "as availability_percent",
    "system_health.resource_health.*": "resources report to Azure Monitor, not to the database",
}
"""Reasons by path."""
