"""The summary of a demonstration, for people: tables on a terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from rich.console import Console
from rich.table import Table

from local.seed.command import summary_table
from local.summary import Outcome, Summary, models

CHARGE_ROWS = 14
ERROR_WIDTH = 100


def print_report(outcome: Outcome, console: Console) -> None:
    """Print everything a person wants to see at the end."""
    summary = outcome.summary
    console.print()
    console.print(summary_table(outcome.written))
    if summary.daily:
        console.print(_days(summary))
        busiest = max(summary.daily, key=lambda day: int(day["usage_statistics"]["total_interactions"]))
        console.print(_day(busiest))
    if summary.people:
        console.print(_person(summary.people[0]))
    console.print(_models(summary))
    console.print(_published(summary))
    console.print(_poison(summary))
    console.print(_charges(outcome))
    console.print(_checks(outcome))
    rate = outcome.written.changes / max(outcome.drained_after, 1e-9)
    console.print(
        f"Everything was processed and published {outcome.drained_after:.1f} s after the first write"
        f" ({rate:,.0f} changes per second, writing included)."
    )
    if outcome.adds_up:
        console.print("[green]Every figure adds up.[/green]")
    else:
        console.print("[red]Some figures do not add up.[/red]")


def _table(title: str, *columns: str, numeric: int = 0) -> Table:
    """Return an empty table whose last ``numeric`` columns are right-aligned."""
    table = Table(title=f"\n{title}", title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index >= len(columns) - numeric else "left")
    return table


def _days(summary: Summary) -> Table:
    table = _table(
        "daily_metrics, one row per document", "day", "people", "new", "sessions", "interactions",
        "citations", "rating", "p95 ms", "cost USD", numeric=8,
    )  # fmt: skip
    for day in summary.daily:
        usage, ai = day["usage_statistics"], day["ai_performance"]
        table.add_row(
            day["date"],
            *(_text(usage[name]) for name in ("active_users", "new_users", "total_sessions")),
            _text(usage["total_interactions"]),
            _text(day["content_performance"]["total_citations"]),
            _text(day["quality_metrics"]["user_satisfaction_avg"]),
            _text(day["system_performance"]["p95_response_time_ms"]),
            _text(ai.get("total_cost_usd")),
        )
    return table


def _day(day: dict[str, Any]) -> Table:
    return _fields(
        f"The busiest day: {day['id']}",
        day,
        ("system_performance", "usage_statistics", "content_performance", "quality_metrics"),
    )


def _person(person: dict[str, Any]) -> Table:
    return _fields(
        f"The busiest person's month: {person['id']}",
        person,
        ("user_profile", "session_metrics", "interaction_metrics", "content_metrics", "behavioral_insights"),
    )


def _fields(title: str, document: dict[str, Any], blocks: tuple[str, ...]) -> Table:
    """Show what a document measures; fields that nothing measures are null there and left out here."""
    table = _table(title, "block", "field", "value")
    for block in blocks:
        shown = block
        for name, value in document.get(block, {}).items():
            if value is not None:
                table.add_row(shown, name, _text(value))
                shown = ""
    return table


def _models(summary: Summary) -> Table:
    table = _table("Models over all days", "model", "interactions", "cost USD", numeric=2)
    for model, (requests, cost) in models(summary.daily).items():
        table.add_row(model, f"{requests:,}", "not priced" if cost is None else f"{cost:.6f}")
    return table


def _published(summary: Summary) -> Table:
    table = _table("Documents of the views", "container", "documents", numeric=1)
    for container, count in summary.published.items():
        table.add_row(container, f"{count:,}")
    return table


def _poison(summary: Summary) -> Table:
    table = _table(
        f"In poison: {len(summary.poison)} documents", "field", "for example", "documents", numeric=1
    )
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for row in summary.poison:
        field = str(row.get("error_field") or row.get("error_type"))
        counts[field] += 1
        examples.setdefault(field, str(row.get("error_message")))
    for field, count in sorted(counts.items()):
        table.add_row(field, examples[field][:ERROR_WIDTH], str(count))
    return table


def _charges(outcome: Outcome) -> Table:
    total = sum(row["request_units"] for row in outcome.charges)
    table = _table(
        f"Request units (the local server's estimate): {total:,.0f}",
        "client", "container", "operation", "requests", "request units", numeric=2,
    )  # fmt: skip
    rows = sorted(outcome.charges, key=lambda row: -float(row["request_units"]))
    for row in rows[:CHARGE_ROWS]:
        _charge_row(table, row["client"], row.get("container") or "", row["operation"], row)
    if rest := rows[CHARGE_ROWS:]:
        sums = {name: sum(row[name] for row in rest) for name in ("requests", "request_units")}
        _charge_row(table, "", "", f"{len(rest)} more kinds", sums)
    table.add_section()
    per_client: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in outcome.charges:
        per_client[row["client"]].update(requests=row["requests"], request_units=row["request_units"])
    for client, sums in sorted(per_client.items(), key=lambda item: -item[1]["request_units"]):
        _charge_row(table, client, "", "all", sums)
    return table


def _charge_row(table: Table, client: str, container: str, operation: str, row: Any) -> None:
    table.add_row(client, container, operation, f"{row['requests']:,}", f"{row['request_units']:,.0f}")


def _checks(outcome: Outcome) -> Table:
    """List the comparisons; of those that exist per day, only the ones that fail."""
    table = _table("Does it add up?", "", "expected", "found", "", numeric=3)
    days = [check for check in outcome.checks if check.what.startswith("interactions on ")]
    for check in outcome.checks:
        if check not in days or not check.holds:
            mark = "[green]yes[/green]" if check.holds else "[red]no[/red]"
            table.add_row(check.what, f"{check.expected:,}", f"{check.found:,}", mark)
    if all(check.holds for check in days):
        table.add_row(f"interactions on each of {len(days)} days", "", "", "[green]yes[/green]")
    return table


def _text(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4f}".rstrip("0").rstrip(".")
        case list():
            return ", ".join(map(_text, value)) or "–"
        case _:
            return str(value)
