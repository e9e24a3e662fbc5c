"""The cost of an interaction: a price table with dates, in whole nano-dollars per token.

1 USD per million tokens is 1,000 nano-dollars per token. List prices are therefore integers, and so is every
cost.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import PriceError
from shared.privacy.forms import UNKNOWN, label
from shared.units import Millis, NanoUSD

MAX_NANO_USD_PER_TOKEN = 1_000_000_000
"""One dollar per token. It is three orders of magnitude above any list price, to catch a wrong unit."""

Price = Annotated[int, Field(ge=0, le=MAX_NANO_USD_PER_TOKEN)]


def _counted_name(model: str) -> str:
    """Return the name under which facts have a model.

    Raises
    ------
    ValueError
        It is no name of a model.
    """
    name = label(model)
    if name == UNKNOWN != model:
        raise ValueError("is no name: interactions with it count as unknown")
    return name


class PriceTier(BaseModel):
    """Prices for prompts up to a maximum length."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    up_to_input_tokens: Annotated[int, Field(gt=0)] | None = None
    """Longest prompt of this tier, in tokens; None for any length."""
    input_nano_usd_per_token: Price
    output_nano_usd_per_token: Price


class ModelPrice(BaseModel):
    """The price of one model from a date until the next entry of the same model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_counted_name)]
    """The model's name in facts: cut and cleaned like every label of a document."""
    effective_from: datetime
    """Start of the price. A date or time without a zone is UTC."""
    tiers: Annotated[tuple[PriceTier, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _tiers_are_ordered(self) -> Self:
        limits = [tier.up_to_input_tokens for tier in self.tiers]
        bounded = [limit for limit in limits[:-1] if limit is not None]
        if len(bounded) != len(limits) - 1 or limits[-1] is not None or bounded != sorted(set(bounded)):
            raise ValueError("tiers: limits must rise, and only the last tier has none")
        return self

    @property
    def since(self) -> Millis:
        """Start of the price, in milliseconds since the epoch."""
        moment = self.effective_from
        return Millis(round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))

    def cost(self, tokens_in: int, tokens_out: int) -> NanoUSD:
        """Return the cost of one call: every token at the price of the prompt's tier."""
        for tier in self.tiers:
            if tier.up_to_input_tokens is None or tokens_in <= tier.up_to_input_tokens:
                return NanoUSD(
                    tokens_in * tier.input_nano_usd_per_token + tokens_out * tier.output_nano_usd_per_token
                )
        raise AssertionError("the last tier has no limit")  # held by _tiers_are_ordered


class PriceTable:
    """Prices by model and date. The last entry for a model and date wins, so callers pass overrides last."""

    def __init__(self, prices: Iterable[ModelPrice]) -> None:
        chosen = {(price.model, price.since): price for price in prices}
        self._by_model: dict[str, list[ModelPrice]] = defaultdict(list)
        for _, price in sorted(chosen.items()):
            self._by_model[price.model].append(price)
        self._starts = {model: [p.since for p in entries] for model, entries in self._by_model.items()}
        canonical = [price.model_dump(mode="json") for _, price in sorted(chosen.items())]
        self.fingerprint = sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()
        """Equal for equal prices. Repricing compares it to detect a change."""

    def cost(
        self, model: str | None, at: Millis, tokens_in: int | None, tokens_out: int | None
    ) -> NanoUSD | None:
        """Return the cost of a call of ``model`` at a moment, None without a price or a token count."""
        starts = self._starts.get(model or "")
        if not starts or tokens_in is None or tokens_out is None:
            return None
        index = bisect_right(starts, at) - 1
        if index < 0:
            return None
        return self._by_model[model or ""][index].cost(tokens_in, tokens_out)

    def models(self) -> list[str]:
        """Return the models that have a price, in order."""
        return sorted(self._by_model)

    def entries(self) -> list[ModelPrice]:
        """Return every price, in order of model and date."""
        return [price for model in self.models() for price in self._by_model[model]]


def parse_price(entry: Mapping[str, Any]) -> ModelPrice:
    """Read one entry of a price table.

    Raises
    ------
    PriceError
        A field is missing or out of range.
    """
    try:
        return ModelPrice.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "entry"
        raise PriceError(f"price of {entry.get('model')!r}: {field}: {first['msg']}") from None


@cache
def list_prices() -> tuple[ModelPrice, ...]:
    """Return the list prices that ship with the fleet (``shared/pricing/prices.json``)."""
    document = json.loads(files("shared.pricing").joinpath("prices.json").read_text(encoding="utf-8"))
    return tuple(parse_price(entry) for entry in document["prices"])
