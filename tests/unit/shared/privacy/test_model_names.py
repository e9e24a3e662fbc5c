"""A model has one spelling, however its name is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.privacy.forms import BYTES_OF_A_NAME, LONGEST_NAME, model_spelling


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ("gemini-2.5-flash", "gemini-2-5-flash"),
        ("Gemini_2.5 Flash", "gemini-2-5-flash"),
        ("models/gemini-2.5-flash", "gemini-2-5-flash"),
        ("projects/p/locations/us/publishers/google/models/gemini-2.5-flash@001", "gemini-2-5-flash-001"),
        ("google/gemini-2.5-flash", "google/gemini-2-5-flash"),
        ("//google//x/", "google/x"),
        ("models/models/x", "x"),
        ("models", "models"),
        ("x/models", "x/models"),
        ("模型 2.0", "模型-2-0"),
        (" --- ", ""),
        ("a\ud800b", "a-b"),
        ("gemini-2.0-flash@001", "gemini-2-0-flash-001"),
        ("models/" + "m" * 30, "m" * 30),
        ("m" * 31, "unknown"),
        ("m2" * 9, "unknown"),
        ("4111 1111 1111 1111", "unknown"),
        ("Erika has been diagnosed with cancer", "unknown"),
        ("Erika has/been diagnosed with/one more thing", "unknown"),
        ("ann@example.org", "unknown"),
        ("ann@example.org/x", "unknown"),
        ("ann＠example", "unknown"),
    ],
)
def test_a_written_name_has_one_spelling(written: str, spelling: str) -> None:
    assert model_spelling(written) == spelling


NAMES = st.one_of(
    st.text(max_size=90),
    st.text("aB1./_-~ é\u0301İ", max_size=90),
    st.lists(st.sampled_from(["models", "google", "Gemini-2.5", "~AAAAAAAAAAA", "x" * 70])).map("/".join),
)


@given(NAMES)
def test_a_spelling_is_its_own_spelling_and_bounded(name: str) -> None:
    spelling = model_spelling(name)
    assert model_spelling(spelling) == spelling
    assert len(spelling) <= LONGEST_NAME
    assert len(spelling.encode()) <= BYTES_OF_A_NAME


WORDS = st.from_regex("[abc][abc123]{0,15}", fullmatch=True).filter(lambda w: sum(map(str.isdigit, w)) <= 12)


@given(WORDS, WORDS)
def test_different_words_have_different_spellings(one: str, other: str) -> None:
    assert (model_spelling(one) == model_spelling(other)) == (one == other)
