"""Request units by container and by client, as the local server booked them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

Account = dict[str, Any]

FLEET = ("vimarsh-fleet", "vimarsh-fleet-audit", "vimarsh-host", "vimarsh-ops")
"""Clients of the fleet: functions, auditor, the hosts' leases and locks, the operator."""

WRITER = "scale-writer"
"""The client that stands for the web application."""

WRITES = frozenset({"create", "replace", "upsert", "patch", "delete", "batch"})

CONTROL = frozenset({"fleet_state", "change_feed_leases", "system_health"})
"""Containers that are written whether or not there is news: progress, leases, and the last minutes."""


def units_by(accounts: Iterable[Account], name: str, *, clients: Iterable[str] = FLEET) -> dict[str, float]:
    """Return request units by ``container``, ``client`` or ``operation``, the largest first."""
    known, sums = set(clients), Counter[str]()
    for account in accounts:
        if account["client"] in known:
            sums[str(account[name] or "(account)")] += account["request_units"]
    return {key: round(units, 1) for key, units in sums.most_common()}


def news(accounts: Iterable[Account]) -> Counter[str]:
    """Return how many writes that tell something new the fleet has made, by container."""
    sums = Counter[str]()
    for account in accounts:
        if account["client"] in FLEET and account["operation"] in WRITES:
            sums[account["container"]] += account["requests"]
    return Counter({name: writes for name, writes in sums.items() if name not in CONTROL})


def in_words(writes: Counter[str]) -> str:
    """Return numbers of writes by container as a sentence says them."""
    return ", ".join(f"{count:,} in {name}" for name, count in writes.most_common()) or "nothing"
