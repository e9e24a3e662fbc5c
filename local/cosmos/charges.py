"""Estimates of request charges, fitted to the figures the service publishes; docs/request-charges.md."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

KILOBYTE = 1024


def read(size: int) -> float:
    """Point read: 1 RU for 1 KB, about 10 for 100 KB."""
    return round(1 + 0.0909 * max(0.0, size / KILOBYTE - 1), 2)


def write(size: int, index_terms: int, *, replaces: bool = False) -> float:
    """Create, or replace, upsert and patch of an item that is there, which cost twice as much.

    5 RU for 1 KB, about 50 for 100 KB, and what the index takes.
    """
    inserted = 5 + 0.4545 * max(0.0, size / KILOBYTE - 1) + 0.5 * index_terms
    return round(inserted * (2 if replaces else 1), 2)


def delete(size: int, index_terms: int) -> float:
    """Delete: as an insert."""
    return write(size, index_terms)


def query(partitions: int, loaded_bytes: int, returned_bytes: int, loaded_items: int) -> float:
    """Query: a floor per physical partition, what was loaded to evaluate it, and what it returned."""
    return round(
        2.3 * max(1, partitions)
        + 0.05 * loaded_items
        + 0.0026 * loaded_bytes / KILOBYTE
        + 0.083 * returned_bytes / KILOBYTE,
        2,
    )


def feed(returned_bytes: int, items: int) -> float:
    """A page of the change feed: 1 RU, and about 1 RU for every 10 KB returned."""
    return round(1 + 0.0909 * returned_bytes / KILOBYTE + 0.01 * items, 2)


MOST_ACCOUNTS = 10_000
"""Accounts kept apart; what exceeds them, such as containers made and dropped all day, is booked as one."""

OTHERS = ("others", "", "others")

METADATA = 1.0
"""Reads of databases, containers, partition key ranges and offers."""

MISS = 1.0
"""A point read that finds nothing."""


@dataclass(slots=True)
class Account:
    """What one client spent on one operation of one container."""

    requests: int = 0
    request_units: float = 0.0
    request_bytes: int = 0
    response_bytes: int = 0


class ChargeBook:
    """What every client has spent, since the server was started."""

    def __init__(self) -> None:
        self._accounts: defaultdict[tuple[str, str, str], Account] = defaultdict(Account)

    def add(
        self, client: str, container: str, operation: str, *, units: float, received: int, sent: int
    ) -> None:
        """Book one request."""
        name = (client, container, operation)
        if name not in self._accounts and len(self._accounts) >= MOST_ACCOUNTS:
            name = OTHERS
        account = self._accounts[name]
        account.requests += 1
        account.request_units += units
        account.request_bytes += received
        account.response_bytes += sent

    def rows(self) -> list[dict[str, object]]:
        """Return the accounts, in order."""
        return [
            {
                "client": client,
                "container": container,
                "operation": operation,
                "requests": account.requests,
                "request_units": round(account.request_units, 2),
                "request_bytes": account.request_bytes,
                "response_bytes": account.response_bytes,
            }
            for (client, container, operation), account in sorted(self._accounts.items())
        ]
