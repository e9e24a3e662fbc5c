"""Numbers as the service stores them: doubles, which hold every integer up to 2**53 and not all beyond."""

from __future__ import annotations

import re
from typing import Any

from local.cosmos.query.values import LARGEST_INTEGER

_LONG = re.compile(rb"[0-9]{16}")
"""What JSON without an integer beyond a double cannot have, apart from texts and fractions."""


def may_have_long_integers(body: bytes) -> bool:
    """Say whether JSON may have an integer beyond 2**53; a look at its bytes, which is fast."""
    return _LONG.search(body) is not None


def as_doubles(value: Any) -> Any:
    """Return a JSON value with its integers beyond 2**53 as the doubles next to them."""
    if type(value) is int:
        return value if -LARGEST_INTEGER <= value <= LARGEST_INTEGER else float(value)
    if type(value) is dict:
        return {name: as_doubles(item) for name, item in value.items()}
    if type(value) is list:
        return [as_doubles(item) for item in value]
    return value
