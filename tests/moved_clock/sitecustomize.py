"""Moves the clock of a Python process: set ``MOVED_CLOCK``, and put this folder first on ``PYTHONPATH``.

``MOVED_CLOCK`` names a file that holds one number. ``+86400`` adds that many seconds to the machine's time.
``=1750000000`` stops the clock at that time (seconds since the epoch). The file is read at each call, so that
a test can move the clock of processes that run.

The fleet's clock is moved, and the one by which the local database stamps and expires documents. Signatures
of requests are compared with the time of the machine, since the SDK signs with it.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace

if "MOVED_CLOCK" in os.environ:
    from shared.clock import Clock

    def _moved() -> float:
        text = Path(os.environ["MOVED_CLOCK"]).read_text()
        return float(text[1:]) if text.startswith("=") else time.time() + float(text)

    Clock.now = lambda self: datetime.fromtimestamp(_moved(), UTC)
    if "cosmos" in sys.orig_argv:  # the database server
        from local.cosmos import reading, resources, storage, writing

        for module in (reading, resources, storage, writing):
            module.time = SimpleNamespace(time=_moved)

if "REPEATABLE_UUIDS" in os.environ:
    _random = Random(os.environ["REPEATABLE_UUIDS"])
    uuid.uuid4 = lambda: uuid.UUID(int=_random.getrandbits(128), version=4)
