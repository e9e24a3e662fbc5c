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
    "trending_content[].topic": "first of its topic_tags in personality_vectors (of the document with the lowest id); without any, the most frequent query_category of the interactions that cite it, of those that five people share",
    "trending_topics[].topic": "query_category of five people or more, highest trending score first",
    "trending_topics[].growth_rate": "query_count per hour / that of the period before − 1; null if that was 0",
    "trending_topics[].query_count": "interactions of the category",
    "trending_topics[].satisfaction_score": "score bayesian_average_rating, 1 to 5",
    "personality_rankings[].personality": "persona, most asked first",
    "personality_rankings[].interactions": "interactions it answered",
    "personality_rankings[].satisfaction": "mean user_rating, 1 to 5",
    "personality_rankings[].response_quality": "score response_effectiveness, of ratings and response_relevance",
    "personality_rankings[].efficiency_score": "score efficiency, of mean response_time_ms, mean cost and the persona's target_response_time_ms",
    "personality_rankings[].targets_met": "share of the targets in personalities.performance_baseline that satisfaction, mean citation_accuracy and mean response_time_ms meet, of those with a figure; as of the calculation",
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
    "content_overview.total_verses": "distinct passages with a verse in personality_vectors; this, and all that is taken from there, as of the calculation, and null without documents about the text",
    "content_overview.total_chapters": "distinct chapters in personality_vectors",
    "content_overview.content_completeness": "share of the text's documents in personality_vectors that have english_translation and detailed_explanation",
    "content_overview.translation_quality": "mean validation.accuracy_score of these documents that an expert reviewed",
    "content_overview.expert_validation_status": "complete, partial or none: all, some or none of these documents have validation.expert_reviewed",
    "usage_metrics.total_citations": "citations of the text",
    "usage_metrics.unique_users_accessed": "people for whom it was cited in the month",
    "usage_metrics.total_views": "interactions that cite it",
    "usage_metrics.avg_time_spent_seconds": "mean engagement_indicators.time_on_guidance of the sessions of the month that name the text in foundational_texts_accessed; of the sessions that were kept when the month was built",
    "usage_metrics.bounce_rate": "of these sessions that ended and give interaction_count: the share with one interaction at most",
    "usage_metrics.return_access_rate": "share of these people for whom it was cited on two days or more",
    "performance_metrics.avg_relevance_score": "mean relevance_score of its citations",
    "performance_metrics.citation_accuracy_rate": "mean quality_metrics.citation_accuracy of interactions that cite it",
    "performance_metrics.user_satisfaction_avg": "mean user_rating of interactions that cite it",
    "performance_metrics.response_effectiveness": "score response_effectiveness, of interactions that cite it",
    "performance_metrics.search_ranking_position": "mean place of the text among the texts of an answer, by their highest relevance_score; equals share the best",
    "quality_metrics.translation_accuracy": "mean validation.accuracy_score of the text's documents in personality_vectors",
    "quality_metrics.cultural_sensitivity": "mean validation.cultural_sensitivity_score of these documents",
    "quality_metrics.contextual_appropriateness": "share of user_feedback.relevant that is true, of interactions that cite the text",
    "quality_metrics.citation_completeness": "share of user_feedback.well_cited that is true, of interactions that cite the text",
    "quality_metrics.expert_validation_score": "share of these documents with validation.expert_reviewed",
    "chapter_analytics[].chapter": "chapter, most cited first, 20 at most",
    "chapter_analytics[].chapter_title": NOT_MEASURED,
    "chapter_analytics[].usage_count": "citations of the chapter",
    "chapter_analytics[].avg_relevance": "mean relevance_score of these",
    "chapter_analytics[].popular_verses": "the three verses cited most, chapter.verse",
    "chapter_analytics[].user_rating": "mean user_rating, counted once for each passage of the chapter that an "
    "interaction cites",
    "chapter_analytics[].citation_frequency": "share of the text's citations",
    "topic_analytics.primary_topics[].topic": "topic_tags of the cited passages in personality_vectors, most cited first, ten at most; of a text without any, query_category of five people or more, most frequent first",
    "topic_analytics.primary_topics[].frequency": "share of the citations of the text; of a query_category, of the interactions that cite it",
    "topic_analytics.primary_topics[].relevance_score": "mean relevance_score of these citations; of a query_category, mean response_relevance of these interactions",
    "topic_analytics.primary_topics[].user_engagement": "score satisfaction of these; a rating counts once for each passage that the interaction cites",
    "topic_analytics.trending_topics": "of the categories of five people or more, those with more interactions per hour than in the month before, most more first",
    "topic_analytics.seasonal_patterns": NOT_MEASURED,
    "comparative_metrics.vs_other_texts.usage_rank": "place by citations among the month's texts; equals share the best",
    "comparative_metrics.vs_other_texts.satisfaction_rank": "place by mean user_rating as published",
    "comparative_metrics.vs_other_texts.citation_accuracy_rank": "place by mean citation_accuracy as published",
    "comparative_metrics.growth_trends.usage_growth_percent": "citations per hour against the month before, in percent",
    "comparative_metrics.growth_trends.user_growth_percent": "people against the month before, in percent; null until the month is over",
    "comparative_metrics.growth_trends.satisfaction_trend": "increasing, decreasing or stable (within 2 %): "
    "user_satisfaction_avg as published, against that of the month before",
    "content_recommendations.enhancement_areas": "the first five chapters of the text in personality_vectors that are not cited in the month: chapter_16_coverage",
    "content_recommendations.translation_improvements": "the five passages of the text with the lowest validation.accuracy_score below 0.95: verse_3_42_accuracy",
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
