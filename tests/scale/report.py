"""The report of a run: what it took, and what must hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.seed.writer import SeedSummary
from shared.containers import POISON_MESSAGES
from tests.scale.charges import WRITER, Account, units_by
from tests.scale.due import DueWork
from tests.scale.figures import Comparison, shortened
from tests.scale.logs import HostLogs
from tests.scale.plan import (
    KIBIBYTE,
    MEGABYTE,
    MOST_DOCUMENT_BYTES,
    MOST_HOST_BYTES,
    MOST_INVOCATION_SECONDS,
    ScalePlan,
)
from tests.scale.sizes import Sizes

FOLDED = ("user_interactions", "user_sessions", "abuse_incidents", "users")
TIMED = ("write", "drain", "timers", "fleet views refresh")
"""Stages from the first write until everything is published."""

MOST_DIFFERENCES = 12


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold."""

    what: str
    holds: bool
    found: str

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {"what": self.what, "holds": self.holds, "found": self.found}


@dataclass(slots=True)
class ScaleReport:
    """Everything that a run measured. What it did not reach is empty, and its check fails."""

    plan: ScalePlan
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    written: SeedSummary | None = None
    late: str | None = None
    """What was not done in time."""
    due: DueWork = field(default_factory=DueWork)
    hosts: dict[str, int | None] = field(default_factory=dict)
    """Largest resident memory of each host, in bytes; None where the system does not tell."""
    logs: HostLogs = field(default_factory=HostLogs)
    most_pending: dict[str, int] = field(default_factory=dict)
    """The most changes that ever waited, by function."""
    lag_after_drain: dict[str, int] = field(default_factory=dict)
    charges: list[Account] = field(default_factory=list)
    sizes: dict[str, Sizes] = field(default_factory=dict)
    comparison: Comparison | None = None

    @property
    def changes(self) -> int:
        """Writes to the containers that the fleet folds."""
        written = self.written
        if written is None:
            return 0
        return sum(written.of(name).documents + written.of(name).replaced for name in FOLDED)

    @property
    def changes_per_second(self) -> float:
        """Changes by the seconds from the first write until all of them are counted."""
        seconds = self.stages.get("write", 0.0) + self.stages.get("drain", 0.0)
        return self.changes / seconds if seconds else 0.0

    @property
    def checks(self) -> list[Check]:
        """What must hold."""
        return [*self._checks_of_time(), *self._checks_of_limits(), *self._checks_of_figures()]

    @property
    def holds(self) -> bool:
        """Whether all of it does."""
        return all(check.holds for check in self.checks)

    def _checks_of_time(self) -> Iterable[Check]:
        limit = f"everything is published within {self.plan.timeout:g} s"
        seconds = sum(self.stages.get(name, 0.0) for name in TIMED)
        yield Check(limit, self.late is None, self.late or f"{seconds:.0f} s")
        rounds = f"{self.due.rounds} rounds, {len(self.due.refreshes)} refreshes"
        done = self.due.settled and not self.due.failures
        yield Check("the timers have nothing left to do", done, "\n".join([rounds, *self.due.failures]))

    def _checks_of_limits(self) -> Iterable[Check]:
        for name, peak in self.hosts.items():
            fits = peak is not None and peak < MOST_HOST_BYTES
            found = "not known" if peak is None else f"{peak / MEGABYTE:.0f} MB"
            yield Check(f"{name} stays below {MOST_HOST_BYTES / MEGABYTE:.0f} MB", fits, found)
        name, seconds = self.logs.longest
        limit = f"no invocation takes more than {MOST_INVOCATION_SECONDS:g} s"
        short = bool(self.logs.functions) and seconds <= MOST_INVOCATION_SECONDS
        yield Check(limit, short, f"{name}: {seconds:.1f} s")
        failed = {name: one.failed for name, one in self.logs.functions.items() if one.failed}
        yield Check("no invocation fails", not failed, str(failed or "none"))
        place, (kind, size) = max(
            ((name, sizes.most) for name, sizes in self.sizes.items()),
            key=lambda one: one[1][1],
            default=("", ("", 0)),
        )
        limit = f"no document is larger than {MOST_DOCUMENT_BYTES // KIBIBYTE} KB"
        found = f"{place} {kind}: {size / KIBIBYTE:.0f} KB"
        yield Check(limit, 0 < size <= MOST_DOCUMENT_BYTES, found)

    def _checks_of_figures(self) -> Iterable[Check]:
        poison = self.sizes.get(POISON_MESSAGES, Sizes()).documents
        yield Check("nothing is in poison", POISON_MESSAGES in self.sizes and not poison, f"{poison:,} rows")
        what, compared = "every figure equals the independent computation", self.comparison
        if compared is None:
            yield Check(what, False, "not compared")
            return
        looked = f"{compared.documents:,} documents, of {compared.people:,} of {compared.of:,} people"
        lines = shortened(compared.differences, MOST_DIFFERENCES)
        count = f"{len(compared.differences):,} differences in {looked}"
        yield Check(what, not lines, "\n".join([count, *lines]) if lines else looked)

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        fleet = units_by(self.charges, "container")
        return {
            "holds": self.holds,
            "plan": self.plan.as_json(),
            "checks": [check.as_json() for check in self.checks],
            "stages": {name: round(seconds, 1) for name, seconds in self.stages.items()},
            "changes": self.changes,
            "changes_per_second": round(self.changes_per_second, 1),
            "folded": self.logs.folded,
            "oldest_seconds_when_folded": self.logs.oldest_seconds,
            "most_pending": self.most_pending,
            "lag_after_drain": self.lag_after_drain,
            "due": self.due.as_json(),
            "host_peak_bytes": self.hosts,
            "functions": {name: one.as_json() for name, one in sorted(self.logs.functions.items())},
            "errors_logged": self.logs.errors,
            "containers": {name: sizes.as_json() for name, sizes in self.sizes.items()},
            "request_units": {
                "total": round(sum(fleet.values()), 1),
                "per_change": round(sum(fleet.values()) / self.changes, 2) if self.changes else None,
                "by_container": fleet,
                "by_client": units_by(self.charges, "client"),
                "of_the_writer": units_by(self.charges, "client", clients=(WRITER,)).get(WRITER),
            },
        }


def print_report(report: ScaleReport, console: Console) -> None:
    """Print it for people."""
    facts = report.as_json()
    for table in (_stages(report), _functions(facts), _containers(report, facts), _checks(report)):
        console.print(table)
    holds = report.holds
    console.print("[green]Every limit is kept and every figure is right.[/green]" if holds else "")
    if not holds:
        console.print("[red]Not everything holds.[/red]")


def _table(title: str, *columns: str, numeric: int = 0) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index >= len(columns) - numeric else "left")
    return table


def _stages(report: ScaleReport) -> Table:
    table = _table(
        f"{report.changes:,} changes, counted at {report.changes_per_second:,.0f} a second",
        "stage", "seconds", numeric=1,
    )  # fmt: skip
    for name, seconds in report.stages.items():
        table.add_row(name, f"{seconds:.1f}")
    return table


def _functions(facts: dict[str, Any]) -> Table:
    table = _table(
        "Invocations", "function", "most waiting", "count", "failed", "longest s", "total s", numeric=5
    )
    for name, one in facts["functions"].items():
        waiting = facts["most_pending"].get(name)
        table.add_row(
            name,
            "" if waiting is None else f"{waiting:,}",
            *(f"{one[key]:,}" for key in ("count", "failed")),
            *(f"{one[key]:,.2f}" for key in ("longest_seconds", "total_seconds")),
        )
    return table


def _containers(report: ScaleReport, facts: dict[str, Any]) -> Table:
    units = facts["request_units"]
    table = _table(
        f"Request units of the fleet: {units['total']:,.0f}, {units['per_change']} per change",
        "container", "documents", "MB", "largest", "KB", "request units", numeric=5,
    )  # fmt: skip
    for name, sizes in report.sizes.items():
        kind, most = sizes.most
        table.add_row(
            name,
            f"{sizes.documents:,}",
            f"{sizes.total_bytes / MEGABYTE:,.1f}",
            escape(kind),
            f"{most / KIBIBYTE:,.1f}",
            f"{units['by_container'].get(name, 0):,.0f}",
        )
    return table


def _checks(report: ScaleReport) -> Table:
    table = _table("Does it hold?", "", "", "")
    for check in report.checks:
        mark = "[green]yes[/green]" if check.holds else "[red]no[/red]"
        table.add_row(check.what, mark, escape(check.found))
    return table
