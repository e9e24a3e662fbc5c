"""The reference of all fields, as a Markdown page."""

from __future__ import annotations

from shared.views import VIEWS
from shared.views.base import Schedule
from shared.views.fields import FIELDS

HEAD = """# Fields of the views

Written by `.venv/bin/fleet docs fields`; a test compares it with the code and with documents
the code renders. Means and shares are `null` where nothing was there to measure. Scores and
shares are rounded to four digits.

## Names

Names (of personas, models, texts, chapters, verses, categories, actions and the like) are shown in
Unicode's normal form C, without blanks around them, with one underscore for anything else than letters,
marks and digits of any script, dots, hyphens, underscores, tildes and blanks. A blank name counts as none. A
topic in `content_popularity` and `content_analytics`, and a persona, category or part of the day in
`engagement_summary`, is shown only if at least five people share it there, and an engagement tier of fewer
people shows only how many they are: see [privacy](privacy.md).

A sentence, an address, a number or a code is no name, and counts as `unknown`:

- more than 64 characters or 144 UTF-8 bytes, or more than 256 characters with blanks around them and
  decomposed characters;
- more than five words, whatever separates them. One letter is no word. Nor are "the", "of" and "and" where
  all other words begin with a capital: "The Tibetan Book of the Dead" has three. Of wide characters (Chinese,
  Japanese, Korean) two count as a word, of Thai, Lao, Tibetan, Burmese and Khmer three;
- more than eight digits of any script (circled ones and Roman numerals such as Ⅳ are digits too), a word of
  more than 30 characters, or of more than 16 with letters and digits;
- one of `@`, `%`, `=` and `://`, an `at` in brackets, or a character that is written as in HTML (`&#64;`).

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
`content_discovery_rate`, and how its alerts ended, are those of the day's last build: every hour for the
running day. A user who refuses analytics loses all of their documents with the publication of the refusal.

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

CONSENT = """## Consent

Accounts hold what a person agreed to. A person who **refuses** has no document of `user_analytics` and is in
no engagement tier; what they do still counts in all totals. A person who was never asked does not refuse.

| field of `users` | meaning |
|---|---|
| `analytics_consent` in `privacy_settings` | false refuses |
| `data_collection_consent` in `privacy_settings` | false refuses: figures about a person are data of theirs |
| `data_retention_consent`, of accounts before 1.0 | false refuses: figures outlive their sources |
| `marketing_consent` | nothing: the fleet sends nothing |
| `account_status` | every value but active and suspended refuses, deleted among them |

Before 1.0 the consents are at the top level; `privacy_settings` decides where both have an answer. Several
accounts of one person refuse if one of them does. An account that cannot be read refuses: see
[accounts](input.md#accounts).

[What documents may look like](input.md) says which documents count, and how odd ones are read.
"""


def fields_page() -> str:
    """Return the page."""
    schedules = {name: SCHEDULES[view.schedule] for name, view in VIEWS.items()} | OTHER_SCHEDULES
    published = "".join(f"| {name} | {schedule} |\n" for name, schedule in sorted(schedules.items()))
    parts = [HEAD, SCHEDULES_HEAD + published, CONSENT]
    for view, fields in sorted(FIELDS.items()):
        rows = "\n".join(f"| `{path}` | {meaning} |" for path, meaning in fields.items())
        parts.append(f"## {view}\n\n| field | meaning, unit, source |\n|---|---|\n{rows}\n")
    return "\n".join(parts)
