"""The SDK's form of a position, and ranges that together contain another."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cosmos.sdk_feed import encode_continuation, positions_in, together_contain

RANGE = {"Range": {"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}}
KEYS = st.integers(0, 7).map(str)


def test_a_position_is_read_back() -> None:
    assert positions_in(encode_continuation("rid=", RANGE, '"42"')) == ['"42"']


@pytest.mark.parametrize(
    "text", ["", "no base64!", base64.b64encode(b"[]").decode(), base64.b64encode(b"{}").decode()]
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="another form"):
        positions_in(text)


@pytest.mark.parametrize("position", ["", None, 42])
def test_a_continuation_without_a_position_is_refused(position: object) -> None:
    state = json.loads(base64.b64decode(encode_continuation("rid=", RANGE, "x")))
    state["continuation"]["continuation"][0]["token"] = position
    with pytest.raises(ValueError, match="no position"):
        positions_in(base64.b64encode(json.dumps(state).encode()).decode())


@given(st.lists(st.tuples(KEYS, KEYS), max_size=5), KEYS, KEYS)
def test_ranges_contain_another_if_they_have_each_of_its_keys(
    ranges: list[tuple[str, str]], low: str, high: str
) -> None:
    keys = {str(key) for key in range(8) if low <= str(key) < high}
    held = {str(key) for key in range(8) for begin, end in ranges if begin <= str(key) < end}
    assert together_contain(ranges, low, high) is (keys <= held)
