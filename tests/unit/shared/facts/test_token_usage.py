"""Tokens are charged once, in the kind that the document means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.interactions import CostData
from shared.facts.token_usage import TokenUsage, token_usage
from shared.pricing.tokens import Tokens


def used(**usage: Any) -> TokenUsage:
    return token_usage(CostData.model_validate(usage))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({}, (100, 0, 0, 50, 0)),
        ({"thoughts_token_count": 20}, (100, 0, 0, 50, 20)),
        ({"reasoning_tokens": 20}, (100, 0, 0, 30, 20)),
        ({"reasoning_tokens": 60}, (100, 0, 0, 50, 60)),  # a part is not larger than its whole
        ({"thoughts_token_count": 20, "reasoning_tokens": 20}, (100, 0, 0, 50, 20)),
        ({"thoughts_token_count": 20, "total_tokens": 150}, (100, 0, 0, 30, 20)),
        ({"reasoning_tokens": 20, "total_tokens": 170}, (100, 0, 0, 50, 20)),
        ({"cached_tokens": 40}, (60, 40, 0, 50, 0)),
        ({"cached_tokens": 140}, (100, 140, 0, 50, 0)),
        ({"cached_tokens": 40, "total_tokens": 190}, (100, 40, 0, 50, 0)),
        ({"cache_read_input_tokens": 40, "cache_creation_input_tokens": 7}, (100, 40, 7, 50, 0)),
        ({"cache_read_input_tokens": 40, "total_tokens": 150}, (60, 40, 0, 50, 0)),
        ({"toolUsePromptTokenCount": 9, "total_tokens": 159}, (109, 0, 0, 50, 0)),
        (
            {"thoughtsTokenCount": 20, "cachedContentTokenCount": 40, "totalTokenCount": 150},
            (60, 40, 0, 30, 20),
        ),
        (
            {"thoughtsTokenCount": 20, "cachedContentTokenCount": 40, "totalTokenCount": 210},
            (100, 40, 0, 50, 20),
        ),
    ],
)
def test_the_kinds_of_a_call(usage: dict[str, Any], tokens: tuple[int, ...]) -> None:
    assert used(input_tokens=100, output_tokens=50, **usage) == (tokens, False, False)


def test_a_total_that_does_not_add_up_is_noticed() -> None:
    assert used(input_tokens=949, output_tokens=330, total_tokens=3379) == ((949, 0, 0, 330, 0), True, False)
    assert used(input_tokens=949, output_tokens=330, total_tokens=1279).total_differs is False


def test_without_both_counts_nothing_is_known() -> None:
    assert used(input_tokens=1, thoughts_token_count=5, total_tokens=9) == (None, False, False)


COUNTS = st.none() | st.integers(0, 100)


@given(st.integers(0, 100), st.integers(0, 100), st.tuples(*[COUNTS] * 6))
def test_no_token_is_lost_or_charged_twice(prompt: int, answer: int, kinds: tuple[int | None, ...]) -> None:
    thinking, reasoning, cached, read, written, tools = kinds
    usage = used(
        input_tokens=prompt, output_tokens=answer, thoughts_tokens=thinking, reasoning_tokens=reasoning,
        cached_tokens=cached, cache_read_input_tokens=read, cache_creation_input_tokens=written,
        tool_use_tokens=tools,
    )  # fmt: skip
    tokens = usage.tokens
    assert tokens is not None
    assert min(tokens) >= 0
    assert tokens.thinking == (thinking if thinking is not None else reasoning or 0)
    assert tokens.cached == (cached if cached is not None else read or 0)
    most = prompt + answer + tokens.thinking + tokens.cached + (written or 0) + (tools or 0)
    assert max(prompt, tokens.cached) + max(answer, tokens.thinking) <= sum(tokens) <= most


@given(st.integers(0, 100), st.integers(0, 100), COUNTS, COUNTS, st.booleans(), st.booleans())
def test_a_total_that_adds_up_either_way_is_believed(
    prompt: int, answer: int, thinking: int | None, cached: int | None, inside: bool, apart: bool
) -> None:
    thinking, cached = min(thinking or 0, answer), min(cached or 0, prompt)
    total = prompt + answer + thinking * (not inside) + cached * apart
    usage = used(
        input_tokens=prompt,
        output_tokens=answer,
        thoughts_tokens=thinking,
        cached_tokens=cached,
        total_tokens=total,
    )
    assert not usage.total_differs
    assert sum(usage.tokens or ()) == total


def test_tokens_have_a_length_of_the_prompt() -> None:
    assert Tokens(1, 2, 4, 8, 16).prompt == 7
