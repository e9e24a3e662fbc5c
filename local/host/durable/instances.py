"""Instances as clients see them: started, asked for, sent messages, deleted when they have ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from local.host.durable.database import HubFile
from local.host.durable.history import Event
from local.host.durable.rows import Filter, State, delete_instance, read_history, send, state_of, status_of
from local.host.durable.transitions import create_instance
from local.host.durable.work import ENDED


class InstanceExistsError(Exception):
    """An orchestration with this id exists and may not be replaced."""


class Instances:
    """The instances of a task hub."""

    def __init__(self, file: HubFile, *, clock: Callable[[], datetime], default_version: str = "") -> None:
        self._file = file
        self._clock = clock
        self._default_version = default_version

    def start(
        self,
        name: str,
        text: str | None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        replace_running: bool = False,
    ) -> str:
        """Start an orchestration and return its id. ``text`` is its input as JSON.

        Raises
        ------
        InstanceExistsError
            One with this id runs, and ``replace_running`` does not allow to replace it.
        """
        made = instance_id or uuid.uuid4().hex
        with self._file.write() as db:
            found = status_of(db, made)
            if found is not None and found not in ENDED and not replace_running:
                raise InstanceExistsError(f"An orchestration with the instance id {made} already runs.")
            create_instance(db, made, name, text, version or self._default_version, None, self._clock())
        return made

    def send(self, instance_id: str, message: Event) -> str | None:
        """Send a message to an instance; return its status before, None if there is no such instance.

        An instance that has ended gets none.
        """
        with self._file.write() as db:
            status = status_of(db, instance_id)
            if status is not None and status not in ENDED:
                send(db, instance_id, None, message)
        return status

    def state(self, instance_id: str) -> State | None:
        """Return what is known of an instance; None if there is none of this id."""
        with self._file.read() as db:
            row = db.execute("SELECT * FROM instances WHERE instance_id = ?", (instance_id,)).fetchone()
        return None if row is None else state_of(row)

    def history(self, instance_id: str) -> tuple[Event, ...]:
        """Return the history of an instance's running or last execution."""
        with self._file.read() as db:
            return read_history(db, instance_id)

    def query(self, wanted: Filter, *, after: str = "", limit: int | None = None) -> list[State]:
        """Return the instances that a filter allows, by id, those after ``after`` only."""
        where, values = wanted.sql()
        with self._file.read() as db:
            rows = db.execute(
                f"SELECT * FROM instances WHERE instance_id > ? AND {where}"  # noqa: S608 - made above
                " ORDER BY instance_id LIMIT ?",
                (after, *values, -1 if limit is None else limit),
            ).fetchall()
        return [state_of(row) for row in rows]

    def purge(self, instance_id: str) -> str | None:
        """Delete an instance that has ended; return the status it had, None if there is none of this id."""
        with self._file.write() as db:
            status = status_of(db, instance_id)
            if status in ENDED:
                delete_instance(db, instance_id)
        self._file.shorten()
        return status

    def purge_by(self, wanted: Filter) -> int:
        """Delete the ended instances that a filter allows; return their number."""
        where, values = wanted.sql()
        with self._file.write() as db:
            rows = db.execute(
                f"SELECT instance_id FROM instances WHERE {where}"  # noqa: S608 - made above
                " AND status IN ('Completed', 'Failed', 'Terminated')",
                values,
            ).fetchall()
            for row in rows:
                delete_instance(db, row["instance_id"])
        if rows:
            self._file.shorten()
        return len(rows)
