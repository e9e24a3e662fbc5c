"""The tokens of a call by the kind they are charged as, from what its provider reported.

A provider reports thinking apart from the answer or as a part of it, and cached input apart from the prompt
or as a part of it. The name of the field says which. If the reported total adds up only the other way, that
way is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from shared.documents.interactions import CostData
from shared.documents.token_kinds import TokenKind
from shared.pricing.tokens import Tokens


class TokenUsage(NamedTuple):
    """What a call used.

    Attributes
    ----------
    tokens
        None if the number of input or output tokens is not known.
    total_differs
        Whether the reported total is not the sum of the tokens.
    unread
        Whether there are tokens of a kind that is not known.
    """

    tokens: Tokens | None
    total_differs: bool
    unread: bool


def token_usage(cost_data: CostData) -> TokenUsage:
    """Return the tokens that a call is charged for."""
    counts, unread = cost_data.kinds
    if cost_data.input_tokens is None or cost_data.output_tokens is None:
        return TokenUsage(None, False, False)
    if not counts:
        return TokenUsage(Tokens(cost_data.input_tokens, 0, 0, cost_data.output_tokens, 0), False, unread)
    readings = list(_readings(cost_data, cost_data.input_tokens, cost_data.output_tokens))
    total = counts.get(TokenKind.TOTAL)
    tokens = next((reading for reading in readings if sum(reading) == total), readings[0])
    return TokenUsage(tokens, total is not None and sum(tokens) != total, unread)


def _readings(cost_data: CostData, prompt: int, answer: int) -> Iterator[Tokens]:
    """Return the possible readings, the usual one first. A part is never larger than its whole."""
    counts = cost_data.kinds.counts
    thinking = counts.get(TokenKind.THINKING, counts.get(TokenKind.REASONING, 0))
    cached = counts.get(TokenKind.CACHED, counts.get(TokenKind.CACHE_READ, 0))
    written, from_tools = counts.get(TokenKind.CACHE_WRITTEN, 0), counts.get(TokenKind.TOOL_INPUT, 0)
    usual_cached = TokenKind.CACHED not in counts
    usual_thinking = TokenKind.THINKING in counts
    for cached_apart, thinking_apart in product(
        (usual_cached, not usual_cached), (usual_thinking, not usual_thinking)
    ):
        fresh = prompt if cached_apart else prompt - cached
        output = answer if thinking_apart else answer - thinking
        if fresh >= 0 and output >= 0:
            yield Tokens(fresh + from_tools, cached, written, output, thinking)
