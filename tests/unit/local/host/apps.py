"""Write small function apps into a folder, to be loaded as the host loads a real one."""

from __future__ import annotations

import json
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
