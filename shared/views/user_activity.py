"""``user_activity``: on which days a person was here. Not published; active and new users come from it."""

from __future__ import annotations

from typing import Any

from shared.tally import Tally
from shared.views import daily_metrics
from shared.views.base import Contributions, Fact, Scope, Stamp

NAME = "user_activity"


def withdraw(user_id: str, into: Contributions) -> None:
    """Note that the ledger has an entry of the person that counts in no view."""
    into.to(NAME, user_id).add("withdrawn", 1)


class UserActivity:
    """One partial per person; its key is the user id.

    Every addition and removal of one of the person's facts changes it. Since it is guarded by its etag,
    two writers cannot count two versions of the same document on different ledger pages at once.
    """

    name = NAME
    scope = Scope.SHARD
    container: str | None = None

    def keys(self, fact: Fact) -> tuple[str, ...]:
        """Return the person."""
        return (fact.user_id,)

    def contribute(self, fact: Fact, into: Contributions) -> None:
        """Count one interaction of the person on its day."""
        into.to(NAME, fact.user_id).count("days", fact.day)

    def derive(self, key: str, before: Tally, delta: Tally, into: Contributions) -> None:
        """Count the person once on each day of activity, and as new on the first of them."""
        days = before.counts("days")
        after = before.copy()
        after.merge(delta)
        days_after = after.counts("days")
        for day in delta.counts("days"):
            into.to(daily_metrics.NAME, day).add("active_users", (day in days_after) - (day in days))
        first, first_after = min(days, default=None), min(days_after, default=None)
        if first != first_after:
            if first is not None:
                into.to(daily_metrics.NAME, first).add("new_users", -1)
            if first_after is not None:
                into.to(daily_metrics.NAME, first_after).add("new_users", 1)

    def partition(self, key: str) -> str:
        """Refuse: this view has no document."""
        raise LookupError(f"{NAME} is not published")

    def document_id(self, key: str) -> str:
        """Refuse: this view has no document."""
        raise LookupError(f"{NAME} is not published")

    def render(self, key: str, state: Tally, stamp: Stamp) -> dict[str, Any]:
        """Refuse: this view has no document."""
        raise LookupError(f"{NAME} is not published")
