"""The longest names that a document may give: what is counted by names must bear them."""

from __future__ import annotations

LONGEST = 144


def long_name(number: int) -> str:
    """Return one of 100,000 different names of 144 bytes."""
    return f"{number:05d}-{'क' * 29}-{'ख' * 16}xx"
