"""The SDK's form of a position in a change feed, and what ranges of keys add up to. Pure; knows no container.

The local Functions host, which is no part of the fleet, writes the same form.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any


def encode_continuation(rid: str, feed_range: Mapping[str, Any], position: str) -> str:
    """Return the SDK's continuation for a position in a range of a container.

    Parameters
    ----------
    rid
        The service's own id of the container.
    feed_range
        The range as the SDK's ``feed_range`` argument has it.
    """
    bounds = feed_range["Range"]
    state = {
        "v": "v2",
        "containerRid": rid,
        "mode": "LatestVersion",
        "startFrom": {"Type": "Beginning"},
        "continuation": {
            "v": "v2",
            "rid": rid,
            "continuation": [{"token": position, "range": bounds}],
            "Range": bounds,
        },
    }
    return base64.b64encode(json.dumps(state).encode()).decode()


def positions_in(continuation: str) -> list[str]:
    """Return the positions in the SDK's continuation, one for each physical partition of its range.

    Raises
    ------
    ValueError
        The continuation has another form, or a position is missing.
    """
    try:
        parts = json.loads(base64.b64decode(continuation, validate=True))["continuation"]["continuation"]
        positions = [part["token"] for part in parts]
    except (binascii.Error, ValueError, TypeError, KeyError):
        raise ValueError("the SDK's continuation has another form than in azure-cosmos 4.17") from None
    if len(positions) == 1 and not (isinstance(positions[0], str) and positions[0]):
        raise ValueError("the SDK's continuation has no position")
    return positions


def together_contain(ranges: Iterable[tuple[str, str]], low: str, high: str) -> bool:
    """Return whether ranges together have all keys from ``low`` to before ``high``."""
    reached = low
    for begin, end in sorted(ranges):
        if begin > reached:
            break
        reached = max(reached, end)
    return reached >= high
