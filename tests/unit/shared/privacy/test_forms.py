"""Forms of values: what is a name and what a sentence, and what an error may quote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.privacy.forms import (
    DOCUMENT_TYPES,
    UNKNOWN,
    Form,
    describe,
    fits,
    is_name,
    label,
    model_spelling,
    quote,
)
from tests.independent.names import plain_name
from tests.independent.pricing import spelled

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
        f"{'क' * 29} {'ख' * 18}",
        "The Gospel of Sri Ramakrishna",
        "America/New_York",
        "1920x1080",
        "A.C. Bhaktivedanta Swami Prabhupada",
        "The Complete Works of Swami Vivekananda",
        "His Holiness the 14th Dalai Lama",
        "2025-08-05",
        "ブッダ",
        "พระพุทธเจ้า",
        "",
    ],
)
def test_names(name: str) -> None:
    assert is_name(name)
    assert label(name) != UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "Erika Mustermann has been diagnosed with cancer",
        "ann@example.org",
        "why?",
        "the fear of the death of a mother",
        "The Fear of my Mother and of the Death",
        "a" * 65,
        "a-" * 33,
        "𑀓𑀓𑀓𑀓-" * 10,
        f"{'क' * 29} {'ख' * 19}",
        "a\nb",
        "ann, 34",
        "\ud800",
        "ann%40example.org",
        "ann(at)example.org",
        "ann&#64;example.org",
        "YW5uQGV4YW1wbGUub3Jn",
        "+49 170 1234567",
        "⓪①⑦⓪①②③④⑤",
        "4111-1111-1111-1111",
        "192.168.17.244",
        "我妈妈得了癌症我很害怕该怎么办",
        "ฉันกลัวความตายมากๆเลย",
    ],
)
def test_sentences_and_addresses_are_no_names(text: str) -> None:
    assert not is_name(text)


SEPARATORS = st.sampled_from([" ", "_", ",", ", ", "-", ".", "/", "\n", "…", "\u200b"])


@given(st.lists(st.text(st.characters(categories=["Ll"]), min_size=2, max_size=9), min_size=8), st.data())
def test_a_sentence_is_unknown_whatever_separates_its_words(words: list[str], data: st.DataObject) -> None:
    text = words[0]
    for word in words[1:]:
        text += data.draw(SEPARATORS) + word
    assert label(text) == UNKNOWN
    if "/" not in text:
        assert model_spelling(text) == UNKNOWN


@given(
    st.text(max_size=40)
    | st.text(st.sampled_from("ab 1-_,./@%(at)&#;我ก\u0301①Ⅳ²三५"), max_size=40)
    | st.lists(st.sampled_from(["the", "Of", "and", "Dead", "dead", "我"]), max_size=9).map(" ".join)
)
def test_a_name_is_its_own_name_and_the_independent_one(text: str) -> None:
    assert label(label(text)) == label(text) == (plain_name(text) or "")
    assert model_spelling(model_spelling(text)) == model_spelling(text) == spelled(text)


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
