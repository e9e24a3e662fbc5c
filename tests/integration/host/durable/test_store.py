"""Claims, messages and timers in the task hub's file: who may do what, and what is dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.host.durable.database import HubFile
from local.host.durable.history import EventType, event
from local.host.durable.instances import InstanceExistsError, Instances
from local.host.durable.store import Claim, ClaimLostError, WorkStore
from local.host.durable.work import (
    Activity,
    ContinuedAsNew,
    Decision,
    Ended,
    SubOrchestration,
    Timer,
)

LEASE = 10.0
STARTED = event(EventType.ORCHESTRATOR_STARTED, datetime(2026, 3, 1, tzinfo=UTC))


class Hub:
    """A task hub with two hosts and a clock."""

    def __init__(self, path: Path) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.file = HubFile(path)
        self.one, self.two = (
            WorkStore(self.file, owner=owner, lease_seconds=LEASE, clock=lambda: self.now)
            for owner in ("one", "two")
        )
        self.instances = Instances(self.file, clock=lambda: self.now)

    def start(self, name: str = "work", instance_id: str = "a") -> Claim:
        """Start an orchestration and claim it."""
        self.instances.start(name, None, instance_id=instance_id)
        return self.claim()

    def claim(self) -> Claim:
        claim = self.one.claim_orchestration()
        assert claim is not None
        return claim

    def commit(self, claim: Claim, decision: Decision | None = None, *, suspended: bool = False) -> None:
        read = [message.number for message in claim.messages]
        self.one.commit(claim, read, decision, suspended=suspended)

    def status(self, instance_id: str = "a") -> str | None:
        state = self.instances.state(instance_id)
        return state.status if state else None


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub.sqlite")
    yield made
    made.file.close()


def result(number: int = 0) -> dict[str, object]:
    return event(EventType.TASK_COMPLETED, datetime.now(UTC), TaskScheduledId=number, Result="1")


ASKS = Decision((STARTED,), activities=(Activity(0, "act", "1"),))


def test_what_is_claimed_is_nobody_elses_until_the_lease_is_over(hub: Hub) -> None:
    first = hub.start()
    assert hub.two.claim_orchestration() is None
    hub.now += timedelta(seconds=LEASE / 2)
    hub.one.renew([first.token])
    hub.now += timedelta(seconds=LEASE - 1)
    assert hub.two.claim_orchestration() is None
    hub.now += timedelta(seconds=1)
    assert hub.two.claim_orchestration() is not None
    with pytest.raises(ClaimLostError):
        hub.commit(first, ASKS)
    assert (hub.instances.history("a"), hub.one.claim_activities(5)) == ((), [])


def test_an_activity_that_another_host_has_cannot_be_completed(hub: Hub) -> None:
    hub.commit(hub.start(), ASKS)
    [first] = hub.one.claim_activities(5)
    assert hub.two.claim_activities(5) == []
    hub.now += timedelta(seconds=LEASE)
    [second] = hub.two.claim_activities(5)
    assert (first.attempt, second.attempt) == (1, 2)
    with pytest.raises(ClaimLostError):
        hub.one.complete_activity(first, result())
    hub.two.complete_activity(second, result())
    assert [message.event["EventType"] for message in hub.claim().messages] == [EventType.TASK_COMPLETED]
    with pytest.raises(ClaimLostError):
        hub.two.complete_activity(second, result())


def test_a_host_takes_back_what_its_predecessor_had(hub: Hub) -> None:
    hub.commit(hub.start(), ASKS)
    hub.one.claim_activities(5)
    hub.instances.start("work", None, instance_id="b")
    assert hub.two.claim_orchestration() is not None
    hub.one.take_back()
    assert len(hub.one.claim_activities(5)) == 1
    assert hub.one.claim_orchestration() is None  # that of the other host


def test_what_is_given_back_can_be_claimed_at_once(hub: Hub) -> None:
    claim = hub.start()
    hub.one.release(claim.token)
    assert hub.two.claim_orchestration() is not None


@pytest.mark.parametrize("before", [True, False])
def test_results_for_an_earlier_execution_are_dropped(hub: Hub, before: bool) -> None:
    hub.commit(hub.start(), ASKS)
    [activity] = hub.one.claim_activities(5)
    hub.instances.send("a", event(EventType.EVENT_RAISED, hub.now, Name="x", Input="1"))
    claim = hub.claim()
    if before:
        hub.one.complete_activity(activity, result())
    hub.commit(claim, Decision((STARTED,), end=ContinuedAsNew("1")))
    if not before:
        hub.one.complete_activity(activity, result())
    following = hub.claim()
    assert following.instance.execution_id != claim.instance.execution_id
    assert [message.event["EventType"] for message in following.messages] == [EventType.EXECUTION_STARTED]
    assert (following.instance.input, following.history) == ('"1"', ())


def test_events_that_arrive_during_the_last_episode_reach_the_next_execution(hub: Hub) -> None:
    claim = hub.start()
    hub.instances.send("a", event(EventType.EVENT_RAISED, hub.now, Name="x", Input="1"))
    hub.commit(claim, Decision((STARTED,), end=ContinuedAsNew("1")))
    kinds = [message.event["EventType"] for message in hub.claim().messages]
    assert sorted(kinds) == [EventType.EXECUTION_STARTED, EventType.EVENT_RAISED]


def test_what_has_ended_gets_no_messages_and_no_timers(hub: Hub) -> None:
    claim = hub.start()
    hub.commit(claim, Decision((STARTED,), timers=(Timer(0, hub.now),)))
    hub.instances.send("a", event(EventType.EVENT_RAISED, hub.now, Name="x", Input="1"))
    hub.commit(hub.claim(), Decision((STARTED,), end=Ended("Failed", "no")))
    assert hub.one.fire_timers() is None
    assert hub.instances.send("a", event(EventType.EVENT_RAISED, hub.now, Name="x", Input="1")) == "Failed"
    assert hub.one.claim_orchestration() is None
    state = hub.instances.state("a")
    assert state is not None
    assert (state.status, state.output) == ("Failed", '"no"')


def test_timers_fire_once_and_say_when_the_next_is_due(hub: Hub) -> None:
    later = hub.now + timedelta(seconds=30)
    hub.commit(
        hub.start(), Decision((STARTED,), timers=(Timer(0, hub.now), Timer(1, later), Timer(2, later)))
    )
    assert hub.one.fire_timers() == pytest.approx(30)
    claim = hub.claim()
    assert [message.event["TimerId"] for message in claim.messages] == [0]
    hub.commit(claim, Decision((STARTED,), cancelled=(2,)))
    hub.now = later
    assert (hub.two.fire_timers(), hub.one.fire_timers()) == (None, None)
    assert [message.event["TimerId"] for message in hub.claim().messages] == [1]


def test_a_suspended_orchestration_is_claimed_for_its_resumption_only(hub: Hub) -> None:
    hub.commit(hub.start(), ASKS)
    hub.instances.send("a", event(EventType.EXECUTION_SUSPENDED, hub.now))
    hub.commit(hub.claim(), suspended=True)
    assert hub.status() == "Suspended"
    hub.instances.send("a", event(EventType.EVENT_RAISED, hub.now, Name="x", Input="1"))
    assert hub.one.claim_orchestration() is None
    hub.instances.send("a", event(EventType.EXECUTION_RESUMED, hub.now))
    claim = hub.claim()
    assert (claim.suspended, len(claim.messages)) == (True, 2)
    hub.commit(claim)
    assert hub.status() == "Running"


def child(hub: Hub, end: Ended) -> dict[str, object]:
    """Run a sub-orchestration to this end; return what its parent is told."""
    asked = SubOrchestration(0, "child", "5", "child-id", "1.5")
    hub.commit(hub.start(), Decision((STARTED,), sub_orchestrations=(asked,)))
    claim = hub.claim()
    assert (claim.instance.instance_id, claim.instance.input) == ("child-id", json.dumps("5"))
    assert claim.instance.version == "1.5"
    hub.commit(claim, Decision((STARTED,), end=end))
    [message] = hub.claim().messages
    return message.event


def test_a_parent_is_told_of_the_end_of_its_child(hub: Hub) -> None:
    told = child(hub, Ended("Completed", "[1]"))
    assert told["EventType"] == EventType.SUB_ORCHESTRATION_COMPLETED
    assert (told["TaskScheduledId"], told["Result"]) == (0, "[1]")


@pytest.mark.parametrize("end", [Ended("Failed", "why"), Ended("Terminated", "why")])
def test_a_parent_is_told_of_the_failure_of_its_child(hub: Hub, end: Ended) -> None:
    told = child(hub, end)
    assert told["EventType"] == EventType.SUB_ORCHESTRATION_FAILED
    assert told["Reason"] == "why"


def test_a_child_with_the_id_of_one_that_runs_fails(hub: Hub) -> None:
    hub.commit(hub.start(instance_id="other"), ASKS)
    asked = SubOrchestration(0, "child", "5", "other")
    hub.commit(hub.start(), Decision((STARTED,), sub_orchestrations=(asked,)))
    [message] = hub.claim().messages
    assert message.event["EventType"] == EventType.SUB_ORCHESTRATION_FAILED
    assert "already runs" in message.event["Reason"]
    assert len(hub.one.claim_activities(5)) == 1  # the other one goes on


def test_one_that_runs_is_replaced_only_if_that_is_allowed(hub: Hub) -> None:
    claim = hub.start()
    with pytest.raises(InstanceExistsError):
        hub.instances.start("work", None, instance_id="a")
    hub.instances.start("new", None, instance_id="a", replace_running=True)
    with pytest.raises(ClaimLostError):
        hub.commit(claim, ASKS)
    assert hub.claim().instance.name == "new"
