"""Ports: a taken one is refused with the option that chooses another."""

from __future__ import annotations

import socket

import pytest

from local.ports import HOST, free_port, port_is_free, require_free
from local.processes import StackError


def test_a_port_that_somebody_listens_on_is_refused() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not port_is_free(port)
        with pytest.raises(StackError, match=f"Port {port} on 127.0.0.1 is taken: .* --http-port, 0 for any"):
            require_free(port, "--http-port")
    require_free(port, "--http-port")


def test_a_free_port_is_free_and_zero_always_is() -> None:
    assert port_is_free(free_port())
    require_free(0, "--cosmos-port")
