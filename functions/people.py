"""Export and erasure of one person: started over HTTP, and taken from step to step as an orchestration.

The input and the status of an orchestration are the id of the request, and how far it is. Nothing in them
names the person: the request document does, as long as it runs.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.http import MAX_BODY_BYTES, MAX_NAME, answered
from functions.orchestrations import start_once
from functions.runtime import fleet
from shared.cosmos.deadlines import deadline
from shared.cosmos.retries import INVOCATION_SECONDS, RUN_SECONDS
from shared.errors import BadRequestError
from shared.fleet.people import connected_people
from shared.people.requests import Kind, Reason, Request, Status
from shared.rights import Identity

blueprint = df.Blueprint()

PAUSE_MS, ATTEMPTS = 60_000, 60
"""Pauses of a step that failed, and how often it is tried: for an hour. After that the timer continues."""

MAX_ID_CHARACTERS = 1_023
"""A longer id is of nobody."""


@blueprint.function_name("start_erasure")
@blueprint.route(route="people/erasures", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input(client_name="client")
async def start_erasure(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Begin to erase a person: ``{"user_id": …, "reason": "person", "by": …}``. Answer the request's id."""

    async def answer() -> Any:
        body = _body(req)
        try:
            reason = Reason(str(body.get("reason")))
        except ValueError:
            raise BadRequestError(f"reason: is not one of {', '.join(Reason)}") from None
        async with connected_people(await fleet(Identity.LIFECYCLE)) as people:
            request = await people.erase(body["user_id"], reason=reason, by=body["by"])
        await _start(client, request)
        return request.public()

    return await answered(req, answer, status=202)


@blueprint.function_name("start_export")
@blueprint.route(route="people/exports", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input(client_name="client")
async def start_export(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Begin to export a person's data: ``{"user_id": …, "by": …}``. Answer the request's id."""

    async def answer() -> Any:
        body = _body(req)
        async with connected_people(await fleet(Identity.LIFECYCLE)) as people:
            request = await people.export(body["user_id"], by=body["by"])
        await _start(client, request)
        return request.public()

    return await answered(req, answer, status=202)


@blueprint.function_name("get_people_request")
@blueprint.route(route="people/requests/{request_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_people_request(req: func.HttpRequest) -> func.HttpResponse:
    """Return how far a request is, or its audit; of an export that is made, a link that works for a day."""

    async def answer() -> Any:
        async with connected_people(await fleet(Identity.LIFECYCLE)) as people:
            request = await people.requests.get(str(req.route_params.get("request_id")))
            if request.kind is Kind.EXPORT and request.target is not None:
                return request.public() | {"link": await people.exports.link(request)}
        return request.public()

    return await answered(req, answer)


@blueprint.function_name("serve_person")
@blueprint.orchestration_trigger(context_name="context")
def serve_person(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Take a request to its end. Each step is a new execution, so that the history stays short."""
    request_id = context.get_input()
    retries = df.RetryOptions(PAUSE_MS, ATTEMPTS)
    done = yield context.call_activity_with_retry("serve_person_step", retries, request_id)
    context.set_custom_status({"status": done["status"], "step": done["step"]})
    if done["over"]:
        return done
    if done["seconds"] > 0:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=done["seconds"]))
    context.continue_as_new(request_id)
    return None


@blueprint.function_name("serve_person_step")
@blueprint.activity_trigger(input_name="request")
@deadline(INVOCATION_SECONDS)
async def serve_person_step(request: str) -> dict[str, Any]:
    """Do the next step of a request; return how far it is. The result names nobody."""
    async with connected_people(await fleet(Identity.LIFECYCLE)) as people:
        after, seconds = await people.advance(request)
    over = not after.is_running or after.status is Status.REFUSED
    return {"over": over, "status": after.status.value, "step": after.step, "seconds": seconds}


@blueprint.function_name("serve_people")
@blueprint.timer_trigger(arg_name="timer", schedule="50 */5 * * * *", run_on_startup=False, use_monitor=True)
@deadline(INVOCATION_SECONDS)
async def serve_people(timer: func.TimerRequest) -> None:
    """Continue requests, erase people whose accounts were deleted, and delete exports whose time is over."""
    async with connected_people(await fleet(Identity.LIFECYCLE)) as people:
        await people.work(RUN_SECONDS)


async def _start(client: df.DurableOrchestrationClient, request: Request) -> None:
    if request.is_running:
        await start_once(client, "serve_person", f"person-{request.id}", request.id)


def _body(req: func.HttpRequest) -> dict[str, Any]:
    raw = req.get_body()
    if len(raw) > MAX_BODY_BYTES:
        raise BadRequestError(f"body: {len(raw)} bytes, more than {MAX_BODY_BYTES}")
    try:
        body = dict(json.loads(raw))
    except (ValueError, TypeError, RecursionError):
        raise BadRequestError('body: is not of the form {"user_id": …, "by": "name"}') from None
    user_id, by = body.get("user_id"), body.get("by")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= MAX_ID_CHARACTERS:
        raise BadRequestError(f"user_id: is not a text of 1 to {MAX_ID_CHARACTERS} characters")
    if not isinstance(by, str) or not 0 < len(by) <= MAX_NAME or not by.isprintable() or by.isspace():
        raise BadRequestError(f"by: is not a name of 1 to {MAX_NAME} printable characters")
    return body
