"""Which models the days of the last month name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.queries.recent_models import RECENT_DAYS, recent_models
from tests.fake_clock import FakeClock
from tests.fakes import FakeContainer

NOW = datetime(2025, 8, 5, 12, tzinfo=UTC)


class Database:
    """A database whose containers are one."""

    def __init__(self) -> None:
        self.container = FakeContainer("date")

    def get_container_client(self, name: str) -> FakeContainer:
        assert name == "daily_metrics"
        return self.container


def day(back: int, *models: str) -> dict[str, Any]:
    date = f"{NOW - timedelta(days=back):%Y-%m-%d}"
    performance = {"model_performance": {model: {} for model in models}}
    return {"id": f"daily_metrics_{date.replace('-', '')}", "date": date, "ai_performance": performance}


async def test_the_models_of_the_last_days_are_found_without_the_rest() -> None:
    database = Database()
    for document in (day(0, "a", "other"), day(RECENT_DAYS - 1, "b"), day(RECENT_DAYS, "c")):
        await database.container.upsert_item(document)
    found = await recent_models(database, clock=FakeClock(lambda: NOW))  # type: ignore[arg-type]
    assert found == {"a", "b"}
