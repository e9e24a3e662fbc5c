"""Every field of every source has an entry in the table, and the specification's classes are as it says."""

from __future__ import annotations

import pytest

from shared.containers import CATALOGUE
from shared.privacy.classes import FieldClass
from shared.privacy.fields import BLOCKS, FIELDS, UNKNOWN_FIELD, field_of
from shared.privacy.forms import fits
from tests.unit.shared.privacy.samples import MODELS, SAMPLES, blocks, changed, leaves, model_fields, named


@pytest.mark.parametrize("source", SAMPLES)
def test_every_field_of_the_specification_has_an_entry_and_its_form(source: str) -> None:
    sample = SAMPLES[source]
    for path in leaves(sample):
        field = field_of(source, named(path))
        assert named(path) in FIELDS[source], path
        value = sample
        for part in path:
            value = value[part]  # type: ignore[index]
        text = field.field_class in (
            FieldClass.SECRET, FieldClass.USER_PII, FieldClass.SENSITIVE_CONTENT
        )  # fmt: skip
        assert text or value == [] or fits(field.form, value), path
    assert {named(path) for path in blocks(sample) if path} <= BLOCKS[source]


@pytest.mark.parametrize("source", MODELS)
def test_every_field_that_is_read_has_an_entry(source: str) -> None:
    assert [path for path in model_fields(MODELS[source]) if path not in FIELDS[source]] == []


@pytest.mark.parametrize(
    ("source", "path", "field_class"),
    [
        ("users", "email", FieldClass.USER_PII),
        ("users", "name", FieldClass.USER_PII),
        ("user_sessions", "location_context.ip_hash", FieldClass.USER_PII),
        ("user_interactions", "user_query", FieldClass.SENSITIVE_CONTENT),
        ("user_interactions", "response_text", FieldClass.SENSITIVE_CONTENT),
        ("user_interactions", "interaction_data.user_query", FieldClass.SENSITIVE_CONTENT),
        ("user_interactions", "user_input", FieldClass.SENSITIVE_CONTENT),
        ("user_sessions", "session_token", FieldClass.SECRET),
        ("user_sessions", "session_data.session_token", FieldClass.SECRET),
        ("user_interactions", "no_such_field", FieldClass.SECRET),
        ("no_such_source", "id", FieldClass.SECRET),
    ],
)
def test_the_specification_s_classes(source: str, path: str, field_class: FieldClass) -> None:
    assert field_of(source, path).field_class is field_class


def test_indexes_of_lists_are_left_out() -> None:
    first = field_of("user_interactions", "foundational_texts_used.0.source")
    assert first == field_of("user_interactions", "foundational_texts_used.source") != UNKNOWN_FIELD


def test_the_table_is_about_containers_of_the_catalogue() -> None:
    assert FIELDS.keys() <= {container.name for container in CATALOGUE}


def test_a_sample_that_gets_a_field_is_noticed() -> None:
    longer = changed(SAMPLES["users"], ("nickname",), "Ann")
    assert [path for path in leaves(longer) if named(path) not in FIELDS["users"]] == [("nickname",)]
