"""``incidents_by_content``, from ``docs/fields.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

from tests.independent import scores
from tests.independent.arithmetic import average, grouped, mean, most_frequent, part_of
from tests.independent.interactions import Document, passage_of, source_of
from tests.independent.people import growth, month_before, period_of
from tests.independent.sources import Sources, decision_of, noticed, resolved_hours

TYPES = ("harassment", "inappropriate_query", "misinformation", "spam")
SEVERITIES = ("critical", "high", "low", "medium")


def expected_incidents(sources: Sources, as_of: Mapping[str, date]) -> dict[str, Document]:
    """Build ``incidents_by_content`` of every text and month with incidents, by id.

    A month that is not over is compared by its days up to the one on which the document was calculated.
    """

    def key(incident: Document) -> tuple[str, date]:
        citation = sources.passage_of_incident(incident)
        text = "unattributed" if citation is None else source_of(citation)
        return text, noticed(incident).date().replace(day=1)

    groups = grouped(sources.incidents, key)
    expected = {}
    for (text, month), incidents in groups.items():
        before = len(groups.get((text, month_before(month)), []))
        document = expected_incident_month(text, month, incidents)
        _, first, last = period_of("monthly", month)
        passed = (max(first, min(last, as_of.get(document["id"], last))) - first).days + 1
        document["trend_analysis"]["incident_growth_rate"] = growth(
            len(incidents) / passed, before / (first - timedelta(days=1)).day
        )
        cited = [sources.passage_of_incident(incident) for incident in incidents]
        passages = [passage_of(citation) for citation in cited if citation is not None]
        chapters = Counter(chapter for _, chapter, _ in passages if chapter)
        verses = Counter(f"{chapter}.{verse}" for _, chapter, verse in passages if chapter and verse)
        document["content_analysis"] |= {
            "most_flagged_chapters": most_frequent(chapters, 5),
            "flagged_verses": most_frequent(verses, 5),
        }
        expected[document["id"]] = document
    return expected


def expected_incident_month(text: str, month: date, incidents: list[Document]) -> Document:
    label, first, last = period_of("monthly", month)
    decisions = [d for i in incidents if (d := decision_of(i)) is not None]
    actions = Counter(a.get("action_type") for i in incidents for a in i.get("actions_taken") or [])
    reviews = Counter(i.get("review_status") for i in incidents)
    hours = [h for i in incidents if (h := resolved_hours(i)) is not None]
    violations = Counter(
        violation
        for i in incidents
        for violation in set((i.get("flagged_content") or {}).get("violation_categories") or [])
        if violation is not None
    )
    return {
        "id": f"incidents_{text}_{label}",
        "partition_key": text,
        "source": text,
        "document_type": "incidents_by_content",
        "time_period": "monthly",
        "period_start": f"{first:%Y-%m-%d}T00:00:00Z",
        "period_end": f"{last:%Y-%m-%d}T23:59:59Z",
        "incident_summary": {
            "total_incidents": len(incidents),
            "by_severity": known_counts((i.get("severity") for i in incidents), SEVERITIES),
            "by_type": known_counts((i.get("incident_type") for i in incidents), TYPES),
        },
        "content_analysis": {
            "common_violation_patterns": most_frequent(violations, 5),
            "false_positive_rate": part_of(decisions.count("false_positive"), len(decisions)),
        },
        "moderation_actions": {
            "warnings_issued": actions["warning_issued"],
            "content_blocked": actions["content_blocked"],
            "accounts_suspended": actions["account_suspended"],
            "manual_reviews_pending": reviews["pending_human_review"],
            "avg_resolution_time_hours": mean(hours, 2),
        },
        "trend_analysis": {
            "resolution_efficiency": scores.near(
                scores.resolution_efficiency(
                    len(incidents), reviews["resolved"] + reviews["auto_resolved"], average(hours)
                )
            ),
            "user_education_effectiveness": None,
        },
        "sample_size": len(incidents),
    }


def known_counts(values: object, known: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(value if value in known else "unknown" for value in values)  # type: ignore[attr-defined]
    return {name: counts[name] for name in (*known, "unknown")}
