"""What an interaction costs, from ``docs/pricing.md``. Computed naively; imports nothing of ``shared``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from unicodedata import normalize

from tests.independent.names import (
    LONGEST_TEXT,
    MOST_WORDS,
    digits_of,
    is_code,
    is_too_long,
    looks_like_an_address,
    words_in,
    words_of,
)

MOST_WORDS_OF_A_MODEL, MOST_DIGITS_OF_A_MODEL = 7, 12

Tier = tuple[float, float | None, float]
"""US dollars per million tokens: input, input from a cache, output."""

ALWAYS, KNOWN, LATER = "1970-01-01", "2025-07-05", "2025-10-08"

PRICES: dict[str, list[tuple[str, dict[int | None, Tier]]]] = {
    "gemini-3-1-pro-preview": [(ALWAYS, {200_000: (2, 0.2, 12), None: (4, 0.4, 18)})],
    "gemini-3-pro-preview": [(ALWAYS, {200_000: (2, 0.2, 12), None: (4, 0.4, 18)})],
    "gemini-3-8-flash": [(ALWAYS, {None: (0.75, 0.075, 3.75)}), ("2027-01-01", {None: (1.5, 0.15, 7.5)})],
    "gemini-3-7-flash": [(ALWAYS, {None: (0.75, 0.075, 3.75)}), ("2027-01-01", {None: (1.5, 0.15, 7.5)})],
    "gemini-3-5-flash": [(ALWAYS, {None: (1.5, 0.15, 9)})],
    "gemini-3-5-flash-lite": [(ALWAYS, {None: (0.3, 0.03, 2.5)})],
    "gemini-3-flash-preview": [(ALWAYS, {None: (0.5, 0.05, 3)})],
    "gemini-3-1-flash-lite": [(ALWAYS, {None: (0.25, 0.025, 1.5)})],
    "gemini-2-5-pro": [
        (ALWAYS, {200_000: (1.25, 0.31, 10), None: (2.5, 0.625, 15)}),
        (KNOWN, {200_000: (1.25, None, 10), None: (2.5, None, 15)}),
        (LATER, {200_000: (1.25, 0.125, 10), None: (2.5, 0.25, 15)}),
    ],
    "gemini-2-5-flash": [
        (ALWAYS, {None: (0.3, 0.075, 2.5)}),
        (KNOWN, {None: (0.3, None, 2.5)}),
        (LATER, {None: (0.3, 0.03, 2.5)}),
    ],
    "gemini-2-5-flash-lite": [
        (ALWAYS, {None: (0.1, 0.025, 0.4)}),
        (KNOWN, {None: (0.1, None, 0.4)}),
        (LATER, {None: (0.1, 0.01, 0.4)}),
    ],
    "gemini-2-5-flash-preview-04-17": [(ALWAYS, {None: (0.15, None, 0.6)})],
    "gemini-2-5-flash-preview-05-20": [(ALWAYS, {None: (0.15, None, 0.6)})],
    "gemini-2-0-flash": [(ALWAYS, {None: (0.1, 0.025, 0.4)})],
    "gemini-2-0-flash-lite": [(ALWAYS, {None: (0.075, None, 0.3)})],
    "gemini-1-5-pro": [
        (ALWAYS, {128_000: (3.5, None, 10.5), None: (7, None, 21)}),
        ("2024-10-01", {128_000: (1.25, None, 5), None: (2.5, None, 10)}),
    ],
    "gemini-1-5-flash": [
        (ALWAYS, {128_000: (0.35, None, 1.05), None: (0.7, None, 2.1)}),
        ("2024-08-12", {128_000: (0.075, None, 0.3), None: (0.15, None, 0.6)}),
    ],
}
"""Google's list prices, by the day from which they hold."""

OUTPUT_OF_THINKERS = {"gemini-2-5-flash-preview-04-17": 3.5, "gemini-2-5-flash-preview-05-20": 3.5}

SERVED_BY = {
    "gemini", "google", "google-ai-studio", "google-vertex", "litellm", "openrouter", "vertex-ai", "vertexai",
}  # fmt: skip
OTHER_NAMES = {"gemini-3-1-flash-lite-preview": "gemini-3-1-flash-lite"}

THINKING = (
    "thoughts_token_count",
    "thoughts_tokens",
    "thought_tokens",
    "thinking_token_count",
    "thinking_tokens",
)
REASONING = (
    "reasoning_tokens", "reasoning_token_count", "output_tokens_details.reasoning_tokens",
    "completion_tokens_details.reasoning_tokens", "output_token_details.reasoning",
)  # fmt: skip
CACHED = (
    "cached_tokens", "cached_token_count", "cached_input_tokens", "cached_content_token_count",
    "input_tokens_details.cached_tokens", "prompt_tokens_details.cached_tokens",
    "input_token_details.cache_read",
)  # fmt: skip
CACHE_READ = ("cache_read_input_tokens",)
CACHE_WRITTEN = ("cache_creation_input_tokens",)
FROM_TOOLS = ("tool_use_prompt_token_count", "tool_use_tokens")
TOTAL = ("total_tokens", "total_token_count")
KINDS = (THINKING, REASONING, CACHED, CACHE_READ, CACHE_WRITTEN, FROM_TOOLS, TOTAL)
REPEATED = {
    "input_tokens": ("input_tokens", "prompt_tokens", "prompt_token_count"),
    "output_tokens": ("output_tokens", "completion_tokens", "candidates_token_count"),
}


@dataclass
class Bill:
    """The tokens of a call and their cost, None where there is no price or no count."""

    cost: int | None = None
    exact: bool = True
    cached: int = 0
    thinking: int = 0
    total_differs: bool = False


def model_meant(written: str, unpriced: Collection[str] = ()) -> str:
    """Return the model that a written name means, empty if it has no letter and no digit.

    The prices of some names can be left out.
    """
    priced = PRICES.keys() - set(unpriced)
    path = spelled(written).split("/")
    while True:
        name = "/".join(path)
        if name in OTHER_NAMES:
            return OTHER_NAMES[name]
        if name in priced:
            return name
        base = re.sub(r"-(\d{3}|\d{8}|\d{4}-\d\d-\d\d|latest|preview-\d\d-\d\d(\d\d)?)\Z", "", name)
        if OTHER_NAMES.get(base, base) in priced:
            return OTHER_NAMES.get(base, base)
        if len(path) == 1 or path[0] not in SERVED_BY:
            return name
        path = path[1:]


@cache
def spelled(written: str) -> str:
    """Return the one spelling of a name."""
    if len(written) > LONGEST_TEXT:
        return "unknown"
    path, raw = [], []
    lower = normalize("NFC", normalize("NFC", written).lower()).strip()
    for segment in re.sub(r"@(\d{1,8}|latest)\Z", r"-\1", lower).split("/"):
        words = words_of(segment)
        if words:
            path.append("-".join(words))
            raw.append(segment.strip())
    while "models" in path[:-1]:
        start = path.index("models") + 1
        path, raw = path[start:], raw[start:]
    written_as = "/".join(raw)
    if any(map(looks_like_an_address, raw)) or is_too_long("/".join(path)):
        return "unknown"
    if len(written_as.split()) > MOST_WORDS or set(written_as) & set(",;!?"):
        return "unknown"
    return "/".join(path) if not path or may_be_a_model(path) else "unknown"


def may_be_a_model(path: list[str]) -> bool:
    """Return whether a spelling has a letter, few digits, and nowhere too many words without digits."""
    words = [word for segment in path for word in segment.split("-")]
    most = max(
        sum(words_in(word) for word in segment.split("-") if not digits_of([word])) for segment in path
    )
    return (
        digits_of(words) < sum(map(len, words))
        and digits_of(words) <= MOST_DIGITS_OF_A_MODEL
        and most <= MOST_WORDS_OF_A_MODEL
        and not any(map(is_code, words))
    )


def bill_of(model: str, moment: datetime, usage: dict[str, object]) -> Bill:
    """Compute the cost of a call from what its provider reported."""
    prompt, answer = whole(usage.get("input_tokens")), whole(usage.get("output_tokens"))
    if prompt is None or answer is None:
        return Bill()
    fields = list(flat(usage))
    counts = [one_count(kind, fields) for kind in KINDS]
    thinking, reasoning, cached, cache_read, written, from_tools, total = (count for count, _ in counts)
    odd = any(is_odd for _, is_odd in counts) or any(is_unknown(*field, usage) for field in fields)
    thought = thinking if thinking is not None else reasoning or 0
    taken = cached if cached is not None else cache_read or 0
    readings = []  # of fresh input, and of output without thinking
    for others in ((False, False), (False, True), (True, False), (True, True)):
        taken_apart, thought_apart = (cached is None) != others[0], (thinking is not None) != others[1]
        fresh, said = prompt - taken * (not taken_apart), answer - thought * (not thought_apart)
        if fresh >= 0 and said >= 0:
            readings.append((fresh + (from_tools or 0), said))
    rest = taken + (written or 0) + thought
    right = [(fresh, said) for fresh, said in readings if total is not None and fresh + said + rest == total]
    fresh, said = (right or readings)[0]
    bill = Bill(cached=taken, thinking=thought, total_differs=total is not None and not right)
    model, entries = prices_until(moment, model)
    if entries:
        length = fresh + taken + (written or 0)
        limit = min((limit for limit in entries[-1] if limit is not None and length <= limit), default=None)
        per_input, per_cached, per_output = entries[-1][limit]
        if thought:
            per_output = OUTPUT_OF_THINKERS.get(model, per_output)
        bill.cost = (
            (fresh + (written or 0)) * nano(per_input)
            + taken * nano(per_input if per_cached is None else per_cached)
            + (said + thought) * nano(per_output)
        )
        no_price = bool(written) or (taken > 0 and per_cached is None)
        bill.exact = not (no_price or odd or bill.total_differs)
    return bill


def prices_until(moment: datetime, model: str) -> tuple[str, list[dict[int | None, Tier]]]:
    """Return the prices that began by a moment, of a name or else of what it would mean without its price."""
    tried: list[str] = []
    while model in PRICES and model not in tried:
        entries = [tiers for since, tiers in PRICES[model] if since <= f"{moment:%Y-%m-%d}"]
        if entries:
            return model, entries
        tried.append(model)
        model = model_meant(model, tried)
    return model, []


def nano(dollars_per_million: float) -> int:
    return round(dollars_per_million * 1000)


def whole(value: object) -> int | None:
    """Return a count of tokens, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10_000_000:
        return None
    return int(value) if value == int(value) else None


def one_name(name: str) -> str:
    return name.replace("_", "").lower()


def flat(part: dict[str, object], names: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Return the fields about tokens, on three levels."""
    for name, value in part.items():
        path = (*names, one_name(name))
        if isinstance(value, dict) and len(names) < 2:
            yield from flat(value, path)
            continue
        about = [number for number, step in enumerate(path) if "token" in step]
        if about and value is not None:
            yield ".".join(path[about[0] :]), value


def one_count(kind: tuple[str, ...], fields: list[tuple[str, object]]) -> tuple[int | None, bool]:
    """Return the count of a kind, and whether its fields are odd."""
    names = set(map(one_name, kind))
    values = [whole(value) for name, value in fields if name in names]
    good = [value for value in values if value is not None]
    return (good[0] if good else None), None in values or len(set(good)) > 1


def is_unknown(name: str, value: object, usage: dict[str, object]) -> bool:
    """Say whether a field that is of no kind says that there were tokens."""
    for of, names in REPEATED.items():
        if name in map(one_name, names):
            return whole(value) != whole(usage.get(of))
    if any(name in map(one_name, kind) for kind in KINDS):
        return False
    if isinstance(value, list):
        return any(not isinstance(entry, dict) or entry.get("modality") != "TEXT" for entry in value)
    if isinstance(value, bool | str):
        return False
    return bool(value)
