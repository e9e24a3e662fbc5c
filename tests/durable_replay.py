"""Run an orchestrator through the real package, without a host, and check that it is deterministic.

::

    run = replay(archive_all, {"older_than": 180}, activities={"list_ranges": lambda _: ["a", "b"], ...})
    assert run.output == {"archived": 7}

Activities and sub-orchestrations are scripted: a callable gets the input and returns the result, or raises
for a failure. Time is virtual: it moves to the next timer when nothing else is left. After the run, each
episode is replayed with its prefix of the history, and must ask for exactly the same again; and each answer
must begin with what the one before asked for.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
from azure.functions.decorators.function_app import FunctionBuilder

from local.host.durable import engine
from local.host.durable.answers import ActionType, Answer, AnswerError, read_answer, read_failure
from local.host.durable.episodes import begin, trigger_text
from local.host.durable.history import Event, EventType, event, execution_started
from local.host.durable.work import ContinuedAsNew, Decision, Ended, Instance, Timer

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MOST_EPISODES = 10_000

Script = Mapping[str, Callable[[Any], Any]]
Handle = Callable[[str], str]


class StuckError(AssertionError):
    """The orchestrator waits for something that will never come."""


@dataclass(frozen=True, slots=True)
class Call:
    """An activity or a sub-orchestration that was asked for."""

    name: str
    input: Any


@dataclass(slots=True)
class Run:
    """What became of an orchestration."""

    status: str = "Running"
    output: Any = None
    """What it returned; the sentence of its failure if it failed."""
    custom_status: Any = None
    calls: list[Call] = field(default_factory=list)
    """In the order in which they ran, retries included."""
    episodes: int = 0
    executions: int = 1
    """More than one if it continued as new."""
    history: tuple[Event, ...] = ()
    """Of the last execution."""
    ended_at: datetime = START


def replay(
    orchestrator: FunctionBuilder | Callable[..., Any],
    input_: Any = None,
    *,
    activities: Script | None = None,
    sub_orchestrations: Script | None = None,
    events: Sequence[tuple[str, Any]] = (),
    instance_id: str = "instance",
    shuffle: random.Random | None = None,
    batch: int = 1,
    observe: Callable[[str, Answer], None] | None = None,
) -> Run:
    """Run an orchestrator to its end and check that it is deterministic.

    Parameters
    ----------
    orchestrator
        The decorated function, or the generator function itself.
    events
        External events. Each is raised when the orchestrator waits for it, and for no function any more.
    shuffle
        Chooses what completes next; without it, what was asked for first.
    batch
        How many completions the orchestrator gets to see at a time.
    observe
        Called with what the orchestrator is given and what it answers, for each episode.

    Raises
    ------
    AssertionError
        It is not deterministic, asks for a function that is not scripted, or never ends.
    """
    run = Run()
    scripts = {"activity": activities or {}, "orchestration": sub_orchestrations or {}}
    world = _World(scripts, list(events), shuffle, batch, run)
    handle = _handle_of(orchestrator)
    text = None if input_ is None else json.dumps(json.dumps(input_))  # twice, as the client does
    while True:
        instance = Instance(instance_id, f"execution-{run.executions}", "orchestrator", text)
        end = _execute(instance, handle, world, observe)
        if isinstance(end, Ended):
            run.status = end.status
            run.output = json.loads(end.output) if end.status == "Completed" else end.output
            run.ended_at = world.now
            return run
        text = json.dumps(end.input)
        run.executions += 1


def check_deterministic(handle: Handle, episodes: Sequence[tuple[str, Answer]]) -> None:
    """Replay each prefix of a history: the orchestrator asks for the same, and takes nothing back."""
    before: tuple[Any, ...] = ()
    for text, answer in episodes:
        again = _ask(handle, text)
        assert again == answer, f"replayed, the orchestrator answered {again} instead of {answer}"
        kept = [_without_cancelled(leaf) for leaf in answer.leaves[: len(before)]]
        assert kept == [*before], f"the orchestrator asked for {before} before, and for {kept} now"
        before = tuple(_without_cancelled(leaf) for leaf in answer.leaves)


def _execute(
    instance: Instance,
    handle: Handle,
    world: _World,
    observe: Callable[[str, Answer], None] | None,
) -> Ended | ContinuedAsNew:
    history: tuple[Event, ...] = ()
    messages: list[Event] = [execution_started(world.now, instance.name, instance.input)]
    episodes: list[tuple[str, Answer]] = []
    world.begin()
    for _ in range(MOST_EPISODES):
        episode = begin(history, messages, world.now)
        if not episode.idle:
            text = trigger_text(instance, episode)
            answer = _ask(handle, text)
            episodes.append((text, answer))
            if observe is not None:
                observe(text, answer)
            decision = engine.finish(instance, episode, answer)
            world.run.episodes += 1
            if decision.custom_status is not None:
                world.run.custom_status = decision.custom_status
            history = (*history, *decision.events)
            world.run.history = history
            world.accept(decision, answer)
            if decision.end is not None:
                check_deterministic(handle, episodes)
                return decision.end
        messages = world.next_messages()
    raise StuckError(f"no end after {MOST_EPISODES} episodes")


class _World:
    """What happens outside of the orchestrator."""

    def __init__(
        self,
        scripts: Mapping[str, Script],
        events: list[tuple[str, Any]],
        shuffle: random.Random | None,
        batch: int,
        run: Run,
    ) -> None:
        self.run = run
        self.now = START
        self._scripts = scripts
        self._events = events
        self._shuffle = shuffle
        self._batch = batch
        self._work: list[tuple[str, int, str, str]] = []
        self._timers: list[Timer] = []
        self._awaited: Counter[str] = Counter()
        self._raised: Counter[str] = Counter()

    def begin(self) -> None:
        """Forget what an earlier execution left open."""
        self._work.clear()
        self._timers.clear()
        self._raised.clear()

    def accept(self, decision: Decision, answer: Answer) -> None:
        """Take over what an episode asks for."""
        waits = [leaf for leaf in answer.leaves if leaf["actionType"] == ActionType.WAIT_FOR_EXTERNAL_EVENT]
        self._awaited = Counter(str(leaf["externalEventName"]) for leaf in waits)
        self._work += [("activity", one.number, one.name, one.input) for one in decision.activities]
        self._work += [
            ("orchestration", one.number, one.name, one.input) for one in decision.sub_orchestrations
        ]
        kept = [one for one in self._timers if one.number not in decision.cancelled]
        self._timers = [*kept, *decision.timers]

    def next_messages(self) -> list[Event]:
        """Let something happen, and return what the orchestrator gets to know of it."""
        self.now += timedelta(milliseconds=10)
        return list(self._happenings())

    def _happenings(self) -> Iterator[Event]:
        if self._work:
            for _ in range(min(self._batch, len(self._work))):
                position = self._shuffle.randrange(len(self._work)) if self._shuffle else 0
                yield self._do(*self._work.pop(position))
        elif (position := self._next_event()) is not None:
            name, value = self._events.pop(position)
            self._raised[name] += 1
            yield event(EventType.EVENT_RAISED, self.now, Name=name, Input=json.dumps(value))
        elif self._timers:
            first = min(self._timers, key=lambda timer: (timer.fire_at, timer.number))
            self._timers.remove(first)
            self.now = max(self.now, first.fire_at)
            yield event(EventType.TIMER_FIRED, self.now, TimerId=first.number, FireAt=str(first.fire_at))
        else:
            left = [name for name, _ in self._events]
            raise StuckError(
                f"the orchestrator waits for {dict(self._awaited)}; what is left to raise: {left}"
            )

    def _next_event(self) -> int | None:
        waiting = self._awaited - self._raised
        return next((n for n, (name, _) in enumerate(self._events) if waiting[name] > 0), None)

    def _do(self, kind: str, number: int, name: str, text: str) -> Event:
        script = self._scripts[kind].get(name)
        assert script is not None, f"the orchestrator calls the {kind} {name}, which is not scripted"
        value = json.loads(text)
        self.run.calls.append(Call(name, value))
        is_activity = kind == "activity"
        try:
            result = json.dumps(script(value))
        except Exception as error:  # noqa: BLE001 - a scripted failure
            failed = EventType.TASK_FAILED if is_activity else EventType.SUB_ORCHESTRATION_FAILED
            reason = f"{name} failed: {type(error).__name__}: {error}"
            return event(failed, self.now, TaskScheduledId=number, Reason=reason, Details="")
        done = EventType.TASK_COMPLETED if is_activity else EventType.SUB_ORCHESTRATION_COMPLETED
        return event(done, self.now, TaskScheduledId=number, Result=result)


def _handle_of(orchestrator: FunctionBuilder | Callable[..., Any]) -> Handle:
    if isinstance(orchestrator, FunctionBuilder):
        handle: Handle = orchestrator._function.get_user_function()
        return handle
    made: Handle = df.Orchestrator.create(orchestrator)
    return made


def _ask(handle: Handle, text: str) -> Answer:
    try:
        returned = handle(text)
    except Exception as error:  # noqa: BLE001 - what the orchestrator raises is its answer
        try:
            return read_failure(str(error))
        except AnswerError:
            raise error from None
    return read_answer(returned)


def _without_cancelled(leaf: Mapping[str, Any]) -> dict[str, Any]:
    """Return an action as it was asked for: a timer may be cancelled later."""
    return {name: value for name, value in leaf.items() if name != "isCanceled"}
