"""``user_analytics`` and ``engagement_summary``, from ``docs/fields.md``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.differences import Near
from tests.independent import scores
from tests.independent.arithmetic import (
    are_enough,
    grouped,
    mean,
    most_frequent,
    most_frequent_one,
    nothing,
    part_of,
    rounded,
    shared,
)
from tests.independent.interactions import (
    Document,
    at,
    citations_of,
    costs_of,
    has_tokens,
    inexact,
    measured,
    passage_of,
    persona_of,
    source_of,
    unmeasured,
    unpriced,
)
from tests.independent.reference import category_of
from tests.independent.sources import ENDED, Sources, seconds_of, session_id_of, start_of

LEVELS = {"low": 0.0, "medium": 0.5, "high": 1.0}
TIERS = ("new", "casual", "engaged", "power_user", "churned")

# --- periods ------------------------------------------------------------------------------------------------


def period_of(kind: str, day: date) -> tuple[str, date, date]:
    """Return label, first and last day of the period that a day lies in."""
    match kind:
        case "daily":
            return f"{day:%Y%m%d}", day, day
        case "weekly":
            year, week, weekday = day.isocalendar()
            monday = day - timedelta(days=weekday - 1)
            return f"{year}W{week:02d}", monday, monday + timedelta(days=6)
        case "monthly":
            first = day.replace(day=1)
            return f"{day:%Y%m}", first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        case _:
            quarter = (day.month + 2) // 3
            first = date(day.year, quarter * 3 - 2, 1)
            last = (first + timedelta(days=95)).replace(day=1) - timedelta(days=1)
            return f"{day.year}Q{quarter}", first, last


# --- one person's period ------------------------------------------------------------------------------------


def expected_people(
    sources: Sources, kinds: Iterable[str], ticks: dict[str, date]
) -> dict[tuple[str, str], Document]:
    """Build ``user_analytics`` by person and id; of people who agree, where anything happened."""
    expected = {}
    moments = [(d["user_id"], at(d).date()) for d in sources.interactions]
    moments += [(s["user_id"], start_of(s).date()) for s in sources.sessions]
    for kind in kinds:
        for user, (label, first, last) in {(user, period_of(kind, day)) for user, day in moments}:
            if user in sources.refused:
                continue
            document = expected_period(user, kind, label, first, last, sources, ticks)
            expected[user, document["id"]] = document
    return expected


def expected_period(
    user: str, kind: str, label: str, first: date, last: date, sources: Sources, ticks: dict[str, date]
) -> Document:
    every = [d for d in sources.interactions if d["user_id"] == user]
    documents = [d for d in every if first <= at(d).date() <= last]
    own_sessions = [s for s in sources.sessions if s["user_id"] == user]
    sessions = [s for s in own_sessions if first <= start_of(s).date() <= last]
    identity = f"user_analytics_{user[:8]}_{label}"
    days = sorted({at(d).date() for d in documents})
    today = min(max([ticks.get(f"{user} {identity}", last), *days]), last)
    passed = max(1, (today - first).days + 1)
    silent = max(0, (today - days[-1]).days) if days else 0
    spanned = (days[-1] - days[0]).days if days else 0
    engaged = scores.engagement(len(days), len(documents), silent, passed) if days else None
    risk = scores.churn_risk(silent, len(days), spanned)
    depth = depth_of(documents, sessions)
    account = sources.account_of(user)
    zone = account.get("timezone") or "UTC"
    costs, ratings = costs_of(documents), measured(documents, "user_rating")
    categories = measured_words(documents, "query_category")
    interests = most_frequent(Counter(categories), 5)
    complexity = complexities(documents)
    in_session = [d for d in documents if d.get("session_id") is not None]
    ids = {d["session_id"] for d in in_session} | {session_id_of(s) for s in sessions}
    durations = [seconds for s in sessions if (seconds := seconds_of(s)) is not None]
    outcomes = Counter(s["status"] for s in sessions if s.get("status") in ENDED)
    citations = citations_of(documents)
    found = discovery(every, first, last)
    followed = [n > 0 for n in measured(sessions, "citation_interactions")]
    pays = account.get("subscription_tier") in ("premium", "enterprise")
    return {
        "id": identity,
        "partition_key": user,
        "user_id": user,
        "document_type": "user_analytics",
        "analysis_period": kind,
        "period_start": f"{first:%Y-%m-%d}T00:00:00Z",
        "period_end": f"{last:%Y-%m-%d}T23:59:59Z",
        "user_profile": {
            "user_tier": "churned" if silent >= 30 else latest_tier(every, own_sessions, first, last),
            "engagement_score": scores.near(engaged),
            "expertise_level": expertise(depth),
            "primary_interests": interests,
            "personality_affinity": most_frequent(Counter(map(persona_of, documents)), 5),
        },
        "session_metrics": {
            "total_sessions": len(ids),
            "avg_session_duration_min": mean([seconds / 60 for seconds in durations], 2),
            "session_completion_rate": part_of(outcomes["completed"], sum(outcomes.values())),
            "peak_usage_hour": most_frequent_one(local(d, zone).hour for d in documents),
            "preferred_session_length": most_frequent_one(map(length_of, durations)),
            "session_frequency_days": rounded(spanned / (len(ids) - 1), 2) if len(ids) > 1 else None,
            "session_satisfaction_avg": mean(measured(sessions, "user_satisfaction_rating"), 2),
            "session_quality_avg": mean(measured(sessions, "session_quality_score"), 4),
            "avg_time_on_guidance_seconds": mean(
                [round(s) for s in measured(sessions, "engagement_indicators", "time_on_guidance")], 1
            ),
        },
        "interaction_metrics": {
            "total_interactions": len(documents),
            "avg_interactions_per_session": part_of(len(in_session), len(ids), 2),
            "query_complexity_avg": mean(complexity, 4),
            "response_satisfaction_avg": mean(ratings, 2),
            "citation_engagement_rate": part_of(sum(followed), len(followed)),
        },
        "content_metrics": {
            "foundational_texts_accessed": sorted(most_frequent(Counter(map(source_of, citations)), 100)),
            "content_depth_score": scores.near(depth),
            "favorite_content_types": favorites(citations, sources.vectors),
            "content_discovery_rate": part_of(found[0], found[1]),
            # Shown as 1 minus the rounded rate, so rounded like it.
            "content_retention_rate": part_of(found[1] - found[0], found[1]),
        },
        "behavioral_insights": {
            "usage_pattern": habit(len(days) / passed),
            "peak_engagement_time": most_frequent_one(daytime_of(d, zone) for d in documents),
            "session_triggers": None,
            "response_preferences": preferred(account),
            "learning_progression": progression(documents),
        },
        "predictions": {
            "churn_risk_score": scores.near(risk),
            "lifetime_value_estimate": None,
            "next_session_probability": scores.near(scores.next_session(silent, len(days), spanned)),
            "upgrade_propensity": None
            if pays
            else scores.near(scores.upgrade(engaged, risk, scores.satisfaction(ratings))),
            "content_recommendation_confidence": scores.near(
                scores.wilson(sum(category in interests for category in categories), len(categories))
            ),
        },
        "cost": {
            "nano_usd": sum(costs) if costs else None,
            "inexact_interactions": inexact(documents),
            "unpriced_interactions": len(unpriced(documents)),
            "unmeasured_interactions": unmeasured(documents),
        },
        "quality_indicators": {
            "data_completeness": part_of(
                sum(map(has_tokens, documents)) + len(categories) + len(complexity) + len(ratings),
                4 * len(documents),
            ),
            "calculation_confidence": scores.near(scores.confidence(len(documents))),
            "sample_size": len(documents),
            "statistical_significance": len(documents) >= 30,
        },
        "next_calculation_due": next_due(kind, ticks.get(f"{user} {identity}"), last),
    }


def next_due(kind: str, tick: date | None, last: date) -> str | None:
    over = tick is None or tick >= last
    return None if kind == "daily" or over else f"{tick + timedelta(days=1):%Y-%m-%d}T00:00:00Z"  # type: ignore[operator]


def local(document: Document, zone: str) -> datetime:
    """The time on the person's clock, of the half hour of UTC; UTC if the zone is not known."""
    half_hour = at(document).replace(second=0, microsecond=0)
    half_hour = half_hour.replace(minute=30 if half_hour.minute >= 30 else 0)
    try:
        return half_hour.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        return half_hour


def discovery(every: list[Document], first: date, last: date) -> tuple[int, int]:
    """How many passages of a day were new on it, and how many there were, over all days of a period."""
    seen: set[object] = set()
    new = passages = 0
    begins = first.replace(day=1)
    for day in sorted({at(d).date() for d in every if begins <= at(d).date() <= last}):
        of_day = {passage_of(c) for c in citations_of(d for d in every if at(d).date() == day)}
        if day >= first:
            new, passages = new + len(of_day - seen), passages + len(of_day)
        seen |= of_day
    return new, passages


def favorites(citations: list[Document], vectors: list[Document]) -> list[str] | None:
    found = Counter(c for cited in citations if (c := category_of(passage_of(cited), vectors)) is not None)
    return most_frequent(found, 3) or None


def preferred(account: Document) -> str | None:
    style = account.get("citation_style")
    if style is None:
        return None
    return "without_citations" if style == "none" else f"{style}_with_citations"


def progression(documents: list[Document]) -> str | None:
    days = sorted({at(d).date() for d in documents})
    earlier, later = (
        mean(complexities([d for d in documents if at(d).date() in part]), 4)
        for part in (days[: len(days) // 2], days[len(days) // 2 :])
    )
    word = trend(later, earlier, "advancing", "receding")
    return "steady" if word == "stable" else word


def complexities(documents: list[Document]) -> list[float]:
    return [LEVELS[word] for word in measured_words(documents, "query_complexity") if word in LEVELS]


def depth_of(documents: list[Document], sessions: list[Document]) -> float | None:
    measured_depths = measured(sessions, "content_depth_score")
    if documents and measured_depths:
        return sum(measured_depths) / len(measured_depths)
    citations, levels = citations_of(documents), complexities(documents)
    complexity = sum(levels) / len(levels) if levels else None
    passages, texts = len(set(map(passage_of, citations))), len(set(map(source_of, citations)))
    return scores.depth(len(documents), len(citations), passages, texts, complexity)


def expertise(depth: float | None) -> str | None:
    if depth is None:
        return None
    depth = round(depth, 4)  # as it is shown
    return "beginner" if depth <= 1 / 3 else "intermediate" if depth <= 2 / 3 else "advanced"


def habit(share: float) -> str:
    return "occasional" if share <= 0.1 else "consistent_seeker" if share <= 0.5 else "intensive_learner"


def length_of(seconds: float) -> str:
    return "short" if seconds < 300 else "medium" if seconds <= 900 else "long"


def measured_words(documents: Iterable[Document], name: str) -> list[str]:
    words = ((d.get("query_metadata") or {}).get(name) for d in documents)
    return [word for word in words if word is not None]


def daytime_of(document: Document, zone: str = "UTC") -> str:
    hour = local(document, zone).hour
    if 5 <= hour < 12:
        return "morning"
    if 12 <= hour < 17:
        return "afternoon"
    return "evening" if 17 <= hour < 22 else "night"


# --- tiers --------------------------------------------------------------------------------------------------


def latest_tier(every: list[Document], sessions: list[Document], first: date, last: date) -> str | None:
    """The tier of the latest month of the period in which the person was here."""
    months = sorted({at(d).date().replace(day=1) for d in every})
    # The months that the period lies in, whole: a week may lie in two.
    within = [m for m in months if first.replace(day=1) <= m <= last]
    return tier(within[-1], every, sessions) if within else None


def of_month(documents: list[Document], month: date) -> list[Document]:
    return [d for d in documents if at(d).date().replace(day=1) == month]


def month_figures(
    month: date, every: list[Document], sessions: list[Document], as_of: date | None = None
) -> dict[str, float | None]:
    """Return the figures of somebody's month: as of a day, or whatever the time since the last visit."""
    own = of_month(every, month)
    _, _, last = period_of("monthly", month)
    ids = {d["session_id"] for d in own if d.get("session_id") is not None}
    begun = [s for s in sessions if start_of(s).date().replace(day=1) == month]
    ids |= {session_id_of(s) for s in begun}
    days = sorted({at(d).date() for d in own})
    silent = 0 if as_of is None else (as_of - days[-1]).days
    passed = last.day if as_of is None else (min(as_of, last) - month).days + 1
    return {
        "sessions": len(ids),
        "engagement": round(scores.engagement(len(days), len(own), silent, passed), 4),
        "depth": None if (depth := depth_of(own, begun)) is None else round(depth, 4),
        "risk": round(scores.churn_risk(silent, len(days), (days[-1] - days[0]).days) or 0, 4),
    }


def tier(month: date, every: list[Document], sessions: list[Document]) -> str:
    if month == min(at(d).date() for d in every).replace(day=1):
        return "new"
    figures = month_figures(month, every, sessions)
    reached = (figures["sessions"] or 0, figures["engagement"] or 0, figures["depth"] or 0)
    for name, least in (("power_user", (20, 0.8, 0.7)), ("engaged", (8, 0.6, 0.0))):
        if all(value >= bound for value, bound in zip(reached, least, strict=True)):
            return name
    return "casual"


def month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


class TierMonth:
    """The people of each tier in a month, as of a day."""

    def __init__(self, month: date, sources: Sources, as_of: date) -> None:
        self.people: dict[str, list[str]] = defaultdict(list)
        self.own: dict[str, list[Document]] = defaultdict(list)
        self.figures: dict[str, list[dict[str, float | None]]] = defaultdict(list)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.favourites: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self.returned: Counter[str] = Counter()
        sessions_of = grouped(sources.sessions, lambda s: s["user_id"])
        for user, every in grouped(sources.interactions, lambda d: d["user_id"]).items():
            if user in sources.refused:
                continue
            sessions = sessions_of.get(user, [])
            here = [at(d).date() for d in of_month(every, month)]
            today = max([as_of, *here])
            before = [day for d in every if (day := at(d).date()) <= today]
            if not before:
                continue
            last = max(before)
            if (today - last).days >= 30:
                name = "churned"
            elif here:
                name = tier(month, every, sessions)
            else:
                continue
            self.add(name, user, last.replace(day=1), every, sessions, today)
            self.returned[name] += bool(of_month(every, month_before(month)))
        self.users = {name: len(self.people[name]) for name in TIERS}

    def add(
        self, name: str, user: str, month: date, every: list[Document], sessions: list[Document], today: date
    ) -> None:
        """Add somebody with the figures of the month in which they were here last."""
        own = of_month(every, month)
        self.people[name].append(user)
        self.own[name] += own
        self.figures[name].append(month_figures(month, every, sessions, today))
        begun = [s for s in sessions if start_of(s).date().replace(day=1) == month]
        self.seconds[name] += [s for d in begun if (s := seconds_of(d)) is not None]
        for kind, words in (
            ("personas", list(map(persona_of, own))),
            ("daytimes", list(map(daytime_of, own))),
            ("categories", measured_words(own, "query_category")),
        ):
            if words:
                self.favourites[name][kind][most_frequent_one(words)] += 1

    def mean(self, name: str, figure: str) -> Near | None:
        known = [value for f in self.figures[name] if (value := f[figure]) is not None]
        return scores.near(sum(known) / len(known)) if known else None

    def retention(self, name: str) -> Near | None:
        return part_of(self.returned[name], len(self.people[name]))

    def rating(self, name: str) -> Near | None:
        return mean(measured(self.own[name], "user_rating"), 4)


def expected_tiers(sources: Sources, ticks: dict[str, date], today: date) -> dict[str, Document]:
    """Build ``engagement_summary`` of every month that has one, by id.

    A month from which everybody was moved away is published as one without people; the month after one with
    people is published once it has begun. A month is compared with the one before as of its end; where a
    writer's clock is ahead, the one before may not be over, and is as of today.
    """
    agreed = [d for d in sources.interactions if d["user_id"] not in sources.refused]
    months = {at(d).date().replace(day=1) for d in agreed}
    expected = {}
    shown = {date(int(key[-6:-2]), int(key[-2:]), 1) for key in ticks}
    after = {period_of("monthly", m)[2] + timedelta(days=1) for m in months}
    for month in {m for m in shown | after if m <= today} | months:
        label, _, last = period_of("monthly", month)
        as_of = min(ticks.get(f"engagement_summary {label}", last), last)
        now = TierMonth(month, sources, as_of)
        before = TierMonth(month_before(month), sources, min(month - timedelta(days=1), max(today, as_of)))
        passed = (max(as_of, month) - month).days + 1
        for name in TIERS:
            document = expected_tier(name, label, now, before)
            growth_of = document["trend_analysis"]
            if name != "churned":
                # People per day that has begun.
                days_before = (month - timedelta(days=1)).day
                growth_of["growth_rate_monthly"] = growth(
                    now.users[name] / passed, before.users[name] / days_before
                )
            expected[document["id"]] = document
    return expected


def expected_tier(name: str, label: str, now: TierMonth, before: TierMonth) -> Document:
    least = {"power_user": (20, 0.8, 0.7), "engaged": (8, 0.6, 0.0), "casual": (0, 0.0, 0.0)}.get(name)
    own, seconds = now.own[name], now.seconds[name]
    silent = not are_enough(now.users[name])
    past = are_enough(before.users[name]) and not silent
    document: Document = {
        "id": f"engagement_summary_{name}_{label}",
        "partition_key": name,
        "engagement_tier": name,
        "document_type": "engagement_summary",
        "tier_criteria": {
            "min_sessions_monthly": least[0] if least else None,
            "min_engagement_score": least[1] if least else None,
            "min_content_depth": least[2] if least else None,
            "retention_rate_threshold": 0.75 if least else None,
        },
        "user_count": now.users[name],
        "percentage_of_total": part_of(now.users[name], sum(now.users.values())),
        "avg_metrics": {
            "sessions_per_month": mean([f["sessions"] or 0 for f in now.figures[name]], 2),
            "engagement_score": now.mean(name, "engagement"),
            "session_duration_min": mean([s / 60 for s in seconds], 2),
            "content_depth_score": now.mean(name, "depth"),
            "satisfaction_rating": mean(measured(own, "user_rating"), 2),
        },
        "common_patterns": {
            "preferred_personalities": most_frequent(shared(now.favourites[name]["personas"]), 3),
            "peak_usage_times": most_frequent(shared(now.favourites[name]["daytimes"]), 3),
            "content_preferences": most_frequent(shared(now.favourites[name]["categories"]), 3),
            "session_triggers": None,
        },
        "business_value": {
            **nothing("avg_lifetime_value", "upgrade_conversion_rate", "referral_rate"),
            "churn_risk": now.mean(name, "risk"),
        },
        "trend_analysis": {
            "growth_rate_monthly": growth(now.users[name], before.users[name]),
            "retention_trend": trend(now.retention(name), before.retention(name), "improving", "declining"),
            "engagement_trend": trend(
                now.mean(name, "engagement"), before.mean(name, "engagement"), "increasing", "decreasing"
            ),
            "satisfaction_trend": trend(now.rating(name), before.rating(name), "increasing", "decreasing"),
        },
        "sample_size": now.users[name],
    }
    if silent:
        document["avg_metrics"] = dict.fromkeys(document["avg_metrics"])
        document["business_value"] = dict.fromkeys(document["business_value"])
        hidden = ("preferred_personalities", "peak_usage_times", "content_preferences")
        document["common_patterns"] |= {field: [] for field in hidden}
    if not past:
        document["trend_analysis"] |= dict.fromkeys(
            ("retention_trend", "engagement_trend", "satisfaction_trend")
        )
    return document


def growth(now: float, before: float) -> Near | None:
    return rounded(now / before - 1, 4) if before else None


def trend(now: Near | None, before: Near | None, more: str, less: str, digits: int = 4) -> str | None:
    """Compare what is shown with so many digits."""
    if now is None or before is None:
        return None
    recent, earlier = round(now.value, digits), round(before.value, digits)
    change = recent - earlier
    if abs(change) <= abs(earlier) * 0.02:
        return "stable"
    return more if change > 0 else less
