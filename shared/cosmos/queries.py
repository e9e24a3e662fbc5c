"""Named queries: the text for the service, and the name that code, tests and logs use."""

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
        """Create a query from its text and its name."""
        query = super().__new__(cls, text)
        query.name = name
        return query


def run_query(
    container: ContainerProxy, query: Query, values: Mapping[str, Any], *, partition_key: str | None = None
) -> AsyncIterator[dict[str, Any]]:
    """Return the rows of a query. Pages are requested as the rows are read.

    Parameters
    ----------
    values
        The parameters, without their ``@``.
    partition_key
        The logical partition to query; None queries all physical partitions.

    Raises
    ------
    CosmosHttpResponseError, ServiceRequestError, ServiceResponseError
        The service did not answer. Raised while the rows are read.
    """
    options: dict[str, Any] = {} if partition_key is None else {"partition_key": partition_key}
    return container.query_items(
        query,
        parameters=[{"name": f"@{name}", "value": value} for name, value in values.items()],
        response_hook=record_charge,
        **options,
    )


def numbered(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return values as parameters ``prefix0``, ``prefix1``, … for ``IN`` lists, which accept no array."""
    return {f"{prefix}{number}": value for number, value in enumerate(values)}


def in_list(prefix: str, values: Sequence[Any]) -> str:
    """Return the names of the :func:`numbered` parameters as the text between the brackets of an ``IN``."""
    return ", ".join(f"@{name}" for name in numbered(prefix, values))


def after_prefix(prefix: str) -> str:
    """Return the lowest text above all texts that begin with a prefix.

    The service finds a range by its index. So does the local server, which scans for ``STARTSWITH``.
    """
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def with_prefix(prefix: str) -> dict[str, str]:
    """Return the parameters ``first`` and ``after`` of the range of texts that begin with a prefix."""
    return {"first": prefix, "after": after_prefix(prefix)}
