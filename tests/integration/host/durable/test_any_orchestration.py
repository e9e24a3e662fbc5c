"""Any orchestration returns what it should, wherever the hosts that run it are cut off.

Two hosts share a real task hub file. Each step is chosen by chance: an episode, an activity, timers, an
event, time that passes. Chaos cuts a host off before a commit, in the middle of one, or lets it commit when
its claim is long over and another host has done the work.
"""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import azure.durable_functions as df
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.host.durable import engine
from local.host.durable.answers import read_answer
from local.host.durable.database import HubFile
from local.host.durable.episodes import begin, sort_inbox, trigger_text
from local.host.durable.history import CREATIONS, Event, EventType, event, target
from local.host.durable.instances import Instances
from local.host.durable.store import ActivityClaim, Claim, ClaimLostError, WorkStore
from local.host.durable.work import ENDED, Decision
from tests.integration.host.durable.programs import Program, expected, interpret, programs

LEASE = 15.0
CHAOTIC_STEPS = 400
MOST_STEPS = 20_000
INSTRUCTIONS = 5
"""Of SQLite's virtual machine, between two looks at whether the end has come."""
HANDLE: Callable[[str], str] = df.Orchestrator.create(interpret)


class World:
    """Two hosts, a clock and an outside world that raises events."""

    def __init__(self, path: Path, chance: random.Random, *, chaos: bool) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.chance = chance
        self.chaos = chaos
        self.files = [HubFile(path), HubFile(path)]
        for file in self.files:
            with file.read() as db:
                db.execute("PRAGMA busy_timeout = 0")  # one thread: a lock would be one that was left behind
        self.works = [
            WorkStore(file, owner=f"host-{number}", lease_seconds=LEASE, clock=self.clock)
            for number, file in enumerate(self.files)
        ]
        self.instances = Instances(self.files[0], clock=self.clock)
        self.raised: set[tuple[str, str]] = set()
        self.attempts: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.going_on: list[tuple[int, Callable[[], None]]] = []
        """What hosts work on: the number of the host, and what commits the work."""
        self.seen: Counter[str] = Counter()

    def clock(self) -> datetime:
        return self.now

    def step(self) -> None:
        """Let one thing happen. Time passes when no host works, or in :meth:`end_one`."""
        kinds = [self.episode, self.activity, self.timers, self.raise_event]
        kinds += [self.end_one] * 2 * len(self.going_on) or [self.pass_time]
        self.chance.choice(kinds)()

    def pass_time(self) -> None:
        self.now += timedelta(seconds=self.chance.uniform(0, 2 * LEASE))

    def end_one(self) -> None:
        """Let a host end some work, in time or when another one may have it."""
        number, call = self.going_on.pop(self.chance.randrange(len(self.going_on)))
        if self.chaos and self.chance.random() < 0.2:
            self.now += timedelta(seconds=2 * LEASE)
            self.episode()
            self.activity()
        self.commit(number, call)

    def timers(self) -> None:
        self.chance.choice(self.works).fire_timers()

    def episode(self) -> None:
        number = self.chance.randrange(2)
        claim = self.works[number].claim_orchestration()
        if claim is not None:
            self.going_on.append((number, partial(self.continue_, self.works[number], claim)))

    def activity(self) -> None:
        number = self.chance.randrange(2)
        for claim in self.works[number].claim_activities(self.chance.randint(1, 4)):
            result = self.work(claim)
            call = partial(self.works[number].complete_activity, claim, result)
            self.going_on.append((number, call))

    def continue_(self, work: WorkStore, claim: Claim) -> None:
        inbox = sort_inbox([message.event for message in claim.messages], suspended=claim.suspended)
        episode = begin(claim.history, inbox.messages, self.now)
        decision: Decision | None = None
        if not episode.idle:
            answer = read_answer(HANDLE(trigger_text(claim.instance, episode)))
            decision = engine.finish(claim.instance, episode, answer)
        read = [claim.messages[position].number for position in inbox.read]
        work.commit(claim, read, decision, suspended=inbox.suspended)

    def work(self, claim: ActivityClaim) -> Event:
        """Run an activity. Which attempt it is follows from its number, however often it is repeated."""
        given = json.loads(claim.input)
        attempts = self.attempts[claim.instance_id, given["key"]]
        if claim.number not in attempts:
            attempts.append(claim.number)
        if attempts.index(claim.number) < given["failures"]:
            reason = "failed on purpose"
            return event(
                EventType.TASK_FAILED, self.now, TaskScheduledId=claim.number, Reason=reason, Details=""
            )
        result = json.dumps(given["value"])
        return event(EventType.TASK_COMPLETED, self.now, TaskScheduledId=claim.number, Result=result)

    def commit(self, number: int, call: Callable[[], None]) -> None:
        """Commit, or be cut off."""
        fate = self.chance.random() if self.chaos else 1.0
        if fate < 0.1:
            self.seen["died before"] += 1
            return
        try:
            if fate < 0.25:
                with cut_off(self.files[number], self.chance.randint(1, 60)):
                    call()
            else:
                call()
        except ClaimLostError:
            self.seen["claim lost"] += 1
        except sqlite3.OperationalError:
            self.seen["died within"] += 1

    def raise_event(self) -> None:
        with self.files[0].read() as db:
            rows = db.execute("SELECT instance_id, execution_id, custom_status FROM instances").fetchall()
        for row in rows:
            for name in json.loads(row["custom_status"] or "[]"):
                if (row["instance_id"], name) not in self.raised:
                    self.raised.add((row["instance_id"], name))
                    sent = event(EventType.EVENT_RAISED, self.now, Name=name, Input="1")
                    self.instances.send(row["instance_id"], sent)


@contextmanager
def cut_off(file: HubFile, after: int) -> Iterator[None]:
    """Have SQLite give up once, after so many instructions, as if the process had died."""
    left = after

    def is_over() -> int:
        nonlocal left
        left -= 1
        return int(left == 0)

    with file.read() as db:
        db.set_progress_handler(is_over, INSTRUCTIONS)
    try:
        yield
    finally:
        with file.read() as db:
            db.set_progress_handler(None, 0)


def run(program: Program, rounds: int, seed: int, *, chaos: bool) -> tuple[Any, World]:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "hub.sqlite", random.Random(seed), chaos=chaos)
        text = json.dumps(json.dumps({"program": program, "rounds": rounds}))
        made = world.instances.start("interpret", text)
        for number in range(MOST_STEPS):
            world.chaos = chaos and number < CHAOTIC_STEPS
            world.step()
            state = world.instances.state(made)
            assert state is not None
            if state.status in ENDED:
                break
        assert state.status == "Completed", (number, state)
        check_history(world.instances.history(made))
        for file in world.files:
            file.close()
        return json.loads(state.output or "null"), world


def check_history(history: tuple[Event, ...]) -> None:
    """Numbers without a gap, each answered at most once, and never before it is given."""
    given: list[int] = []
    answered: Counter[int] = Counter()
    for one in history:
        if one["EventType"] in CREATIONS:
            given.append(one["EventId"])
        number = target(one)
        if number is not None:
            assert number in given
            answered[number] += 1
    assert given == [*range(len(given))]
    assert all(count == 1 for count in answered.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs(), st.integers(0, 2), st.integers(0, 2**32))
def test_an_orchestration_returns_what_it_should_wherever_it_is_cut_off(
    program: Program, rounds: int, seed: int
) -> None:
    output, _ = run(program, rounds, seed, chaos=True)
    assert output == expected(program)


def test_each_kind_of_cut_occurs() -> None:
    program: Program = [["all", [["act", n], ["retry", n, 1, 3], ["event"]]] for n in range(6)]
    seen: Counter[str] = Counter()
    for seed in range(4):
        output, world = run(program, 2, seed, chaos=True)
        assert output == expected(program)
        seen += world.seen
    assert min(seen[kind] for kind in ("died before", "died within", "claim lost")) > 0, seen
