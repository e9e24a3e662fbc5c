"""Faults on demand: throttling, outages, latency, broken connections and crashes, by operation and rate."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.cosmos.errors import THROUGHPUT_EXCEEDED, ServiceError, bad_request
from local.cosmos.logs import log

Drop = Literal["before", "after"]
Crash = Literal["before", "inside", "after"]

MOST_RULES = 100
MOST_LATENCY = 60_000
"""Milliseconds; a client has given up by then."""

_OPERATION = re.compile(
    "read|create|upsert|replace|patch|delete|batch|query|query_plan|read_feed|change_feed|"
    "(get|post|put|delete)_(account|dbs|colls|offers|pkranges)"
)
_WRITING = re.compile("create|upsert|replace|patch|delete|batch|(post|put|delete)_(dbs|colls|offers)")


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
    crash
        End the server process, as ``kill -9`` would: before the request is executed, inside its transaction
        when everything is written and nothing committed, or after it was committed and before the answer.
    rate
        Share of matching requests that are struck, 0 to 1.
    skip
        Matching requests that are let through first.
    times
        Matching requests that are struck at most; None for no limit.
    """

    rate: float
    operation: str | None = None
    container: str | None = None
    client: str | None = None
    status: int | None = None
    retry_after_ms: int = 10
    latency_ms: int = 0
    drop: Drop | None = None
    crash: Crash | None = None
    skip: int = 0
    times: int | None = None

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
    crash: Crash | None = None


@dataclass(slots=True)
class _Counted:
    """A rule, and what has come of it."""

    rule: Rule
    matched: int = 0
    struck: int = 0

    def strikes(self, dice: random.Random) -> bool:
        """Count a matching request and say whether it is struck."""
        self.matched += 1
        if self.matched <= self.rule.skip or self.struck == self.rule.times:
            return False
        if dice.random() >= self.rule.rate:
            return False
        self.struck += 1
        return True


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[_Counted] = []
        self._dice = random.Random()

    @property
    def struck(self) -> int:
        """Requests that were struck since the rules were set."""
        return sum(counted.struck for counted in self._rules)

    def rows(self) -> list[dict[str, int]]:
        """Return how many requests each rule matched and struck, in the order of the rules."""
        return [{"matched": counted.matched, "struck": counted.struck} for counted in self._rules]

    def set(self, rules: list[Rule], seed: int | None) -> None:
        """Replace the rules."""
        self._rules = [_Counted(rule) for rule in rules]
        self._dice = random.Random(seed)

    def strike(self, operation: str, container: str, client: str) -> Strike | None:
        """Decide what befalls a request; None for nothing."""
        for counted in self._rules:
            rule = counted.rule
            if rule.matches(operation, container, client) and counted.strikes(self._dice):
                return Strike(rule.latency_ms / 1000, _error(rule), rule.drop, rule.crash)
        return None


def crash() -> None:
    """End this process at once: nothing is cleaned up, nobody is told, as with ``kill -9``."""
    log.warning("crash", reason="a fault rule asked for it")
    os.kill(os.getpid(), signal.SIGKILL)


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
        ("crash", rule.crash, rule.crash in (None, "before", "inside", "after")),
        ("skip", rule.skip, _is_count(rule.skip)),
        ("times", rule.times, rule.times is None or (_is_count(rule.times) and rule.times > 0)),
    ):
        if not fits:
            raise bad_request(f"fault rule: {name} cannot be {value!r}")
    ends = [name for name in ("status", "drop", "crash") if getattr(rule, name) is not None]
    if not ends and not rule.latency_ms:
        raise bad_request("fault rule: it needs a status, a latency_ms, a drop or a crash to do anything")
    if len(ends) > 1:
        raise bad_request(f"fault rule: it can have one of {' and '.join(ends)} only")
    if rule.crash == "inside" and not _WRITING.fullmatch(rule.operation or ""):
        raise bad_request(
            'fault rule: "crash": "inside" needs an operation that writes, such as batch or upsert'
        )
    return rule


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
