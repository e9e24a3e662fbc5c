"""A document is absent only where the service says that it does not exist."""

from __future__ import annotations

from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError, CosmosResourceNotFoundError

from shared.cosmos.charges import measured_cost
from shared.cosmos.items import find_item, is_absent


class Answering:
    """A container of which every read has one answer; remembers what was asked for."""

    def __init__(self, answer: dict[str, Any] | CosmosHttpResponseError) -> None:
        self._answer = answer
        self.asked: tuple[Any, ...] = ()

    async def read_item(self, *arguments: Any, response_hook: Any) -> dict[str, Any]:
        self.asked = arguments
        if isinstance(self._answer, CosmosHttpResponseError):
            raise self._answer
        response_hook({"x-ms-request-charge": "1.5"}, None)
        return self._answer


def not_found(sub_status: int | None) -> CosmosResourceNotFoundError:
    error = CosmosResourceNotFoundError(status_code=404, sub_status=sub_status, message="no")
    error.headers = {"x-ms-request-charge": "1.25"}
    return error


async def found(container: Answering) -> dict[str, Any] | None:
    return await find_item(container, "id", "key")  # type: ignore[arg-type]


async def test_a_document_is_returned_with_its_charge() -> None:
    container = Answering({"id": "id"})
    with measured_cost() as cost:
        assert await found(container) == {"id": "id"}
    assert container.asked == ("id", "key")
    assert (cost.requests, cost.request_units) == (1, 1.5)


@pytest.mark.parametrize("sub_status", [None, 0])
async def test_a_document_that_does_not_exist_is_none_and_costs_as_well(sub_status: int | None) -> None:
    with measured_cost() as cost:
        assert await found(Answering(not_found(sub_status))) is None
    assert (cost.requests, cost.request_units) == (1, 1.25)


async def test_an_absence_without_headers_costs_nothing_that_is_known() -> None:
    error = not_found(None)
    error.headers = None
    with measured_cost() as cost:
        assert await found(Answering(error)) is None
    assert (cost.requests, cost.request_units) == (1, 0)


@pytest.mark.parametrize("sub_status", [1002, 1003])
async def test_another_404_is_raised(sub_status: int) -> None:
    error = not_found(sub_status)
    with pytest.raises(CosmosResourceNotFoundError) as raised:
        await found(Answering(error))
    assert raised.value is error


async def test_any_other_refusal_is_raised() -> None:
    with pytest.raises(CosmosHttpResponseError) as raised:
        await found(Answering(CosmosHttpResponseError(status_code=403, message="no")))
    assert raised.value.status_code == 403


@pytest.mark.parametrize(("sub_status", "absent"), [(None, True), (0, True), (1002, False), (1003, False)])
def test_a_404_means_absence_without_a_sub_status(sub_status: int | None, absent: bool) -> None:
    assert is_absent(not_found(sub_status)) is absent
