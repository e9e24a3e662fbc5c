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
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.errors import PriceError
from shared.pricing.names import NameRules
from shared.pricing.tokens import Tokens
from shared.privacy.forms import UNKNOWN, model_spelling
from shared.units import Millis, NanoUSD, to_millis

MAX_NANO_USD_PER_TOKEN = 1_000_000_000
"""One dollar per token. It is three orders of magnitude above any list price, to catch a wrong unit."""

LATEST_START = to_millis(datetime(2100, 1, 1, tzinfo=UTC))
"""Prices begin before this time, as documents do."""

Price = Annotated[int, Field(ge=0, le=MAX_NANO_USD_PER_TOKEN)]


class Cost(NamedTuple):
    """The cost of a call. It is not exact if a kind of its tokens has no price of its own."""

    amount: NanoUSD
    exact: bool


class PriceTier(BaseModel):
    """Prices for prompts up to a maximum length."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    up_to_input_tokens: Annotated[int, Field(gt=0)] | None = None
    """Longest prompt of this tier, in tokens; None for any length."""
    input_nano_usd_per_token: Price
    output_nano_usd_per_token: Price
    """Of answers, and of thinking."""
    cached_nano_usd_per_token: Price | None = None
    """Of input that came from a cache. None if it is not known: such input is charged as any other."""
    cache_write_nano_usd_per_token: Price | None = None
    """Of input that was written into a cache. None if it is not known, likewise."""
    thinking_output_nano_usd_per_token: Price | None = None
    """Of all output of a call that thought. None if it costs as much as any other output."""

    def cost(self, tokens: Tokens) -> Cost:
        """Return the cost of a call, every token at the price of its kind."""
        fresh, output = self.input_nano_usd_per_token, self.output_nano_usd_per_token
        cached, written = self.cached_nano_usd_per_token, self.cache_write_nano_usd_per_token
        if tokens.thinking and self.thinking_output_nano_usd_per_token is not None:
            output = self.thinking_output_nano_usd_per_token
        amount = (
            tokens.input * fresh
            + tokens.cached * (fresh if cached is None else cached)
            + tokens.cache_written * (fresh if written is None else written)
            + (tokens.output + tokens.thinking) * output
        )
        unknown = (tokens.cached and cached is None) or (tokens.cache_written and written is None)
        return Cost(NanoUSD(amount), not unknown)


OPTIONAL_PRICES = {
    "cached_nano_usd_per_token": "cached input",
    "cache_write_nano_usd_per_token": "input written into a cache",
    "thinking_output_nano_usd_per_token": "output of calls that think",
}
"""Prices that a tier may lack, with their names for messages."""


def require_name(model: str) -> str:
    """Return the spelling of a model's name.

    Raises
    ------
    ValueError
        It is no name, so that interactions with it count as :data:`~shared.privacy.forms.UNKNOWN`.
    """
    spelling = model_spelling(model)
    if not spelling or (spelling == UNKNOWN and model.strip().lower() != UNKNOWN):
        raise ValueError("is no name of a model: interactions with it count as unknown")
    return spelling


class ModelPrice(BaseModel):
    """The price of one model from a date until the next entry of the same model."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """The model's name, in any spelling."""
    effective_from: datetime
    """Start of the price. A date or time without a zone is UTC."""
    tiers: Annotated[tuple[PriceTier, ...], Field(min_length=1, max_length=20)]

    @field_validator("model")
    @classmethod
    def _names_a_model(cls, model: str) -> str:
        require_name(model)
        return model

    @model_validator(mode="after")
    def _begins_in_the_range(self) -> Self:
        if not 0 <= self.since < LATEST_START:
            raise ValueError("effective_from: must be in the years 1970 to 2099, in UTC")
        return self

    @model_validator(mode="after")
    def _tiers_are_ordered(self) -> Self:
        limits = [tier.up_to_input_tokens for tier in self.tiers]
        bounded = [limit for limit in limits[:-1] if limit is not None]
        if len(bounded) != len(limits) - 1 or limits[-1] is not None or bounded != sorted(set(bounded)):
            raise ValueError("tiers: limits must rise, and only the last tier has none")
        return self

    @property
    def key(self) -> str:
        """The spelling of the model's name, by which the table finds the price."""
        return model_spelling(self.model)

    @property
    def since(self) -> Millis:
        """Start of the price, in milliseconds since the epoch."""
        moment = self.effective_from
        return Millis(round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))

    def cost(self, tokens: Tokens) -> Cost:
        """Return the cost of one call: every token at the price of the prompt's tier."""
        for tier in self.tiers:
            if tier.up_to_input_tokens is None or tokens.prompt <= tier.up_to_input_tokens:
                return tier.cost(tokens)
        raise AssertionError("the last tier has no limit")  # held by _tiers_are_ordered

    def require_to_cover(self, replaced: ModelPrice) -> None:
        """Refuse to replace a price that says more: lengths of the prompt, or kinds of tokens.

        Raises
        ------
        PriceError
            A tier of the replaced price, or a kind of tokens with a price, is missing.
        """
        limits = {tier.up_to_input_tokens for tier in self.tiers}
        needed = [limit for tier in replaced.tiers if (limit := tier.up_to_input_tokens) is not None]
        if not limits.issuperset(needed):
            lengths = " and ".join(f"{limit:,} tokens" for limit in needed)
            raise PriceError(
                f"{replaced.model} has prices by length of the prompt, up to {lengths} and above: "
                "give a price for each of these lengths"
            )
        for name, kind in OPTIONAL_PRICES.items():
            has_price = any(getattr(tier, name) is not None for tier in replaced.tiers)
            if has_price and any(getattr(tier, name) is None for tier in self.tiers):
                raise PriceError(f"{replaced.model} has a price for {kind}: give one as well")

    def dump(self) -> dict[str, Any]:
        """Return the form in which it is stored and shipped."""
        return self.model_dump(mode="json", exclude_none=True)


class PriceTable:
    """Prices by model and date. The last entry for a model and date wins, so callers pass overrides last.

    Parameters
    ----------
    names
        Which names mean one model; by default as the price list says.
    """

    def __init__(self, prices: Iterable[ModelPrice], names: NameRules | None = None) -> None:
        chosen = {(price.key, price.since): price for price in prices}
        self.names = list_names() if names is None else names
        self._by_model: dict[str, list[ModelPrice]] = defaultdict(list)
        for (model, _), price in sorted(chosen.items()):
            self._by_model[model].append(price)
        self._starts = {model: [p.since for p in entries] for model, entries in self._by_model.items()}
        stored = {"prices": [price.dump() for _, price in sorted(chosen.items())], **self.names.dump()}
        self.fingerprint = sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()
        """Equal for equal prices and names. Repricing compares it to detect a change."""
        self.model = lru_cache(maxsize=4_096)(self._model)
        """Return the model that a spelling means."""
        self._in_turn = lru_cache(maxsize=4_096)(self._names_in_turn)

    def _model(self, spelling: str) -> str:
        return self.names.model(spelling, self._starts.keys())

    def price_of(self, model: str, at: Millis) -> ModelPrice | None:
        """Return the price of a model at a moment, None without one.

        Before the first price of a name, the price of the model that it would mean without a price is in
        force.
        """
        for name in self._in_turn(model):
            index = bisect_right(self._starts[name], at) - 1
            if index >= 0:
                return self._by_model[name][index]
        return None

    def _names_in_turn(self, model: str) -> tuple[str, ...]:
        """Return a model, what it would mean without its price, what that would mean, and so on."""
        priced, found = set(self._starts), []
        while model in priced:
            found.append(model)
            priced.remove(model)
            model = self.names.model(model, priced)
        return tuple(found)

    def cost(self, model: str, at: Millis, tokens: Tokens | None) -> Cost | None:
        """Return the cost of a call of ``model`` at a moment, None without a price or without tokens."""
        price = None if tokens is None else self.price_of(model, at)
        return None if price is None or tokens is None else price.cost(tokens)

    def models(self) -> list[str]:
        """Return the spellings of the models that have a price, in order."""
        return sorted(self._by_model)

    def entries(self) -> list[ModelPrice]:
        """Return every price, in order of model and date."""
        return [price for model in self.models() for price in self._by_model[model]]

    def first_difference(self, other: PriceTable) -> Millis:
        """Return the earliest moment from which the two tables may give a call different costs.

        If a name may mean another model, that is the beginning of time.
        """
        if self.names.dump() != other.names.dump() or self.models() != other.models():
            return Millis(0)
        different = set(self.entries()) ^ set(other.entries())
        return Millis(max(0, min((price.since for price in different), default=0)))

    def dump(self) -> dict[str, Any]:
        """Return the form in which it is stored."""
        return {"prices": [price.dump() for price in self.entries()], **self.names.dump()}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`dump` returned."""
        return cls(map(parse_price, stored["prices"]), NameRules.load(stored))


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
def _price_list() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        files("shared.pricing").joinpath("prices.json").read_text(encoding="utf-8")
    )
    return document


@cache
def list_prices() -> tuple[ModelPrice, ...]:
    """Return the list prices that ship with the fleet (``shared/pricing/prices.json``)."""
    return tuple(map(parse_price, _price_list()["prices"]))


@cache
def list_names() -> NameRules:
    """Return the prefixes, versions and aliases that ship with the fleet."""
    return NameRules.load(_price_list())
