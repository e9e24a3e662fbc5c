"""The report of a soak: what was written, what was done to the fleet, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.drain import DrainResult
from tests.soak.checks import Check
from tests.soak.conductor import Deed
from tests.soak.logs import LogSummary
from tests.soak.memory import Series
from tests.soak.traffic import Book


@dataclass(slots=True)
class SoakReport:
    """Everything that is told at the end."""

    seed: int
    seconds: float
    """How long traffic and disturbances were to last."""
    book: Book = field(default_factory=Book)
    deeds: list[Deed] = field(default_factory=list)
    struck: int = 0
    drained: DrainResult | None = None
    checks: list[Check] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    logs: LogSummary = field(default_factory=LogSummary)
    starts: dict[str, Any] = field(default_factory=dict)
    lap_writes: int = 0
    """Writes in a lap."""

    @property
    def holds(self) -> bool:
        """Whether everything does."""
        return bool(self.checks) and all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "holds": self.holds,
            "seed": self.seed,
            "seconds": self.seconds,
            "writes": {str(kind): count for kind, count in sorted(self.book.acknowledged.items())},
            "writes_repeated": self.book.repeated,
            "documents": len(self.book.stands),
            "actions": [
                {"at": round(deed.at, 1), "kind": str(deed.kind), "what": deed.what} for deed in self.deeds
            ],
            "requests_struck": self.struck,
            "settled": self.drained.as_json() if self.drained else None,
            "checks": [check.as_json() for check in self.checks],
            "memory": [one.as_json(self.lap_writes) for one in self.series],
            "errors_expected": dict(self.logs.expected.most_common()),
            "errors_unexpected": dict(self.logs.unexpected.most_common()),
            "warnings": dict(self.logs.warnings.most_common()),
            "invocations": dict(self.logs.invocations),
            "batches_lost": dict(self.logs.lost),
            "invocations_cut_short": dict(self.logs.cut_short),
            "repaired_by_the_auditor_meanwhile": self.logs.repaired,
            **self.starts,
        }


def print_report(report: SoakReport, console: Console) -> None:
    """Print it for people."""
    console.print(_writes(report))
    console.print(_deeds(report))
    console.print(_memory(report))
    console.print(_errors(report))
    if report.starts.get("failed_starts"):
        console.print("Hosts that faults kept from starting, and that were started again:")
        for reason, count in report.starts["failed_starts"].items():
            console.print(f"  {count} × {reason}", markup=False)
    console.print(_checks(report))
    if report.holds:
        console.print("[green]Nothing lost, nothing double, memory flat.[/green]")
    else:
        console.print("[red]The soak found something.[/red]")


def _table(title: str, *columns: str, numeric: int = 0) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index >= len(columns) - numeric else "left")
    return table


def _writes(report: SoakReport) -> Table:
    book = report.book
    documents = f"{len(book.stands):,} documents (seed {report.seed})"
    title = f"{book.writes:,} writes in {report.seconds:g} s, {documents}"
    table = _table(title, "kind", "acknowledged", numeric=1)
    for kind, count in book.acknowledged.most_common():
        table.add_row(str(kind), f"{count:,}")
    table.add_row("(attempts repeated)", f"{book.repeated:,}")
    return table


def _deeds(report: SoakReport) -> Table:
    title = f"{len(report.deeds)} disturbances, {report.struck:,} requests struck by faults"
    table = _table(title, "kind", "times", numeric=1)
    for kind, count in Counter(deed.kind for deed in report.deeds).most_common():
        table.add_row(str(kind), str(count))
    return table


def _memory(report: SoakReport) -> Table:
    judged = [one for one in report.series if one.growth(report.lap_writes) is not None]
    short = len(report.series) - len(judged)
    table = _table(
        f"Memory, of the processes that were there in all laps ({short} more were not)",
        "process", "seconds", "first MB", "peak MB", "last MB", "after each lap", "bytes per write",
        numeric=6,
    )  # fmt: skip
    for one in (series.as_json(report.lap_writes) for series in judged):
        numbers = [str(one[name]) for name in ("seconds", "first_mb", "peak_mb", "last_mb")]
        laps = " ".join(f"{size:g}" for size in one["laps_mb"])
        table.add_row(one["process"], *numbers, laps, f"{one['bytes_per_write']:,}")
    return table


def _errors(report: SoakReport) -> Table:
    table = _table("Logged errors and warnings", "event", "kind", "times", numeric=1)
    for kind, counts in (
        ("unexpected error", report.logs.unexpected),
        ("expected error", report.logs.expected),
        ("warning", report.logs.warnings),
    ):
        for event, count in counts.most_common():
            table.add_row(escape(event), kind, f"{count:,}")
    if report.logs.repaired:
        table.add_row("repaired by the auditor's timer meanwhile", "", f"{report.logs.repaired:,}")
    return table


def _checks(report: SoakReport) -> Table:
    table = _table("Does it hold?", "", "", "")
    for check in report.checks:
        mark = "[green]yes[/green]" if check.holds else "[red]no[/red]"
        table.add_row(check.what, mark, escape(check.detail))
    return table
