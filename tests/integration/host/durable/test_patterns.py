"""The patterns that orchestrations are written for, run by a host through the real package."""

from __future__ import annotations

from pathlib import Path

from tests.integration.host.durable.apps import hosting_hub, write_durable_app

CHAIN = """
@bp.orchestration_trigger(context_name="context")
def chain(context):
    text = context.get_input()
    for _ in range(3):
        text = yield context.call_activity("shout", text)
    return text

@bp.activity_trigger(input_name="text")
def shout(text: str) -> str:
    return text + "!"
"""
FAN_OUT = """
@bp.orchestration_trigger(context_name="context")
def total(context):
    parts = yield context.call_activity("split", context.get_input())
    sizes = yield context.task_all([context.call_activity("size", part) for part in parts])
    context.set_custom_status({"parts": len(parts)})
    return {"parts": len(parts), "size": sum(sizes)}

@bp.activity_trigger(input_name="count")
def split(count: int) -> list:
    return ["x" * n for n in range(count)]

@bp.activity_trigger(input_name="part")
async def size(part: str) -> int:
    return len(part)
"""
APPROVAL = """
@bp.orchestration_trigger(context_name="context")
def approval(context):
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input()))
    answer = context.wait_for_external_event("answer")
    winner = yield context.task_any([answer, timer])
    if winner == timer:
        return "late"
    timer.cancel()
    return ["answered", answer.result]
"""


async def test_a_chain_of_activities(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, CHAIN)) as hub:
        assert await hub.run("chain", "hey") == "hey!!!"


async def test_fan_out_and_in(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, FAN_OUT)) as hub:
        state = await hub.ended(await hub.start("total", 30))
        assert state["output"] == {"parts": 30, "size": sum(range(30))}
        assert state["customStatus"] == {"parts": 30}


async def test_an_event_wins_over_a_timer_or_loses(tmp_path: Path) -> None:
    async with hosting_hub(write_durable_app(tmp_path, APPROVAL)) as hub:
        links = await hub.start("approval", 600)
        await hub.until(links, "Running")
        assert await hub.post(links, "sendEventPostUri", {"by": 7}, eventName="answer") == 202
        assert (await hub.ended(links))["output"] == ["answered", {"by": 7}]
        assert await hub.post(links, "sendEventPostUri", 1, eventName="answer") == 410
        assert await hub.run("approval", 0.1) == "late"
