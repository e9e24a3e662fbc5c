"""Faults on demand: throttling, outages, latency and broken connections, by operation and rate."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.cosmos.errors import THROUGHPUT_EXCEEDED, ServiceError, bad_request

Drop = Literal["before", "after"]


class DropConnection(Exception):  # noqa: N818  not an error of the server: the client is to see a reset
    """The connection is to be broken without an answer."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of fault.

    Attributes
    ----------
    operation, container, client
        What it strikes; None for everything.
    status
        Answer with 408, 429 or 503 instead of executing.
    retry_after_ms
        Sent with 429.
    latency_ms
        Wait before executing.
    drop
        Break the connection before the request is executed, or after it was.
    rate
        Share of matching requests that are struck, 0 to 1.
    """

    rate: float
    operation: str | None = None
    container: str | None = None
    client: str | None = None
    status: int | None = None
    retry_after_ms: int = 10
    latency_ms: int = 0
    drop: Drop | None = None

    def matches(self, operation: str, container: str, client: str) -> bool:
        """Say whether a request is one that this rule may strike."""
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.operation, operation),
                (self.container, container),
                (self.client, client),
            )
        )


@dataclass(slots=True)
class Strike:
    """What befalls one request."""

    latency_seconds: float = 0.0
    error: ServiceError | None = None
    drop: Drop | None = None


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._dice = random.Random()
        self.struck = 0

    def set(self, rules: list[Rule], seed: int | None) -> None:
        """Replace the rules."""
        self._rules = rules
        self._dice = random.Random(seed)
        self.struck = 0

    def strike(self, operation: str, container: str, client: str) -> Strike | None:
        """Decide what befalls a request; None for nothing."""
        for rule in self._rules:
            if rule.matches(operation, container, client) and self._dice.random() < rule.rate:
                self.struck += 1
                return Strike(rule.latency_ms / 1000, _error(rule), rule.drop)
        return None


def parse_rules(body: Mapping[str, Any]) -> tuple[list[Rule], int | None]:
    """Read ``{"rules": [...], "seed": n}``.

    Raises
    ------
    ServiceError
        400: a rule has an unknown or impossible field.
    """
    rules: list[Rule] = []
    for entry in body.get("rules", []):
        try:
            rule = Rule(**entry)
        except TypeError as error:
            raise bad_request(f"fault rule: {error}") from None
        if not 0 <= rule.rate <= 1:
            raise bad_request(f"fault rule: rate {rule.rate} is not between 0 and 1")
        if rule.status not in (None, 408, 429, 503):
            raise bad_request(f"fault rule: status {rule.status} is not 408, 429 or 503")
        if rule.drop not in (None, "before", "after"):
            raise bad_request(f"fault rule: drop {rule.drop!r} is not before or after")
        rules.append(rule)
    return rules, body.get("seed")


def _error(rule: Rule) -> ServiceError | None:
    if rule.status is None:
        return None
    if rule.status == 429:
        return ServiceError(
            429,
            "Request rate is large. More Request Units may be needed, so no changes were made.",
            sub_status=THROUGHPUT_EXCEEDED,
            charge=0.0,
            headers={"x-ms-retry-after-ms": str(rule.retry_after_ms)},
        )
    return ServiceError(rule.status, "Injected by a fault rule.", charge=0.0)
