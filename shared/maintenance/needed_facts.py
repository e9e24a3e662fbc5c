"""Which days a rebuild of views cannot count completely, because their facts lack a field. Pure.

A rebuild counts the facts on the ledger. Those that an earlier release made do not have the fields that a
later one added to the fact, and the sources are not read again. So figures of such a field are null, or cover
a part of the day, until a new generation makes all facts again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from shared.ledger.pages import Page
from shared.units import Day, day_after
from shared.views.base import View


def needed_facts(views: Iterable[View]) -> dict[str, int]:
    """Return the lowest schema of facts that has everything that some views need, by source."""
    needed: dict[str, int] = {}
    for view in views:
        for source, schema in view.facts.items():
            needed[source] = max(schema, needed.get(source, schema))
    return needed


def is_outdated(page: Page, needed: Mapping[str, int]) -> bool:
    """Return whether a page may have facts that lack what is needed: see :func:`needed_facts`."""
    return page.schema is not None and page.schema < needed.get(page.source, 0)


def day_ranges(days: Collection[Day]) -> str:
    """Return days as text: ``2025-08-01 to 2025-08-05, 2025-08-09``."""
    ranges: list[list[Day]] = []
    for day in sorted(days):
        if ranges and day == day_after(ranges[-1][-1], 1):
            ranges[-1] = [ranges[-1][0], day]
        else:
            ranges.append([day])
    return ", ".join(" to ".join(each) for each in ranges)
