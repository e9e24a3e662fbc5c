"""Documents of every known version become today's, with nothing lost and nothing made up."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents.incidents import parse_incident
from shared.documents.interactions import parse_interaction
from shared.documents.sessions import parse_session
from shared.documents.upcasters import MODEL_NAMES
from shared.documents.users import parse_user
from shared.documents.versions import HISTORIES, History, Upcaster, newer_version, upcast
from shared.errors import DocumentError, NewerVersionError
from shared.facts import InteractionFact, consent_fact, interaction_fact, session_fact
from shared.pricing.table import PriceTable, list_prices
from shared.privacy.forms import model_spelling
from tests.independent.interactions import cost_of, in_todays_shape, is_malformed

Document = dict[str, Any]

PRICES = PriceTable(list_prices())

NESTED: Document = {
    "id": "65ddddc6",
    "partition_key": "412f37cc",
    "user_id": "412f37cc",
    "document_type": "interaction",
    "timestamp": "2025-08-05T07:49:41.203884",
    "session_data": None,
    "interaction_data": {
        "session_id": "session_20250805_004941",
        "sequence": 1,
        "user_query": "What is duty?",
        "personality_used": "krishna",
        "response_text": "That which upholds.",
        "response_time_ms": 1200,
        "model_used": "gemini-flash",
        "input_tokens": 25,
        "output_tokens": 150,
        "cost_usd": 0.023,
        "user_rating": 4,
        "was_bookmarked": False,
        "content_themes": ["duty"],
    },
    "analytics_data": None,
    "_ts": 1_754_380_182,
    "_etag": '"1"',
}

FLAT: Document = {
    "id": "65ddddc6",
    "partition_key": "412f37cc",
    "user_id": "412f37cc",
    "document_type": "user_interaction",
    "session_id": "session_20250805_004941",
    "timestamp": "2025-08-05T07:49:41.203884",
    "personality_id": "krishna",
    "user_input": "What is duty?",
    "ai_response": "That which upholds.",
    "response_time_ms": 1200,
    "user_feedback": 4,
    "feedback_rating": 4,
    "content_flags": [],
    "context_data": {
        "model_used": "gemini-flash",
        "input_tokens": 25,
        "output_tokens": 150,
        "cost_usd": 0.023,
        "was_bookmarked": False,
        "content_themes": ["duty"],
    },
    "created_at": "2025-08-05T07:49:41.203890",
    "_ts": 1_754_380_182,
}

TODAY: Document = {
    "id": "65ddddc6",
    "user_id": "412f37cc",
    "document_type": "user_interaction",
    "session_id": "session_20250805_004941",
    "timestamp": "2025-08-05T07:49:41.203Z",
    "user_query": "What is duty?",
    "response_text": "That which upholds.",
    "response_time_ms": 1200,
    "response_metadata": {"personality_used": "krishna", "model_used": "gemini-2.5-flash"},
    "user_rating": 4,
    "cost_data": {"input_tokens": 25, "output_tokens": 150, "model_used": "gemini-2.5-flash"},
    "_ts": 1_754_380_182,
}

BARE: Document = {name: TODAY[name] for name in ("id", "user_id", "timestamp")}

NESTED_SESSION: Document = {
    "id": "04ce57be",
    "user_id": "412f37cc",
    "document_type": "session",
    "timestamp": "2025-07-30T08:20:21.332367",
    "session_data": {
        "session_id": "5daaff31",
        "start_time": "2025-07-30T08:20:21.332352",
        "status": "active",
    },
    "interaction_data": None,
    "analytics_data": None,
}

FLAT_SESSION: Document = {
    "id": "04ce57be",
    "user_id": "412f37cc",
    "document_type": "user_session",
    "session_id": "5daaff31",
    "start_time": "2025-07-30T08:20:21.332352",
    "end_time": None,
    "platform": "web",
    "device_info": {},
    "interactions_count": 0,
    "session_quality": "active",
    "created_at": "2025-07-30T08:20:21.332352",
}

SESSION: Document = {
    "id": "04ce57be",
    "user_id": "412f37cc",
    "document_type": "user_session",
    "session_id": "5daaff31",
    "start_time": "2025-07-30T08:20:21.332Z",
    "status": "active",
    "interaction_count": 5,
}

OLD_USER: Document = {
    "id": "412f37cc",
    "user_id": "412f37cc",
    "document_type": "user_profile",
    "created_at": "2025-07-30T08:20:21.332352",
    "analytics_consent": False,
    "data_retention_consent": True,
}

USER: Document = {
    "id": "412f37cc",
    "user_id": "412f37cc",
    "document_type": "user_profile",
    "created_at": "2025-07-30T08:20:21Z",
    "privacy_settings": {"analytics_consent": False},
    "profile_version": "1.0",
}

INCIDENT: Document = {
    "id": "incident_1",
    "user_id": "412f37cc",
    "document_type": "abuse_incident",
    "created_at": "2025-08-05T14:39:16.127Z",
    "actions_taken": [{"action_type": "warning_issued"}],
    "detection_metadata": {"detection_timestamp": "2025-08-05T14:39:16.127Z"},
}

SAMPLES: list[tuple[str, str, Document]] = [
    ("user_interaction", "0.1", NESTED),
    ("user_interaction", "0.2", FLAT),
    ("user_interaction", "1.0", TODAY),
    ("user_interaction", "1.0", BARE),
    ("user_interaction", "1.1", TODAY | {"schema_version": "1.1"}),
    ("user_session", "0.1", NESTED_SESSION),
    ("user_session", "0.2", FLAT_SESSION),
    ("user_session", "1.0", SESSION),
    ("user", "0.1", OLD_USER),
    ("user", "1.0", USER),
    ("abuse_incident", "1.0", INCIDENT),
]
NAMED = [f"{document_type} {version}" for document_type, version, _ in SAMPLES]

PARSERS: dict[str, Callable[[object], object]] = {
    "user": parse_user,
    "user_session": parse_session,
    "user_interaction": parse_interaction,
    "abuse_incident": parse_incident,
}


def fact_of(document: Document) -> InteractionFact:
    return interaction_fact(parse_interaction(document), PRICES)


# --- what becomes of an older document ----------------------------------------------------------------------


@pytest.mark.parametrize("old", [NESTED, FLAT], ids=["nested", "flat"])
def test_an_older_interaction_counts_as_if_it_were_written_today(old: Document) -> None:
    assert fact_of(old) == fact_of(TODAY)
    assert fact_of(old).cost == 25 * 300 + 150 * 2500


@pytest.mark.parametrize("old", [NESTED_SESSION, FLAT_SESSION], ids=["nested", "flat"])
def test_an_older_session_counts_as_if_it_were_written_today(old: Document) -> None:
    today = {name: value for name, value in SESSION.items() if name != "interaction_count"}
    assert session_fact(parse_session(old)) == session_fact(parse_session(today))


def test_who_refused_analytics_before_there_were_versions_has_refused() -> None:
    assert consent_fact(parse_user(OLD_USER)).refused
    assert not consent_fact(parse_user(OLD_USER | {"analytics_consent": True})).refused
    newer = OLD_USER | {"analytics_consent": True, "privacy_settings": {"analytics_consent": False}}
    assert consent_fact(parse_user(newer)).refused


def test_a_time_without_a_zone_is_utc() -> None:
    assert fact_of(NESTED).at == fact_of(NESTED | {"timestamp": "2025-08-05T09:49:41.203884+02:00"}).at


@pytest.mark.parametrize("old", [NESTED, FLAT], ids=["nested", "flat"])
@pytest.mark.parametrize("zero", [0, 0.0, None])
def test_tokens_that_nobody_counted_cost_an_unknown_amount_and_not_nothing(
    old: Document, zero: float | None
) -> None:
    part = "interaction_data" if "interaction_data" in old else "context_data"
    uncounted = {"input_tokens": zero, "output_tokens": zero, "cost_usd": 0.4}
    fact = fact_of(old | {part: old[part] | uncounted})
    assert (fact.tokens_in, fact.tokens_out, fact.cost) == (None, None, None)
    assert fact.model == "gemini-2-5-flash"
    half = fact_of(old | {part: old[part] | {"input_tokens": 0}})
    assert (half.tokens_in, half.tokens_out, half.cost) == (0, 150, 150 * 2500)


def test_a_response_time_of_zero_was_not_measured() -> None:
    assert fact_of(FLAT | {"response_time_ms": 0}).response_ms is None
    assert fact_of(TODAY | {"response_time_ms": 0}).response_ms == 0


def test_every_model_name_of_old_has_a_price() -> None:
    assert set(map(model_spelling, MODEL_NAMES.values())) <= set(PRICES.models())


def test_a_model_that_is_not_renamed_keeps_its_name() -> None:
    fact = fact_of(FLAT | {"context_data": FLAT["context_data"] | {"model_used": "template"}})
    assert (fact.model, fact.cost) == ("template", None)


def test_what_the_caller_called_it_is_read_too() -> None:
    data = NESTED["interaction_data"]
    renamed = {
        "session_id": data["session_id"],
        "timestamp": NESTED["timestamp"],
        "query": data["user_query"],
        "response": data["response_text"],
        "personality": data["personality_used"],
        "model": data["model_used"],
        "rating": data["user_rating"],
        **{name: data[name] for name in ("response_time_ms", "input_tokens", "output_tokens")},
    }
    timeless = {name: value for name, value in NESTED.items() if name != "timestamp"}
    assert fact_of(timeless | {"interaction_data": renamed}) == fact_of(TODAY)


def test_the_envelope_cannot_change_whose_document_it_is() -> None:
    foreign = NESTED["interaction_data"] | {"id": "other", "user_id": "other", "schema_version": "9.0"}
    document = parse_interaction(NESTED | {"interaction_data": foreign})
    assert (document.id, document.user_id) == (NESTED["id"], NESTED["user_id"])
    nobody = {name: value for name, value in NESTED.items() if name != "user_id"}
    with pytest.raises(DocumentError, match="user_id is missing"):
        parse_interaction(nobody | {"interaction_data": foreign})


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        ({**NESTED, "user_id": None}, "user_id", "None"),
        ({**NESTED, "timestamp": None}, "timestamp", "missing"),
        ({**NESTED, "timestamp": "yesterday"}, "timestamp", "a text of 9 characters"),
        ({**NESTED, "interaction_data": "none"}, "interaction_data", "a text of 4 characters"),
        ({**NESTED, "interaction_data": [1, 2]}, "interaction_data", "a list of 2 entries"),
        ({**FLAT, "context_data": 7}, "context_data", "a number"),
        ({**FLAT, "feedback_rating": 9}, "user_rating", "9"),
        ({**NESTED, "document_type": "session"}, "document_type", "'session'"),
        ({**NESTED, "schema_version": "9.0"}, "schema_version", "'9.0'"),
        ({**TODAY, "schema_version": "0.7"}, "schema_version", "'0.7'"),
        ({**TODAY, "schema_version": 1.1}, "schema_version", "1.1"),
        ({**TODAY, "schema_version": "1.1", "profile_version": "2.0"}, "profile_version", "'2.0'"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field_and_value(
    document: Document, field: str, value: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_interaction(document)
    assert caught.value.field == field
    assert value in str(caught.value)


@pytest.mark.parametrize(("document_type", "version", "document"), SAMPLES, ids=NAMED)
def test_a_major_version_after_the_newest_is_refused(
    document_type: str, version: str, document: Document
) -> None:
    assert HISTORIES[document_type].version_of(document) == version
    newest = HISTORIES[document_type].newest
    for newer in (f"{int(newest[0]) + 1}.0", "9999.9999"):
        message = f"schema_version is '{newer}'; must be at most {newest}, the newest that this release reads"
        with pytest.raises(NewerVersionError, match=message):
            PARSERS[document_type](document | {"schema_version": newer})


def test_a_type_without_a_history_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        upcast("personality", {})


# --- what must hold for every document ----------------------------------------------------------------------

odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["1.0", "1.1", "0.1", "2.0", "2025-08-05T07:49:41", "interaction", "session"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)  # fmt: skip


def places(document: Document, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place of a document but the service's own fields, which no client can write."""
    found: list[tuple[str, ...]] = []
    for name, value in document.items():
        if not name.startswith("_"):
            found.append((*path, name))
            if isinstance(value, dict):
                found += places(value, (*path, name))
    return found


@st.composite
def changed_documents(draw: st.DrawFn) -> tuple[str, Document]:
    """A document of some version, a few of its places filled with something else or emptied."""
    document_type, _, sample = draw(st.sampled_from(SAMPLES))
    document = copy.deepcopy(sample)
    extra = [("schema_version",), ("profile_version",), ("interaction_data",), ("context_data",)]
    chosen = st.lists(st.sampled_from([*places(document), *extra]), max_size=4, unique=True)
    for *above, name in draw(chosen):
        block = document
        for step in above:
            block = block[step] if isinstance(block.get(step), dict) else {}
        if draw(st.booleans()):
            block[name] = draw(odd)
        else:
            block.pop(name, None)
    return document_type, document


def outcome(read: Callable[[], object]) -> object:
    """Return what reading gives, or how it is refused; any other exception is a failure."""
    try:
        return read()
    except DocumentError as refused:
        return str(refused)


def written(document: object) -> str:
    """Return a document as text: in it a NaN equals another."""
    return json.dumps(document, sort_keys=True)


@settings(max_examples=500, deadline=None)
@given(changed_documents())
def test_any_document_is_brought_up_to_date_or_refused(changed: tuple[str, Document]) -> None:
    document_type, document = changed
    parse = PARSERS[document_type]
    before = written(document)
    newest = outcome(lambda: upcast(document_type, document))
    parsed = outcome(lambda: parse(document))
    assert written(document) == before, "the document that came in was changed"
    if not isinstance(newest, dict):
        assert parsed == newest
        return
    assert written(upcast(document_type, newest)) == written(newest)
    if newer_version(document_type, document) is None:
        assert outcome(lambda: parse(newest)) == parsed
    for name in ("id", "user_id", "timestamp", "start_time", "created_at"):
        if document.get(name) is not None:
            assert written(newest[name]) == written(document[name])


@settings(max_examples=300, deadline=None)
@given(changed_documents())
def test_the_whole_way_is_its_steps_one_after_another(changed: tuple[str, Document]) -> None:
    document_type, document = changed
    whole = outcome(lambda: upcast(document_type, document))
    if not isinstance(whole, dict):
        return
    history = HISTORIES[document_type]
    start = history.versions.index(HISTORIES[document_type].version_of(document))
    for step in history.steps[start:]:
        document = step.change(document) | {"schema_version": step.to}
        assert written(upcast(document_type, document)) == written(whole)


@settings(max_examples=300, deadline=None)
@given(
    shape=st.sampled_from([NESTED, FLAT]),
    tokens=st.tuples(st.none() | st.integers(-2, 300_000), st.none() | st.integers(-2, 300_000)),
    model=st.sampled_from(["gemini-flash", "gemini-2.5-pro", "template", None]),
    rating=st.none() | st.integers(0, 6),
)
def test_the_independent_reading_of_older_interactions_agrees(
    shape: Document, tokens: tuple[int | None, int | None], model: str | None, rating: int | None
) -> None:
    part = "interaction_data" if shape is NESTED else "context_data"
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "model_used": model}
    document = shape | {part: shape[part] | usage}
    if shape is NESTED:
        document[part]["user_rating"] = rating
    else:
        document |= {"feedback_rating": rating, "user_feedback": rating}
    try:
        fact = fact_of(document)
    except DocumentError:
        assert is_malformed(document)
        return
    assert not is_malformed(document)
    assert fact.cost == cost_of(in_todays_shape(document))
    assert fact.rating == rating


# --- a further version --------------------------------------------------------------------------------------


def test_a_document_passes_through_every_step_after_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def halved(document: Any) -> Document:
        return {**document, "n": document["n"] / 2}

    history = History("1.0", (Upcaster("1.1", halved), Upcaster("2.0", halved)), lambda _: "1.1")
    monkeypatch.setitem(HISTORIES, "x", history)
    assert upcast("x", {"n": 8, "schema_version": "1.0"}) == {"n": 2, "schema_version": "2.0"}
    assert upcast("x", {"n": 8}) == {"n": 4, "schema_version": "2.0"}
    assert upcast("x", {"n": 8, "profile_version": "2.0"})["n"] == 8


def test_histories_rise_and_end_where_the_specification_is() -> None:
    for history in HISTORIES.values():
        pairs = [tuple(map(int, version.split("."))) for version in history.versions]
        assert pairs == sorted(set(pairs))
    newest = {name: history.newest for name, history in HISTORIES.items()}
    assert newest == {
        "user": "1.0",
        "user_session": "1.0",
        "user_interaction": "1.1",
        "abuse_incident": "1.0",
        "personality_content": "1.2",
        "personality_profile": "1.0",
    }
