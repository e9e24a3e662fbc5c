"""Faults on demand: throttling, outages, latency and broken connections, by operation and rate."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.cosmos.errors import THROUGHPUT_EXCEEDED, ServiceError, bad_request

Drop = Literal["before", "after"]

MOST_RULES = 100
MOST_LATENCY = 60_000
"""Milliseconds; a client has given up by then."""

_OPERATION = re.compile(
    "read|create|upsert|replace|patch|delete|batch|query|query_plan|read_feed|change_feed|"
    "(get|post|put|delete)_(account|dbs|colls|offers|pkranges)"
)


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
    rules, seed = body.get("rules", []), body.get("seed")
    if not isinstance(rules, list) or len(rules) > MOST_RULES:
        raise bad_request(f"fault rules: a list of at most {MOST_RULES} is wanted")
    if not isinstance(seed, int | None):
        raise bad_request(f"fault rules: the seed {seed!r} is not a whole number")
    return [_checked(entry) for entry in rules], seed


def _checked(entry: Any) -> Rule:
    if not isinstance(entry, Mapping):
        raise bad_request(f"fault rule: {entry!r} is not an object")
    try:
        rule = Rule(**entry)
    except TypeError as error:
        raise bad_request(f"fault rule: {error}") from None
    for name, value, fits in (
        ("rate", rule.rate, _is_number(rule.rate) and 0 <= rule.rate <= 1),
        (
            "operation",
            rule.operation,
            rule.operation is None or bool(_OPERATION.fullmatch(str(rule.operation))),
        ),
        ("container", rule.container, isinstance(rule.container, str | None)),
        ("client", rule.client, isinstance(rule.client, str | None)),
        ("status", rule.status, rule.status in (None, 408, 429, 503)),
        ("retry_after_ms", rule.retry_after_ms, _is_number(rule.retry_after_ms) and rule.retry_after_ms >= 0),
        ("latency_ms", rule.latency_ms, _is_number(rule.latency_ms) and 0 <= rule.latency_ms <= MOST_LATENCY),
        ("drop", rule.drop, rule.drop in (None, "before", "after")),
    ):
        if not fits:
            raise bad_request(f"fault rule: {name} cannot be {value!r}")
    if rule.status is None and rule.drop is None and not rule.latency_ms:
        raise bad_request("fault rule: it needs a status, a latency_ms or a drop to do anything")
    return rule


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
