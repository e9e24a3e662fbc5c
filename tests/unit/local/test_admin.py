"""A requested run of a timer has ended when the host's log says so, and not before."""

from __future__ import annotations

import json
from pathlib import Path

from local.admin import requested_end


def line(event: str, function: str = "tick", **fields: object) -> str:
    return json.dumps({"event": event, "function": function, **fields}) + "\n"


def test_only_a_requested_run_behind_the_position_counts(tmp_path: Path) -> None:
    log = tmp_path / "host-1.log"
    log.write_text(line("invocation_succeeded", requested=True, duration_ms=1.0))
    begin = log.stat().st_size
    with log.open("a") as target:
        target.write("a traceback\n")
        target.write(line("invocation_started", requested=True))
        target.write(line("invocation_succeeded", duration_ms=2.0))
        target.write(line("invocation_succeeded", "other", requested=True, duration_ms=3.0))
    assert requested_end(log, begin, "tick") is None
    with log.open("a") as target:
        unfinished = line("invocation_failed", requested=True, duration_ms=4.0)
        target.write(unfinished[:-5])
        target.flush()
        assert requested_end(log, begin, "tick") is None
        target.write(unfinished[-5:])
    found = requested_end(log, begin, "tick")
    assert found is not None
    assert (found["event"], found["duration_ms"]) == ("invocation_failed", 4.0)
