"""The summary of a demonstration, for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from local.seed.command import summary_table
from local.summary import Outcome, Summary, models
from terminal.figures import figure, figures_table
from terminal.output import print_table, say
from terminal.tables import Table, detail, number, whole

CHARGE_ROWS = 14

NEXT = (
    ("make run", "the same with live traffic, until Ctrl-C"),
    ("make demo ARGS='--data DIR'", "this again, keeping its data in DIR"),
    ("make help", "everything else; README.md explains it"),
)
"""What to try after a demonstration that ended well."""


def print_report(outcome: Outcome, *, kept_in: str = "") -> None:
    """Print everything a person wants to see at the end.

    Parameters
    ----------
    kept_in
        Directory of the demonstration's data, if they are kept.
    """
    summary = outcome.summary
    say()
    _verdict(outcome)
    tables = [summary_table(outcome.written)]
    if summary.daily:
        busiest = max(summary.daily, key=lambda day: int(day["usage_statistics"]["total_interactions"]))
        tables += [_days(summary), _day(busiest)]
    if summary.people:
        tables.append(_person(summary.people[0]))
    tables += [_models(summary), _published(summary), _poison(summary), _charges(outcome), _checks(outcome)]
    for table in tables:
        say()
        print_table(table)
    rate = outcome.written.changes / max(outcome.drained_after, 1e-9)
    say()
    say(
        f"Everything was processed and published {outcome.drained_after:.1f} s after the first write "
        f"({rate:,.0f} changes per second, writing included)."
    )
    _verdict(outcome)
    say()
    if kept_in:
        say(f"The data are kept in {kept_in}.")
    next_steps = Table(whole(""), "", title="Try next")
    for command, what in NEXT:
        next_steps.add(command, what)
    print_table(next_steps)


def _verdict(outcome: Outcome) -> None:
    seconds = f"{outcome.drained_after:.0f} s"
    if outcome.adds_up:
        say(f"Every figure adds up, {seconds}.", color="green")
    else:
        wrong = sum(not check.holds for check in outcome.checks)
        say(f"{wrong} of {len(outcome.checks)} comparisons do not add up, {seconds}.", color="red")


def _days(summary: Summary) -> Table:
    table = Table(
        whole("day"),
        *map(number, ("people", "new", "sessions", "asked", "cited", "rating", "p95 ms", "cost USD")),
        title="daily_metrics, one row per document",
    )
    for day in summary.daily:
        usage, ai = day["usage_statistics"], day["ai_performance"]
        table.add(
            day["date"],
            *(usage[name] for name in ("active_users", "new_users", "total_sessions", "total_interactions")),
            day["content_performance"]["total_citations"],
            figure(day["quality_metrics"]["user_satisfaction_avg"]),
            figure(day["system_performance"]["p95_response_time_ms"]),
            figure(ai.get("total_cost_usd")),
        )
    return table


def _day(day: dict[str, Any]) -> Table:
    return figures_table(
        f"The busiest day: {day['id']}",
        day,
        ("system_performance", "usage_statistics", "content_performance", "quality_metrics"),
    )


def _person(person: dict[str, Any]) -> Table:
    return figures_table(
        f"The busiest person's month: {person['id']}",
        person,
        ("user_profile", "session_metrics", "interaction_metrics", "content_metrics", "behavioral_insights"),
    )


def _models(summary: Summary) -> Table:
    table = Table(whole("model"), number("interactions"), number("cost USD"), title="Models over all days")
    for model, (requests, cost) in models(summary.daily).items():
        table.add(model, requests, "not priced" if cost is None else f"{cost:.6f}")
    return table


def _published(summary: Summary) -> Table:
    table = Table(whole("container"), number("documents"), title="Documents of the views")
    for container, count in summary.published.items():
        table.add(container, count)
    return table


def _poison(summary: Summary) -> Table:
    rows = [*summary.poison, *summary.other_poison]
    table = Table(
        number("documents"),
        whole("source"),
        whole("field"),
        detail("for example"),
        title=f"In poison: {len(rows)} documents",
    )
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for row in rows:
        cause = row["source_container"], row["error_field"] or row["error_type"]
        counts[cause] += 1
        examples.setdefault(cause, row["error_message"])
    for (source, field), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add(count, source, field, examples[source, field])
    return table


def _charges(outcome: Outcome) -> Table:
    total = sum(row["request_units"] for row in outcome.charges)
    table = Table(
        whole("client"),
        whole("container"),
        whole("operation"),
        number("requests"),
        number("request units"),
        title=f"Request units (the local server's estimate): {total:,.0f}",
    )
    rows = sorted(outcome.charges, key=lambda row: -float(row["request_units"]))
    for row in rows[:CHARGE_ROWS]:
        _charge_row(table, row["client"], row.get("container") or "", row["operation"], row)
    if rest := rows[CHARGE_ROWS:]:
        sums = {name: sum(row[name] for row in rest) for name in ("requests", "request_units")}
        _charge_row(table, "less than these", f"{len(rest)} more rows", "", sums)
    per_client: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in outcome.charges:
        per_client[row["client"]].update(requests=row["requests"], request_units=row["request_units"])
    for client, sums in sorted(per_client.items(), key=lambda item: -item[1]["request_units"]):
        _charge_row(table, client, "in all", "", sums)
    return table


def _charge_row(table: Table, client: str, container: str, operation: str, row: Any) -> None:
    table.add(client, container, operation, row["requests"], round(row["request_units"]))


def _checks(outcome: Outcome) -> Table:
    """List the comparisons; of those that exist per day, only the ones that fail."""
    table = Table("what", number("expected"), number("found"), "right", title="Does it add up?")
    days = [check for check in outcome.checks if check.what.startswith("interactions on ")]
    for check in outcome.checks:
        if check not in days or not check.holds:
            table.add(check.what, check.expected, check.found, check.holds)
    if all(check.holds for check in days):
        table.add(f"interactions on each of {len(days)} days", "", "", True)
    return table
