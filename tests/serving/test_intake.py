"""From bodies to comments: what is refused, with which code, and that nothing of it is repeated."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.feedback import Feedback
from serving.intake import Refused, check_media_type, read_request
from serving.problems import RequestProblem


def body(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def test_one_item_with_everything() -> None:
    sent = {
        "text": "发票抬头开错了",
        "id": "a-1",
        "channel": "app",
        "created_at": "2026-03-01T09:30:00Z",
        "customer_ref": "c9",
        "metadata": {"shop": [1, None]},
    }
    taken = read_request(body(sent), max_items=4)
    assert taken.alone
    assert taken.items == (
        Feedback(
            text="发票抬头开错了",
            id="a-1",
            channel="app",
            created_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
            customer_ref="c9",
            metadata={"shop": [1, None]},
        ),
    )


def test_text_alone_is_enough_and_null_is_as_good_as_absent() -> None:
    taken = read_request(body({"text": "好", "id": None, "created_at": None, "metadata": None}), max_items=4)
    assert taken.items == (Feedback(text="好"),)


def test_every_bad_item_of_a_batch_is_refused_in_its_place() -> None:
    batch = b'{"items": [{"text": "a"}, {"text": NaN, "id": "n"}, 7, {"id": "i"}, {"text": "\\ud83d"}, {"text": "b"}]}'
    taken = read_request(batch, max_items=6)
    assert not taken.alone
    codes = [entry.error.code if isinstance(entry, Refused) else entry.text for entry in taken.items]
    assert codes == ["a", "non_finite_number", "invalid_item", "invalid_item", "invalid_unicode", "b"]
    assert [entry.id for entry in taken.items] == ["", "n", "", "i", "", ""]


def test_one_item_in_gbk_spoils_only_itself_in_a_batch() -> None:
    batch = b'{"items": [{"text": "ok"}, {"text": "' + "坏了".encode("gbk") + b'"}]}'
    first, second = read_request(batch, max_items=2).items
    assert isinstance(first, Feedback)
    assert isinstance(second, Refused)
    assert second.error.code == "invalid_unicode"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ('{"text": "好"}'.encode("gbk"), "not_utf8"),
        (b'{"text": "\xed\xa0\x80"}', "not_utf8"),
        (b"text=hello", "not_json"),
        (b'{"items": []}', "invalid_batch"),
        (b'{"items": {"text": "a"}}', "invalid_batch"),
        (b'{"items": [{"text": "a"}], "text": "b"}', "invalid_batch"),
        (b'{"items": [{"text": "a"}], "x": NaN}', "non_finite_number"),
        (b'{"items": NaN}', "non_finite_number"),
        (b'{"items": [1, 2, 3]}', "too_many_items"),
    ],
)
def test_bodies_that_are_no_request(sent: bytes, code: str) -> None:
    with pytest.raises(RequestProblem) as caught:
        read_request(sent, max_items=2)
    assert caught.value.code == code


def test_a_batch_that_is_too_long_says_how_long_it_may_be() -> None:
    with pytest.raises(RequestProblem, match=r"^expected at most 2 items; found 3; send several batches$"):
        read_request(b'{"items": [1, 2, 3]}', max_items=2)


EXPECTED = "expected an item with text, id, channel, created_at, customer_ref, metadata, of which only text is needed; "


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({}, "text: Field required"),
        ([], "expected an object"),
        (None, "expected an object"),
        ({"text": 5}, "text: Input should be a valid string"),
        ({"text": "a", "13800138000": "x", "secret": 1}, "found a field that is not known"),
        ({"text": "a", "id": 7}, "id: Input should be a valid string"),
        ({"text": "a", "id": "x" * 201}, "id: String should have at most 200 characters"),
        ({"text": "a", "channel": "x" * 65}, "channel: String should have at most 64 characters"),
        ({"text": "a", "metadata": []}, "metadata: Input should be a valid dictionary"),
        (
            {"text": "a", "created_at": 1700000000},
            "created_at: expected a time such as 2026-03-01T09:30:00+08:00",
        ),
        (
            {"text": "a", "created_at": "2026-02-30T00:00:00Z"},
            "created_at: expected a time that exists, such as 2026-03-01T09:30:00+08:00",
        ),
    ],
)
def test_wrong_fields_are_named_and_never_repeated(item: Any, told: str) -> None:
    (refused,) = read_request(body(item), max_items=1).items
    assert isinstance(refused, Refused)
    assert refused.error.code == "invalid_item"
    assert refused.error.message == EXPECTED + told


def test_an_id_that_is_not_text_does_not_come_back() -> None:
    refused = read_request(b'{"items": [{"id": "\\ud800"}, {"id": ["x"]}]}', max_items=2).items
    assert [entry.id for entry in refused] == ["", ""]


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_taken(kind: str) -> None:
    check_media_type([(b"content-type", kind.encode())])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=gbk"},
        {"content-type": "application/json; charset=rates=utf-8"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_other_media_types_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(RequestProblem) as caught:
        check_media_type([(name.encode(), value.encode()) for name, value in headers.items()])
    assert caught.value.code == "media_type_unsupported"
