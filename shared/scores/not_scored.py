"""Score-like fields of the specification's analytics documents that have no measurement."""

from __future__ import annotations

NOT_SCORED = {
    "user_analytics.predictions.lifetime_value_estimate": "no payment is recorded, and cost is not value",
    "engagement_summary.business_value.avg_lifetime_value": "as lifetime_value_estimate",
    "engagement_summary.business_value.upgrade_conversion_rate": "a profile has only the current tier",
    "engagement_summary.business_value.referral_rate": "nothing says who brought whom",
    "daily_metrics.system_performance.availability_percent": "who could not ask left no interaction",
    "daily_metrics.business_metrics.nps_score": "people are not asked whether they would recommend the "
    "product; a rating of an answer is another question",
    "daily_metrics.business_metrics.feature_adoption_rate": "the use of features is not recorded",
    "incidents_by_content.trend_analysis.user_education_effectiveness": "a warning is recorded, what came of "
    "it is not: who was suspended or left has no second incident either",
    "system_health.performance_metrics.availability": "as availability_percent",
    "system_health.resource_health.*": "resources report to Azure Monitor, not to the database",
}
"""Reasons by path."""
