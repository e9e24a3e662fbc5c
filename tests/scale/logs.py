"""What the logs of the hosts tell: invocations with their durations, and what was folded. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

ENDED = ("invocation_succeeded", "invocation_failed")


@dataclass(slots=True)
class Invocations:
    """The invocations of one function on all hosts."""

    count: int = 0
    failed: int = 0
    longest_ms: float = 0.0
    total_ms: float = 0.0

    def add(self, entry: dict[str, Any]) -> None:
        """Count an invocation that has ended."""
        self.count += 1
        self.failed += entry["event"] == "invocation_failed"
        self.total_ms += entry["duration_ms"]
        self.longest_ms = max(self.longest_ms, entry["duration_ms"])

    def as_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        return {
            "count": self.count,
            "failed": self.failed,
            "longest_seconds": round(self.longest_ms / 1000, 3),
            "total_seconds": round(self.total_ms / 1000, 3),
        }


@dataclass(slots=True)
class HostLogs:
    """The logs of all hosts together."""

    functions: dict[str, Invocations] = field(default_factory=dict)
    folded: int = 0
    """Source documents that the fold was given, duplicates included."""
    oldest_seconds: int = 0
    """The largest age that a document had when it was folded."""
    errors: dict[str, int] = field(default_factory=dict)
    """Lines of level error, by event."""

    def read(self, lines: Iterable[str]) -> None:
        """Take in lines of one host; a line that is no JSON object is not the host's."""
        for line in lines:
            if line.startswith("{") and line.endswith("\n"):
                self._count(json.loads(line))

    def _count(self, entry: dict[str, Any]) -> None:
        event = str(entry.get("event"))
        if event in ENDED:
            self.functions.setdefault(entry["function"], Invocations()).add(entry)
        elif event == "batch_folded":
            self.folded += entry["documents"]
            self.oldest_seconds = max(self.oldest_seconds, entry["oldest_age_s"] or 0)
        if entry.get("level") in ("error", "critical"):
            self.errors[event] = self.errors.get(event, 0) + 1

    @property
    def longest(self) -> tuple[str, float]:
        """The function with the longest invocation, and its seconds; empty and 0 if nothing ended."""
        if not self.functions:
            return "", 0.0
        name = max(self.functions, key=lambda function: self.functions[function].longest_ms)
        return name, self.functions[name].longest_ms / 1000
