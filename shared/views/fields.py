"""The origin of every field of every published view. ``docs/fields.md`` is generated from this module.

A path has ``*`` where a name is data (a persona, a model), and ``[]`` for the entries of a list.
"""

from __future__ import annotations

from shared.views.fields_base import NOT_MEASURED, STATE
from shared.views.fields_content import (
    CONTENT_ANALYTICS,
    CONTENT_POPULARITY,
    INCIDENTS_BY_CONTENT,
    PERSONALITY_VECTORS,
)
from shared.views.fields_people import ENGAGEMENT_SUMMARY, USER_ANALYTICS

DAILY_METRICS = {
    "id": "daily_metrics_ and the date",
    "partition_key": "the date",
    "date": "UTC day of the interactions' own time",
    "document_type": "always daily_metrics",
    "system_performance.avg_response_time_ms": "mean of response_time_ms, each to the millisecond",
    "system_performance.p95_response_time_ms": "95th percentile of response_time_ms, within 1 %",
    "system_performance.p99_response_time_ms": "99th percentile of response_time_ms, within 1 %",
    "system_performance.total_requests": "interactions; requests that left none are not seen",
    "system_performance.successful_requests": "interactions whose response_text, or without one response_length, is not empty",
    "system_performance.error_rate": "share without an answer of the interactions that give response_text or response_length",
    "system_performance.availability_percent": NOT_MEASURED,
    "usage_statistics.active_users": "people with at least one interaction on the day",
    "usage_statistics.new_users": "people whose first counted interaction lies on the day",
    "usage_statistics.total_sessions": "distinct pairs of person and session_id with an interaction, or the start "
    "of the session's document, on the day",
    "usage_statistics.total_interactions": "interactions",
    "usage_statistics.avg_session_duration_min": "mean duration of the sessions that started on the day and have "
    "ended (completed, abandoned or expired): duration_seconds, or else end_time − start_time; one longer than a "
    "day was left open, and is not measured",
    "usage_statistics.peak_concurrent_users": "most sessions open within one minute: from start_time to end_time, "
    "or else last_activity, or else duration_seconds later; null if no session states it",
    "usage_statistics.peak_rps": "interactions per second in the busiest minute",
    "content_performance.total_citations": "entries of foundational_texts_used, the first 50 of each interaction. All "
    "other figures of texts, chapters and passages are of each interaction's ten entries of highest relevance_score",
    "content_performance.unique_texts_accessed": "distinct sources cited",
    "content_performance.avg_citation_relevance": "mean of relevance_score over citations that have one",
    "content_performance.content_discovery_rate": "distinct passages / citations of them, both as of the last build of the day; "
    "null before the first one",
    "content_performance.foundational_texts_coverage": "share of the texts in personality_vectors that were cited on the day; as of the calculation",
    "ai_performance.personalities_used.*.requests": "interactions answered by the persona; beyond the 100 asked most, other",
    "ai_performance.personalities_used.*.satisfaction": "mean user_rating of the persona's interactions",
    "ai_performance.personalities_used.*.response_time": "mean response_time_ms of the persona's interactions",
    "ai_performance.model_performance.*.requests": "interactions, by the model that cost_data.model_used or else "
    "response_metadata.model_used means (pricing.md), with underscores in its name; beyond the 100 used most, other",
    "ai_performance.model_performance.*.avg_tokens_input": "mean of cost_data.input_tokens where given",
    "ai_performance.model_performance.*.avg_tokens_output": "mean of cost_data.output_tokens where given",
    "ai_performance.model_performance.*.total_tokens_input": "sum of cost_data.input_tokens where given",
    "ai_performance.model_performance.*.total_tokens_output": "sum of cost_data.output_tokens where given",
    "ai_performance.model_performance.*.total_tokens_cached": "tokens of the input that came from a cache",
    "ai_performance.model_performance.*.total_tokens_thinking": "tokens of thinking",
    "ai_performance.model_performance.*.cost_usd": "US dollars, from the price table; null if nothing was priced",
    "ai_performance.model_performance.*.cost_nano_usd": "the same in whole nano-dollars",
    "ai_performance.model_performance.*.inexact_requests": "interactions whose cost is not exact: a kind of tokens "
    "has no price or is not known, or the reported total is not the sum of the tokens",
    "ai_performance.model_performance.*.unpriced_requests": "interactions with tokens for which no price was known",
    "ai_performance.model_performance.*.unmeasured_requests": "interactions without both token counts: no cost",
    "ai_performance.model_performance.*.quality_score": "mean of quality_metrics.response_relevance",
    "ai_performance.rag_performance.avg_retrieval_time_ms": "mean of processing_stages.content_retrieval_ms",
    "ai_performance.rag_performance.avg_chunks_retrieved": "mean of rag_metadata.chunks_retrieved",
    "ai_performance.rag_performance.avg_relevance_score": "mean of rag_metadata.avg_relevance_score",
    "ai_performance.rag_performance.citation_accuracy": "mean of quality_metrics.citation_accuracy",
    "ai_performance.token_totals_differ": "interactions whose reported total is not the sum of their tokens",
    "ai_performance.total_cost_usd": "US dollars over all models; null if nothing was priced",
    "ai_performance.unpriced_models.*": "interactions with tokens for which no price was known, by "
    "model; beyond the 100 with most, other",
    "resource_utilization.cosmos_db.total_ru_consumed": NOT_MEASURED,
    "resource_utilization.cosmos_db.avg_ru_per_request": NOT_MEASURED,
    "resource_utilization.cosmos_db.storage_used_gb": NOT_MEASURED,
    "resource_utilization.cosmos_db.cost_usd": NOT_MEASURED,
    "resource_utilization.azure_functions.total_executions": NOT_MEASURED,
    "resource_utilization.azure_functions.avg_execution_time_ms": NOT_MEASURED,
    "resource_utilization.azure_functions.total_gb_seconds": NOT_MEASURED,
    "resource_utilization.azure_functions.cost_usd": NOT_MEASURED,
    "resource_utilization.total_infrastructure_cost_usd": NOT_MEASURED,
    "quality_metrics.user_satisfaction_avg": "mean user_rating, 1 to 5",
    "quality_metrics.content_accuracy_score": "share of user_feedback.accurate that is true",
    "quality_metrics.safety_score": "mean of quality_metrics.safety_score",
    "quality_metrics.citation_accuracy": "mean of quality_metrics.citation_accuracy",
    "quality_metrics.response_relevance": "mean of quality_metrics.response_relevance",
    "quality_metrics.helpful_share": "share of user_feedback.helpful that is true",
    "quality_metrics.relevant_share": "share of user_feedback.relevant that is true",
    "quality_metrics.well_cited_share": "share of user_feedback.well_cited that is true",
    "quality_metrics.session_satisfaction_avg": "mean user_satisfaction_rating of the sessions that started on the day, 1 to 5",
    "quality_metrics.session_quality_avg": "mean session_quality_score of these sessions",
    "safety_metrics.total_abuse_reports": "abuse incidents noticed on the day",
    "safety_metrics.auto_flagged_content": "of these, with auto_detected true",
    "safety_metrics.human_reviews_required": "of these, with review_status pending_human_review or under_investigation",
    "safety_metrics.safety_violations": "of these, decided as confirmed: review_decision, or else resolution.final_decision, begins with it",
    "safety_metrics.content_moderation_accuracy": "of the incidents that were detected automatically and decided, the share that were no false_positive",
    "safety_metrics.filtered_answers": "interactions with response_metadata.safety_filtered true",
    "input_quality.dropped_scores": "scores of the day's interactions and sessions that are no number from 0 to 1: they count as not given",
    "input_quality.newer_versions": "interactions, sessions and incidents of the day with a newer schema version than the release that counted them",
    "business_metrics.user_retention_rate": "share of the active users who were here on an earlier day",
    "business_metrics.session_completion_rate": "completed / (completed + abandoned + expired) sessions that started on the day",
    "business_metrics.feature_adoption_rate": NOT_MEASURED,
    "business_metrics.churn_rate": "of the people with an interaction in the thirty days before the day, those who "
    "refuse among them: the share whose last one lies on the first of these days, and who so count as churned, as in "
    "engagement_summary; as of the last count of people, null before the first one",
    "business_metrics.nps_score": NOT_MEASURED,
    "alerts[].alert_type": "performance, reliability or quality",
    "alerts[].severity": "critical or warning, as the specification ranks the threshold",
    "alerts[].message": "the figure, its value and the threshold (error_rate above 0.05, avg_response_time_ms above "
    "3000, user_satisfaction below 4.0)",
    "alerts[].resolved": "whether the figure's alert, by windows of five minutes as in system_health, was over in the "
    "day's last window with interactions; as of the last build of the day, null before the first one",
    "alerts[].resolution_time_min": "minutes from the start of the first window of the last such alert to the start "
    "of the next window with interactions that no longer had it; null unless resolved",
    "data_completeness": "of response_time_ms, both token counts, an answer or its length, and user_rating: the share that the interactions give",
    **STATE,
}

SYSTEM_HEALTH = {
    "id": "system_health_, metric type, and the UTC day and minute at which the window starts",
    "partition_key": "as metric_type",
    "metric_type": "performance, with everything; quality and safety, with their own figures",
    "document_type": "always system_health",
    "timestamp": "start of the window, UTC; interactions and incidents written or rated later than ten minutes after its end are not included",
    "time_window_minutes": "always 5",
    "performance_metrics.avg_response_time_ms": "as in daily_metrics",
    "performance_metrics.p95_response_time_ms": "95th percentile of response_time_ms, exact",
    "performance_metrics.requests_per_second": "interactions of the window / 300",
    "performance_metrics.error_rate": "as in daily_metrics",
    "performance_metrics.availability": NOT_MEASURED,
    "resource_health.cosmos_db_health": NOT_MEASURED,
    "resource_health.cosmos_ru_utilization": NOT_MEASURED,
    "resource_health.azure_functions_health": NOT_MEASURED,
    "resource_health.function_error_rate": NOT_MEASURED,
    "resource_health.storage_utilization": NOT_MEASURED,
    "quality_indicators.user_satisfaction": "mean user_rating, 1 to 5",
    "quality_indicators.content_accuracy": "share of user_feedback.accurate that is true",
    "quality_indicators.citation_accuracy": "mean of quality_metrics.citation_accuracy",
    "quality_indicators.safety_score": "mean of quality_metrics.safety_score",
    "safety_metrics.incidents": "abuse incidents noticed in the window",
    "safety_metrics.critical_incidents": "of these, of severity critical",
    "active_alerts[].alert_type": "as in daily_metrics, of the window's figures",
    "active_alerts[].severity": "as in daily_metrics",
    "active_alerts[].message": "as in daily_metrics",
    "active_alerts[].resolved": "always false: the alert is active in this window. resolved_alerts_last_hour counts those that ended",
    "active_alerts[].resolution_time_min": NOT_MEASURED,
    "resolved_alerts_last_hour": "times in the hour before the window's end that a figure's alert was over in the "
    "next window with interactions",
    "overall_health_score": "score health",
    "health_status": "score health_status: poor, fair, good, excellent; of the product's answers, not of the "
    "pipeline: lag and poison documents do not lower it",
    "next_update_due": "end of the window",
    **STATE,
}

FIELDS: dict[str, dict[str, str]] = {
    "personality_vectors": PERSONALITY_VECTORS,
    "system_health": SYSTEM_HEALTH,
    "daily_metrics": DAILY_METRICS,
    "user_analytics": USER_ANALYTICS,
    "engagement_summary": ENGAGEMENT_SUMMARY,
    "content_popularity": CONTENT_POPULARITY,
    "content_analytics": CONTENT_ANALYTICS,
    "incidents_by_content": INCIDENTS_BY_CONTENT,
}
"""By container: path of the field, and its meaning, unit and formula or source."""


def not_measured(view: str, block: str) -> dict[str, None]:
    """Return the fields of a block, such as ``business_metrics``, that are not measured. Each is None."""
    paths = (path for path, meaning in FIELDS[view].items() if meaning == NOT_MEASURED)
    return {name: None for path in paths for above, _, name in [path.rpartition(".")] if above == block}
