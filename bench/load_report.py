"""The servers under load as a table."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from bench.load_figures import OPERATIONS, LoadFigures, Rate, ServerFigures

NOT_MEASURED = "–"
MEBIBYTE = 1024 * 1024
CPU: tuple[tuple[str, Callable[[Rate], float | None]], ...] = (
    ("server's", lambda rate: rate.cpu_ms),
    ("clients'", lambda rate: rate.client_cpu_ms),
)


def load_table(figures: LoadFigures) -> Table:
    """Return one row per operation, and one for memory: local server, the other server."""
    both = ours, other = figures.ours, figures.other
    title = f"Database servers with items of 1 KB, {figures.clients} client processes"
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for server in both:
        table.add_column(server.name, justify="right")
    table.add_row("items", _count(ours.items), _count(other.items))
    for operation in OPERATIONS:
        table.add_row(f"{operation}s per second", _rate(ours, operation), _rate(other, operation))
        for whose, figure in CPU:
            spent = [
                figure(server.rates[operation]) if operation in server.rates else None for server in both
            ]
            table.add_row(f"{whose} CPU per {operation}", *map(_milliseconds, spent))
    table.add_row("memory with the items stored", _memory(ours.rss_seeded), _memory(other.rss_seeded))
    table.add_row("memory after the load", _memory(ours.rss_after), _memory(other.rss_after))
    for server in both:
        if server.unavailable:
            table.caption = f"{server.name}: {server.unavailable}"
    return table


def _rate(server: ServerFigures, operation: str) -> str:
    rate = server.rates.get(operation)
    return NOT_MEASURED if rate is None else f"{rate.per_second:,.0f}"


def _milliseconds(spent: float | None) -> str:
    return NOT_MEASURED if spent is None else f"{spent:.2f} ms"


def _count(items: int | None) -> str:
    return NOT_MEASURED if items is None else f"{items:,}"


def _memory(size: int | None) -> str:
    return NOT_MEASURED if size is None else f"{size / MEBIBYTE:,.0f} MiB"
