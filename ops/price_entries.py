"""Prices as operators give them: options of ``fleet prices put``, or a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.errors import PriceError
from shared.pricing.table import ModelPrice, parse_price

_TIER = re.compile(r"(any|\d{1,12}):(\d{1,12}):(\d{1,12})(?::(\d{1,12}))?")


def price_of_options(
    model: str | None,
    since: datetime | None,
    flat: tuple[int | None, int | None, int | None],
    tiers: Sequence[str],
) -> ModelPrice:
    """Return the price that the options of a command give.

    Parameters
    ----------
    flat
        Prices of input, output and cached input for prompts of any length.
    tiers
        Prices by the length of the prompt, each ``LIMIT:IN:OUT`` or ``LIMIT:IN:OUT:CACHED``.

    Raises
    ------
    PriceError
        They give no price, or two.
    """
    tokens_in, tokens_out, cached = flat
    if model is None or since is None:
        raise PriceError("give MODEL and --from, or --file")
    if tiers and any(price is not None for price in flat):
        raise PriceError("give either --in and --out, or --tier")
    if not tiers and (tokens_in is None or tokens_out is None):
        raise PriceError("give --in and --out, or --tier for each length of the prompt")
    parts = list(map(_tier, tiers)) if tiers else [_prices("any", tokens_in, tokens_out, cached)]
    return parse_price({"model": model, "effective_from": since.isoformat(), "tiers": parts})


def prices_of_file(path: Path) -> list[ModelPrice]:
    """Return the prices of a JSON file: one entry of ``prices.json``, a list of them, or a whole price list.

    Raises
    ------
    PriceError
        The file cannot be read, or an entry is not a price.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PriceError(f"{path} is not a JSON file: {error}") from None
    entries = content.get("prices", [content]) if isinstance(content, Mapping) else content
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise PriceError(f"{path} holds no list of prices")
    return list(map(parse_price, entries))


def _tier(text: str) -> dict[str, Any]:
    found = _TIER.fullmatch(text)
    if found is None:
        raise PriceError(f"--tier {text}: give LIMIT:IN:OUT or LIMIT:IN:OUT:CACHED, LIMIT in tokens or any")
    limit, *prices = found.groups()
    return _prices(limit, *(None if price is None else int(price) for price in prices))


def _prices(limit: str, tokens_in: int | None, tokens_out: int | None, cached: int | None) -> dict[str, Any]:
    return {
        "up_to_input_tokens": None if limit == "any" else int(limit),
        "input_nano_usd_per_token": tokens_in,
        "output_nano_usd_per_token": tokens_out,
        "cached_nano_usd_per_token": cached,
    }
