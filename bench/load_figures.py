"""What was measured of a database server under load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPERATIONS = ("read", "upsert")


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a server did an operation."""

    per_second: float
    cpu_ms: float | None = None
    """Milliseconds of the server's processor time per operation; None if the system does not provide it.

    It depends on the server alone. ``per_second`` also depends on clients and other work on the machine.
    """
    client_cpu_ms: float | None = None
    """The same of the clients: the SDK's work."""

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "per_second": round(self.per_second, 1),
            "server_cpu_ms": None if self.cpu_ms is None else round(self.cpu_ms, 3),
            "client_cpu_ms": None if self.client_cpu_ms is None else round(self.client_cpu_ms, 3),
        }


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """One server."""

    name: str
    rates: Mapping[str, Rate] = field(default_factory=dict)
    """By operation; what is not here was not possible."""
    rss_seeded: int | None = None
    """Bytes of memory with all items stored, before the load."""
    rss_after: int | None = None
    """The same after the load."""
    unavailable: str | None = None
    """Why figures are missing, or are of fewer items."""
    items: int | None = None
    """How many it held, None if it was not measured."""

    @property
    def growth(self) -> float | None:
        """Share by which memory grew under the load."""
        if not self.rss_seeded or not self.rss_after:
            return None
        return self.rss_after / self.rss_seeded - 1

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        rates = {name: self.rates[name].as_json() if name in self.rates else None for name in OPERATIONS}
        return {
            "name": self.name,
            **rates,
            "rss_seeded_bytes": self.rss_seeded,
            "rss_after_bytes": self.rss_after,
            "unavailable": self.unavailable,
            "items": self.items,
        }


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """The local server and another one, in the same run."""

    items: int
    """How many each was to hold."""
    clients: int
    """Processes that generate the load. One SDK client uses a whole core."""
    ours: ServerFigures
    other: ServerFigures

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "items": self.items,
            "clients": self.clients,
            "ours": self.ours.as_json(),
            "other": self.other.as_json(),
        }
