import io
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.text_lines import is_torn, lines


def test_lines_keep_their_ends_and_their_limit() -> None:
    assert list(lines(io.StringIO("好\n差\n一般"), path=Path("f"), limit=3)) == ["好\n", "差\n", "一般"]
    with pytest.raises(DataError) as caught:
        list(lines(io.StringIO("好\n太长的一行\n"), path=Path("f.csv"), limit=3))
    assert caught.value.message == "f.csv has more than 3 characters in line 2; it is not text in lines"


def test_surrogates_of_escaped_bytes_are_seen() -> None:
    assert is_torn(b"\xe5\xa5".decode("utf-8", "surrogateescape"))
    assert not is_torn("好😀")
