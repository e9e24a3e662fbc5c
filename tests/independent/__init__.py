"""What the views must show, computed from the source documents naively. Imports nothing of ``shared``.

For every published document the whole expected document is built and compared leaf by leaf, so that a field
that is wrong, missing or made up shows, whichever it is.
"""

from __future__ import annotations

from tests.independent.comparison import (
    assert_all_views_equal,
    assert_health_equal,
    assert_views_equal,
)
from tests.independent.interactions import Document, in_todays_shape, is_malformed

__all__ = [
    "Document",
    "assert_all_views_equal",
    "assert_health_equal",
    "assert_views_equal",
    "in_todays_shape",
    "is_malformed",
]
