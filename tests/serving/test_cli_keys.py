"""`fankui keys`: made, listed, rotated, revoked; in a file and in both databases."""

import json
import re
from pathlib import Path

import pytest

import fankui


@pytest.fixture(params=["file", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    if request.param == "file":
        return ["--keys-file", str(tmp_path / "keys.json")]
    if request.param == "sqlite":
        return ["--store", str(tmp_path / "store.db")]
    return ["--store", request.getfixturevalue("postgresql").new_database()]


def listed(place: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert fankui.run(["keys", "list", "--json", *place]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_the_life_of_a_key(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    create = ["keys", "create", "shop-app", "--scope", "write", "--scope", "score", "--rate", "600"]
    assert fankui.run([*create, "--expires-days", "30", *place]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"fk_[0-9a-f]{12}_[0-9a-f]{72}\n", out)
    assert err == f"shop-app ({out[3:15]}): score write. This is the only time that it is shown.\n"
    (row,) = listed(place, capsys)
    assert (row["id"], row["name"], row["scopes"], row["rate"]) == (out[3:15], "shop-app", ["score", "write"], 600)
    assert (row["state"], row["strings"], row["last_used_at"]) == ("valid", 1, None)
    assert out.strip() not in json.dumps(row)

    assert fankui.run([*create, *place]) == 2
    assert capsys.readouterr().err == (
        "fankui: there is a key named shop-app already; rotate or revoke it, or use another\n"
    )
    assert fankui.run(["keys", "rotate", "shop-app", *place]) == 0
    second = capsys.readouterr().out
    assert second[:15] == out[:15]
    assert second != out
    assert listed(place, capsys)[0]["strings"] == 2

    assert fankui.run(["keys", "revoke", out[3:15], *place]) == 0
    assert capsys.readouterr().err == f"revoked shop-app ({out[3:15]})\n"
    assert listed(place, capsys)[0]["state"] == "revoked"
    assert fankui.run(["keys", "list", *place]) == 0
    assert "revoked" in capsys.readouterr().out
    assert fankui.run(["keys", "rotate", "shop-app", *place]) == 2
    assert capsys.readouterr().err == ("fankui: expected the name or id of a key; found 0 for 'shop-app'; see list\n")
    assert fankui.run([*create, *place]) == 0  # the name is free again


def test_somebody_has_to_say_where(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FANKUI_STORE", raising=False)
    monkeypatch.delenv("FANKUI_KEYS_FILE", raising=False)
    assert fankui.run(["keys", "list"]) == 2
    assert capsys.readouterr().err == (
        "fankui: say where the keys are: --store (or FANKUI_STORE), or --keys-file for a server without one\n"
    )
    assert fankui.run(["keys", "create", "a", "--scope", "root", "--keys-file", "x.json"]) == 2
    assert capsys.readouterr().err == "fankui: --scope: expected some of score, write, read, admin\n"
    assert fankui.run(["keys", "list", "--keys-file", "none.json"]) == 1
