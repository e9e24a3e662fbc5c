"""The reference of the sources' fields by class, as a Markdown page from the table of fields."""

from __future__ import annotations

from collections.abc import Iterator

from shared.containers import VIEW_STATE
from shared.privacy.classes import FieldClass, Place, may_go
from shared.privacy.fields import FIELDS
from shared.privacy.forms import LONGEST_NAME, MOST_WORDS, Form

HEAD = """# Fields of the sources

Written by `.venv/bin/fleet docs sources`; a test compares it with the code. [Privacy](privacy.md) says what a
class means. A field that is not here counts as a secret: its values, and its name, go nowhere. Lists have no
index.
"""

ENVELOPES = {"user_interactions": "interaction_data", "user_sessions": "session_data"}
"""Objects that hold a whole document, in documents of earlier versions. Their fields are those outside."""

FORMS = {
    Form.NUMBER: "a number",
    Form.TIME: "a time, `2025-08-05T14:39:15.127Z`",
    Form.FLAG: "true or false",
    Form.VERSION: "a version, `1.0`",
    Form.NUMERAL: "a number, or two with a point or colon between them, or a name",
    Form.DOCUMENT_TYPE: "a name",
    Form.NAME: f"letters, digits and `._~-:/+`; {MOST_WORDS} words and {LONGEST_NAME} characters at most",
    Form.MODEL: "a name that has a spelling as a model",
    Form.IDENTIFIER: "a text or a number",
    Form.TEXT: "any",
}
"""The values of each form. A value of another form counts as a text that a person wrote."""


def source_fields_page() -> str:
    """Return the page."""
    sources = [source for source in FIELDS if source != VIEW_STATE]
    return "\n".join([HEAD, *map(_section, sources), _forms()])


def _section(source: str) -> str:
    envelope = ENVELOPES.get(source)
    within = f"\n`{envelope}` may hold the same fields once more.\n" if envelope else ""
    rows = "".join(_rows(source, envelope))
    return f"## {source}\n{within}\n| class | values | fields |\n|---|---|---|\n{rows}"


def _rows(source: str, envelope: str | None) -> Iterator[str]:
    for field_class in FieldClass:
        for form in Form:
            names = sorted(
                f"`{path}`"
                for path, field in FIELDS[source].items()
                if (field.field_class, field.form) == (field_class, form)
                and not (envelope and path.startswith(f"{envelope}."))
            )
            if names:
                yield f"| {field_class} | {form} | {', '.join(names)} |\n"


def _forms() -> str:
    rows = "".join(f"| {form} | {FORMS[form]} |\n" for form in Form)
    kept = ", ".join(f"`{each}`" for each in FieldClass if may_go(each, Place.POISON))
    return (
        f"## Values\n\nPoison rows hold values of {kept}, if they have the form of their field.\n\n"
        f"| values | form |\n|---|---|\n{rows}"
    )
