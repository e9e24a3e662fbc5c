"""The reference of all fields, as a Markdown page."""

from __future__ import annotations

from shared.documents.common import MAX_DOCUMENT_CHARACTERS, MAX_TEXT_CHARACTERS
from shared.documents.incidents import MAX_ACTIONS
from shared.documents.interactions import MAX_CITATIONS
from shared.facts.interactions import KEPT_CITATIONS
from shared.ledger.accounts import MAX_ACCOUNTS
from shared.views import VIEWS
from shared.views.base import Schedule
from shared.views.fields import FIELDS

HEAD = """# Fields of the views

Written by `.venv/bin/fleet docs fields`; a test compares it with the code and with documents
the code renders. Means and shares are `null` where nothing was there to measure. Scores and
shares are rounded to four digits.

Names (of personas, models, texts, chapters, verses, categories, actions and the like) are shown in
Unicode's normal form C, without blanks around them, with one underscore for anything else than letters,
marks and digits of any script, dots, hyphens, underscores, tildes and blanks. A blank name counts as none. A
text of more than 64 UTF-8 bytes, of more than five words, or with an at sign is no name: it counts as
`unknown`.

## One passage, one spelling

| spelling | passage |
|---|---|
| chapter `2:47` or `2.47` without a verse | chapter 2, verse 47 |
| chapter `2:47`, verse `47` | chapter 2, verse 47 |
| verse `2:47`, `2.47` or `Gita 2.47`, without a chapter or of chapter 2 | chapter 2, verse 47 |
| a number with leading zeros, or a whole number with a fraction of 0 | the number |

Everything else is a passage of its own: chapter `6.8`, verse `7` is not chapter 6.

## Periods that are not over

`content_popularity` and `content_analytics` compare a period with the one before per hour. The hours of the
period are those from its start to `state.tick`, at least one; after its end they are all of its hours. The
period before counts with all of its hours. Distinct people do not become more in proportion to time; they are
compared only when the period is over.
"""

SCHEDULES_HEAD = """## How soon a figure shows

`user_analytics` alone is people's months. `daily_metrics` is published with every change, but its
`content_discovery_rate` is that of the day's last build: every hour for the running day. A user who refuses
analytics loses all of their documents with the publication of the refusal.

| view | published |
|---|---|
"""

SCHEDULES = {
    Schedule.LIVE: "with every change, within seconds",
    Schedule.HOURLY: "what changed, every hour",
    Schedule.DAILY: "what changed, once a day",
    Schedule.TWICE_A_DAY: "what changed, every half day",
}

OTHER_SCHEDULES = {
    "engagement_summary": "every hour if the state of anybody changed, else every half day",
    "personality_vectors": SCHEDULES[Schedule.DAILY],
    "content_popularity_daily": "the running day every hour, the day before every six hours, what changed of "
    "older ones once a day",
    "system_health": "every five minutes, and when the figures of a day change",
}
"""Paces of containers that no view publishes, and of views whose pace depends on the age of the period."""

BAD_INPUT_HEAD = """## Unusual and invalid input

Unusual values are counted where they have a meaning. A document with an impossible value goes to
`poison_messages` as a whole: it counts for nothing, and an earlier version that was counted is subtracted.

| document | what happens |
|---|---|
"""

BAD_INPUT = (
    (
        "any, without id or user, or (but for accounts) without a time",
        "poison",
    ),
    (
        "any, with a time before 2000 or after 2099, or that happened more than a day after it was written",
        "poison",
    ),
    (
        "any, of a schema version newer than this release, or with more than "
        f"{MAX_DOCUMENT_CHARACTERS:,} characters",
        "poison",
    ),
    (
        "any, with a field that a view reads and that is of another type, a share outside 0 to 1, or "
        "a rating outside 1 to 5",
        "poison",
    ),
    (
        "account that is in poison",
        "its owner counts as refusing analytics_consent until it can be read",
    ),
    (
        "interaction with tokens that are negative, not whole or more than 10 million",
        "poison",
    ),
    (
        "interaction with a duration that is negative or more than a day, or a rating that is not whole",
        "poison",
    ),
    (
        f"interaction with a question or an answer of more than {MAX_TEXT_CHARACTERS:,} characters",
        "poison",
    ),
    (
        f"interaction with more than {MAX_CITATIONS} citations",
        "those beyond are not read",
    ),
    (
        f"interaction with more than {KEPT_CITATIONS} citations",
        "all count in total_citations; by text and passage those of highest relevance_score, a missing one "
        "as the lowest, the first of equal ones",
    ),
    (
        "interaction without persona, model or cited text",
        "counted under unknown",
    ),
    (
        "session that ends, or was last active, before it starts",
        "poison",
    ),
    (
        "session with a duration that is negative or more than ten years",
        "poison",
    ),
    (
        "session with an interaction_count that is negative, not whole or more than 10,000",
        "poison",
    ),
    (
        "session whose interaction_count is not that of its interactions",
        "the interactions count",
    ),
    (
        "session of more than a day",
        "counted; it was left open, so neither its length nor the number of people present is known",
    ),
    (
        "incident of a type or severity that the specification does not know, or without",
        "counted under unknown",
    ),
    (
        "incident that points at nothing, at an interaction that is not there, or at another person's",
        "counted under the text unattributed",
    ),
    (
        "incident that was resolved before it was noticed",
        "counted; how long that took is not known",
    ),
    (
        f"incident with more than {MAX_ACTIONS} actions or categories of violation",
        "those beyond are not read",
    ),
    (
        f"person with more than {MAX_ACCOUNTS} accounts",
        "those beyond go to poison, and the person counts as refusing",
    ),
)


def fields_page() -> str:
    """Return the page."""
    rows_of_input = "".join(f"| {document} | {outcome} |\n" for document, outcome in BAD_INPUT)
    schedules = {name: SCHEDULES[view.schedule] for name, view in VIEWS.items()} | OTHER_SCHEDULES
    published = "".join(f"| {name} | {schedule} |\n" for name, schedule in sorted(schedules.items()))
    parts = [HEAD, SCHEDULES_HEAD + published, BAD_INPUT_HEAD + rows_of_input]
    for view, fields in sorted(FIELDS.items()):
        rows = "\n".join(f"| `{path}` | {meaning} |" for path, meaning in fields.items())
        parts.append(f"## {view}\n\n| field | meaning, unit, source |\n|---|---|\n{rows}\n")
    return "\n".join(parts)
