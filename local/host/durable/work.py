"""What an orchestration is, what it asks for, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from local.host.durable.history import Event

Status = Literal["Pending", "Running", "Completed", "Failed", "Terminated", "Suspended"]
ENDED: frozenset[str] = frozenset({"Completed", "Failed", "Terminated"})


@dataclass(frozen=True, slots=True)
class Parent:
    """The orchestration that waits for a sub-orchestration, and the number it waits under."""

    instance_id: str
    execution_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Instance:
    """One execution of an orchestration; ``continue_as_new`` begins another with the same ``instance_id``."""

    instance_id: str
    execution_id: str
    name: str
    input: str | None = None
    """JSON, as it was posted."""
    parent: Parent | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity to run. ``input`` is JSON."""

    number: int
    name: str
    input: str


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer to set."""

    number: int
    fire_at: datetime


@dataclass(frozen=True, slots=True)
class SubOrchestration:
    """A sub-orchestration to start. ``input`` is JSON."""

    number: int
    name: str
    input: str
    instance_id: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended. ``output`` is JSON for ``Completed``, else a sentence."""

    status: Literal["Completed", "Failed", "Terminated"]
    output: str


@dataclass(frozen=True, slots=True)
class ContinuedAsNew:
    """The execution ends and the next one begins, with this input (JSON)."""

    input: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an episode. Everything in it is committed in one transaction."""

    events: tuple[Event, ...]
    """To be added to the history."""
    activities: tuple[Activity, ...] = ()
    timers: tuple[Timer, ...] = ()
    sub_orchestrations: tuple[SubOrchestration, ...] = ()
    cancelled: tuple[int, ...] = ()
    """Timers that need not fire."""
    end: Ended | ContinuedAsNew | None = None
    custom_status: Any = None
    """None leaves it as it is."""
