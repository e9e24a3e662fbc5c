"""Numbers, order and ends: what the engine decides for histories that are easy to get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from local.host.durable.answers import AnswerError, read_answer, read_failure
from local.host.durable.engine import fail, finish, terminate
from local.host.durable.episodes import as_text, begin, sort_inbox, trigger_text
from local.host.durable.history import Event, EventType, event, execution_started, told
from local.host.durable.work import ContinuedAsNew, Decision, Ended, Instance, Parent

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
INSTANCE = Instance("one", "execution", "orchestrator", json.dumps(json.dumps("x")))
Context = df.DurableOrchestrationContext
Orchestrator = Callable[[Context], Iterator[Any]]


class Play:
    """An execution, episode by episode."""

    def __init__(self, orchestrator: Orchestrator, instance: Instance = INSTANCE) -> None:
        self.handle = df.Orchestrator.create(orchestrator)
        self.instance = instance
        self.history: tuple[Event, ...] = ()
        self.now = NOW

    def tell(self, *messages: Event) -> Decision:
        episode = begin(self.history, messages, self.now)
        try:
            answer = read_answer(self.handle(trigger_text(self.instance, episode)))
        except Exception as error:  # noqa: BLE001 - its answer
            answer = read_failure(str(error))
        decision = finish(self.instance, episode, answer)
        self.history += decision.events
        self.now += timedelta(seconds=1)
        return decision

    def start(self) -> Decision:
        return self.tell(execution_started(self.now, "orchestrator", self.instance.input))


def done(number: int, result: Any = None) -> Event:
    return event(EventType.TASK_COMPLETED, NOW, TaskScheduledId=number, Result=json.dumps(result))


def failed(number: int) -> Event:
    return event(EventType.TASK_FAILED, NOW, TaskScheduledId=number, Reason="no", Details="")


def fired(number: int) -> Event:
    return event(EventType.TIMER_FIRED, NOW, TimerId=number, FireAt="")


def test_retries_and_what_goes_on_meanwhile_get_the_packages_numbers() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        retried = context.call_activity_with_retry("flaky", df.RetryOptions(1_000, 3))
        yield context.task_any([context.call_activity("first"), retried])
        second = yield context.call_activity("second")
        third = yield retried
        return [second, third]

    play = Play(orchestrator)
    assert [(one.number, one.name) for one in play.start().activities] == [(0, "first"), (1, "flaky")]
    decision = play.tell(done(0), failed(1))  # both in one episode, the one that goes on first
    assert [timer.number for timer in decision.timers] == [2]
    assert [(one.number, one.name) for one in decision.activities] == [(3, "second")]
    decision = play.tell(done(3, "b"), fired(2))
    assert [(one.number, one.name) for one in decision.activities] == [(4, "flaky")]
    assert play.tell(done(4, "c")).end == Ended("Completed", '["b", "c"]')


def test_after_the_last_failure_one_more_timer_is_set() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        return (yield context.call_activity_with_retry("flaky", df.RetryOptions(1_000, 1)))

    play = Play(orchestrator)
    play.start()
    [timer] = play.tell(failed(0)).timers
    assert (timer.number, timer.fire_at) == (1, NOW + timedelta(seconds=2))
    end = play.tell(fired(1)).end
    assert isinstance(end, Ended)
    assert (end.status, end.output.split("\n")[0].strip()) == (
        "Failed",
        "Orchestrator function 'orchestrator' failed: no",
    )


def test_a_sub_orchestration_is_retried_as_another_instance() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        return (yield context.call_sub_orchestrator_with_retry("child", df.RetryOptions(1_000, 2), 5))

    play = Play(orchestrator)
    [first] = play.start().sub_orchestrations
    play.tell(event(EventType.SUB_ORCHESTRATION_FAILED, NOW, TaskScheduledId=0, Reason="no", Details=""))
    [second] = play.tell(fired(1)).sub_orchestrations
    assert (first.instance_id, second.instance_id) == ("execution:0", "execution:2")
    assert (second.name, second.input) == ("child", "5")


def test_an_answer_that_comes_twice_or_to_nothing_is_left_out() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        yield context.call_activity("work")
        yield context.wait_for_external_event("never")

    play = Play(orchestrator)
    play.start()
    assert begin(play.history, [done(7)], NOW).idle
    assert len(begin(play.history, [done(0), done(0)], NOW).new) == 2
    play.tell(done(0))
    assert begin(play.history, [done(0), failed(0)], NOW).idle


def test_a_timer_that_is_cancelled_need_not_fire() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=900))
        yield context.task_any([context.call_activity("work"), timer])
        timer.cancel()
        yield context.call_activity("more")

    play = Play(orchestrator)
    assert play.start().timers[0].fire_at == NOW + timedelta(days=900)  # of any length
    assert play.tell(done(0)).cancelled == (1,)


def test_an_orchestrator_that_changes_its_mind_fails() -> None:
    calls: list[int] = []

    def orchestrator(context: Context) -> Iterator[Any]:
        calls.append(1)
        yield context.call_activity(f"work{len(calls)}")
        yield context.call_activity("last")

    play = Play(orchestrator)
    play.start()
    end = play.tell(done(0)).end
    assert isinstance(end, Ended)
    assert end.status == "Failed"
    assert "Non-Deterministic workflow detected: action 0 was task_scheduled work1" in end.output


def test_an_orchestrator_that_asks_for_less_than_before_fails() -> None:
    calls: list[int] = []

    def orchestrator(context: Context) -> Iterator[Any]:
        calls.append(1)
        yield context.task_all([context.call_activity("work") for _ in range(3 - len(calls))])

    play = Play(orchestrator)
    play.start()
    end = play.tell(done(0)).end
    assert isinstance(end, Ended)
    assert "asked for 2 actions before, and for 1 now" in end.output


@pytest.mark.parametrize(
    ("ask", "name"),
    [
        (lambda context: context.call_http("GET", "http://x"), "call_http"),
        (lambda context: context.call_entity(df.EntityId("a", "b"), "get"), "call_entity"),
    ],
)
def test_what_the_host_does_not_run_is_refused_by_name(ask: Callable[[Context], Any], name: str) -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        yield ask(context)

    end = Play(orchestrator).start().end
    assert isinstance(end, Ended)
    assert (end.status, f"{name} is not supported by the local host" in end.output) == ("Failed", True)


def test_a_signal_to_an_entity_is_refused_too() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        context.signal_entity(df.EntityId("a", "b"), "add", 1)
        yield context.call_activity("work")

    end = Play(orchestrator).start().end
    assert isinstance(end, Ended)
    assert "signal_entity is not supported" in end.output


def test_continue_as_new_keeps_no_history() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        yield context.call_activity("work")
        context.continue_as_new({"n": 2})

    play = Play(orchestrator)
    play.start()
    decision = play.tell(done(0))
    assert decision.end == ContinuedAsNew('{"n": 2}')


def test_an_orchestrator_may_end_without_waiting_for_anything() -> None:
    def orchestrator(context: Context) -> Any:
        return context.get_input() + "!"

    assert Play(orchestrator).start().end == Ended("Completed", '"x!"')


def test_the_status_stays_where_an_answer_has_none() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        context.set_custom_status({"at": 1})
        yield context.call_activity("work")
        context.set_custom_status(None)
        yield context.call_activity("work")

    play = Play(orchestrator)
    assert play.start().custom_status == {"at": 1}
    assert play.tell(done(0)).custom_status is None


def test_a_sub_orchestration_knows_its_parent() -> None:
    def orchestrator(context: Context) -> Any:
        return [context.parent_instance_id, context.instance_id]

    child = Instance("child", "e", "orchestrator", None, Parent("parent", "p", 3))
    assert Play(orchestrator, child).start().end == Ended("Completed", '["parent", "child"]')


def test_only_what_is_new_is_not_replayed() -> None:
    seen: list[bool] = []

    def orchestrator(context: Context) -> Iterator[Any]:
        seen.append(context.is_replaying)
        yield context.call_activity("work")
        seen.append(context.is_replaying)
        yield context.call_activity("work")

    play = Play(orchestrator)
    play.start()
    play.tell(done(0))
    assert seen == [False, True, False]


def test_what_is_the_engines_own_is_not_told() -> None:
    assert told({"EventType": 4, "IsPlayed": False, "_Leaf": 1}, played=True) == {
        "EventType": 4,
        "IsPlayed": True,
    }


SUSPEND = event(EventType.EXECUTION_SUSPENDED, NOW)
RESUME = event(EventType.EXECUTION_RESUMED, NOW)
END = event(EventType.EXECUTION_TERMINATED, NOW, Input="enough")


@pytest.mark.parametrize(
    ("messages", "before", "suspended", "read", "delivered"),
    [
        ([done(0), SUSPEND, done(1)], False, True, (0, 1), [done(0)]),
        ([done(0), RESUME, done(1)], True, False, (0, 1, 2), [done(0), done(1)]),
        ([SUSPEND, done(0), RESUME], False, False, (0, 1, 2), [done(0)]),
        ([done(0), END], True, True, (1,), [END]),
        ([done(0)], False, False, (0,), [done(0)]),
    ],
)
def test_a_suspended_orchestration_reads_nothing_but_its_end(
    messages: list[Event], before: bool, suspended: bool, read: tuple[int, ...], delivered: list[Event]
) -> None:
    inbox = sort_inbox(messages, suspended=before)
    assert (inbox.suspended, inbox.read, [*inbox.messages]) == (suspended, read, delivered)


def test_a_termination_needs_no_function() -> None:
    episode = begin((), [execution_started(NOW, "orchestrator", None), END], NOW)
    assert not episode.idle
    assert terminate(episode).end == Ended("Terminated", "enough")


def test_an_orchestrator_that_gives_no_answer_fails() -> None:
    with pytest.raises(AnswerError, match="no answer"):
        read_answer("5")
    with pytest.raises(AnswerError, match="schema None"):
        read_answer('{"isDone": true, "actions": [[]]}')
    with pytest.raises(AnswerError, match="boom"):
        read_failure("boom")
    episode = begin((), [execution_started(NOW, "orchestrator", None)], NOW)
    end = fail(INSTANCE, episode, "boom").end
    assert end == Ended("Failed", "Orchestrator function 'orchestrator' failed: boom")


@pytest.mark.parametrize(("document", "text"), [('"[1]"', "[1]"), ("[1]", "[1]"), ('{"a": 1}', '{"a": 1}')])
def test_an_input_is_decoded_once(document: str, text: str) -> None:
    assert as_text(document) == text


FAR_BACK = datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ask", "is_retried"),
    [
        (lambda context: context.create_timer(FAR_BACK), False),
        (lambda context: context.call_sub_orchestrator("child", None, "id\ud800"), False),
        (lambda context: context.call_sub_orchestrator("child\ud800"), False),
        (lambda context: context.call_activity("work\ud800"), False),
        (lambda context: context.call_activity_with_retry("work", df.RetryOptions(10**15, 3)), True),
        (lambda context: context.call_activity_with_retry("work", df.RetryOptions(10**30, 3)), True),
    ],
)
def test_an_execution_that_asks_for_what_cannot_be_stored_fails(
    ask: Callable[[Context], Any], is_retried: bool
) -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        yield ask(context)

    play = Play(orchestrator)
    decision = play.start()
    if is_retried:
        assert decision.end is None
        decision = play.tell(failed(0))
    assert isinstance(decision.end, Ended)
    assert decision.end.status == "Failed"
    assert "cannot be done" in decision.end.output
    assert (decision.activities, decision.timers, decision.sub_orchestrations) == ((), (), ())


def test_a_failure_may_speak_of_the_mark_before_the_reply() -> None:
    def orchestrator(context: Context) -> Iterator[Any]:
        raise ValueError('odd $OutOfProcData$:{"a": $OutOfProcData$:')
        yield

    end = Play(orchestrator).start().end
    assert end == Ended(
        "Failed",
        "Orchestrator function 'orchestrator' failed: odd $OutOfProcData$:{\"a\": $OutOfProcData$:",
    )
