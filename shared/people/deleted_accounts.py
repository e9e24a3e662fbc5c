"""People whose accounts were deleted some time ago: they are erased without being asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from azure.cosmos.aio import DatabaseProxy

from shared.clock import SYSTEM_CLOCK, Clock
from shared.cosmos.queries import Query, run_query
from shared.documents.users import owner_of
from shared.facts import USERS
from shared.people.places import Places

DELETED = "deleted"
"""The specification's ``account_status`` of an account whose owner has deleted it."""

DELETED_ACCOUNTS = Query(
    "deleted_accounts",
    "SELECT c.id, c.user_id, c.partition_key FROM c WHERE c.account_status = @deleted AND c._ts <= @before",
)


class DeletedAccounts:
    """Finds the people who are to be erased.

    Parameters
    ----------
    grace_days
        Days since the last write of an account after which its owner is erased. Until then the web
        application may take the deletion back: any write of the account begins the time again.
    """

    def __init__(
        self, database: DatabaseProxy, places: Places, grace_days: int, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._users = database.get_container_client(USERS)
        self._places = places
        self._grace = timedelta(days=grace_days)
        self._clock = clock

    async def due(self) -> AsyncIterator[str]:
        """Yield the people all of whose accounts were deleted before the grace period.

        Raises
        ------
        CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
            The service did not answer.
        """
        before = int((self._clock.now() - self._grace).timestamp())
        seen: set[str] = set()
        values = {"deleted": DELETED, "before": before}
        async for row in run_query(self._users, DELETED_ACCOUNTS, values):
            owner = owner_of(row)
            if owner is None or owner in seen:
                continue
            seen.add(owner)
            accounts = [stored.document async for stored in self._places.documents(USERS, owner)]
            if all(each.get("account_status") == DELETED and each["_ts"] <= before for each in accounts):
                yield owner
