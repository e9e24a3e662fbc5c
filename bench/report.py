"""The report as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.aims import verdicts
from bench.figures import Comparison, Figures, HistoryLevel, PeopleLevel, ScheduledWork, Spread
from bench.load_report import load_table
from bench.stack_figures import IdleFigures, StackFigures

NOT_MEASURED = "–"
MEBIBYTE = 1024 * 1024


def print_report(figures: Figures, console: Console) -> None:
    """Print everything a run measured, and which aims it met."""
    console.print(f"[bold]Fleet against the specification's processor[/bold], {figures.at}")
    console.print(f"{figures.machine}; {figures.seconds:.0f} s{'; --quick' if figures.quick else ''}")
    for level in figures.levels:
        console.print()
        console.print(comparison_table(level))
        _print_scheduled(level.scheduled, console)
    if figures.people is not None:
        console.print()
        console.print(people_table(figures.people))
        _print_scheduled(figures.people.scheduled, console)
    tables = [other_table(figures)]
    if figures.stack is not None:
        tables.append(freshness_table(figures.stack))
    if figures.idle is not None:
        tables += [timer_table(figures.idle), polling_table(figures.idle)]
    if figures.load is not None:
        tables.append(load_table(figures.load))
    for table in tables:
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    for verdict in verdicts(figures):
        mark = "[green]met    [/green]" if verdict.met else "[yellow]not met[/yellow]"
        console.print(f"{mark} {verdict.text}")
    if figures.levels:
        console.print(cross_check(figures))


def _print_scheduled(scheduled: ScheduledWork, console: Console) -> None:
    for when, work in (("hourly", scheduled.hourly), ("twice a day", scheduled.half_day)):
        console.print(
            f"Published {when}, here after {work.changes:,} changes: {work.charge.requests:,} requests,"
            f" {work.charge.request_units:,.0f} request units, {_number(work.units_per_change)} per change,"
            f" {work.charge.seconds:.1f} s"
        )


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


def people_table(level: PeopleLevel) -> Table:
    """Return the fleet's figures by batch size, where more people are known."""
    title = f"The fleet alone, {level.people:,} people with {level.interactions:,} interactions of history"
    table = Table(title=title, title_justify="left")
    for column in ("batch", "changes per second", "requests per change", "request units per change"):
        table.add_column(column, justify="right")
    for batch, cell in level.cells.items():
        spreads = (cell.throughput, cell.requests, cell.units)
        table.add_row(f"{batch:,}", *(f"{_number(one.median)} {_range(one)}" for one in spreads))
    return table


def other_table(figures: Figures) -> Table:
    """Return the figures that have no baseline."""
    table = Table(title="Without a baseline", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    fold, stack = figures.fold, figures.stack
    if fold is not None:
        table.add_row(
            "Parsing and validating alone", _number(fold.parse.median), f"per s {_range(fold.parse)}"
        )
        table.add_row(
            "Fold of parsed changes, no I/O", _number(fold.fold.median), f"per s {_range(fold.fold)}"
        )
        table.add_row("Fold : parsing", f"{fold.ratio:.2f} : 1", "")
    if stack is not None:
        rss = stack.peak_rss_bytes
        table.add_row(
            "Peak memory of a host process",
            NOT_MEASURED if rss is None else f"{rss / MEBIBYTE:,.0f} MiB",
            stack.unavailable or f"after {stack.changes_processed:,} changes",
        )
    if figures.archive is not None:
        archive = figures.archive
        table.add_row("Archived documents", _number(archive.per_second), "per s")
        table.add_row("One after the other", _number(archive.one_by_one_per_second), "per s")
        table.add_row("The storage alone", _number(archive.storage_per_second), "per s")
        table.add_row("Requests per archived document", f"{archive.requests_per_document:.3f}", "")
        table.add_row("Request units per archived document", f"{archive.units_per_document:.2f}", "")
        table.add_row(
            "An archive with nothing to do",
            _number(archive.idle_requests),
            f"requests, {archive.idle_units:.0f} RU",
        )
    return table


def freshness_table(stack: StackFigures) -> Table:
    """Return, by view, the seconds from a write until the view shows it."""
    title = f"Freshness: seconds from write to view, one host, {stack.writes} writes"
    table = Table(title=stack.unavailable or title, title_justify="left")
    table.add_column("view")
    for column in ("p50", "p99", "longest"):
        table.add_column(column, justify="right")
    table.add_column("")
    for view, one in stack.live.items():
        table.add_row(view, *(f"{value:.2f}" for value in (one.p50, one.p99, one.longest)), "measured")
    for view, worst in stack.scheduled.items():
        table.add_row(view, "", "", f"{worst:,.0f}", "by its timer, at worst; not measured")
    return table


def timer_table(idle: IdleFigures) -> Table:
    """Return what each timer costs after traffic and without news."""
    when = f"after {idle.changes:,} changes, and {idle.silence:g} s later without news"
    title = f"Request units of a timer's run, {when}"
    table = Table(title=idle.unavailable or title, title_justify="left")
    for column in ("timer", "schedule"):
        table.add_column(column)
    for column in ("runs per day", "after traffic", "without news", "without news, per day"):
        table.add_column(column, justify="right")
    for run in idle.timers:
        units = (run.after_traffic, run.idle, run.idle_per_day)
        table.add_row(run.name, run.schedule, _number(run.runs_per_day), *(f"{one:,.0f}" for one in units))
    return table


def polling_table(idle: IdleFigures) -> Table:
    """Return what each change feed trigger costs in an hour without news."""
    title = f"Request units of an idle hour: {idle.units_per_hour:,.0f}, timers included"
    table = Table(title=title, title_justify="left")
    table.add_column("trigger")
    for column in ("feed ranges", "polls", "per poll", "leases", "request units"):
        table.add_column(column, justify="right")
    for one in idle.polling:
        table.add_row(
            one.function,
            str(one.ranges),
            f"{one.polls_per_hour:,.0f}",
            _number(one.units_per_poll),
            *(f"{units:,.0f}" for units in (one.leases_per_hour, one.units_per_hour)),
        )
    return table


def cross_check(figures: Figures) -> str:
    """Say how far the server's books and the responses differ where they differ most."""
    cells = [cell for level in figures.levels for c in level.comparisons for cell in (c.fleet, c.baseline)]
    worst = max(cells, key=lambda cell: abs(cell.booked_units_share - 1))
    return (
        f"Cross-check: the server booked {worst.booked_units_share - 1:+.2%} request units"
        " against what the responses said, where they differ most."
    )


def _range(spread: Spread) -> str:
    return f"({_number(spread.low)} – {_number(spread.high)})"


def _number(value: float) -> str:
    """Three significant digits, whole numbers from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
