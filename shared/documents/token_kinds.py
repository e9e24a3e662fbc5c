"""Which kinds of tokens ``cost_data`` reports, besides ``input_tokens`` and ``output_tokens``.

Every provider has names of its own; ``docs/pricing.md`` lists them. A count that is not known by its name, or
is not a count, is not ignored: the interaction's cost is not exact then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

MAX_TOKENS = 10_000_000
"""Tokens of one call. The largest context window of any model is 2 million."""

_DEEPEST = 3
"""Levels of objects that are read: ``cost_data``, a provider's report within it, and the details in that."""


class TokenKind(StrEnum):
    """A count of tokens that a provider reports."""

    TOTAL = "total"
    THINKING = "thinking"
    """What the model thought, reported apart from ``output_tokens``: Google."""
    REASONING = "reasoning"
    """What the model thought, reported as a part of ``output_tokens``: OpenAI and others."""
    CACHED = "cached"
    """Input from a cache, reported as a part of ``input_tokens``: Google, OpenAI and others."""
    CACHE_READ = "cache_read"
    """Input from a cache, reported apart from ``input_tokens``: Anthropic."""
    CACHE_WRITTEN = "cache_written"
    """Input that was written into a cache, reported apart from ``input_tokens``: Anthropic."""
    TOOL_INPUT = "tool_input"
    """What tools returned to the model, reported apart from ``input_tokens``: Google."""


KINDS: Mapping[str, TokenKind] = {
    "totaltokens": TokenKind.TOTAL,
    "totaltokencount": TokenKind.TOTAL,
    "thoughtstokencount": TokenKind.THINKING,
    "thoughtstokens": TokenKind.THINKING,
    "thoughttokens": TokenKind.THINKING,
    "thinkingtokencount": TokenKind.THINKING,
    "thinkingtokens": TokenKind.THINKING,
    "reasoningtokens": TokenKind.REASONING,
    "reasoningtokencount": TokenKind.REASONING,
    "outputtokensdetails.reasoningtokens": TokenKind.REASONING,
    "completiontokensdetails.reasoningtokens": TokenKind.REASONING,
    "outputtokendetails.reasoning": TokenKind.REASONING,
    "cachedtokens": TokenKind.CACHED,
    "cachedtokencount": TokenKind.CACHED,
    "cachedinputtokens": TokenKind.CACHED,
    "cachedcontenttokencount": TokenKind.CACHED,
    "inputtokensdetails.cachedtokens": TokenKind.CACHED,
    "prompttokensdetails.cachedtokens": TokenKind.CACHED,
    "inputtokendetails.cacheread": TokenKind.CACHED,
    "cachereadinputtokens": TokenKind.CACHE_READ,
    "cachecreationinputtokens": TokenKind.CACHE_WRITTEN,
    "tooluseprompttokencount": TokenKind.TOOL_INPUT,
    "toolusetokens": TokenKind.TOOL_INPUT,
}
"""Kinds by their names, without underscores and in lower case: ``thoughts_token_count`` and
``thoughtsTokenCount`` are one name."""

SAME_AS: Mapping[str, str] = {
    "inputtokens": "input_tokens",
    "outputtokens": "output_tokens",
    "prompttokens": "input_tokens",
    "prompttokencount": "input_tokens",
    "completiontokens": "output_tokens",
    "candidatestokencount": "output_tokens",
}
"""Other names of ``input_tokens`` and ``output_tokens``, which a document may repeat them under."""

TEXT_MODALITY = "TEXT"


class ReportedKinds(NamedTuple):
    """The kinds of tokens that a document reports.

    Attributes
    ----------
    counts
        Tokens by kind.
    unread
        Whether there are tokens of which the kind or the number is not known.
    """

    counts: Mapping[TokenKind, int]
    unread: bool


def read_kinds(usage: Mapping[str, object]) -> ReportedKinds:
    """Read the kinds of tokens in ``cost_data``. Nothing in it is refused."""
    counts: dict[TokenKind, int] = {}
    unread = False
    for name, value in _token_fields(usage):
        kind, count = KINDS.get(name), _count(value)
        if name in SAME_AS:
            unread |= count != _count(usage.get(SAME_AS[name]))
        elif kind is not None and count is not None:
            unread |= counts.setdefault(kind, count) != count
        else:
            unread |= kind is not None or _may_be_tokens(value)
    return ReportedKinds(counts, unread)


def _token_fields(
    usage: Mapping[str, object], path: str = "", depth: int = 1
) -> Iterator[tuple[str, object]]:
    """Return the fields about tokens that have a value, with their names as in :data:`KINDS`.

    An object whose name says nothing of tokens, such as ``usage_metadata``, is read as if its fields stood in
    its place.
    """
    for field, value in usage.items():
        name = path + str(field).replace("_", "").lower()
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _token_fields(value, f"{name}." if "token" in name else "", depth + 1)
        elif value is not None and "token" in name:
            yield name, value


def _count(value: object) -> int | None:
    """Return a number of tokens, None if the value is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TOKENS:
        return None
    return int(value) if value == int(value) else None


def _may_be_tokens(value: object) -> bool:
    """Whether an unknown field may report tokens. A name, a zero and a list of text do not."""
    match value:
        case bool() | str():
            return False
        case int() | float():
            return value != 0
        case list():
            return not all(
                isinstance(part, Mapping) and part.get("modality") == TEXT_MODALITY for part in value
            )
        case _:
            return bool(value)
