"""A batch that the platform loses leaves the views short, and the auditor makes them right again."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.host.runner import Host, HostConfig
from local.seed.traffic import TrafficPlan, writes
from shared.fleet.wiring import connected_fleet
from shared.settings import Settings
from tests.acceptance.commands import ROOT
from tests.acceptance.fleet import RunningFleet, running_fleet
from tests.independent import is_malformed

pytestmark = pytest.mark.acceptance

PLAN = TrafficPlan(users=10, interactions=150, days=5, seed=3, malformed_share=0.02)


async def counted(fleet: RunningFleet) -> int:
    return sum(day["usage_statistics"]["total_interactions"] for day in await fleet.all_of("daily_metrics"))


async def test_the_auditor_repairs_what_the_platform_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_fleet(tmp_path, instances=0) as fleet:
        for name, value in fleet.stack.settings.items():
            monkeypatch.setenv(name, value)
        await fleet.write(write.document for write in writes(PLAN))
        host = Host(
            HostConfig(
                app_dir=ROOT, instance="loses", lose_batches={"fold_user_interactions": 2}, data_dir=tmp_path
            )
        )
        await host.start()
        try:
            await fleet.drain()
            before = await counted(fleet)
            with pytest.raises(AssertionError, match="differences"):
                await fleet.assert_views_are_right()
            async with connected_fleet(Settings(**fleet.stack.settings)) as repair:
                first = await repair.auditor.audit_all(delay_seconds=0)
                await fleet.drain()
                second = await repair.auditor.audit_all(delay_seconds=0)
            documents = await fleet.assert_views_are_right()
        finally:
            await host.stop()
        await fleet.assert_poison_holds_the_malformed(documents)
        lost = sum(not is_malformed(document) for document in documents) - before
        assert lost > 0
        assert {report.feed: report.repaired for report in first}["user_interactions"] == lost
        assert {report.repaired for report in second} == {0}
