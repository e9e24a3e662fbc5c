"""The views, one module each: pure functions from state to the specification's documents."""

from __future__ import annotations

from shared.views.base import View
from shared.views.daily_metrics import DailyMetrics
from shared.views.user_analytics import UserAnalytics

VIEWS: dict[str, View] = {view.name: view for view in (DailyMetrics(), UserAnalytics())}
"""Every view, by name."""
