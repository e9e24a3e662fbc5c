"""``python -m local.guard PARENT COMMAND…``: runs a command that must not outlive a process.

Where the kernel can do this (Linux, PR_SET_PDEATHSIG) the stack does not need it; elsewhere its children
run under this guard, which looks twice a second whether its parent is still there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

LOOK_EVERY = 0.5
"""Seconds between two looks at the parent."""

KILLED = 137  # 128 + SIGKILL, as shells report it


def run_guarded(parent: int, command: Sequence[str]) -> int:
    """Run ``command`` until it ends or this process is no longer a child of ``parent``.

    Returns
    -------
    int
        Its exit code, or :data:`KILLED` if it was killed because the parent had gone.
    """
    with subprocess.Popen(list(command), close_fds=False) as child:

        def forward(number: int, _frame: FrameType | None) -> None:
            child.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, forward)
        while os.getppid() == parent:
            try:
                code = child.wait(LOOK_EVERY)
            except subprocess.TimeoutExpired:
                continue
            return code if code >= 0 else 128 - code
        child.kill()
        child.wait()
        return KILLED


if __name__ == "__main__":
    sys.exit(run_guarded(int(sys.argv[1]), sys.argv[2:]))
