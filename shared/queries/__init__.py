"""Reads of the containers and views, for the web application and its dashboards.

The classes and methods are those of the specification ("Query Optimization", "API Integration Guide"). The
caller passes the database; importing connects to nothing. The fleet itself does not use these queries.
"""

from __future__ import annotations

from shared.errors import QueryError, TooManyRowsError
from shared.queries.dashboard import ComprehensiveAdminService, DashboardData
from shared.queries.database import DatabaseService, UserComprehensiveAnalytics
from shared.queries.optimized import OptimizedQueries
from shared.queries.personas import PersonaCache
from shared.queries.reading import Document

__all__ = [
    "ComprehensiveAdminService",
    "DashboardData",
    "DatabaseService",
    "Document",
    "OptimizedQueries",
    "PersonaCache",
    "QueryError",
    "TooManyRowsError",
    "UserComprehensiveAnalytics",
]
