"""The reference of all fields as a Markdown page."""

from __future__ import annotations

from shared.views.fields import FIELDS

HEAD = """# Fields of the views

Written by `.venv/bin/python -m ops fields`; a test compares it with the code and with documents
the code renders. Means and shares are `null` where nothing was there to measure. Scores and
shares are rounded to four digits.

Names (of personas, models, texts, chapters, verses, categories, actions and the like) are shown in
Unicode's normal form C, without blanks around them, with one underscore for whatever stands between
letters, marks and digits of any script, dots, hyphens, underscores and blanks. They are cut to 64
characters, and where that leaves a blank at the end, it goes too. A blank name counts as none.
"""


def fields_page() -> str:
    """Return the page."""
    parts = [HEAD]
    for view, fields in sorted(FIELDS.items()):
        rows = "\n".join(f"| `{path}` | {meaning} |" for path, meaning in fields.items())
        parts.append(f"## {view}\n\n| field | meaning, unit, source |\n|---|---|\n{rows}\n")
    return "\n".join(parts)
