"""Throughput: what is asked for, the service's rules for it, and the physical partitions it takes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from math import ceil
from typing import Any

import orjson

from local.cosmos.errors import bad_request

DEFAULT_THROUGHPUT = 400
LEAST_AUTOSCALE = 1_000

UNITS_PER_PARTITION = 6_000
"""Request units per second for which the service lays out one more physical partition of a new container."""


def is_asked_for(headers: Mapping[str, str]) -> bool:
    """Say whether a request names a throughput."""
    return "x-ms-cosmos-offer-autopilot-settings" in headers or "x-ms-offer-throughput" in headers


def requested(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the throughput that a request to create something asks for.

    Raises
    ------
    ServiceError
        400: it cannot be read, or the service would not grant it.
    """
    autoscale = headers.get("x-ms-cosmos-offer-autopilot-settings")
    manual = headers.get("x-ms-offer-throughput")
    if autoscale and manual:
        raise bad_request("Give a throughput or a maximum of autoscale, not both.")
    try:
        if autoscale:
            return _autoscale(orjson.loads(autoscale))
        return _manual(int(manual) if manual else DEFAULT_THROUGHPUT)
    except (ValueError, KeyError, TypeError):
        raise bad_request(f"The throughput {autoscale or manual!r} cannot be read.") from None


def changed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the throughput that a replaced offer asks for.

    Raises
    ------
    ServiceError
        400: as :func:`requested`.
    """
    content = body.get("content")
    if not isinstance(content, Mapping):
        raise bad_request("The offer has no content.")
    settings = content.get("offerAutopilotSettings")
    if isinstance(settings, Mapping) and settings.get("maxThroughput"):
        return _autoscale(settings)
    return _manual(content.get("offerThroughput"))


def offer(owner_rid: str, link: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the offer of a database or container."""
    rid = f"{owner_rid.rstrip('=')}o"
    return {
        "id": rid,
        "_rid": rid,
        "_self": f"offers/{rid}/",
        "resource": link,
        "offerType": "Invalid",
        "offerResourceId": owner_rid,
        "offerVersion": "V2",
        "content": content,
        "_etag": f'"{uuid.uuid4()}"',
        "_ts": int(time.time()),
    }


def partitions_for(content: Mapping[str, Any]) -> int:
    """Return how many physical partitions a throughput takes."""
    settings = content.get("offerAutopilotSettings")
    most = int(settings["maxThroughput"] if settings else content["offerThroughput"])
    return ceil(most / UNITS_PER_PARTITION)


def _autoscale(settings: Mapping[str, Any]) -> dict[str, Any]:
    maximum = settings["maxThroughput"]
    if not isinstance(maximum, int) or maximum < LEAST_AUTOSCALE:
        raise bad_request(
            f"Requested throughput {maximum} is less than required minimum throughput {LEAST_AUTOSCALE}."
        )
    if maximum % LEAST_AUTOSCALE:
        raise bad_request(
            f"The maximum autoscale throughput {maximum} must be a multiple of {LEAST_AUTOSCALE}."
        )
    kept = {
        "tier": 0,
        "maximumTierThroughput": maximum,
        "autoUpgrade": False,
        "maxThroughput": maximum,
    }
    if settings.get("autoUpgradePolicy"):
        kept["autoUpgradePolicy"] = settings["autoUpgradePolicy"]
    return {"offerThroughput": maximum // 10, "offerAutopilotSettings": kept}


def _manual(throughput: object) -> dict[str, Any]:
    if not isinstance(throughput, int) or throughput < DEFAULT_THROUGHPUT or throughput % 100:
        raise bad_request(
            f"The throughput {throughput!r} must be a multiple of 100, at least {DEFAULT_THROUGHPUT}."
        )
    return {"offerThroughput": throughput}
