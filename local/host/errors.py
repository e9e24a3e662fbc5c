"""The errors that stop a host before it runs."""

from __future__ import annotations


class HostStartError(Exception):
    """The host cannot start. The message is one sentence that says what is wrong and what to change.

    It names the setting, function or file at fault, never its secret value. The command line prints it and
    exits with a code other than 0.
    """
