"""What becomes of instances, each as a part of a transaction."""

from __future__ import annotations

import json
import sqlite3
import uuid
from datetime import datetime

from local.host.durable.history import EventType, event, execution_started
from local.host.durable.rows import delete_instance, delete_timer, send, status_of
from local.host.durable.work import (
    ENDED,
    ContinuedAsNew,
    Decision,
    Ended,
    Instance,
    Parent,
    SubOrchestration,
)


def create_instance(
    db: sqlite3.Connection,
    instance_id: str,
    name: str,
    text: str | None,
    version: str,
    parent: Parent | None,
    now: datetime,
) -> None:
    """Begin an orchestration, in place of one that had its id."""
    delete_instance(db, instance_id)
    parents = (parent.instance_id, parent.execution_id, parent.number) if parent else (None, None, None)
    db.execute(
        "INSERT INTO instances (instance_id, execution_id, name, version, input, parent_instance,"
        " parent_execution, parent_number, status, created, updated)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'Pending', ?, ?)",
        (
            instance_id,
            uuid.uuid4().hex,
            name,
            version,
            text,
            *parents,
            now.timestamp(),
            now.timestamp(),
        ),
    )
    send(db, instance_id, None, execution_started(now, name, text, version))


def schedule(
    db: sqlite3.Connection, instance: Instance, decision: Decision, now: datetime, default_version: str
) -> None:
    """Store what an episode asks for."""
    where = (instance.instance_id, instance.execution_id)
    db.executemany(
        "INSERT INTO activities (instance_id, execution_id, number, name, input) VALUES (?, ?, ?, ?, ?)",
        [(*where, one.number, one.name, one.input) for one in decision.activities],
    )
    db.executemany(
        "INSERT INTO timers (instance_id, execution_id, number, fire_at) VALUES (?, ?, ?, ?)",
        [(*where, one.number, one.fire_at.timestamp()) for one in decision.timers],
    )
    for number in decision.cancelled:
        delete_timer(db, *where, number)
    for child in decision.sub_orchestrations:
        _start_child(db, instance, child, now, default_version)


def _start_child(
    db: sqlite3.Connection, parent: Instance, child: SubOrchestration, now: datetime, default_version: str
) -> None:
    found = status_of(db, child.instance_id)
    if found is not None and found not in ENDED:
        failed = event(
            EventType.SUB_ORCHESTRATION_FAILED,
            now,
            TaskScheduledId=child.number,
            Reason=f"An orchestration with the instance id {child.instance_id} already runs.",
            Details="",
        )
        send(db, parent.instance_id, parent.execution_id, failed)
        return
    version = child.version or default_version
    link = Parent(parent.instance_id, parent.execution_id, child.number)
    # A JSON text inside a JSON text, as the platform passes it on.
    create_instance(db, child.instance_id, child.name, json.dumps(child.input), version, link, now)


def continue_as_new(
    db: sqlite3.Connection, instance: Instance, following: ContinuedAsNew, status: str, now: datetime
) -> None:
    """Begin the next execution. Messages that arrived during the episode are for it."""
    text = json.dumps(following.input)
    db.execute("DELETE FROM history WHERE instance_id = ?", (instance.instance_id,))
    db.execute("DELETE FROM timers WHERE instance_id = ?", (instance.instance_id,))
    db.execute(
        "UPDATE instances SET execution_id = ?, input = ?, status = ?, updated = ? WHERE instance_id = ?",
        (uuid.uuid4().hex, text, status, now.timestamp(), instance.instance_id),
    )
    send(db, instance.instance_id, None, execution_started(now, instance.name, text, instance.version))


def end_instance(db: sqlite3.Connection, instance: Instance, end: Ended, now: datetime) -> None:
    """Store how an execution ended, and tell its parent."""
    instance_id = instance.instance_id
    output = end.output if end.status == "Completed" else json.dumps(end.output)
    db.execute("UPDATE instances SET output = ? WHERE instance_id = ?", (output, instance_id))
    db.execute("DELETE FROM messages WHERE instance_id = ?", (instance_id,))
    db.execute("DELETE FROM timers WHERE instance_id = ?", (instance_id,))
    parent = instance.parent
    if parent is None:
        return
    if end.status == "Completed":
        kind = EventType.SUB_ORCHESTRATION_COMPLETED
        told = event(kind, now, TaskScheduledId=parent.number, Result=end.output)
    else:
        kind = EventType.SUB_ORCHESTRATION_FAILED
        told = event(kind, now, TaskScheduledId=parent.number, Reason=end.output, Details="")
    send(db, parent.instance_id, parent.execution_id, told)
