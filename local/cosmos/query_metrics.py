"""What a page of a query says of itself in headers, to clients that ask: its execution and its indexes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Measured:
    """What it took to make one page.

    Attributes
    ----------
    milliseconds
        Time of the whole execution.
    loaded, loaded_bytes
        Items that had to be read beyond the index, and their size.
    returned, returned_bytes
        Results, and their size.
    utilized
        Indexing paths that served the query.
    potential
        Indexing paths that would have served it, were they in the policy.
    composites
        Composite indexes that served it, such as ``/a ASC, /b DESC``.
    """

    milliseconds: float
    loaded: int
    loaded_bytes: int
    returned: int
    returned_bytes: int
    utilized: Sequence[str]
    potential: Sequence[str]
    composites: Sequence[str]

    def metrics(self) -> str:
        """Return the query metrics, in the service's form; times of steps that are not taken here are 0."""
        ratio = min(1.0, self.returned / self.loaded) if self.loaded else 1.0
        values: dict[str, float | int] = {
            "totalExecutionTimeInMs": self.milliseconds,
            "queryCompileTimeInMs": 0.0,
            "queryLogicalPlanBuildTimeInMs": 0.0,
            "queryPhysicalPlanBuildTimeInMs": 0.0,
            "queryOptimizationTimeInMs": 0.0,
            "VMExecutionTimeInMs": self.milliseconds,
            "indexLookupTimeInMs": 0.0,
            "documentLoadTimeInMs": 0.0,
            "systemFunctionExecuteTimeInMs": 0.0,
            "userFunctionExecuteTimeInMs": 0.0,
            "retrievedDocumentCount": self.loaded,
            "retrievedDocumentSize": self.loaded_bytes,
            "outputDocumentCount": self.returned,
            "outputDocumentSize": self.returned_bytes,
            "writeOutputTimeInMs": 0.0,
            "indexUtilizationRatio": ratio,
        }
        return ";".join(
            f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}"
            for name, value in values.items()
        )

    def indexes(self) -> str:
        """Return the index metrics, in the service's form."""
        described = {
            "UtilizedSingleIndexes": _singles(self.utilized),
            "PotentialSingleIndexes": _singles(self.potential),
            "UtilizedCompositeIndexes": [
                {"IndexSpecs": composite.split(", "), "IndexPreciseSet": True, "IndexImpactScore": "High"}
                for composite in self.composites
            ],
            "PotentialCompositeIndexes": [],
        }
        return base64.b64encode(orjson.dumps(described)).decode()


def _singles(paths: Iterable[str]) -> list[dict[str, str | bool]]:
    return [
        {
            "FilterExpression": "",
            "IndexSpec": path,
            "FilterPreciseSet": True,
            "IndexPreciseSet": True,
            "IndexImpactScore": "High",
        }
        for path in paths
    ]
