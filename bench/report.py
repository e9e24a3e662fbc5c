"""The report as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.figures import Comparison, Figures, HistoryLevel, Spread, growth
from bench.load_figures import LoadFigures
from bench.load_report import load_table, load_verdicts

AIMS = {
    "changes_per_second": 20.0,
    "request_units": 0.1,
    "growth": 0.1,
}
"""Fleet over baseline at least, and at most; and by how much a longer history may change it."""

NOT_MEASURED = "–"
MEBIBYTE = 1024 * 1024


def print_report(figures: Figures, console: Console) -> None:
    """Print everything a run measured."""
    console.print(f"[bold]Fleet against the specification's processor[/bold], {figures.at}")
    console.print(f"{figures.machine}; {figures.seconds:.0f} s{'; --quick' if figures.quick else ''}")
    for level in figures.levels:
        console.print()
        console.print(comparison_table(level))
        half_day = level.half_day
        console.print(
            f"Refreshed twice a day, here once after {half_day.changes:,} changes:"
            f" {half_day.charge.requests:,} requests, {half_day.charge.request_units:,.0f} request units,"
            f" {_number(half_day.units_per_change)} per change"
        )
    console.print()
    console.print(other_table(figures))
    console.print()
    for line in verdicts(figures):
        console.print(line)
    if figures.load is not None:
        console.print()
        print_load(figures.load, console)


def print_load(figures: LoadFigures, console: Console) -> None:
    """Print what the database servers did under load."""
    console.print(load_table(figures))
    for met, text in load_verdicts(figures):
        console.print(_verdict(met, text))


def comparison_table(level: HistoryLevel) -> Table:
    """Return one row per batch size and figure: fleet, baseline, ratio."""
    title = f"After {level.interactions:,} interactions of history (×{level.factor})"
    table = Table(title=title, title_justify="left")
    table.add_column("batch", justify="right")
    table.add_column("people in it", justify="right")
    table.add_column("figure")
    for column in ("fleet", "(min – max)", "baseline", "(min – max)", "fleet : baseline"):
        table.add_column(column, justify="right")
    for comparison in level.comparisons:
        _add_comparison(table, comparison)
    return table


def _add_comparison(table: Table, comparison: Comparison) -> None:
    fleet, baseline = comparison.fleet, comparison.baseline
    rows = (
        ("changes per second", fleet.throughput, baseline.throughput, comparison.throughput_ratio),
        ("requests per change", fleet.requests, baseline.requests, comparison.requests_ratio),
        ("request units per change", fleet.units, baseline.units, comparison.units_ratio),
    )
    for number, (name, ours, theirs, ratio) in enumerate(rows):
        head = (f"{comparison.batch:,}", f"{comparison.people:,.0f}") if number == 0 else ("", "")
        table.add_row(
            *head,
            name,
            _number(ours.median),
            _range(ours),
            _number(theirs.median),
            _range(theirs),
            f"{_number(ratio)} : 1" if ratio >= 1 else f"1 : {_number(1 / ratio)}",
            end_section=number == len(rows) - 1,
        )


def other_table(figures: Figures) -> Table:
    """Return the figures that have no baseline."""
    table = Table(title="Without a baseline", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    fold, stack = figures.fold, figures.stack
    table.add_row("Parsing and validating alone", _number(fold.parse.median), f"per s {_range(fold.parse)}")
    table.add_row("Fold of parsed changes, no I/O", _number(fold.fold.median), f"per s {_range(fold.fold)}")
    table.add_row("Fold : parsing", f"{fold.ratio:.2f} : 1", "")
    why = stack.unavailable or f"write → visible, one host, {stack.writes} writes"
    table.add_row("Freshness, p50", _seconds(stack.p50_seconds), why)
    table.add_row("Freshness, p99", _seconds(stack.p99_seconds), why)
    rss = stack.peak_rss_bytes
    table.add_row(
        "Peak memory of a host process",
        NOT_MEASURED if rss is None else f"{rss / MEBIBYTE:,.0f} MiB",
        stack.unavailable or f"after {stack.changes_processed:,} changes",
    )
    archive = figures.archive_per_second
    table.add_row("Archived documents", NOT_MEASURED if archive is None else _number(archive), "per s")
    return table


def verdicts(figures: Figures) -> list[str]:
    """Return one line per aim: met or not, by the largest batch after the shortest history."""
    largest = max(figures.levels[0].comparisons, key=lambda comparison: comparison.batch)
    baseline_units = largest.baseline.units.median
    everything = (largest.fleet.units.median + figures.levels[0].half_day.units_per_change) / baseline_units
    grown = growth(figures.levels[0], figures.levels[-1])
    lines = [
        _verdict(
            largest.throughput_ratio >= AIMS["changes_per_second"],
            f"changes per second at batches of {largest.batch:,}: {largest.throughput_ratio:.1f} ×"
            f" the baseline's (aim: at least {AIMS['changes_per_second']:.0f} ×)",
        ),
        _verdict(
            everything <= AIMS["request_units"],
            f"request units per change at batches of {largest.batch:,}: 1/{1 / largest.units_ratio:.1f}"
            f" of the baseline's, 1/{1 / everything:.1f} with the half day's"
            f" (aim: at most 1/{1 / AIMS['request_units']:.0f})",
        ),
    ]
    longest = figures.levels[-1].factor
    lines.extend(
        _verdict(
            abs(value - 1) <= AIMS["growth"],
            f"request units per change at {longest} × the history, batches of {batch:,}: {value - 1:+.1%}"
            f" (aim: within {AIMS['growth']:.0%})",
        )
        for batch, value in grown.items()
    )
    cells = [cell for level in figures.levels for c in level.comparisons for cell in (c.fleet, c.baseline)]
    worst = max(cells, key=lambda cell: abs(cell.booked_units_share - 1))
    lines.append(
        f"Cross-check: the server booked {worst.booked_units_share - 1:+.2%} request units"
        " against what the responses said, where they differ most."
    )
    return lines


def _verdict(met: bool, text: str) -> str:
    return f"[green]met    [/green] {text}" if met else f"[yellow]not met[/yellow] {text}"


def _range(spread: Spread) -> str:
    return f"({_number(spread.low)} – {_number(spread.high)})"


def _seconds(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.2f} s"


def _number(value: float) -> str:
    """Three significant digits, whole numbers from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
