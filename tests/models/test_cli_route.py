"""`fankui route` as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fankui import run
from models.bundle import ModelBundle

POLICY = """
[queue]
task = "tags"
default = "rest"
labels = {parcel = "road", money = "till"}
calendars = {road = "office"}
[due]
task = "level"
around_the_clock = ["top"]
labels = {low = "24 h", mid = "4 h", top = "30 min"}
[calendars.office]
hours = ["09:00-12:00"]
[[rules.rule]]
name = "vip"
when.tier = "vip"
when.labels.mood = "bad"
then.queue = "till"
then.level = "mid"
"""

Json = Callable[..., Any]


@pytest.fixture(autouse=True)
def setting(tiny_bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANKUI_MODEL", str(tiny_bundle.path))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routing.toml").write_text(POLICY, encoding="utf-8")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Json:
    """The JSON document that `fankui route …` prints."""

    def tell(*args: str, code: int = 0) -> Any:
        assert run(["route", *args, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return tell


def test_lint_of_the_shipped_policy(told: Json, capsys: pytest.CaptureFixture[str]) -> None:
    found = told("lint")["findings"]
    assert {finding["severity"] for finding in found} == {"note"}
    assert set(found[0]) == {"severity", "code", "where", "message"}
    assert run(["route", "lint"]) == 0
    assert "no_calendars" in capsys.readouterr().out


def test_lint_of_a_file_for_a_models_labels(told: Json, tiny_bundle: ModelBundle) -> None:
    found = told("lint", "routing.toml", "--model", str(tiny_bundle.path))["findings"]
    warnings = {finding["code"] for finding in found if finding["severity"] == "warning"}
    # From November on those of the next year should be known.
    assert warnings - {"holidays_unknown"} == {"queue_without_calendar"}
    told("lint", "routing.toml", "--model", str(tiny_bundle.path), "--strict", code=1)
    wrong = told("lint", "routing.toml", code=1)["findings"]  # the shipped schema has no such labels
    assert wrong[0]["severity"] == "error"


def test_lint_tells_what_cannot_be_read(told: Json, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text('[[rules.rule]]\nname = "x"\nwhen.tier = 3\n', encoding="utf-8")
    (finding,) = told("lint", "bad.toml", code=1)["findings"]
    assert finding["message"].startswith("routing: bad.toml: [[rules.rule]] 1 'x' when.tier: ")
    (gone,) = told("lint", "gone.toml", code=1)["findings"]
    assert gone["code"] == "routing_missing"
    (tmp_path / "schema.toml").write_text("", encoding="utf-8")
    assert run(["route", "lint", "--schema", "schema.toml", "--model", "default"]) == 2
    assert "--schema and --model" in capsys.readouterr().err


def test_explain(told: Json, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("explain", "快递很慢", "--routing", "routing.toml", "--at", "2026-03-04 13:00")
    found = told(*args)
    assert found["policy"] == "routing.toml"
    assert found["result"]["decision"]["due_at"] == "2026-03-06T10:00:00+08:00"
    assert found["result"]["decision"]["priority"] == 2
    assert [(rule["name"], rule["fires"]) for rule in found["explanation"]["rules"]] == [("vip", False)]
    vip = told(*args, "--tier", "VIP")
    assert vip["result"]["decision"]["queue"] == "till"
    assert vip["explanation"]["rules"][0]["applies"]
    assert run(["route", *args, "--tier", "vip"]) == 0
    shown = capsys.readouterr().out
    assert "applies" in shown
    assert "tier is vip" in shown


def test_explain_tells_signals_and_usage(told: Json, capsys: pytest.CaptureFixture[str]) -> None:
    found = told("explain", "很慢", "--repeat-contacts", "2", "--near-duplicates", "1", "--channel", "app")
    assert found["explanation"]["flags"][-2:] == ["repeat_contact", "near_duplicate"]
    assert run(["route", "explain", "很慢", "--at", "someday"]) == 2
    assert "--at is a time such as" in capsys.readouterr().err
    assert run(["route", "explain", ""]) == 1
    assert capsys.readouterr().err.startswith("fankui: expected ")


@pytest.fixture
def comments(tmp_path: Path) -> str:
    rows = ["text,created_at,tags,level,渠道"]
    rows += [f"快递很慢,2026-03-0{day} 10:00,parcel,mid,app" for day in range(2, 7)]
    rows += ["很贵,2026-03-02 10:00,parcel,low,web", ",,,,", "好,,,,"]
    (tmp_path / "march.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return "march.csv"


def test_backtest(told: Json, comments: str, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("backtest", comments, "--routing", "routing.toml", "--channel-column", "渠道")
    found = told(*args, "--capacity", "1", "--capacity", "till=0.01", "--transfer-minutes", "20")
    assert (found["comments"], found["failed"], found["undated"]) == (7, 1, 1)
    volume = {load["queue"]: load["comments"] for load in found["loads"]}
    assert volume == {"road": 5, "till": 1, "rest": 1}
    services = {service["queue"]: service for service in found["services"]}
    assert (services["road"]["capacity"], services["road"]["breaches"]) == (1, 0)
    assert (services["till"]["breaches"], services["till"]["needed"]) == (1, 1)
    assert found["misroutes"]["labelled"] == 6
    assert found["misroutes"]["confusions"] == [["road", "till", 1]]
    assert found["misroutes"]["cost_minutes"] == 20
    assert run(["route", *args, "--capacity", "2"]) == 0
    shown = capsys.readouterr().out
    assert "7 comments decided, 1 rows not usable, 1 comments without a time" in shown
    assert "Wrong queues" in shown


def test_backtest_of_a_file_without_times_and_labels(told: Json, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("text\n好\n", encoding="utf-8")
    found = told("backtest", "plain.csv")
    assert (found["comments"], found["undated"], found["misroutes"]) == (1, 1, None)
    assert found["services"][0]["needed"] == 0


@pytest.mark.parametrize(
    ("capacity", "message"),
    [
        ("x", "--capacity is N or QUEUE=N, comments an hour above 0; found 'x'"),
        ("0", "--capacity is N or QUEUE=N, comments an hour above 0; found '0'"),
        ("inf", "--capacity is N or QUEUE=N, comments an hour above 0; found 'inf'"),
        ("roads=3", "--capacity: no queue 'roads'; there are: road, till, rest"),
    ],
)
def test_bad_capacities(comments: str, capacity: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["route", "backtest", comments, "--routing", "routing.toml", "--capacity", capacity]) == 2
    assert capsys.readouterr().err == f"fankui: {message}\n"


def test_a_policy_that_does_not_fit_the_model_is_refused(
    tmp_path: Path, comments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.toml").write_text('[queue.labels]\nparcels = "x"\n[queue]\ntask = "tags"\n', encoding="utf-8")
    assert run(["route", "backtest", comments, "--routing", "other.toml"]) == 1
    (tmp_path / "other.toml").write_text('[queue]\ntask = "tags"\nlabels = {parcels = "x"}\n', encoding="utf-8")
    assert run(["route", "explain", "好", "--routing", "other.toml"]) == 1
    assert "task 'tags' has no label with this key; did you mean 'parcel'?" in capsys.readouterr().err
