"""Write small function apps into a folder, to be loaded as the host loads a real one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

HEAD = """
import azure.functions as func

app = func.FunctionApp()
"""


def write_app(folder: Path, code: str, host_json: dict[str, Any] | None = None) -> Path:
    """Write ``function_app.py`` (after the usual first lines) and ``host.json``; return the folder."""
    (folder / "function_app.py").write_text(HEAD + dedent(code))
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **(host_json or {})}))
    return folder


@contextmanager
def bare_root() -> Iterator[None]:
    """Have the root logger as a new process has it; pytest gives it handlers before each test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
