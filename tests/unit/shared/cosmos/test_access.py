"""Containers that are missing, and rights that are, are named with the remedy; nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError
from hypothesis import given
from hypothesis import strategies as st

from shared.containers import CATALOGUE
from shared.cosmos.access import check_access, reason_of
from shared.errors import NotReadyError
from shared.rights import PROBES

NAMES = [container.name for container in CATALOGUE]


class Probed:
    """A container that answers every request with a status."""

    def __init__(self, status: int | None, sub_status: int | None) -> None:
        self.status, self.sub_status = status, sub_status
        self.requests: list[str] = []

    async def _refuse(self, operation: str) -> None:
        self.requests.append(operation)
        if self.status == 404:
            error = CosmosResourceNotFoundError(status_code=404, message="secret of the account")
            error.sub_status = self.sub_status
            raise error
        if self.status is not None:
            raise CosmosHttpResponseError(status_code=self.status, message="secret of the account")

    async def read(self) -> None:
        if self.status == 404 and self.sub_status is not None:
            raise CosmosResourceNotFoundError(status_code=404, message="secret of the account")

    async def read_item(self, *_: Any) -> None:
        await self._refuse("read")

    async def delete_item(self, *_: Any) -> None:
        await self._refuse("delete")

    async def replace_item(self, *_: Any) -> None:
        await self._refuse("replace")

    async def query_items(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        if self.status != 404 or self.sub_status is not None:
            await self._refuse("query")
        self.requests.append("query")
        for row in ():
            yield row


class Account:
    """A database by what its containers answer: by default, that the document does not exist."""

    def __init__(self, statuses: dict[str, int]) -> None:
        self.containers = {
            name: Probed(statuses.get(name, 404), 1003 if name in statuses else None) for name in NAMES
        }

    def get_container_client(self, name: str) -> Any:
        return self.containers[name]


async def test_each_container_is_asked_for_the_most_that_the_fleet_does_in_it() -> None:
    account: Any = Account({})
    await check_access(account)
    asked = {name: container.requests for name, container in account.containers.items()}
    assert asked == {name: [PROBES[name].name.lower()] for name in NAMES}
    assert asked["user_analytics"] == ["delete"]
    assert asked["view_state"] == ["delete"]
    assert asked["poison_messages"] == ["replace"]
    assert asked["users"] == ["read"]
    assert asked["personalities"] == ["query"]


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([401, 403, 404]), min_size=1))
async def test_what_is_missing_or_not_allowed_is_named_with_the_remedy(statuses: dict[str, int]) -> None:
    account: Any = Account(statuses)
    with pytest.raises(NotReadyError) as raised:
        await check_access(account)
    refused = {name for name, status in statuses.items() if status != 404}
    named = {name for name in NAMES if name in str(raised.value).replace(",", " ").replace(".", " ").split()}
    remedy = "infra/roles.json" if refused else "fleet containers apply"
    assert remedy in str(raised.value)
    assert "secret" not in str(raised.value)
    expected = refused or set(statuses)
    assert expected <= {*named, *(name for name in NAMES if f"{name}:" in str(raised.value))}


@pytest.mark.parametrize("status", [429, 503])
async def test_a_service_that_does_not_answer_is_no_reason_to_change_anything(status: int) -> None:
    account: Any = Account({"users": status})
    with pytest.raises(CosmosHttpResponseError):
        await check_access(account)


def test_the_first_requests_errors_have_a_reason_if_a_person_has_to_do_something() -> None:
    def reason(status: int) -> str:
        return reason_of(CosmosHttpResponseError(status_code=status, message="secret")) or ""

    assert "role" in reason(401) == reason(403)
    assert "containers apply" in reason(404)
    assert reason(503) == ""
