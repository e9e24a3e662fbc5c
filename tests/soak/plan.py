"""What happens when: a timetable of disturbances, the same for the same seed. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Any

FLEET, HOST, TRAFFIC = "vimarsh-fleet", "vimarsh-host", "soak-traffic"
"""How the clients of the functions, of the hosts and of the soak's own traffic name themselves."""

SOURCES = ("user_interactions", "user_sessions", "abuse_incidents", "users")

SPLIT_CONTAINERS = (*SOURCES, "view_state", "change_feed_leases")

LOOK_SECONDS = 8.0
"""Seconds until the auditor looks at the feeds for the first time: sources have documents, and none is old
enough to be read. It keeps a position of no range, and then the sources are split."""

SPLIT_SOURCES_UNTIL = 0.33
"""Share of the time until which every source was split, before only one half of the people writes."""

LOSING_HOSTS, LOST_BATCHES = 3, 3
"""Hosts that lose batches, and how many of their first batches of every source."""

SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 9.0
"""Seconds between two random disturbances."""

FREEZE_SECONDS = 75.0
"""Longer than a lease lives without renewal (60 s): the frozen host wakes up and finds its work taken."""

FREEZE_FROM = 240.0
"""Seconds a soak must last for a host to be frozen in it."""


class Kind(StrEnum):
    """A disturbance."""

    FAULTS = "faults"
    KILL_HOST = "kill_host"
    STOP_HOST = "stop_host"
    FREEZE_HOST = "freeze_host"
    THAW_HOST = "thaw_host"
    KILL_DATABASE = "kill_database"
    KILL_BOTH = "kill_host_and_database"
    SPLIT = "split"
    SPLIT_AND_KILL = "split_and_kill_database"
    LOOK = "look"
    """The auditor looks at the feeds."""


KILLS_DATABASE = (Kind.KILL_DATABASE, Kind.KILL_BOTH, Kind.SPLIT_AND_KILL)


@dataclass(frozen=True, slots=True)
class Step:
    """One disturbance at its time."""

    at: float
    """Seconds after the traffic began."""
    kind: Kind
    subject: str | None = None
    """The set of faults, or the container that is split."""
    pause: float = 0.0
    """Seconds that what was killed or stopped is away."""
    renamed: bool = False
    """Whether the host that comes instead has another name, so that leases have to expire."""
    loses: bool = False
    """Whether the host that comes instead loses batches."""


FAULT_SETS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "throttled": [
        {"client": FLEET, "rate": 0.08, "status": 429, "retry_after_ms": 15},
        {"client": HOST, "rate": 0.05, "status": 429, "retry_after_ms": 15},
        {"client": TRAFFIC, "rate": 0.05, "status": 429, "retry_after_ms": 15},
    ],
    "unavailable": [
        {"client": FLEET, "rate": 0.03, "status": 503},
        {"client": FLEET, "rate": 0.02, "status": 408},
        {"client": HOST, "operation": "change_feed", "rate": 0.05, "status": 503},
        {"client": HOST, "operation": "replace", "rate": 0.05, "status": 408},
        {"client": TRAFFIC, "rate": 0.02, "status": 503},
    ],
    "slow": [
        {"client": FLEET, "rate": 0.10, "latency_ms": 150},
        {"client": HOST, "rate": 0.05, "latency_ms": 400},
        {"client": FLEET, "operation": "batch", "rate": 0.02, "latency_ms": 1500},
    ],
    "broken": [
        {"client": FLEET, "rate": 0.02, "drop": "before"},
        {"client": FLEET, "operation": "batch", "rate": 0.06, "drop": "after"},
        {"client": FLEET, "operation": "upsert", "rate": 0.06, "drop": "after"},
        {"client": HOST, "operation": "change_feed", "rate": 0.03, "drop": "after"},
        {"client": HOST, "operation": "replace", "rate": 0.06, "drop": "after"},
        {"client": HOST, "operation": "create", "rate": 0.10, "drop": "after"},
        {"client": TRAFFIC, "rate": 0.03, "drop": "after"},
    ],
}
OUTAGE = "outage"
FAULT_SETS[OUTAGE] = [
    {"client": FLEET, "operation": "batch", "rate": 1.0, "status": 503},
    {"client": FLEET, "operation": "upsert", "rate": 0.5, "drop": "before"},
]
"""Nothing can be committed: the functions' own retries run out, and their policy has to hold the lease."""

OUTAGE_SECONDS = 15.0

FAULT_SETS["storm"] = [
    rule | {"rate": rule["rate"] / 2}
    for name in ("throttled", "unavailable", "slow", "broken")
    for rule in FAULT_SETS[name]
]

DRAWN_SETS = [name for name in FAULT_SETS if name != OUTAGE]
"""An outage happens once, or nothing else would be done."""

WEIGHTS = {Kind.FAULTS: 30, Kind.KILL_HOST: 40, Kind.STOP_HOST: 18, Kind.KILL_DATABASE: 8, Kind.KILL_BOTH: 4}
"""How often each is drawn, beside what happens in every soak."""


def make_plan(seed: int, seconds: float) -> list[Step]:
    """Return the timetable of a soak of ``seconds``: what must happen in each, and random disturbances."""
    random = Random(f"{seed}:plan")
    steps = list(_musts(random, seconds))
    at = 0.0
    while (at := at + random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)) < seconds:
        steps.append(_drawn(random, at))
    return sorted(_without_interference(steps), key=lambda step: step.at)


def _without_interference(steps: list[Step]) -> list[Step]:
    """Put off other faults until the outage is over: they would end it."""
    begin = next(step.at for step in steps if step.subject == OUTAGE)
    end = begin + OUTAGE_SECONDS
    return [
        replace(step, at=end + 0.1) if step.kind is Kind.FAULTS and begin < step.at < end else step
        for step in steps
    ]


def _musts(random: Random, seconds: float) -> list[Step]:
    look = min(LOOK_SECONDS, 0.1 * seconds)
    steps = [Step(0.0, Kind.FAULTS, "throttled"), Step(look, Kind.LOOK)]
    for name in SPLIT_CONTAINERS:
        until = SPLIT_SOURCES_UNTIL if name in SOURCES else 0.8
        steps.append(Step(seconds * random.uniform(0.15, until), Kind.SPLIT, name))
    for _ in range(LOSING_HOSTS):
        at = seconds * random.uniform(0.1, 0.9)
        steps.append(Step(at, Kind.KILL_HOST, None, random.uniform(0.2, 2), renamed=True, loses=True))
    again, at = random.choice(SPLIT_CONTAINERS), seconds * random.uniform(0.34, 0.6)
    steps.append(Step(at, Kind.SPLIT_AND_KILL, again, random.uniform(0.2, 2)))
    for share, kind in ((0.1, Kind.KILL_HOST), (0.3, Kind.KILL_DATABASE), (0.5, Kind.STOP_HOST)):
        steps.append(Step(seconds * share, kind, None, random.uniform(0.2, 2)))
    steps += [Step(seconds * random.random(), Kind.FAULTS, name) for name in DRAWN_SETS]
    outage = random.uniform(0.1, 0.6) * seconds
    steps += [Step(outage, Kind.FAULTS, OUTAGE), Step(outage + OUTAGE_SECONDS, Kind.FAULTS, "none")]
    if seconds >= FREEZE_FROM:
        frozen = seconds * random.uniform(0.1, 0.5)
        steps += [Step(frozen, Kind.FREEZE_HOST), Step(frozen + FREEZE_SECONDS, Kind.THAW_HOST)]
    return steps


def _drawn(random: Random, at: float) -> Step:
    kind = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if kind is Kind.FAULTS:
        return Step(at, kind, random.choice(DRAWN_SETS))
    return Step(at, kind, None, random.uniform(0, 3), random.random() < 0.4)
