"""Queries know their names, and take values as parameters only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.cosmos.charges import measured_cost
from shared.cosmos.queries import Query, in_list, numbered, run_query

QUERY = Query("some_name", "SELECT * FROM c WHERE c.id = @id")


def test_a_query_is_its_text_and_keeps_its_name() -> None:
    assert isinstance(QUERY, str)
    assert QUERY == "SELECT * FROM c WHERE c.id = @id"
    assert QUERY.name == "some_name"
    assert json.dumps(QUERY) == '"SELECT * FROM c WHERE c.id = @id"'


class Asked:
    """A container that remembers what it was asked, and charges 3 RU."""

    def __init__(self) -> None:
        self.arguments: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}

    async def query_items(self, *arguments: Any, response_hook: Any, **options: Any) -> AsyncIterator[Any]:
        self.arguments, self.options = arguments, options
        response_hook({"x-ms-request-charge": "3"}, None)
        yield {"id": "a"}
        yield {"id": "b"}


async def rows(container: Asked, values: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    return [row async for row in run_query(container, QUERY, values, **options)]  # type: ignore[arg-type]


async def test_values_are_sent_as_parameters_with_their_sign() -> None:
    container = Asked()
    assert await rows(container, {"id": "x' OR 1=1", "since": 5}) == [{"id": "a"}, {"id": "b"}]
    assert container.arguments == (QUERY,)
    assert container.options == {
        "parameters": [{"name": "@id", "value": "x' OR 1=1"}, {"name": "@since", "value": 5}]
    }


@pytest.mark.parametrize("partition_key", ["1:0000", ""])
async def test_a_partition_is_sent_if_it_is_given(partition_key: str) -> None:
    container = Asked()
    await rows(container, {}, partition_key=partition_key)
    assert container.options == {"parameters": [], "partition_key": partition_key}


async def test_without_a_partition_none_is_sent() -> None:
    container = Asked()
    await rows(container, {}, partition_key=None)
    assert container.options == {"parameters": []}


async def test_the_charge_is_added_to_the_work_in_progress() -> None:
    with measured_cost() as cost:
        await rows(Asked(), {})
    assert (cost.requests, cost.request_units) == (1, 3.0)


@pytest.mark.parametrize(
    ("values", "parameters", "text"),
    [
        ([], {}, ""),
        (["a"], {"id0": "a"}, "@id0"),
        (["a", 5, "a"], {"id0": "a", "id1": 5, "id2": "a"}, "@id0, @id1, @id2"),
    ],
)
def test_a_list_is_one_parameter_per_value(values: list[Any], parameters: dict[str, Any], text: str) -> None:
    assert numbered("id", values) == parameters
    assert in_list("id", values) == text
