"""One address, alone or shared."""

import socket

import pytest

from pipeline.errors import ConfigError
from serving.listening import listen, reserve

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def test_workers_share_what_is_reserved() -> None:
    port = free_port()
    with reserve(HOST, port), listen(HOST, port, shared=True), listen(HOST, port, shared=True):
        with socket.create_connection((HOST, port), timeout=5):
            pass
        with pytest.raises(ConfigError, match=f"^cannot listen on {HOST} port {port}: Address already in use; choose"):
            listen(HOST, port)


def test_an_address_that_another_shares_already_is_not_free() -> None:
    port = free_port()
    with reserve(HOST, port), listen(HOST, port, shared=True), pytest.raises(ConfigError) as caught:
        reserve(HOST, port)
    assert caught.value.code == "address_unavailable"


def test_nobody_is_answered_by_the_reservation_alone() -> None:
    port = free_port()
    with reserve(HOST, port), pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), timeout=5)


def test_a_system_that_cannot_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ConfigError) as caught:
        reserve(HOST, free_port())
    assert (caught.value.code, caught.value.message) == (
        "workers_unsupported",
        "this system cannot share a port between processes; use --workers 1",
    )
