"""Which errors are tried again, and which are a document's own."""

from __future__ import annotations

import random
from typing import Any

import pytest
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceNotFoundError,
)

from shared.cosmos import retries
from shared.cosmos.items import find_item
from shared.cosmos.retries import (
    CONFLICT,
    FOLD,
    READ_SESSION_NOT_AVAILABLE,
    RetryPolicy,
    UnavailableError,
    document_pause,
    is_service_fault,
    is_transient,
    jittered_pause,
    retry_after_seconds,
    retrying,
)
from shared.errors import ConflictError


def refused(status: int, *, in_batch: bool) -> Exception:
    if in_batch:
        return CosmosBatchOperationError(
            error_index=0, headers={}, status_code=status, message="no", operation_responses=[]
        )
    return CosmosHttpResponseError(status_code=status, message="no")


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize(
    ("status", "passes", "of_the_service"),
    [
        (429, True, True),
        (449, True, True),
        (503, True, True),
        (403, False, True),
        (400, False, False),
        (413, False, False),
    ],
)
def test_an_operation_of_a_batch_is_refused_as_a_request_is(
    status: int, passes: bool, of_the_service: bool, in_batch: bool
) -> None:
    error = refused(status, in_batch=in_batch)
    assert (is_transient(error), is_service_fault(error)) == (passes, of_the_service)


class Answering:
    """A container of which every read is answered with one sub-status of 404."""

    def __init__(self, sub_status: int | None) -> None:
        self._sub_status = sub_status

    async def read_item(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise CosmosResourceNotFoundError(status_code=404, sub_status=self._sub_status, message="no")


@pytest.mark.parametrize("sub_status", [None, 0])
async def test_a_document_that_does_not_exist_is_none(sub_status: int | None) -> None:
    assert await find_item(Answering(sub_status), "id", "key") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("sub_status", "passes"), [(READ_SESSION_NOT_AVAILABLE, True), (1003, False)])
async def test_another_404_is_no_absence(sub_status: int, passes: bool) -> None:
    with pytest.raises(CosmosResourceNotFoundError) as failure:
        await find_item(Answering(sub_status), "id", "key")  # type: ignore[arg-type]
    assert (is_transient(failure.value), is_service_fault(failure.value)) == (passes, True)


async def test_a_result_that_asks_for_another_try_is_retried_and_the_last_one_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)
    results: list[Any] = ["again", 3, "again"]

    async def work() -> Any:
        return results.pop()

    assert await retrying(results=(str,))(work) == 3
    results = ["again"] * 10
    assert await retrying(results=(str,))(work) == "again"
    assert len(results) == 10 - retries.CONFLICT.attempts
    assert await retrying()(work) == "again"


async def test_the_last_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "jittered_pause", lambda *_: 0.0)
    errors = [refused(412, in_batch=False) for _ in range(retries.CONFLICT.attempts or 0)]
    left = list(errors)

    async def work() -> None:
        raise left.pop(0)

    with pytest.raises(CosmosHttpResponseError) as raised:
        await retrying(CosmosHttpResponseError)(work)
    assert raised.value is errors[-1]
    assert left == []


@pytest.mark.parametrize("error", [UnavailableError("no"), refused(429, in_batch=True), ConnectionError()])
async def test_an_error_of_the_service_is_not_retried_here_too(error: Exception) -> None:
    calls = []

    async def work() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        await retrying(ConflictError, policy=FOLD)(work)
    assert (len(calls), is_transient(error), is_service_fault(error)) == (1, True, True)


def test_the_pause_after_a_bad_document_doubles_and_is_half_of_it_at_least() -> None:
    for attempt, most in ((1, 0.2), (2, 0.4), (3, 0.8)):
        pauses = [document_pause(attempt, 0.2) for _ in range(200)]
        assert most / 2 <= min(pauses) < max(pauses) <= most


@pytest.mark.parametrize(("policy", "longest"), [(CONFLICT, 1.6), (FOLD, 26.4)])
def test_the_bound_of_a_pause_doubles_from_a_twentieth_of_a_second_up_to_five(
    policy: RetryPolicy, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, high: high)
    bounds = [jittered_pause(policy, number) for number in range(1, 12)]
    assert bounds == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    assert policy.attempts is not None
    assert sum(bounds[: policy.attempts - 1]) <= longest


def test_a_pause_is_random_down_to_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, _: low)
    assert [jittered_pause(CONFLICT, number) for number in (1, 5)] == [0, 0]


@pytest.mark.parametrize(
    ("requested", "pause"),
    [("1500", 1.5), (None, 0.0), ("soon", 0.0), ("-5", 0.0), ("nan", 0.0), ("600000", 600.0)],
)
def test_the_pause_that_the_service_asks_for(requested: str | None, pause: float) -> None:
    headers = {} if requested is None else {"x-ms-retry-after-ms": requested}
    assert retry_after_seconds(headers) == pause
    assert retry_after_seconds(None) == 0
