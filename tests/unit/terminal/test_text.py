"""What is printed of texts that contain more than letters."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from terminal.text import printable, printable_json, wrap, wrap_words
from tests.unit.terminal.hostile import texts, unsafe


@given(texts)
def test_nothing_but_printable_characters_remains(text: str) -> None:
    assert unsafe(printable(text)) == set()
    assert "\n" not in printable(text)


@given(st.text("abc äß漢अ[]\\:*_'\"", max_size=50))
def test_a_text_of_letters_and_signs_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb", r"a\u202eb"),
        ("two\nlines", r"two\nlines"),
        ("\x9b2J", r"\x9b2J"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_the_escape_of_a_character_is_the_usual_one(text: str, printed: str) -> None:
    assert printable(text) == printed


@given(
    st.recursive(
        texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
    )
)
def test_json_is_printable_and_the_same_value(value: object) -> None:
    printed = printable_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert unsafe(printed) == set()
    assert json.loads(printed) == json.loads(json.dumps(value))


@given(texts, st.integers(4, 200))
def test_wrapped_lines_fit_and_hold_the_whole_text(text: str, width: int) -> None:
    safe = printable(text)
    lines = wrap(safe, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(safe.split())


@given(texts, st.integers(1, 200))
def test_wrapping_between_words_keeps_every_word_whole(text: str, width: int) -> None:
    safe = printable(text)
    assert " ".join(wrap_words(safe, width)).split() == safe.split()
