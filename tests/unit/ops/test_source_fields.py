"""The page of the sources' fields is that of the table, and has every field once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops.source_fields import ENVELOPES, FORMS, source_fields_page
from shared.containers import VIEW_STATE
from shared.privacy.fields import FIELDS
from shared.privacy.forms import Form

PAGE = Path(__file__).parents[3] / "docs" / "sources.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == source_fields_page()


@pytest.mark.parametrize("source", sorted(FIELDS.keys() - {VIEW_STATE}))
def test_every_field_is_there_once_with_its_class(source: str) -> None:
    section = source_fields_page().partition(f"## {source}\n")[2].partition("\n## ")[0]
    listed = {
        path: (field_class, form)
        for field_class, form, names in re.findall(r"^\| (\w+) \| (\w+) \| (`.*`) \|$", section, re.MULTILINE)
        for path in re.findall(r"`([^`]+)`", names)
    }
    envelope = ENVELOPES.get(source)
    assert listed == {
        path: (field.field_class, field.form)
        for path, field in FIELDS[source].items()
        if not (envelope and path.startswith(f"{envelope}."))
    }


@pytest.mark.parametrize(("source", "envelope"), ENVELOPES.items())
def test_an_envelope_has_the_fields_of_the_document(source: str, envelope: str) -> None:
    own = {path: field for path, field in FIELDS[source].items() if not path.startswith(f"{envelope}.")}
    assert own.items() <= {path: FIELDS[source].get(f"{envelope}.{path}") for path in own}.items()


def test_every_form_is_described() -> None:
    assert FORMS.keys() == set(Form)
