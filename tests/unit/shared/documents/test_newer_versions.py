"""Documents of schema versions that this release does not know."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents.versions import HISTORIES, newer_version
from shared.errors import DocumentError, NewerVersionError
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, ConsentFact, Fact
from shared.ingest.sources import SOURCES, Source
from shared.pricing.table import PriceTable, list_prices

Document = dict[str, Any]

PRICES = PriceTable(list_prices())

DOCUMENTS: dict[str, Document] = {
    USER_INTERACTIONS: {
        "id": "interaction_1",
        "user_id": "ann",
        "document_type": "user_interaction",
        "timestamp": "2025-08-05T14:39:15.127Z",
        "response_time_ms": 1250,
        "response_text": "…",
        "response_metadata": {"personality_used": "krishna", "model_used": "gemini-2.5-flash"},
        "foundational_texts_used": [{"source": "gita", "chapter": "2", "relevance_score": 0.92}],
        "user_rating": 5,
        "cost_data": {"input_tokens": 234, "output_tokens": 456},
        "quality_metrics": {"safety_score": 0.99},
    },
    USER_SESSIONS: {
        "id": "session_1",
        "user_id": "ann",
        "document_type": "user_session",
        "start_time": "2025-08-05T14:30:00Z",
        "end_time": "2025-08-05T14:40:00Z",
        "status": "completed",
        "interaction_count": 3,
        "content_depth_score": 0.5,
    },
    ABUSE_INCIDENTS: {
        "id": "incident_1",
        "user_id": "ann",
        "document_type": "abuse_incident",
        "created_at": "2025-08-05T14:39:15Z",
        "interaction_id": "interaction_1",
        "severity": "high",
        "flagged_content": {"violation_categories": ["spam"]},
    },
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def newer_documents(draw: st.DrawFn) -> tuple[Source, Document, Document]:
    """Return a source, a document as a newer application writes it, and the same of the newest known version.

    The newer one may have further fields anywhere, and fields that were renamed or have another type.
    """
    name = draw(st.sampled_from(sorted(DOCUMENTS)))
    source, document = SOURCES[name], copy.deepcopy(DOCUMENTS[name])
    blocks = [document, *(part for part in document.values() if isinstance(part, dict))]
    for block in blocks:
        for field in draw(st.lists(st.sampled_from(sorted(block)), max_size=2, unique=True)):
            if draw(st.booleans()):
                block[field] = draw(anything)
            elif field not in ("id", "user_id"):
                block[f"new_{field}"] = block.pop(field)
        block["added"] = draw(anything)
    major, minor = map(int, HISTORIES[source.document_type].newest.split("."))
    version = f"{major}.{minor + draw(st.integers(1, 50))}"
    return source, document | {"schema_version": version}, document | {"schema_version": f"{major}.{minor}"}


def outcome(source: Source, document: Document) -> Fact | DocumentError:
    try:
        fact = source.to_change(document, PRICES, False).fact
    except DocumentError as error:
        return error
    assert isinstance(fact, Fact)
    return fact


@settings(max_examples=500, deadline=None)
@given(newer_documents())
def test_a_newer_minor_version_counts_as_the_newest_known_one_if_it_validates(
    drawn: tuple[Source, Document, Document],
) -> None:
    source, newer, known = drawn
    read, expected = outcome(source, newer), outcome(source, known)
    assert newer_version(source.document_type, newer) == newer["schema_version"]
    assert newer_version(source.document_type, known) is None
    if isinstance(expected, DocumentError):
        assert isinstance(read, NewerVersionError)
        assert read.field == expected.field
        assert str(read).startswith(str(expected))
        assert newer["schema_version"] in str(read)
        return
    assert not isinstance(read, DocumentError | ConsentFact)
    assert read == replace(expected, newer_version=True)  # type: ignore[call-arg]


@settings(max_examples=200, deadline=None)
@given(newer_documents(), st.integers(1, 9998), st.integers(0, 9999))
def test_what_a_newer_major_version_or_an_invalid_newer_one_says_takes_nothing_back(
    drawn: tuple[Source, Document, Document], majors: int, minor: int
) -> None:
    source, document, _ = drawn
    major = int(HISTORIES[source.document_type].newest.split(".")[0]) + majors
    for version in (document["schema_version"], f"{major}.{minor}"):
        newer = document | {"schema_version": version}
        read = outcome(source, newer)
        if isinstance(read, DocumentError):
            assert isinstance(read, NewerVersionError)
            assert source.to_uncounted(newer, read, False) is None
        else:
            assert version == document["schema_version"]


def test_what_is_wrong_in_a_known_version_is_taken_back() -> None:
    for name, document in DOCUMENTS.items():
        wrong = document | {"user_rating": 9, "interaction_count": -1, "severity": []}
        read = outcome(SOURCES[name], wrong)
        assert isinstance(read, DocumentError)
        assert SOURCES[name].to_uncounted(wrong, read, False) is not None
