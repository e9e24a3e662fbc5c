"""Retry policies: which retries take place, after which pauses."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.errors import HostStartError
from local.host.retry import RetryPolicy, parse_retry_policy

EXPONENTIAL: dict[str, Any] = {
    "strategy": "exponential_backoff",
    "max_retry_count": "-1",
    "minimum_interval": "00:00:01",
    "maximum_interval": "00:01:00",
}


def test_fixed_delay() -> None:
    policy = parse_retry_policy(
        "f", {"strategy": "fixed_delay", "max_retry_count": "2", "delay_interval": "00:00:05"}
    )
    assert policy == RetryPolicy("fixed_delay", 2, delay=5)
    assert [policy.allows(retry) for retry in (1, 2, 3)] == [True, True, False]
    assert policy.pause_before(7, random.Random(1)) == 5


@given(st.integers(1, 10_000), st.integers())
def test_exponential_pauses_stay_within_their_bounds(retry: int, seed: int) -> None:
    policy = parse_retry_policy("f", EXPONENTIAL)
    assert policy is not None
    assert policy.allows(retry)
    assert 1 <= policy.pause_before(retry, random.Random(seed)) <= 60


def test_exponential_pauses_grow() -> None:
    policy = parse_retry_policy("f", EXPONENTIAL)
    assert policy is not None
    pauses = [policy.pause_before(retry, random.Random(5)) for retry in (1, 2, 3, 4, 5)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 1
    assert 1.8 <= pauses[1] <= 2.2  # 1 + 1 * (0.8 to 1.2)
    assert pauses[4] >= 13


def test_no_setting_is_no_policy() -> None:
    assert parse_retry_policy("f", None) is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"strategy": "linear"}, "linear"),
        ({"strategy": "Exponential_Backoff"}, "Exponential_Backoff"),
        ({"strategy": "exponential_backoff "}, "unknown"),
        ({"max_retry_count": "many"}, "many"),
        ({"max_retry_count": "-2"}, "-2"),
        ({"minimum_interval": None}, "minimum_interval"),
        ({"maximum_interval": "soon"}, "soon"),
        ({"minimum_interval": "00:02:00"}, "minimum_interval"),
        ({"minimum_interval": "00:00:00.5"}, "no fractions"),
        ({"maximum_interval": "1.00:00:00"}, "below a day"),
        ({"maximum_interval": "24:00:00"}, "below a day"),
    ],
)
def test_errors_name_function_and_value(change: dict[str, Any], word: str) -> None:
    with pytest.raises(HostStartError, match=word) as caught:
        parse_retry_policy("fold", {**EXPONENTIAL, **change})
    assert "fold" in str(caught.value)
