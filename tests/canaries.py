"""Canaries: texts that occur once in the source documents and can be recognized wherever they turn up.

A canary is found in any case, cut to its first eight characters, percent-encoded, escaped as in JSON, or in
base64.
"""

from __future__ import annotations

import re
from base64 import b32encode, b64decode
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import unquote

LENGTH = 8
"""Characters by which a canary is recognized."""

_START = "Zq"
_FOUND = re.compile(rf"(?=({_START.lower()}[2-7a-z]{{{LENGTH - len(_START)}}}))")
"""Also where two overlap: the letters before a canary may look like its beginning."""
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{10,}")
_QUANTUM = 4
"""Letters of base64 that stand for whole bytes."""


def canary(number: int) -> str:
    """Return the canary with a number: a name of mixed case, whose first characters are its own."""
    return f"{_START}{b32encode(sha256(str(number).encode()).digest()).decode()[: LENGTH - len(_START)]}Éa"


def mark_of(text: str) -> str:
    """Return what a canary is recognized by."""
    return text[:LENGTH].lower()


def found_in(text: str) -> set[str]:
    """Return the marks of all canaries in a text."""
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), unquote(text))
    spaced = plain.replace("+", " ")
    return {mark for each in (plain, spaced, *_decoded(plain)) for mark in _FOUND.findall(each.lower())}


def _decoded(text: str) -> Iterator[str]:
    """Yield what base64 in a text may stand for: other letters may stand before its beginning."""
    for run in _BASE64.findall(text):
        for start in range(_QUANTUM):
            part = run[start:]
            whole = part[: len(part) // _QUANTUM * _QUANTUM]
            rest = part[len(whole) :]
            padded = whole + rest + "=" * (-len(rest) % _QUANTUM) if len(rest) > 1 else whole
            yield b64decode(padded, altchars=b"-_" if {"-", "_"} & set(run) else None).decode("latin-1")
