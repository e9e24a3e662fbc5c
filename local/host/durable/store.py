"""Work of a task hub: episodes and activities to claim and to complete, timers to fire.

Work is leased: a host claims an instance's episode or an activity for some seconds under a token of its own,
renews while it works, and commits only if the row still carries the token. What a host that died had claimed
is claimed by another one when the lease is over. So activities run at least once, and an episode is committed
exactly once.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from local.host.durable.database import HubFile
from local.host.durable.history import Event, EventType, event, time_text
from local.host.durable.rows import (
    append_history,
    delete_timer,
    instance_of,
    read_history,
    send,
    set_status,
)
from local.host.durable.transitions import continue_as_new, end_instance, schedule
from local.host.durable.work import ContinuedAsNew, Decision, Instance

CONTROL = (EventType.EXECUTION_TERMINATED, EventType.EXECUTION_RESUMED)
"""Messages that a suspended orchestration reads."""


class ClaimLostError(Exception):
    """Another host has the work by now; nothing was committed."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way to an instance."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class Claim:
    """An instance that this host alone may continue for a while."""

    instance: Instance
    suspended: bool
    history: tuple[Event, ...]
    messages: tuple[Message, ...]
    token: str


@dataclass(frozen=True, slots=True)
class ActivityClaim:
    """An activity that this host alone may run for a while."""

    row: int
    instance_id: str
    number: int
    name: str
    input: str
    attempt: int
    """1 for the first; more if a host died or lost its lease while it ran."""
    token: str


class WorkStore:
    """The work of a task hub, for one host."""

    def __init__(
        self,
        file: HubFile,
        *,
        owner: str,
        lease_seconds: float,
        clock: Callable[[], datetime],
        default_version: str = "",
    ) -> None:
        self._file = file
        self._owner = owner
        self._lease = lease_seconds
        self._clock = clock
        self._default_version = default_version

    def claim_orchestration(self) -> Claim | None:
        """Claim an instance that has messages, if there is one."""
        now = self._clock()
        ready = (
            "SELECT i.* FROM messages m JOIN instances i ON i.instance_id = m.instance_id"
            " WHERE i.leased_until <= ? AND (i.status <> 'Suspended' OR m.kind IN (?, ?))"
            " ORDER BY m.id LIMIT 1"
        )
        values = (now.timestamp(), *CONTROL)
        if not self._file.finds(ready, values):
            return None
        with self._file.write() as db:
            row = db.execute(ready, values).fetchone()
            if row is None:
                return None
            token = uuid.uuid4().hex
            db.execute(
                "UPDATE instances SET token = ?, owner = ?, leased_until = ? WHERE instance_id = ?",
                (token, self._owner, now.timestamp() + self._lease, row["instance_id"]),
            )
            db.execute(
                "DELETE FROM messages WHERE instance_id = ? AND execution_id <> ?",
                (row["instance_id"], row["execution_id"]),
            )
            messages = db.execute(
                "SELECT id, event FROM messages WHERE instance_id = ? ORDER BY id", (row["instance_id"],)
            ).fetchall()
            history = read_history(db, row["instance_id"])
        return Claim(
            instance=instance_of(row),
            suspended=row["status"] == "Suspended",
            history=history,
            messages=tuple(Message(each["id"], json.loads(each["event"])) for each in messages),
            token=token,
        )

    def commit(
        self, claim: Claim, read: Iterable[int], decision: Decision | None, *, suspended: bool
    ) -> None:
        """Store what follows from an episode, and give the instance free.

        Parameters
        ----------
        read
            The numbers of the messages that the episode has read; others stay for the next one.
        decision
            None if no message asked for an episode.

        Raises
        ------
        ClaimLostError
            The lease was over and another host has claimed the instance.
        """
        now = self._clock()
        instance_id = claim.instance.instance_id
        with self._file.write() as db:
            changed = db.execute(
                "UPDATE instances SET token = NULL, leased_until = 0 WHERE instance_id = ? AND token = ?",
                (instance_id, claim.token),
            )
            if changed.rowcount != 1:
                raise ClaimLostError(f"the orchestration {instance_id} was claimed by another host")
            db.executemany("DELETE FROM messages WHERE id = ?", [(number,) for number in read])
            status = "Suspended" if suspended else "Running"
            if decision is None:
                started = bool(claim.history) or suspended
                set_status(db, instance_id, status if started else "Pending", now)
                return
            schedule(db, claim.instance, decision, now, self._default_version)
            if decision.custom_status is not None:
                db.execute(
                    "UPDATE instances SET custom_status = ? WHERE instance_id = ?",
                    (json.dumps(decision.custom_status), instance_id),
                )
            if isinstance(decision.end, ContinuedAsNew):
                continue_as_new(db, claim.instance, decision.end, status, now)
                return
            append_history(db, instance_id, len(claim.history), decision.events)
            set_status(db, instance_id, decision.end.status if decision.end else status, now)
            if decision.end:
                end_instance(db, claim.instance, decision.end, now)

    def claim_activities(self, limit: int) -> list[ActivityClaim]:
        """Claim up to ``limit`` activities, the oldest first."""
        now = self._clock()
        ready = "SELECT * FROM activities WHERE leased_until <= ? ORDER BY id LIMIT ?"
        values = (now.timestamp(), limit)
        if not self._file.finds(ready, values):
            return []
        claims = []
        with self._file.write() as db:
            for row in db.execute(ready, values).fetchall():
                token = uuid.uuid4().hex
                db.execute(
                    "UPDATE activities SET token = ?, owner = ?, leased_until = ?, attempts = attempts + 1"
                    " WHERE id = ?",
                    (token, self._owner, now.timestamp() + self._lease, row["id"]),
                )
                claims.append(
                    ActivityClaim(
                        row["id"],
                        row["instance_id"],
                        row["number"],
                        row["name"],
                        row["input"],
                        row["attempts"] + 1,
                        token,
                    )
                )
        return claims

    def complete_activity(self, claim: ActivityClaim, result: Event) -> None:
        """Send an activity's result to its orchestration.

        Raises
        ------
        ClaimLostError
            The lease was over and another host has claimed the activity: its result counts.
        """
        with self._file.write() as db:
            row = db.execute(
                "SELECT instance_id, execution_id FROM activities WHERE id = ? AND token = ?",
                (claim.row, claim.token),
            ).fetchone()
            if row is None:
                raise ClaimLostError(
                    f"the activity {claim.name} of {claim.instance_id} was claimed by another host"
                )
            db.execute("DELETE FROM activities WHERE id = ?", (claim.row,))
            send(db, row["instance_id"], row["execution_id"], result)

    def release(self, token: str) -> None:
        """Give back what is claimed under a token; any host may claim it at once."""
        with self._file.write() as db:
            for table in ("instances", "activities"):
                db.execute(
                    f"UPDATE {table} SET token = NULL, leased_until = 0 WHERE token = ?",  # noqa: S608
                    (token,),
                )

    def renew(self, tokens: Iterable[str]) -> None:
        """Keep what is claimed under these tokens for another lease."""
        until = self._clock().timestamp() + self._lease
        pairs = [(until, token) for token in tokens]
        with self._file.write() as db:
            db.executemany("UPDATE instances SET leased_until = ? WHERE token = ?", pairs)
            db.executemany("UPDATE activities SET leased_until = ? WHERE token = ?", pairs)

    def take_back(self) -> None:
        """Free what an earlier process of this instance's name had claimed: it is dead."""
        with self._file.write() as db:
            for table in ("instances", "activities"):
                db.execute(
                    f"UPDATE {table} SET token = NULL, leased_until = 0"  # noqa: S608 - a name from above
                    " WHERE owner = ? AND token IS NOT NULL",
                    (self._owner,),
                )

    def fire_timers(self) -> float | None:
        """Send the events of all timers that are due; return the seconds until the next one is, or None."""
        now = self._clock()
        due = "SELECT * FROM timers WHERE fire_at <= ? ORDER BY fire_at"
        if self._file.finds(due, (now.timestamp(),)):
            with self._file.write() as db:
                for row in db.execute(due, (now.timestamp(),)).fetchall():
                    at = time_text(datetime.fromtimestamp(row["fire_at"], UTC))
                    fired = event(EventType.TIMER_FIRED, now, TimerId=row["number"], FireAt=at)
                    send(db, row["instance_id"], row["execution_id"], fired)
                    delete_timer(db, row["instance_id"], row["execution_id"], row["number"])
        with self._file.read() as db:
            (following,) = db.execute("SELECT MIN(fire_at) FROM timers").fetchone()
        return None if following is None else max(0.0, following - now.timestamp())
