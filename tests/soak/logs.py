"""What the processes logged: errors by event, and which of them a soak explains."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.host.invoke import InjectedLossError
from shared.errors import DocumentError, NewerVersionError

SERVICE_ERRORS = frozenset(
    {
        "CosmosHttpResponseError",
        "CosmosClientTimeoutError",
        "ServiceRequestError",
        "ServiceResponseError",
        "ServiceResponseTimeoutError",
        "IncompleteReadError",
        "UnavailableError",
        "DeadlineError",
    }
)
"""How an invocation fails when the database throttles, is away or breaks connections."""

MALFORMED = frozenset({DocumentError.__name__, NewerVersionError.__name__})
"""Why a malformed document goes to poison."""

LOSS = InjectedLossError.__name__
"""How an invocation fails whose batch the host was told to lose."""

EXAMPLES = 3
LONGEST_EXAMPLE = 600


@dataclass(slots=True)
class LogSummary:
    """Lines of all logs, counted."""

    killed: Collection[int] = ()
    """Process ids of hosts that the soak killed: others say of them that they died."""
    expected: Counter[str] = field(default_factory=Counter)
    """Errors that the soak caused: faults, and malformed documents."""
    unexpected: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first unexpected lines of each event."""
    repaired: int = 0
    """What the auditor repaired while the soak ran."""
    invocations: Counter[str] = field(default_factory=Counter)
    """Invocations that ended, by function."""
    lost: Counter[str] = field(default_factory=Counter)
    """Batches that hosts lost, by function."""
    cut_short: Counter[str] = field(default_factory=Counter)
    """Invocations that a kill cut short, by function: their batches came again."""

    def read(self, source: str, lines: Iterable[str], *, frozen: bool = False) -> None:
        """Count the lines of one process; ``frozen``: it was stopped for a while, its event loop too."""
        under_way: dict[str, str] = {}
        for line in lines:
            text = line.strip()
            if not text:
                continue
            entry = parsed(text)
            if entry is None:
                self._strange(f"{source}: not a JSON line", text)
                continue
            self._follow(entry, under_way)
            match entry.get("level"):
                case "error" | "critical":
                    name = named(entry)
                    if is_expected(entry, killed=self.killed, frozen=frozen):
                        self.expected[name] += 1
                    else:
                        self._strange(name, text)
                case "warning":
                    self.warnings[named(entry)] += 1
        self.cut_short.update(under_way.values())

    def _follow(self, entry: dict[str, Any], under_way: dict[str, str]) -> None:
        match entry.get("event"):
            case "feed_audited":
                self.repaired += int(entry.get("repaired", 0))
            case "invocation_started":
                under_way[str(entry.get("invocation_id"))] = str(entry.get("function"))
            case "invocation_succeeded" | "invocation_failed":
                self.invocations[str(entry.get("function"))] += 1
                self.lost[str(entry.get("function"))] += entry.get("error_type") == LOSS
                under_way.pop(str(entry.get("invocation_id")), None)

    def _strange(self, name: str, text: str) -> None:
        self.unexpected[name] += 1
        shown = self.examples.setdefault(name, [])
        if len(shown) < EXAMPLES:
            shown.append(text[:LONGEST_EXAMPLE])


def parsed(text: str) -> dict[str, Any] | None:
    """Return a line as an object, None if it is not one."""
    if not text.startswith("{"):
        return None
    try:
        entry: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return entry


def named(entry: dict[str, Any]) -> str:
    """Return the event with the kind of error."""
    event, kind = str(entry.get("event"))[:80], entry.get("error_type")
    return f"{event} ({kind})" if kind else event


def is_expected(entry: dict[str, Any], *, killed: Collection[int], frozen: bool) -> bool:
    """Say whether the soak explains an error."""
    match entry.get("event"):
        case "invocation_failed":
            return entry.get("error_type") in SERVICE_ERRORS or entry.get("error_type") == LOSS
        case "document_poisoned":
            return entry.get("error_type") in MALFORMED
        case "host_died":
            return entry.get("pid") in killed
        case "event_loop_blocked" | "event_loop_free":
            return frozen
    return False


def read_logs(folder: Path, *, frozen: Iterable[str], killed: Collection[int]) -> LogSummary:
    """Count what database server and hosts logged. Azurite's log is its own."""
    summary, stopped = LogSummary(killed), set(frozen)
    for path in sorted(folder.glob("*.log")):
        if path.stem == "azurite":
            continue
        with path.open(errors="replace") as lines:
            summary.read(path.stem, whole(lines), frozen=path.stem in stopped)
    return summary


def whole(lines: Iterable[str]) -> Iterable[str]:
    """Leave out a last line that a kill cut off."""
    return (line for line in lines if line.endswith("\n"))
