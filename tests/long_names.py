"""The longest names that a document may give: what is counted by names must bear them."""

from __future__ import annotations

LONGEST = 64


def long_name(number: int) -> str:
    """Return one of 100,000 different names of 64 bytes."""
    return f"{number:05d}-{'x' * 29}-{'y' * 28}"
