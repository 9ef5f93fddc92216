"""Settings that contradict each other, and what follows from the host."""

import pytest

from pipeline.errors import ConfigError
from serving.settings import ServeSettings


def test_a_full_batch_must_fit() -> None:
    expected = (
        r"^max_in_flight \(8\) is below max_items \(9\): a full batch could never be admitted; "
        "raise the one or lower the other$"
    )
    with pytest.raises(ConfigError, match=expected):
        ServeSettings(max_items=9, max_in_flight=8)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.9.9.9", True), ("0.0.0.0", False), ("box", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert ServeSettings(host=host).loopback is loopback


def test_known_hosts() -> None:
    assert ServeSettings().known_hosts == {"localhost", "127.0.0.1", "::1"}
    assert ServeSettings(allowed_hosts=("dev.example",)).known_hosts == {"localhost", "127.0.0.1", "::1", "dev.example"}
    assert ServeSettings(host="0.0.0.0").known_hosts is None
    assert ServeSettings(host="0.0.0.0", allowed_hosts=("api.example",)).known_hosts == {"api.example"}
