"""The origin of every field of the views about texts and their passages."""

from __future__ import annotations

from shared.views.fields_base import NOT_MEASURED, STATE

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
    "trending_content[].topic": "most frequent query_category of the interactions that cite it, of those that five people share",
    "trending_topics[].topic": "query_category of five people or more, highest trending score first",
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
    **STATE,
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
    "topic_analytics.primary_topics[].topic": "query_category of five people or more, most frequent first, ten at most",
    "topic_analytics.primary_topics[].frequency": "share of the interactions that cite the text",
    "topic_analytics.primary_topics[].relevance_score": "mean quality_metrics.response_relevance of these",
    "topic_analytics.primary_topics[].user_engagement": "score satisfaction of these",
    "topic_analytics.trending_topics": "of the categories of five people or more, those with more interactions per hour than in the month before, most more first",
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
    **STATE,
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
    **STATE,
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
