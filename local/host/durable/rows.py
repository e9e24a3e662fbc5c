"""Statements about the tables of a task hub, and what their rows mean."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.host.durable.history import Event
from local.host.durable.work import Instance, Parent


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an instance."""

    instance_id: str
    name: str
    status: str
    input: str | None
    output: str | None
    custom_status: str | None
    created: datetime
    updated: datetime
    version: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which instances; what is None or empty allows all."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_to: datetime | None = None
    statuses: tuple[str, ...] = ()
    prefix: str = ""

    def sql(self) -> tuple[str, list[Any]]:
        """Return the condition, and the values of its parameters."""
        parts: list[str] = ["1 = 1"]
        values: list[Any] = []
        for column, operator, moment in (
            ("created", ">=", self.created_from),
            ("created", "<=", self.created_to),
            ("updated", "<=", self.updated_to),
        ):
            if moment is not None:
                parts.append(f"{column} {operator} ?")
                values.append(moment.timestamp())
        if self.statuses:
            parts.append(f"status IN ({', '.join('?' * len(self.statuses))})")
            values += self.statuses
        if self.prefix:
            parts.append("substr(instance_id, 1, ?) = ?")
            values += [len(self.prefix), self.prefix]
        return " AND ".join(parts), values


def delete_instance(db: sqlite3.Connection, instance_id: str) -> None:
    """Delete an instance with everything that belongs to it."""
    for table in ("instances", "history", "messages", "activities", "timers"):
        db.execute(f"DELETE FROM {table} WHERE instance_id = ?", (instance_id,))  # noqa: S608 - from above


def instance_of(row: sqlite3.Row) -> Instance:
    """Return the execution that a row of ``instances`` describes."""
    parent = None
    if row["parent_instance"] is not None:
        parent = Parent(row["parent_instance"], row["parent_execution"], row["parent_number"])
    return Instance(
        row["instance_id"], row["execution_id"], row["name"], row["input"], parent, row["version"]
    )


def state_of(row: sqlite3.Row) -> State:
    """Return what a row of ``instances`` says to an outsider."""
    return State(
        instance_id=row["instance_id"],
        name=row["name"],
        status=row["status"],
        input=row["input"],
        output=row["output"],
        custom_status=row["custom_status"],
        created=datetime.fromtimestamp(row["created"], UTC),
        updated=datetime.fromtimestamp(row["updated"], UTC),
        version=row["version"],
    )


def read_history(db: sqlite3.Connection, instance_id: str) -> tuple[Event, ...]:
    """Return the history of an instance's running or last execution."""
    rows = db.execute("SELECT event FROM history WHERE instance_id = ? ORDER BY number", (instance_id,))
    return tuple(json.loads(row["event"]) for row in rows)


def append_history(db: sqlite3.Connection, instance_id: str, length: int, events: Sequence[Event]) -> None:
    """Add events behind the ``length`` that the history has."""
    db.executemany(
        "INSERT INTO history (instance_id, number, event) VALUES (?, ?, ?)",
        [(instance_id, number, json.dumps(one)) for number, one in enumerate(events, length)],
    )


def status_of(db: sqlite3.Connection, instance_id: str) -> str | None:
    """Return the status of an instance; None if there is none of this id."""
    row = db.execute("SELECT status FROM instances WHERE instance_id = ?", (instance_id,)).fetchone()
    return None if row is None else str(row["status"])


def set_status(db: sqlite3.Connection, instance_id: str, status: str, now: datetime) -> None:
    """Store the status of an instance."""
    db.execute(
        "UPDATE instances SET status = ?, updated = ? WHERE instance_id = ?",
        (status, now.timestamp(), instance_id),
    )


def send(db: sqlite3.Connection, instance_id: str, execution_id: str | None, message: Event) -> None:
    """Put a message into an instance's inbox, unless it has ended or another execution has begun."""
    db.execute(
        "INSERT INTO messages (instance_id, execution_id, kind, event)"
        " SELECT instance_id, ?, ?, ? FROM instances WHERE instance_id = ?"
        " AND (? IS NULL OR execution_id = ?) AND status NOT IN ('Completed', 'Failed', 'Terminated')",
        (
            execution_id,
            message["EventType"],
            json.dumps(message),
            instance_id,
            execution_id,
            execution_id,
        ),
    )


def delete_timer(db: sqlite3.Connection, instance_id: str, execution_id: str, number: int) -> None:
    """Delete a timer, if it is still there."""
    db.execute(
        "DELETE FROM timers WHERE instance_id = ? AND execution_id = ? AND number = ?",
        (instance_id, execution_id, number),
    )
