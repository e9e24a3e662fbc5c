"""The time in which tests live. Their documents have fixed dates, and state and documents expire by date."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from shared.clock import Clock

HERE = Path(__file__).resolve().parent

NOW = datetime(2025, 9, 1, 9, tzinfo=UTC)
"""The morning after the last day of the sample traffic."""


@contextmanager
def moved_clock(now: datetime = NOW) -> Iterator[None]:
    """Let it be another time, for this process and those that it starts: see ``sitecustomize.py``.

    From then on, time passes as usual. The documents that a database server stamps are of that time as well,
    so start it inside. ``datetime.now`` is not moved: ask the fleet's clock.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder, "clock")
        path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
        moved = {"MOVED_CLOCK": str(file), "PYTHONPATH": path.rstrip(os.pathsep)}
        with patch.dict(os.environ, moved), patch.object(Clock, "now", lambda _: _read(file)):
            set_clock(now)
            yield


def set_clock(now: datetime) -> None:
    """Let it be yet another time, inside :func:`moved_clock`."""
    file = Path(os.environ["MOVED_CLOCK"])
    written = file.with_suffix(".new")
    written.write_text(f"{now.timestamp() - time.time():+}")
    written.replace(file)  # as a whole: others read it meanwhile


def _read(file: Path) -> datetime:
    return datetime.fromtimestamp(time.time() + float(file.read_text()), UTC)
