"""Keys that an operator may name."""

from __future__ import annotations

import pytest

from shared.aggregates import day, incident_month, person_month
from shared.aggregates.base import PartialKey
from shared.builds.graph import CONTENT
from shared.errors import MalformedKeyError
from shared.views import VIEWS
from shared.views.keys import check_key

CHANGED = [
    PartialKey(day.NAME, "2025-08-05"),
    PartialKey(person_month.NAME, "202508|ann|b"),
    PartialKey(CONTENT, "2025-08-05"),
    PartialKey(CONTENT, "202508"),
    PartialKey(incident_month.NAME, "202508|bhagavad_gita"),
]


@pytest.mark.parametrize("name", VIEWS)
def test_the_example_and_every_key_of_a_changed_state_are_accepted(name: str) -> None:
    view = VIEWS[name]
    keys = [view.example, *(key for target in CHANGED for key in view.keys_affected_by(target))]
    assert len(keys) > 1
    for key in keys:
        check_key(view, key)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("daily_metrics", "2025-13-05"),
        ("daily_metrics", "20250805"),
        ("daily_metrics", "2025-W32-1"),
        ("daily_metrics", "2025-08-05|ann"),
        ("daily_metrics", "yesterday"),
        ("daily_metrics", "0001-01-01"),
        ("daily_metrics", "9999-12-31"),
        ("user_analytics", "202508"),
        ("user_analytics", "202508|"),
        ("user_analytics", "202513|ann"),
        ("user_analytics", "2025W32|ann"),
        ("user_analytics_daily", "20250805|ann"),
        ("user_analytics", "999912|ann"),
        ("user_analytics", "٢٠٢٥٠٨|ann"),
        ("user_analytics_weekly", "2025W99|ann"),
        ("user_analytics_weekly", "0001W01|ann"),
        ("user_analytics_quarterly", "9999Q4|ann"),
        ("incidents_by_content", "000101|bhagavad_gita"),
        ("content_popularity_daily", "2025-08-05"),
        ("content_popularity_weekly", "20250805"),
        ("content_popularity_weekly", "2025W32|"),
        ("content_analytics", ""),
        ("content_analytics", "202508|"),
        ("incidents_by_content", "bhagavad_gita"),
    ],
)
def test_a_key_of_another_form_is_refused_with_an_example(name: str, key: str) -> None:
    with pytest.raises(MalformedKeyError) as refused:
        check_key(VIEWS[name], key)
    assert str(refused.value) == f"{key!r} is not a key of {name}: one is {VIEWS[name].example}"
