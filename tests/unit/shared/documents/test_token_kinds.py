"""Kinds of tokens: every name of every provider is read, and what is not known is not ignored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.token_kinds import KINDS, MAX_TOKENS, SAME_AS, TokenKind, read_kinds

CAMEL = {
    "thoughtsTokenCount": TokenKind.THINKING,
    "cachedContentTokenCount": TokenKind.CACHED,
    "toolUsePromptTokenCount": TokenKind.TOOL_INPUT,
    "totalTokenCount": TokenKind.TOTAL,
    "cache_read_input_tokens": TokenKind.CACHE_READ,
    "cache_creation_input_tokens": TokenKind.CACHE_WRITTEN,
    "reasoning_tokens": TokenKind.REASONING,
}


@pytest.mark.parametrize("name", CAMEL)
@pytest.mark.parametrize("around", [None, "usage", "usage_metadata"])
def test_the_names_of_providers_are_read_wherever_they_stand(name: str, around: str | None) -> None:
    usage: dict[str, Any] = {name: 7}
    usage = usage if around is None else {around: usage}
    assert read_kinds({"input_tokens": 9, **usage}) == ({CAMEL[name]: 7}, False)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("value", ["many", -1, 1.5, True, MAX_TOKENS + 1, float("nan"), float("inf"), []])
def test_a_known_kind_without_a_count_is_unread(name: str, value: object) -> None:
    outer, _, inner = name.partition(".")
    usage = {outer: {inner: value}} if inner else {outer: value}
    assert read_kinds(usage) == ({}, True)


@pytest.mark.parametrize(
    ("usage", "unread"),
    [
        ({"audio_tokens": 3}, True),
        ({"audio_tokens": 0}, False),
        ({"prompt_tokens_details": {"audio_tokens": 3}}, True),
        ({"prompt_tokens_details": {"audio": 3}}, True),
        ({"prompt_tokens_details": {"audio": 0, "cached_tokens": 2}}, False),
        ({"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}]}, False),
        ({"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}]}, True),
        ({"promptTokensDetails": ["AUDIO"]}, True),
        ({"tokens": {"a": {"b": {"c": 1}}}}, True),
        ({"a": {"b": {"c": {"thoughts_tokens": 1}}}}, False),
        ({"tokenizer": "cl100k"}, False),
        ({"temperature": 3}, False),
        ({"input_tokens": 5, "prompt_token_count": 5.0}, False),
        ({"input_tokens": 5, "usage": {"input_tokens": 6}}, True),
        ({"output_tokens": 5, "candidatesTokenCount": 6}, True),
        ({"reasoning_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 5}}, True),
        ({"reasoning_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 4}}, False),
        ({"total_tokens": None, "prompt_tokens_details": None}, False),
    ],
)
def test_tokens_that_are_not_known_are_noticed(usage: dict[str, Any], unread: bool) -> None:
    assert read_kinds(usage).unread == unread


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from([*KINDS, *SAME_AS, "x_tokens", "usage"]), JSON))
def test_nothing_is_refused(usage: dict[str, Any]) -> None:
    counts, _ = read_kinds(usage)
    assert all(0 <= count <= MAX_TOKENS for count in counts.values())


@given(st.sampled_from(sorted(KINDS)), st.integers(1, MAX_TOKENS))
def test_no_reported_token_is_ignored(name: str, count: int) -> None:
    """A count that is not read, because its name has one more letter, makes the cost not exact."""
    outer, _, inner = name.partition(".")
    renamed = {outer: {f"{inner}x": count}} if inner else {f"{outer}x": count}
    assert read_kinds(renamed) == ({}, True)
