"""HTTP: a health probe, and the poison container for operators."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func

from functions.runtime import fleet
from shared.errors import BadRequestError, PoisonNotFoundError, ReplayError
from shared.poison.rows import Status
from shared.poison.selection import Selection

blueprint = func.Blueprint()

MAX_LISTED = 1_000
MAX_NAME = 100
MAX_BODY_BYTES = 10_000


@blueprint.function_name("health")
@blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Answer that the process runs. Uses no other resource, because the endpoint is anonymous."""
    return _json({"status": "alive"})


@blueprint.function_name("list_poison")
@blueprint.route(route="poison", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def list_poison(req: func.HttpRequest) -> func.HttpResponse:
    """List poison documents without their content: ``?status=pending&limit=100``."""

    async def answer() -> Any:
        selection, limit = Selection(_status(req.params.get("status"))), _limit(req.params.get("limit"))
        return [row async for row in (await fleet()).poison.list(selection, limit=limit)]

    return await _answered(answer)


@blueprint.function_name("get_poison")
@blueprint.route(route="poison/{poison_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def get_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Return one poison document with its content."""

    async def answer() -> Any:
        return await (await fleet()).poison.get(_poison_id(req))

    return await _answered(answer)


@blueprint.function_name("settle_poison")
@blueprint.route(route="poison/{poison_id}/{action}", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
async def settle_poison(req: func.HttpRequest) -> func.HttpResponse:
    """Replay, resolve or discard a poison document. The body names the operator: ``{"by": "name"}``."""

    async def answer() -> Any:
        row_id, by, here = _poison_id(req), _by(req), await fleet()
        match req.route_params.get("action"):
            case "replay":
                row = await here.replayer.replay(row_id, by=by)
            case "resolve":
                row = await here.poison.set_status(row_id, Status.RESOLVED, by=by)
            case "discard":
                row = await here.poison.set_status(row_id, Status.DISCARDED, by=by)
            case action:
                raise BadRequestError(f"action: {action!r} is not replay, resolve or discard")
        return {key: row[key] for key in ("id", "status", "status_changed_at", "status_changed_by")}

    return await _answered(answer)


async def _answered(answer: Callable[[], Awaitable[Any]]) -> func.HttpResponse:
    try:
        return _json(await answer())
    except BadRequestError as error:
        return _json({"error": str(error)}, 400)
    except PoisonNotFoundError as error:
        return _json({"error": str(error)}, 404)
    except ReplayError as error:
        return _json({"error": str(error)}, 409)


def _json(body: Any, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")


def _poison_id(req: func.HttpRequest) -> str:
    row_id = str(req.route_params.get("poison_id"))
    if not re.fullmatch(r"poison_[0-9a-f]{32}", row_id):
        raise BadRequestError("poison_id: is not of the form poison_<32 hex digits>")
    return row_id


def _by(req: func.HttpRequest) -> str:
    body = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        raise BadRequestError(f"body: {len(body)} bytes, more than {MAX_BODY_BYTES}")
    try:
        by = json.loads(body)["by"]
    except (ValueError, KeyError, TypeError):
        raise BadRequestError('body: is not of the form {"by": "name"}') from None
    if not isinstance(by, str) or not 0 < len(by) <= MAX_NAME:
        raise BadRequestError(f"by: is not a name of 1 to {MAX_NAME} characters")
    return by


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        raise BadRequestError(f"status: is not one of {', '.join(Status)}") from None


def _limit(text: str | None) -> int:
    if text is None:
        return 100
    if not re.fullmatch(r"\d{1,4}", text) or not 0 < int(text) <= MAX_LISTED:
        raise BadRequestError(f"limit: is not a whole number from 1 to {MAX_LISTED}")
    return int(text)
