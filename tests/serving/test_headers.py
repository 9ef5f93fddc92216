"""Look-ups in raw headers."""

from serving.headers import header


def test_the_first_of_that_name_or_nothing() -> None:
    headers = [(b"host", b"a"), (b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"\xe9")]
    assert [header(headers, name) for name in (b"x-a", b"x-b", b"x-c")] == ["1", "é", ""]
