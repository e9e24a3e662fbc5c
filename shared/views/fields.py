"""The origin of every field of every published view. ``docs/fields.md`` is generated from this module.

A path has ``*`` where a name is data (a persona, a model), and ``[]`` for the entries of a list.
"""

from __future__ import annotations

NOT_MEASURED = "not measured: null"
"""No source that the fleet reads contains the field. The fleet never invents a value."""

_STATE = {
    "calculated_at": "UTC time at which the state behind the document was last written",
    "calculation_version": "version of the formulas; changes when one of them does",
    "state.generation": "generation of the state in view_state",
    "state.revision": "sum of the revisions of the merged partials and of the contents; a lower one never overwrites a higher one",
    "state.tick": "day, half day or hour as of which what depends on the clock was calculated; empty if nothing does",
    "state.content": "hash of what the document says, apart from when it was calculated",
    "state.digest": "hash of the revisions of all shards and contents: the same only for the same state",
    "_ttl": "seconds, for information; the container's default TTL is what expires documents",
}

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
    "content_performance.foundational_texts_coverage": NOT_MEASURED,
    "ai_performance.personalities_used.*.requests": "interactions answered by the persona; beyond the 100 asked most, other",
    "ai_performance.personalities_used.*.satisfaction": "mean user_rating of the persona's interactions",
    "ai_performance.personalities_used.*.response_time": "mean response_time_ms of the persona's interactions",
    "ai_performance.model_performance.*.requests": "interactions, by cost_data.model_used or else "
    "response_metadata.model_used, with one underscore for what stands between the words of the name; beyond the 100 used "
    "most, other",
    "ai_performance.model_performance.*.avg_tokens_input": "mean of cost_data.input_tokens where given",
    "ai_performance.model_performance.*.avg_tokens_output": "mean of cost_data.output_tokens where given",
    "ai_performance.model_performance.*.total_tokens_input": "sum of cost_data.input_tokens where given",
    "ai_performance.model_performance.*.total_tokens_output": "sum of cost_data.output_tokens where given",
    "ai_performance.model_performance.*.cost_usd": "US dollars, from the price table; null if nothing was priced",
    "ai_performance.model_performance.*.cost_nano_usd": "the same in whole nano-dollars",
    "ai_performance.model_performance.*.unpriced_requests": "interactions with tokens for which no price was known",
    "ai_performance.model_performance.*.unmeasured_requests": "interactions without both token counts: no cost",
    "ai_performance.model_performance.*.quality_score": "mean of quality_metrics.response_relevance",
    "ai_performance.rag_performance.avg_retrieval_time_ms": "mean of processing_stages.content_retrieval_ms",
    "ai_performance.rag_performance.avg_chunks_retrieved": "mean of rag_metadata.chunks_retrieved",
    "ai_performance.rag_performance.avg_relevance_score": "mean of rag_metadata.avg_relevance_score",
    "ai_performance.rag_performance.citation_accuracy": "mean of quality_metrics.citation_accuracy",
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
    "safety_metrics.total_abuse_reports": "abuse incidents noticed on the day",
    "safety_metrics.auto_flagged_content": "of these, with auto_detected true",
    "safety_metrics.human_reviews_required": "of these, with review_status pending_human_review or under_investigation",
    "safety_metrics.safety_violations": "of these, decided as confirmed: review_decision, or else resolution.final_decision, begins with it",
    "safety_metrics.content_moderation_accuracy": "of the incidents that were detected automatically and decided, the share that were no false_positive",
    "business_metrics.user_retention_rate": "share of the active users who were here on an earlier day",
    "business_metrics.session_completion_rate": "completed / (completed + abandoned + expired) sessions that started on the day",
    "business_metrics.feature_adoption_rate": NOT_MEASURED,
    "business_metrics.churn_rate": NOT_MEASURED,
    "business_metrics.nps_score": NOT_MEASURED,
    "alerts[].alert_type": "performance, reliability or quality",
    "alerts[].severity": "critical or warning, as the specification ranks the threshold",
    "alerts[].message": "the figure, its value and the threshold (error_rate above 0.05, avg_response_time_ms above "
    "3000, user_satisfaction below 4.0)",
    "alerts[].resolved": NOT_MEASURED,
    "alerts[].resolution_time_min": NOT_MEASURED,
    "data_completeness": "of response_time_ms, both token counts, an answer or its length, and user_rating: the share that the interactions give",
    **_STATE,
}

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
    "session_metrics.peak_usage_hour": "UTC hour with most interactions",
    "session_metrics.session_frequency_days": "days from the first active day to the last / (sessions − 1)",
    "session_metrics.avg_session_duration_min": "mean duration of the sessions that started in the period and have ended, as in daily_metrics",
    "session_metrics.session_completion_rate": "completed / (completed + abandoned + expired)",
    "session_metrics.preferred_session_length": "most frequent of short (under 5 minutes), medium (to 15), long",
    "interaction_metrics.total_interactions": "interactions",
    "interaction_metrics.avg_interactions_per_session": "interactions that name a session / total_sessions",
    "interaction_metrics.query_complexity_avg": "mean of query_complexity: low 0, medium 0.5, high 1",
    "interaction_metrics.response_satisfaction_avg": "mean user_rating, 1 to 5",
    "interaction_metrics.citation_engagement_rate": "share of interactions whose answer cites a text",
    "content_metrics.foundational_texts_accessed": "distinct sources cited, the 100 cited most, by name",
    "content_metrics.content_discovery_rate": "distinct passages cited / citations",
    "content_metrics.content_retention_rate": "1 − content_discovery_rate",
    "content_metrics.content_depth_score": "score content_depth",
    "content_metrics.favorite_content_types": NOT_MEASURED,
    "behavioral_insights.peak_engagement_time": "part of the UTC day with most interactions: morning 5–11, "
    "afternoon 12–16, evening 17–21, else night",
    "behavioral_insights.usage_pattern": "by share of the days passed on which the person was here: occasional to 0.1, consistent_seeker to 0.5, else intensive_learner",
    "behavioral_insights.session_triggers": NOT_MEASURED,
    "behavioral_insights.response_preferences": NOT_MEASURED,
    "behavioral_insights.learning_progression": NOT_MEASURED,
    "predictions.churn_risk_score": "score churn_risk, from the days of the period; inactivity counts to state.tick",
    "predictions.lifetime_value_estimate": NOT_MEASURED,
    "predictions.next_session_probability": "score next_session_probability, within seven days of state.tick",
    "predictions.upgrade_propensity": "score upgrade_propensity",
    "predictions.content_recommendation_confidence": "score recommendation_confidence, of the five primary_interests",
    "cost.nano_usd": "whole nano-dollars of the priced interactions; null if none was priced",
    "cost.unpriced_interactions": "interactions with tokens for which no price was known",
    "cost.unmeasured_interactions": "interactions without both token counts: no cost",
    "quality_indicators.data_completeness": "of both token counts, query_category, query_complexity and "
    "user_rating: the share that the interactions give",
    "quality_indicators.calculation_confidence": "score calculation_confidence",
    "quality_indicators.sample_size": "interactions",
    "quality_indicators.statistical_significance": "true from 30 interactions on",
    "next_calculation_due": "null: the next change of the data triggers the next calculation",
    **_STATE,
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
    "tier_criteria.min_content_depth": "content_depth score of the month",
    "tier_criteria.retention_rate_threshold": "the specification's 0.75, for information",
    "user_count": "people, as of state.tick",
    "percentage_of_total": "share of the people of all five tiers",
    "avg_metrics.sessions_per_month": "sessions / people",
    "avg_metrics.engagement_score": "mean of the people's scores of the month, as of state.tick",
    "avg_metrics.session_duration_min": "mean over their sessions that have ended",
    "avg_metrics.content_depth_score": "mean of the people's scores",
    "avg_metrics.satisfaction_rating": "mean user_rating of their interactions, 1 to 5",
    "common_patterns.preferred_personalities": "the three personas that most people asked most often in the "
    "month; of more than 20,000 people, among the 250 of each tier that are ahead while they are counted",
    "common_patterns.peak_usage_times": "the three parts of the UTC day in which most people were most active",
    "common_patterns.content_preferences": "the three query_category that most people asked about most often; "
    "of more than 20,000 people as for personas",
    "common_patterns.session_triggers": NOT_MEASURED,
    "business_value.avg_lifetime_value": NOT_MEASURED,
    "business_value.upgrade_conversion_rate": NOT_MEASURED,
    "business_value.referral_rate": NOT_MEASURED,
    "business_value.churn_risk": "mean of the people's churn_risk of the month, as of state.tick",
    "trend_analysis.growth_rate_monthly": "people per day that has begun / those of the month before − 1; of churned: "
    "user_count / that of the end of the month before − 1",
    "trend_analysis.retention_trend": "improving, declining or stable (within 2 %): share of people who were here "
    "in the month before as well, against the month before",
    "trend_analysis.engagement_trend": "increasing, decreasing or stable (within 2 %) against the month before",
    "trend_analysis.satisfaction_trend": "increasing, decreasing or stable (within 2 %) against the month before",
    "last_updated": "as calculated_at",
    "data_freshness": "hourly: how often the documents are computed",
    "sample_size": "as user_count",
    **_STATE,
    "calculated_at": "UTC time at which the people were counted",
    "state.revision": "the same in milliseconds since 1970; a lower one never overwrites a higher one",
    "state.digest": "hash of the month and the revision",
}

CONTENT_POPULARITY = {
    "id": "content_popularity_, daily or weekly, and the day or ISO week",
    "partition_key": "as time_period",
    "time_period": "daily or weekly",
    "date": "first UTC day of the period",
    "document_type": "always content_popularity",
    "top_foundational_texts[].rank": "place by citations; of several with as many, by name. Ten at most, in every list",
    "top_foundational_texts[].source": "the text",
    "top_foundational_texts[].citations": "its citations",
    "top_foundational_texts[].unique_users": "people for whom it was cited in the period",
    "top_foundational_texts[].avg_rating": "mean user_rating of the interactions that cite it",
    "top_foundational_texts[].trending_score": "score trending, per hour, against the period before",
    "trending_content[].rank": "place by citations, over all personas",
    "trending_content[].content_id": "source, chapter and verse",
    "trending_content[].citations": "its citations",
    "trending_content[].relevance_score": "mean relevance_score of its citations",
    "trending_content[].user_engagement": "score satisfaction, of the interactions that cite it",
    "trending_content[].topic": "most frequent query_category of the interactions that cite it",
    "trending_topics[].topic": "query_category, highest trending score first",
    "trending_topics[].growth_rate": "query_count per hour / that of the period before − 1; null if that was 0",
    "trending_topics[].query_count": "interactions of the category",
    "trending_topics[].satisfaction_score": "score bayesian_average_rating, 1 to 5",
    "personality_rankings[].personality": "persona, most asked first",
    "personality_rankings[].interactions": "interactions it answered",
    "personality_rankings[].satisfaction": "mean user_rating, 1 to 5",
    "personality_rankings[].response_quality": "score response_effectiveness, of ratings and response_relevance",
    "personality_rankings[].efficiency_score": "score efficiency, of mean response_time_ms and mean cost",
    "generated_at": "as calculated_at",
    "data_points": "interactions of the period, as of the last build of its days",
    "confidence_level": "of the intervals that scores use: 0.95",
    **_STATE,
}

CONTENT_ANALYTICS = {
    "id": "content_analytics_, text and month",
    "partition_key": "the text",
    "source": "the text; the 200 cited most in the month have a document",
    "document_type": "always content_analytics",
    "analysis_period": "always monthly",
    "period_start": "first second of the UTC month",
    "period_end": "last second of the UTC month",
    "content_overview.total_verses": NOT_MEASURED,
    "content_overview.total_chapters": NOT_MEASURED,
    "content_overview.content_completeness": NOT_MEASURED,
    "content_overview.translation_quality": NOT_MEASURED,
    "content_overview.expert_validation_status": NOT_MEASURED,
    "usage_metrics.total_citations": "citations of the text",
    "usage_metrics.unique_users_accessed": "people for whom it was cited in the month",
    "usage_metrics.total_views": "interactions that cite it",
    "usage_metrics.avg_time_spent_seconds": NOT_MEASURED,
    "usage_metrics.bounce_rate": NOT_MEASURED,
    "usage_metrics.return_access_rate": "share of these people for whom it was cited on two days or more",
    "performance_metrics.avg_relevance_score": "mean relevance_score of its citations",
    "performance_metrics.citation_accuracy_rate": "mean quality_metrics.citation_accuracy of interactions that cite it",
    "performance_metrics.user_satisfaction_avg": "mean user_rating of interactions that cite it",
    "performance_metrics.response_effectiveness": "score response_effectiveness, of interactions that cite it",
    "performance_metrics.search_ranking_position": NOT_MEASURED,
    "quality_metrics.translation_accuracy": NOT_MEASURED,
    "quality_metrics.cultural_sensitivity": NOT_MEASURED,
    "quality_metrics.contextual_appropriateness": NOT_MEASURED,
    "quality_metrics.citation_completeness": NOT_MEASURED,
    "quality_metrics.expert_validation_score": NOT_MEASURED,
    "chapter_analytics[].chapter": "chapter, most cited first, 20 at most",
    "chapter_analytics[].chapter_title": NOT_MEASURED,
    "chapter_analytics[].usage_count": "citations of the chapter",
    "chapter_analytics[].avg_relevance": "mean relevance_score of these",
    "chapter_analytics[].popular_verses": "the three verses cited most, chapter.verse",
    "chapter_analytics[].user_rating": "mean user_rating, counted once for each passage of the chapter that an "
    "interaction cites",
    "chapter_analytics[].citation_frequency": "share of the text's citations",
    "topic_analytics.primary_topics[].topic": "query_category, most frequent first, ten at most",
    "topic_analytics.primary_topics[].frequency": "share of the interactions that cite the text",
    "topic_analytics.primary_topics[].relevance_score": "mean quality_metrics.response_relevance of these",
    "topic_analytics.primary_topics[].user_engagement": "score satisfaction of these",
    "topic_analytics.trending_topics": "categories with more interactions per hour than in the month before, most more first",
    "topic_analytics.seasonal_patterns": NOT_MEASURED,
    "comparative_metrics.vs_other_texts.usage_rank": "place by citations among the month's texts; equals share the best",
    "comparative_metrics.vs_other_texts.satisfaction_rank": "place by mean user_rating as published",
    "comparative_metrics.vs_other_texts.citation_accuracy_rank": "place by mean citation_accuracy as published",
    "comparative_metrics.growth_trends.usage_growth_percent": "citations per hour against the month before, in percent",
    "comparative_metrics.growth_trends.user_growth_percent": "people against the month before, in percent; null until the month is over",
    "comparative_metrics.growth_trends.satisfaction_trend": "increasing, decreasing or stable (within 2 %): "
    "user_satisfaction_avg as published, against that of the month before",
    "content_recommendations.enhancement_areas": NOT_MEASURED,
    "content_recommendations.translation_improvements": NOT_MEASURED,
    "content_recommendations.new_content_suggestions": NOT_MEASURED,
    "content_recommendations.priority_score": "score enhancement_priority",
    "data_quality_score": "of relevance_score of each citation, user_rating and citation_accuracy of each interaction "
    "that cites the text: the share that is given",
    "sample_size": "as total_citations",
    **_STATE,
}

INCIDENTS_BY_CONTENT = {
    "id": "incidents_, text and month",
    "partition_key": "the text",
    "source": "text of the citation with the highest relevance_score (the first of several) in the interaction the "
    "incident points at; unattributed if there is none, or until it arrives. interaction_id is the interaction's id, "
    "with or without the beginning interaction_",
    "document_type": "always incidents_by_content",
    "time_period": "always monthly",
    "period_start": "first second of the UTC month in which incidents were noticed: created_at, or else "
    "detection_metadata.detection_timestamp",
    "period_end": "last second of the UTC month",
    "incident_summary.total_incidents": "incidents",
    "incident_summary.by_severity.*": "incidents of the severity; one the specification does not know is unknown",
    "incident_summary.by_type.*": "incidents of the type; one the specification does not know is unknown",
    "content_analysis.most_flagged_chapters": "the five chapters of that citation with most incidents",
    "content_analysis.flagged_verses": "the five verses with most incidents, chapter.verse",
    "content_analysis.common_violation_patterns": "the five most frequent flagged_content.violation_categories",
    "content_analysis.false_positive_rate": "false_positive / decided incidents",
    "moderation_actions.warnings_issued": "actions_taken of type warning_issued",
    "moderation_actions.content_blocked": "actions_taken of type content_blocked",
    "moderation_actions.accounts_suspended": "actions_taken of type account_suspended",
    "moderation_actions.manual_reviews_pending": "incidents with review_status pending_human_review",
    "moderation_actions.avg_resolution_time_hours": "mean time from noticing to resolution.resolution_timestamp, or "
    "else review_completed_at",
    "trend_analysis.incident_growth_rate": "incidents per day that has begun by calculated_at / those of the month "
    "before − 1; null if there were none",
    "trend_analysis.resolution_efficiency": "score resolution_efficiency; closed: review_status resolved or "
    "auto_resolved",
    "trend_analysis.user_education_effectiveness": NOT_MEASURED,
    "last_updated": "as calculated_at",
    "data_freshness": "always real_time",
    "sample_size": "as total_incidents",
    **_STATE,
}

SYSTEM_HEALTH = {
    "id": "system_health_, metric type, and the UTC day and minute at which the window starts",
    "partition_key": "as metric_type",
    "metric_type": "performance, with everything; quality and safety, with their own figures",
    "document_type": "always system_health",
    "timestamp": "start of the window, UTC; interactions and incidents written or rated later than ten minutes after its end are not included",
    "time_window_minutes": "always 5",
    "performance_metrics.avg_response_time_ms": "mean of response_time_ms",
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
    "active_alerts[].resolved": NOT_MEASURED,
    "active_alerts[].resolution_time_min": NOT_MEASURED,
    "resolved_alerts_last_hour": "times in the hour before the window's end that a figure's alert was over in the "
    "next window with interactions",
    "overall_health_score": "score health",
    "health_status": "score health_status: poor, fair, good, excellent; of the product's answers, not of the "
    "pipeline: lag and poison documents do not lower it",
    "next_update_due": "end of the window",
    **_STATE,
}

PERSONALITY_VECTORS = {
    "usage_metrics.citation_count": "citations of the passage by the persona, on all kept days together; written once a "
    "day, where it differs, into every document about the passage: of the same personality_id and source, and chapter and "
    "verse of source_metadata (if it has neither, of the document), in any spelling",
    "usage_metrics.last_accessed": "start of the last UTC day on which it was cited",
    "usage_metrics.avg_relevance_score": "mean relevance_score of these citations",
    "usage_metrics.user_rating_avg": "mean user_rating of the interactions that cite it",
    "usage_metrics.effectiveness_score": "score response_effectiveness, of these two",
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
