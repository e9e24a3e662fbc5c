"""Notice that documents of ``view_state`` were deleted by hand, or replaced by older versions. Pure.

A page, the day that lists it and the state of its people are written in one transaction. Where they do not
fit together, something of them is gone. Counting on would count a part of the documents, and publish it.

Limits: what no change touches is not looked at. A day, a person or a person's month that was deleted is
noticed by a change on a page that exists, not by one that begins a page. An earlier version of a person, or
of their month, is noticed when it is published: its revision is lower.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from shared.aggregates import person, person_month
from shared.aggregates.base import PartialKey
from shared.errors import DamagedStateError
from shared.facts import USER_INTERACTIONS
from shared.facts.base import STORED_UNCOUNTED
from shared.ledger.pages import Page
from shared.ledger.partials import Partial, partial_id
from shared.ledger.state import Loaded
from shared.units import Day, month_of


def require_whole(
    changed: Mapping[PartialKey, Sequence[Page]], loaded: Mapping[str, Loaded], users: Collection[str]
) -> None:
    """Check that the changed pages, their days and the people on them fit together as they are stored.

    Parameters
    ----------
    changed
        The changed pages by the day that lists them.
    loaded
        The stored documents by id.
    users
        The people whose documents change.

    Raises
    ------
    DamagedStateError
        They do not. A replica that lags looks the same for a moment.
    """
    for day, pages in changed.items():
        listed = _revisions_in(loaded, day)
        for page in pages:
            stored = _page(loaded, page)
            if listed.get(page.name) != (None if stored is None else stored.revision):
                raise DamagedStateError(f"the day {day.key}")
            if stored is not None:
                _require_people(stored, loaded, stored.entries.keys() & users)


def _require_people(page: Page, loaded: Mapping[str, Loaded], users: Collection[str]) -> None:
    month = month_of(Day(page.hour[:10]))
    for user_id in users:
        if _is_missing(loaded, PartialKey(person.NAME, user_id)):
            raise DamagedStateError("a person's record", is_in_ledger=False)
        key = PartialKey(person_month.NAME, person_month.month_key(month, user_id))
        if page.source == USER_INTERACTIONS and _is_counted(page, user_id) and _is_missing(loaded, key):
            raise DamagedStateError(f"a person's month {month}")


def _is_counted(page: Page, user_id: str) -> bool:
    return any(STORED_UNCOUNTED not in stored["f"] for stored in page.entries[user_id].values())


def _is_missing(loaded: Mapping[str, Loaded], target: PartialKey) -> bool:
    """Return whether a document was asked for and does not exist."""
    found = loaded.get(partial_id(target))
    return found is not None and found.document is None


def _revisions_in(loaded: Mapping[str, Loaded], day: PartialKey) -> Mapping[str, int]:
    found = loaded.get(partial_id(day))
    return found.document.pages if found is not None and isinstance(found.document, Partial) else {}


def _page(loaded: Mapping[str, Loaded], page: Page) -> Page | None:
    found = loaded.get(page.id)
    return found.document if found is not None and isinstance(found.document, Page) else None
