"""A bad document is refused with an error that names field and value; an incomplete one is not bad."""

from __future__ import annotations

from typing import Any

import pytest

from shared.documents.interactions import parse_interaction
from shared.errors import DocumentError
from shared.facts import InteractionFact, interaction_fact
from shared.pricing.table import PriceTable, list_prices
from shared.privacy.forms import label
from tests.long_names import long_name

PRICES = PriceTable(list_prices())
MINIMAL = {"id": "i1", "user_id": "u1", "timestamp": "2025-08-05T14:39:15.127Z"}


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"id": None}, "id", "None"),
        ({"id": ""}, "id", "''"),
        ({"user_id": 5}, "user_id", "a number"),
        ({"cost_data": {"input_tokens": -1}}, "cost_data.input_tokens", "-1"),
        ({"cost_data": {"input_tokens": 10.5}}, "cost_data.input_tokens", "10.5"),
        ({"cost_data": {"output_tokens": "12"}}, "cost_data.output_tokens", "a text of 2 characters"),
        ({"cost_data": {"output_tokens": True}}, "cost_data.output_tokens", "True"),
        ({"cost_data": {"output_tokens": 10**12}}, "cost_data.output_tokens", "1000000000000"),
        ({"timestamp": "2025-02-30T00:00:00Z"}, "timestamp", "2025-02-30"),
        ({"timestamp": "1066-10-14T09:00:00Z"}, "timestamp", "1066-10-14"),
        ({"timestamp": 1754404755}, "timestamp", "1754404755"),
        ({"timestamp": None}, "timestamp", "missing"),
        ({"_ts": 1_700_000_000}, "timestamp", "2025-08-05"),
        ({"user_rating": 0}, "user_rating", "0"),
        ({"user_rating": 6}, "user_rating", "6"),
        ({"user_rating": 4.5}, "user_rating", "4.5"),
        ({"schema_version": "9.0"}, "schema_version", "'9.0'"),
        ({"profile_version": "new"}, "profile_version", "a text of 3 characters"),
        ({"user_query": "x" * 1_900_000}, "user_query", "1,900,000"),
        ({"response_text": "x" * 300_000}, "response_text", "300,000"),
        ({"response_metadata": {"response_length": 0.5}}, "response_metadata.response_length", "0.5"),
        ({"response_time_ms": -3}, "response_time_ms", "-3"),
        ({"quality_metrics": [1.2]}, "quality_metrics", "a list"),
        ({"foundational_texts_used": "gita"}, "foundational_texts_used", "a text of 4 characters"),
        ({"document_type": "user_session"}, "document_type", "'user_session'"),
    ],
)
def test_error_names_field_and_value(change: dict[str, Any], field: str, value: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_interaction(MINIMAL | change)
    assert caught.value.field == field
    assert value in str(caught.value)
    assert len(str(caught.value)) < 300


def test_blank_names_count_as_none() -> None:
    citation = {"source": " ", "chapter": "", "verse": " "}
    change = {
        "query_metadata": {"query_category": " ", "query_complexity": ""},
        "foundational_texts_used": [citation],
        "response_metadata": {"personality_used": "", "model_used": " "},
    }
    blank = interaction_fact(parse_interaction(MINIMAL | change), PRICES)
    none = {"foundational_texts_used": [dict.fromkeys(citation)]}
    assert blank == interaction_fact(parse_interaction(MINIMAL | none), PRICES)


PRIVATE = "I am Ann Smith, ann@example.com, and my husband does not know"


@pytest.mark.parametrize(
    "change",
    [
        {"user_query": [PRIVATE]},
        {"user_query": {"text": PRIVATE}},
        {"response_text": [PRIVATE]},
        {"cost_data": {"input_tokens": PRIVATE}},
        {"cost_data": PRIVATE},
        {"cost_data": {"input_tokens": "ann@example.com"}},
        {"user_rating": {PRIVATE: 1}},
        {"timestamp": PRIVATE},
        {"timestamp": f"2025-02-30 {PRIVATE}"},
        {"schema_version": PRIVATE},
        {"document_type": PRIVATE},
        {"id": [PRIVATE]},
        {"session_id": PRIVATE * 5},
        {"foundational_texts_used": [PRIVATE]},
        {PRIVATE: "x" * 1_100_000},
        {PRIVATE * 20_000: "x" * 1_100_000},
        {PRIVATE: 1, "user_rating": PRIVATE.encode()},
        {"user_query": 4111111111111111},
        {"response_text": 4111111111111111.5},
        {"user_id": 4111111111111111},
        {"cost_data": {"input_tokens": "4111111111111111"}},
        {"foundational_texts_used": [{"source": 4111111111111111}]},
        {"foundational_texts_used": "4111111111111111"},
        {"user_rating": "Ann"},
        {"document_type": "Ann"},
        {"schema_version": "Ann"},
        {"user_feedback": {"accurate": "Ann"}},
        {"cost_data": "Ann"},
    ],
)
def test_an_error_quotes_nobody_s_words(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_interaction(MINIMAL | change)
    for told in (str(caught.value), caught.value.field):
        assert "Ann" not in told
        assert "ann@" not in told
        assert "4111" not in told
        assert len(told) < 300


def test_a_number_without_end_is_not_written_out() -> None:
    with pytest.raises(DocumentError, match=r"user_rating is a number of \d+ bits; must be at most 5"):
        parse_interaction(MINIMAL | {"user_rating": 10**1_000_000})


@pytest.mark.parametrize("raw", [None, 5, "text", ["id"], True])
def test_what_is_not_an_object_is_refused(raw: object) -> None:
    with pytest.raises(DocumentError, match=r"document is .*; must be an object"):
        parse_interaction(raw)


def test_a_text_is_never_quoted_in_an_error() -> None:
    secret = "my landlord is called Smith " * 20_000
    with pytest.raises(DocumentError) as caught:
        parse_interaction(MINIMAL | {"user_query": secret})
    assert "Smith" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"user_rating": None, "cost_data": None, "query_metadata": None},
        {"foundational_texts_used": [{"source": "bhagavad_gita"}, {"source": "gita", "chapter": 2}, {}]},
        {"response_metadata": {"personality_used": "nobody we know", "model_used": "model-of-tomorrow"}},
        {"cost_data": {"input_tokens": 234.0, "output_tokens": 0}},
        {"timestamp": "2025-08-05T14:39:15", "something_new": {"deep": [1]}},
        {"timestamp": None, "created_at": "2025-08-05T16:39:15.127+02:00"},
        {"schema_version": "1.0"},
        {"response_metadata": {"response_length": 847.0}},
        {
            "response_metadata": {"generation_temperature": "hot"},
            "quality_metrics": {"user_satisfaction": 17},
        },
        {"response_id": 5, "persona_version": [], "_ttl": "never"},
    ],
)
def test_an_incomplete_document_is_not_an_error(change: dict[str, Any]) -> None:
    fact = interaction_fact(parse_interaction(MINIMAL | change), PRICES)
    assert fact.hour == "2025-08-05T14"
    assert InteractionFact.decode("u1", fact.encode()) == fact


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bhagavad_gita-1.0 b", "bhagavad_gita-1.0 b"),
        (" भगवद्गीता ", "भगवद्गीता"),
        ("論語", "論語"),
        ("Ἰλιάς", "Ἰλιάς"),
        ("قرآن ٤٧", "قرآن ٤٧"),
        ("Te\u0301re\u0301sa", "T\u00e9r\u00e9sa"),
        ("a/b\\c?d#e|f:g", "a_b_c_d_e_f_g"),
        ("गी/ता", "गी_ता"),
        ("論?#/\\語", "論_語"),
        ("論\x00\x1f\u202e\ud800語", "論_語"),
        (long_name(1), long_name(1)),
        ("~a", "~a"),
    ],
)
def test_a_name_keeps_the_letters_of_every_script_and_nothing_else(text: str, name: str) -> None:
    assert label(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "語" * 100,
        "a" * 64 + "b",
        "é" * 33,
        "Erika Mustermann has been diagnosed with cancer",
        "one, two, three, four, five, six",
        "ann@example.org",
        "some＠例.com",
    ],
)
def test_what_is_no_name_is_unknown(text: str) -> None:
    assert label(text) == "unknown"


def test_texts_of_other_scripts_are_told_apart() -> None:
    citations = [{"source": "गीता", "chapter": "२"}, {"source": "論語", "chapter": "二"}]
    fact = interaction_fact(parse_interaction(MINIMAL | {"foundational_texts_used": citations}), PRICES)
    assert [(c.text, c.chapter) for c in fact.citations] == [("गीता", "२"), ("論語", "二")]


def test_no_text_and_no_address_enters_a_fact() -> None:
    fact = interaction_fact(
        parse_interaction(
            MINIMAL
            | {
                "user_query": "secret question",
                "response_text": "secret answer",
                "response_metadata": {"personality_used": "someone@example.com"},
            }
        ),
        PRICES,
    )
    stored = repr(fact.encode())
    assert "secret" not in stored
    assert "@" not in stored


def test_cost_is_in_whole_nano_dollars_as_of_the_interaction() -> None:
    usage = {"input_tokens": 234, "output_tokens": 456, "model_used": "gemini-2.5-flash"}
    fact = interaction_fact(parse_interaction(MINIMAL | {"cost_data": usage}), PRICES)
    assert fact.cost == 234 * 300 + 456 * 2500
    unknown = interaction_fact(
        parse_interaction(MINIMAL | {"cost_data": usage | {"model_used": "other"}}), PRICES
    )
    assert unknown.cost is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": None}, "id is None; must be a text"),
        ({"id": ""}, "id is ''; must not be empty"),
        ({"session_id": "s" * 256}, "session_id has 256 characters; may have at most 255"),
        ({"document_type": "session"}, "document_type is 'session'; must be 'user_interaction'"),
        ({"user_rating": 0}, "user_rating is 0; must be at least 1"),
        ({"user_rating": 4.5}, "user_rating is 4.5; must be a whole number"),
        ({"response_time_ms": "fast"}, "response_time_ms is a text of 4 characters; must be a number"),
        ({"response_time_ms": float("nan")}, "response_time_ms is nan; must be a number"),
        ({"response_time_ms": 10**8}, "response_time_ms is 100000000; must be at most 86,400,000"),
        (
            {"user_feedback": {"accurate": "no"}},
            "user_feedback.accurate is a text of 2 characters; must be true or false",
        ),
        ({"cost_data": 3}, "cost_data is a number; must be an object"),
        ({"foundational_texts_used": {}}, "foundational_texts_used is an object of 0 fields; must be a list"),
        ({"timestamp": None}, "timestamp is missing, and so is created_at"),
    ],
)
def test_an_error_is_one_sentence_about_value_and_requirement(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_interaction(MINIMAL | change)
    assert str(caught.value) == sentence
