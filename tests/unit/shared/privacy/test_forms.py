"""Forms of values: what is a name and what a sentence, and what an error may quote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.privacy.forms import DOCUMENT_TYPES, Form, describe, fits, is_name, quote

WORDS = st.text(st.characters(categories=["L"]), min_size=4, max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "name",
    [
        "bhagavad_gita",
        "gemini-2.5-flash",
        "भगवद्गीता",
        "The Gospel of Sri Ramakrishna",
        "America/New_York",
        "1920x1080",
        "",
    ],
)
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "Erika Mustermann has been diagnosed with cancer",
        "ann@example.org",
        "why?",
        "a" * 65,
        "a\nb",
        "ann, 34",
        "\ud800",
    ],
)
def test_sentences_and_addresses_are_no_names(text: str) -> None:
    assert not is_name(text)


@given(st.lists(WORDS, min_size=6, max_size=20).map(" ".join))
def test_a_text_of_many_words_is_no_name_in_any_script(text: str) -> None:
    assert not is_name(text)


@given(JSON, st.sampled_from(Form))
def test_an_error_quotes_numbers_times_and_known_words_only(value: Any, form: Form) -> None:
    told = quote(value, form)
    if isinstance(value, str) and value not in ("", *DOCUMENT_TYPES):
        assert told == describe(value) or (form in (Form.TIME, Form.VERSION) and fits(form, value))
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and form in (Form.TEXT, Form.NAME, Form.IDENTIFIER)
    ):
        assert told.startswith("a number")


@given(st.text(min_size=1))
def test_a_time_or_a_version_that_is_quoted_has_no_words(text: str) -> None:
    for form in (Form.TIME, Form.VERSION):
        if quote(text, form) != describe(text):
            assert sum(character.isalpha() for character in text) <= 2
            assert len(text) <= 40


@given(JSON)
def test_a_description_has_nothing_of_the_value(value: Any) -> None:
    told = describe(value)
    assert told in ("None", "True", "False") or told.startswith(("a ", "an "))
    assert len(told) < 60
