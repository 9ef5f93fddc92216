"""What an API key looks like, what of it is kept, and when it opens anything."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import ConfigError, UsageError
from serving.api_keys import ADMIN, READ, SCORE, WRITE, ApiKey, find_key, key_dict, key_of, new_key, open_with, rotated

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def opened(key: ApiKey, shown: str, now: datetime = NOW) -> ApiKey | None:
    return open_with({key.id: key}, shown.encode(), now)


def test_a_key_is_shown_once_and_its_digest_kept() -> None:
    key, shown = new_key("shop-app", ["write", "score"], now=NOW, rate=60)
    assert re.fullmatch(rf"fk_{key.id}_[0-9a-f]{{72}}", shown)
    assert key.scopes == (SCORE, WRITE)
    assert [secret.digest for secret in key.secrets] == [hashlib.sha256(shown.encode()).hexdigest()]
    kept = json.dumps(key_dict(key)) + repr(key)
    assert shown not in kept
    assert shown[16:80] not in kept
    assert opened(key, shown) == key
    assert new_key("shop-app", ["score"], now=NOW)[1] != shown


@pytest.mark.parametrize(
    "change",
    [
        lambda shown: shown[:-1] + ("0" if shown[-1] != "0" else "1"),  # its check digits
        lambda shown: shown[:20] + ("0" if shown[20] != "0" else "1") + shown[21:],
        lambda shown: shown.upper(),
        lambda shown: shown + "\n",
        lambda shown: " " + shown,
        lambda shown: shown.replace("fk_", "sk_"),
        lambda shown: "",
        lambda shown: "é" * 88,
        lambda shown: "fk_" * 5000,
        lambda shown: shown[:3] + "0" * 12 + shown[15:],
    ],
)
def test_any_other_string_opens_nothing(change: object) -> None:
    key, shown = new_key("a", [SCORE], now=NOW)
    assert opened(key, change(shown)) is None  # type: ignore[operator]


def test_the_right_form_with_other_bits_opens_nothing() -> None:
    (key, _), (stranger, theirs) = (new_key("a", [SCORE], now=NOW) for _ in range(2))
    assert open_with({key.id: key}, theirs.encode(), NOW) is None
    assert open_with({stranger.id: replace(key, id=stranger.id)}, theirs.encode(), NOW) is None


def test_a_key_ends() -> None:
    key, shown = new_key("a", [SCORE], now=NOW, expires_at=NOW + HOUR)
    assert opened(key, shown, NOW + HOUR - timedelta(seconds=1)) is key
    assert opened(key, shown, NOW + HOUR) is None
    assert opened(replace(key, revoked_at=NOW), shown) is None
    assert [key.usable(NOW), key.usable(NOW + HOUR), replace(key, revoked_at=NOW).usable(NOW)] == [True, False, False]


def test_while_it_is_changed_both_strings_work() -> None:
    key, first = new_key("a", [SCORE], now=NOW, rate=5)
    changed, second = rotated(key, now=NOW, overlap=HOUR)
    assert (changed.id, changed.scopes, changed.rate) == (key.id, key.scopes, key.rate)
    assert [opened(changed, shown) for shown in (first, second)] == [changed, changed]
    assert [opened(changed, shown, NOW + HOUR) for shown in (first, second)] == [None, changed]
    again, third = rotated(changed, now=NOW + HOUR / 2, overlap=HOUR)
    # The first one does not live longer by it.
    assert [opened(again, shown, NOW + HOUR) is None for shown in (first, second, third)] == [True, False, False]
    later, _ = rotated(again, now=NOW + 5 * HOUR, overlap=HOUR)
    assert len(later.secrets) == 2  # what is over is forgotten
    at_once, fourth = rotated(later, now=NOW + 5 * HOUR, overlap=timedelta())
    assert [len(at_once.secrets), opened(at_once, fourth)] == [1, at_once]
    with pytest.raises(UsageError, match=r"^the key a is revoked or has expired; create a new one$"):
        rotated(replace(key, revoked_at=NOW), now=NOW, overlap=HOUR)


def test_admin_includes_the_other_scopes() -> None:
    reader, admin = (new_key("a", [scope], now=NOW)[0] for scope in (READ, ADMIN))
    assert [reader.may({READ}), reader.may({WRITE}), reader.may({READ, WRITE}), reader.may(())] == [True, False] + 2 * [
        True
    ]
    assert all(admin.may({scope}) for scope in (SCORE, WRITE, READ, ADMIN))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "a key's name: expected 1 to 64 letters, digits, '_', '.' and '-'"),
        ({"name": "a b"}, "a key's name: expected 1 to 64 letters, digits, '_', '.' and '-'"),
        ({"scopes": ["root"]}, "--scope: expected some of score, write, read, admin"),
        ({"scopes": []}, "--scope: expected some of score, write, read, admin"),
        ({"rate": 0}, "--rate: expected 1 to 1000000 requests a minute"),
        ({"expires_at": NOW}, "expected a key that expires in the future"),
    ],
)
def test_keys_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        new_key(**{"name": "a", "scopes": [SCORE], "now": NOW, **arguments})  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.message) == ("key_invalid", message)


def test_found_by_id_or_by_the_name_that_holds() -> None:
    old, new = (new_key("a", [SCORE], now=NOW)[0] for _ in range(2))
    keys = [replace(old, revoked_at=NOW), new]
    assert find_key(keys, "a") is new
    assert find_key(keys, old.id).id == old.id
    with pytest.raises(UsageError) as refused:
        find_key(keys, "b")
    assert refused.value.code == "key_unknown"


def test_there_and_back_as_json() -> None:
    key, _ = rotated(new_key("店铺", [SCORE, READ], now=NOW, rate=9, expires_at=NOW + HOUR)[0], now=NOW, overlap=HOUR)
    key = replace(key, revoked_at=NOW, last_used_at=NOW)
    assert key_of(json.loads(json.dumps(key_dict(key)))) == key


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"}, {"scopes": ["root"]}, {"scopes": None}, {"rate": 0}, {"rate": "9"}, {"created_at": None},
        {"created_at": "2026-01-01T00:00:00"}, {"expires_at": "soon"}, {"secrets": [{}]}, {"secrets": 7},
        {"secrets": [{"digest": "0", "created_at": NOW.isoformat()}]},
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(change: dict[str, object]) -> None:
    body = {**key_dict(new_key("a", [SCORE], now=NOW)[0]), **change}
    with pytest.raises(ConfigError) as refused:
        key_of(body)
    assert refused.value.code == "keys_invalid"
