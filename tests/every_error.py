"""One example of every error that a caller may meet: all of the fleet's own, and those of the service."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import aiohttp
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosClientTimeoutError,
    CosmosHttpResponseError,
)

import shared.cosmos.retries
from shared.errors import FleetError

_EXAMPLES: dict[str, object] = {"str": "the shard 1:0003", "int": 7, "float": 1.5, "bool": True}

STATUSES = (401, 403, 404, 408, 409, 410, 412, 429, 449, 500, 502, 503, 504)


def of_the_fleet() -> list[FleetError]:
    """Return an example of each class of the product, whichever module defines it."""
    assert shared.cosmos.retries.UnavailableError in set(_below(FleetError))
    return [_example(kind) for kind in _below(FleetError) if kind.__module__.startswith("shared.")]


def of_the_service() -> list[Exception]:
    """Return examples of what the SDK and the network raise."""
    return [
        *(CosmosHttpResponseError(status_code=status, message="no") for status in STATUSES),
        CosmosBatchOperationError(
            error_index=0, headers={}, status_code=429, message="no", operation_responses=[]
        ),
        CosmosClientTimeoutError(),
        ServiceRequestError("no"),
        ServiceResponseError("no"),
        ClientAuthenticationError("no"),
        DecodeError("no"),
        TimeoutError(),
        aiohttp.ClientError("no"),
        ConnectionError("no"),
    ]


def _below(kind: type[FleetError]) -> Iterator[type[FleetError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _below(each)


def _example(kind: type[FleetError]) -> FleetError:
    if kind.__init__ is Exception.__init__:
        return kind("the shard 1:0003")
    parameters = inspect.signature(kind).parameters.values()
    needed = [
        each for each in parameters if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    return kind(*(_EXAMPLES[str(each.annotation)] for each in needed)) if needed else kind("the shard 1:0003")
