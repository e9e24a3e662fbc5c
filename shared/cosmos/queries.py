"""Queries with names: the text that the service gets, and the name that code, tests and logs know it by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from azure.cosmos.aio import ContainerProxy

from shared.cosmos.charges import record_charge


class Query(str):
    """The text of a query. Values are always parameters, never part of the text."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str, text: str) -> Query:
        """Return the text with its name."""
        query = super().__new__(cls, text)
        query.name = name
        return query


def run_query(
    container: ContainerProxy, query: Query, values: Mapping[str, Any], *, partition_key: str | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Return the rows of a query, page by page as they are asked for.

    Parameters
    ----------
    values
        The parameters, without their ``@``.
    partition_key
        The logical partition to ask; None asks all physical partitions.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        While the rows are read: the service did not answer.
    """
    options: dict[str, Any] = {} if partition_key is None else {"partition_key": partition_key}
    return container.query_items(
        query,
        parameters=[{"name": f"@{name}", "value": value} for name, value in values.items()],
        response_hook=record_charge,
        **options,
    )


def numbered(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return values as parameters ``prefix0``, ``prefix1``, …: for ``IN`` lists, which take no array."""
    return {f"{prefix}{number}": value for number, value in enumerate(values)}


def in_list(prefix: str, values: Sequence[Any]) -> str:
    """Return the parameters of :func:`numbered` as the text between the brackets of an ``IN``."""
    return ", ".join(f"@{name}" for name in numbered(prefix, values))
