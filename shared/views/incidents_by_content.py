"""``incidents_by_content``: the incidents of one text in one month (specification, 3.3)."""

from __future__ import annotations

from typing import Any

from shared.aggregates import incident_month
from shared.aggregates.base import PartialKey
from shared.aggregates.incident_month import split_text_key, text_key
from shared.aggregates.tally import Tally, ratio, top
from shared.containers import container
from shared.facts.base import UNKNOWN
from shared.facts.incidents import FALSE_POSITIVE, SEVERITIES, TYPES
from shared.periods import day_text, monthly
from shared.scores import growth_rate, resolution_efficiency
from shared.units import MILLIS_PER_HOUR, Month, month_after
from shared.views.base import ClocklessView, Rendered, Schedule, Stamp, States, stamp_fields

NAME = "incidents_by_content"

FLAGGED = 5
"""Number of chapters, of verses and of patterns in a document."""

RESOLVED = ("resolved", "auto_resolved")


class IncidentsByContent(ClocklessView):
    """One document per text and month. The key is ``202508|bhagavad_gita``."""

    name = NAME
    example = "202508|bhagavad_gita"
    container = NAME
    sources = frozenset({"abuse_incidents", "user_interactions"})
    periods = 2
    schedule = Schedule.LIVE

    def keys_affected_by(self, target: PartialKey) -> tuple[str, ...]:
        """Return the text's month, and the next month, whose document compares with it."""
        if target.aggregate != incident_month.NAME:
            return ()
        month, text = split_text_key(target.key)
        return (target.key, text_key(month_after(month, 1), text))

    def inputs(self, key: str) -> tuple[PartialKey, ...]:
        """Return the states of the month and of the month before."""
        month, text = split_text_key(key)
        return (
            PartialKey(incident_month.NAME, key),
            PartialKey(incident_month.NAME, text_key(month_after(month, -1), text)),
        )

    def render(self, key: str, states: States, stamp: Stamp) -> list[Rendered]:
        """Return the document of the month. A month without incidents has none."""
        month, text = split_text_key(key)
        state = states.of(incident_month.NAME, key)
        earlier = states.of(incident_month.NAME, text_key(month_after(month, -1), text))
        document_id = f"incidents_{text}_{month}"
        body = _document(document_id, key, state, earlier, stamp) if state.total("incidents") else None
        return [Rendered(document_id, text, body)]


def _document(document_id: str, key: str, state: Tally, earlier: Tally, stamp: Stamp) -> dict[str, Any]:
    month, text = split_text_key(key)
    incidents, decisions, actions = (
        state.total("incidents"),
        state.counts("decisions"),
        state.counts("actions"),
    )
    resolved = state.sum_over("reviews", RESOLVED)
    hours = state.mean("resolved_ms", MILLIS_PER_HOUR, digits=2)
    period = monthly(month).fields()
    return {
        "id": document_id,
        "partition_key": text,
        "source": text,
        "document_type": NAME,
        "time_period": period["analysis_period"],
        "period_start": period["period_start"],
        "period_end": period["period_end"],
        "incident_summary": {
            "total_incidents": incidents,
            "by_severity": _counts(state, "severities", SEVERITIES),
            "by_type": _counts(state, "types", TYPES),
        },
        "content_analysis": {
            "most_flagged_chapters": top(state.counts("chapters"), FLAGGED),
            "flagged_verses": top(state.counts("verses"), FLAGGED),
            "common_violation_patterns": top(state.counts("violations"), FLAGGED),
            "false_positive_rate": ratio(decisions.get(FALSE_POSITIVE, 0), sum(decisions.values())),
        },
        "moderation_actions": {
            "warnings_issued": actions.get("warning_issued", 0),
            "content_blocked": actions.get("content_blocked", 0),
            "accounts_suspended": actions.get("account_suspended", 0),
            "manual_reviews_pending": state.counts("reviews").get("pending_human_review", 0),
            "avg_resolution_time_hours": hours,
        },
        "trend_analysis": {
            "incident_growth_rate": _growth(month, incidents, earlier, stamp),
            "resolution_efficiency": resolution_efficiency(
                incidents=incidents, resolved=resolved, avg_resolution_hours=hours
            ),
            "user_education_effectiveness": None,
        },
        "last_updated": stamp_fields(stamp)["calculated_at"],
        "data_freshness": "real_time",
        "sample_size": incidents,
        **stamp_fields(stamp),
        "_ttl": container(NAME).default_ttl,
    }


def _growth(month: Month, incidents: int, earlier: Tally, stamp: Stamp) -> float | None:
    """Return the growth since the month before, in incidents per day that has begun."""
    period = monthly(month)
    days, days_before = period.days_passed(day_text(stamp.as_of)), len(period.before().days())
    return growth_rate(recent=incidents / days, earlier=earlier.total("incidents") / days_before)


def _counts(state: Tally, name: str, known: frozenset[str]) -> dict[str, int]:
    return {key: state.counts(name).get(key, 0) for key in (*sorted(known), UNKNOWN)}
