"""Run files of the SDK's tests against a server of their own, and read what became of each test."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tests.cosmos_server import running_server
from tests.sdk.areas import Reason

STAND_INS = Path(__file__).with_name("stand_ins")
LATENCY_MS = 4
"""Added to every request: tests of timeouts expect a network."""

TEST_SECONDS = 90
FILE_SECONDS = 900
PARTITIONS = 1
"""Those of a container follow from the throughput that the tests give it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that did not pass."""

    test: str
    message: str
    why: str | None
    """The reason that is written down, None if none is."""


@dataclass(slots=True)
class Tally:
    """What became of the tests of an area."""

    passed: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def ran(self) -> int:
        """Tests that the SDK itself did not skip."""
        return self.passed + len(self.failures)

    @property
    def share(self) -> float | None:
        """Passed of those that ran."""
        return self.passed / self.ran if self.ran else None

    def add(self, other: Tally) -> None:
        """Add another tally."""
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures

    def by_reason(self) -> Counter[str]:
        """Count the failures by what is written down about them."""
        return Counter(failure.why or "not explained" for failure in self.failures)


def run_file(path: Path, known: list[Reason]) -> Tally:
    """Run one file against a fresh server; a file that never ends counts as failed."""
    with (
        tempfile.TemporaryDirectory(prefix="sdk-tests-") as directory,
        running_server(Path(directory), partitions=PARTITIONS) as server,
    ):
        server.local("PUT", "faults", {"rules": [{"rate": 1, "latency_ms": LATENCY_MS}]})
        report = Path(directory) / "report.xml"
        environment = {
            **os.environ,
            "ACCOUNT_HOST": server.endpoint,
            "ACCOUNT_KEY": server.key,
            "PYTHONPATH": os.pathsep.join((str(STAND_INS), str(path.parent))),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(STAND_INS / "pytest.ini")]
        command += [
            f"--rootdir={path.parent}",
            f"--timeout={TEST_SECONDS}",
            f"--junitxml={report}",
            path.name,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=path.parent,
                env=environment,
                capture_output=True,
                text=True,
                timeout=FILE_SECONDS,
            )
            output = done.stdout
        except subprocess.TimeoutExpired:
            output = f"the file did not end within {FILE_SECONDS} s"
        if not report.exists():
            last = output.strip().splitlines()[-1:] or ["no output"]
            return Tally(failures=[Failure(path.stem, last[0], _why(path.stem, known))])
        return read_report(report, known)


def read_report(report: Path, known: list[Reason]) -> Tally:
    """Read pytest's JUnit report."""
    tally = Tally()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  pytest wrote it just now
        test = "::".join((*str(case.get("classname")).split("."), str(case.get("name"))))
        problem = next((child for child in case if child.tag in ("failure", "error")), None)
        if problem is not None:
            lines = str(problem.get("message")).strip().splitlines()
            tally.failures.append(Failure(test, lines[0][:200] if lines else "", _why(test, known)))
        elif case.find("skipped") is not None:
            tally.skipped += 1
        else:
            tally.passed += 1
    return tally


def _why(test: str, known: list[Reason]) -> str | None:
    return next((reason.why for reason in known if reason.covers(test)), None)
