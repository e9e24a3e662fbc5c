"""A canary is found however a text was changed, and nothing else is taken for one."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.canaries import LENGTH, canary, found_in, mark_of

CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "cut": lambda text: text[:LENGTH],
    "percent-encoded": quote,
    "percent-encoded wholly": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 of lower case, cut": lambda text: b64encode(text.lower()[:LENGTH].encode()).decode(),
    "base64 for addresses": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("change", CHANGES)
@given(
    number=st.integers(0, 2_000),
    before=st.binary(max_size=9),
    after=st.binary(max_size=9),
    inside=st.booleans(),
)
def test_a_canary_is_found_however_it_was_changed(
    change: str, number: int, before: bytes, after: bytes, inside: bool
) -> None:
    text = canary(number)
    if inside and change.startswith("base64"):
        encode = urlsafe_b64encode if "addresses" in change else b64encode
        told = encode(before + text.encode() + after).decode()
    else:
        told = f"{before.hex()} {CHANGES[change](text)} {after.hex()}"
    assert mark_of(text) in found_in(told)


def test_a_canary_is_found_behind_what_looks_like_its_beginning() -> None:
    text = canary(1)
    assert mark_of(text) in found_in(f"zQ{text}")


def test_canaries_differ_and_plain_words_are_none() -> None:
    assert len({mark_of(canary(number)) for number in range(5_000)}) == 5_000
    assert found_in("what lessons can we learn? bhagavad_gita|2|47 e45d45fe-d106-46b0") == set()
