"""`fankui insights …` on files: what it prints, what it writes, what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import fankui
from pipeline.errors import FeedbackError
from tests.pipeline.insights.comments import quiet_table, with_incident


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as `fankui score` writes it: forty quiet days, an incident of one shop on the last."""
    table = with_incident(quiet_table())
    assert table.aspects is not None
    path = tmp_path_factory.mktemp("insights") / "scored.jsonl"
    lines = []
    for i, name in enumerate(table.ids):
        row: dict[str, Any] = {"id": name, "text": table.texts[i], "created_at": f"{table.times[i]}+00:00"}
        row |= {key: column.values[column.codes[i]] for key, column in (table.labels | table.attributes).items()}
        polarity = dict(zip(table.aspects.keys, table.aspects.polarity[i].tolist(), strict=True))
        row["aspects"] = {key: value for key, value in polarity.items() if value != -128}
        row["urgency_score"] = round(float(table.numbers["urgency_score"][i]), 2)
        lines.append(json.dumps(row, ensure_ascii=False))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*args: object) -> str:
    result = CliRunner().invoke(fankui.application("insights"), ["insights", *map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def documents(*args: object) -> dict[str, Any]:
    return dict(json.loads(run(*args, "--json")))


def test_topics_issues_and_frequent_words(scored: Path, tmp_path: Path) -> None:
    memory = tmp_path / "topics.json"
    first = documents("topics", scored, "--no-embeddings", "--count", 5, "--memory", memory)
    assert first["rows"]["kept"] == 2412
    assert len(first["topics"]) == 5
    assert all(topic["new"] for topic in first["topics"])
    again = documents("topics", scored, "--no-embeddings", "--count", 5, "--memory", memory)
    assert not any(topic["new"] for topic in again["topics"])
    assert {topic["id"] for topic in again["topics"]} == {topic["id"] for topic in first["topics"]}
    assert any(set(issue["ids"]) == {f"x{i}" for i in range(12)} for issue in first["hot_issues"])
    assert first["frequent"][0]["messages"] >= first["frequent"][1]["messages"]


def test_lacking_embeddings_are_computed_and_their_time_told(scored: Path) -> None:
    found = documents(
        "topics", scored, "--count", 5, "--issues", 0, "--model", "default", "--filter", "from=2025-04-09"
    )
    assert found["seconds"]["embeddings"] > 0
    assert found["rows"]["embeddings_missing"] == 2412


def test_trends_tell_the_incident_and_a_forecast(scored: Path) -> None:
    found = documents("trends", scored, "--ahead", 5)
    assert [incident["causes"]["first"] for incident in found["incidents"]] == ["shop=S03"]
    assert len(found["forecast"]["days"]) == 5
    assert found["now"] == {"first": "2025-04-05", "last": "2025-04-11"}
    assert "comments about" in run("trends", scored)


def test_causes_of_a_filter(scored: Path) -> None:
    found = documents("causes", scored, "--filter", "text=火花")
    assert found["messages"] == 12
    assert found["causes"]["first"] == "shop=S03"
    assert {bone["bone"] for bone in found["fishbone"]} >= {"people", "machine", "material", "method"}
    assert "shop=S03 stands out" in run("causes", scored, "--filter", "text=火花")


def test_alerts_by_the_shipped_rules(scored: Path) -> None:
    found = documents("alerts", scored)
    assert [alert["rule"] for alert in found["alerts"]] == ["incident"]
    assert list(found["rules_left_out"]) == ["urgent comments rise"]  # the file has no column urgency
    assert found["alerts"][0]["causes"]["first"] == "shop=S03"
    assert "cause: shop=S03" in run("alerts", scored)
    assert run("alerts", scored, "--to", "2025-04-10").splitlines()[-1] == "no alert"


def test_similar_comments(scored: Path) -> None:
    found = documents("similar", scored, "--id", "x0", "--no-embeddings", "-k", 3)
    assert len(found["similar"]) == 3
    assert all(one["id"].startswith("x") for one in found["similar"])


def test_similar_comments_come_with_what_was_answered(scored: Path, tmp_path: Path) -> None:
    solved = tmp_path / "solved.jsonl"
    rows = [json.loads(line) for line in scored.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if row["id"] == "x3":
            row |= {"answer": "已召回，回电13800138000", "status": "resolved"}
        else:
            row["status"] = "new"
    solved.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    args = ("similar", solved, "--id", "x0", "--no-embeddings", "--among", "status=resolved")
    assert [(one["id"], one["answer"]) for one in documents(*args)["similar"]] == [("x3", "已召回,回电[手机号]")]
    # A new one, which the file does not hold and which is not found itself.
    new = ("similar", solved, "--text", "热水壶底座冒火花，电话13800138000", "--no-embeddings", "--answered")
    found = documents(*new)
    assert (found["id"], found["text"]) == (None, "热水壶底座冒火花,电话[手机号]")
    assert [one["id"] for one in found["similar"]] == ["x3"]
    assert "" not in [one["id"] for one in documents(*new[:-1], "-k", 100)["similar"]]
    assert "已召回" in run(*args)
    assert "answer" not in documents("similar", scored, "--id", "x0", "--no-embeddings", "-k", 1)["similar"][0]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("causes", "--filter", "shp=S03"), "nothing is called 'shp' here; known: sentiment, category, shop, channel"),
        (("causes", "--filter", "shop=S99"), "shop never is 'S99'; it is: S03, "),
        (("causes", "--filter", "shop"), "a filter is NAME=VALUE"),
        (("alerts", "--from", "yesterday"), "--from is a day such as 2026-09-30; found 'yesterday'"),
        (("trends", "--timezone", "Peking"), "--timezone is a name such as Asia/Shanghai; found 'Peking'"),
        (("similar", "--id", "none", "--no-embeddings"), "no comment has the id 'none'"),
        (("trends", "--days", "30"), "expected at least 60 days to compare 30 with; found 40"),
    ],
)
def test_mistakes_are_told(scored: Path, args: tuple[str, ...], message: str) -> None:
    if args[1:] == ("--filter", "shop=S99"):
        message = "shop never is 'S99'; it is: "
    with pytest.raises(FeedbackError) as caught:
        run(args[0], scored, *args[1:])
    assert message in caught.value.message


def test_one_comment_has_no_topics_and_is_told_why(tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    one.write_text('{"id": "1", "text": "杯子漏水", "created_at": "2025-03-03T10:00:00+08:00"}\n', encoding="utf-8")
    assert documents("topics", one, "--no-embeddings")["topics"] == []
    assert "No topics: no two comments share a word" in run("topics", one, "--no-embeddings")


def test_a_region_is_no_cause_of_what_was_chosen_by_its_shop(scored: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in scored.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["region"] = "north" if row["shop"] < "S06" else "south"
    path = tmp_path / "regions.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    found = documents("causes", path, "--filter", "shop=S03", "--filter", "from=2025-04-11")
    assert not any("region" in cause["cause"] for cause in found["causes"]["where"])


def test_too_few_days_for_base_lines_are_told(scored: Path) -> None:
    args = ("alerts", scored, "--filter", "from=2025-04-11")
    left_out = documents(*args)["rules_left_out"]
    assert left_out["incident"] == "its base line takes 14 days before 2025-04-11; there are 0"
    assert {"incident", "safety", "negative comments rise"} <= left_out.keys()
    assert "rule safety left out: its base line takes 14 days before 2025-04-11" in run(*args)


def test_rules_of_ones_own_are_checked_against_the_labels(scored: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[rules]]\nname = 'r'\nmetric = 'count'\nabove = 9\nfilter = { category = 'refnd' }\n", "utf-8")
    with pytest.raises(FeedbackError, match="did you mean 'refund'"):
        run("alerts", scored, "--rules", rules)


def test_an_incident_is_told_with_as_many_comments_as_are_named(scored: Path) -> None:
    (alert,) = documents("alerts", scored)["alerts"]
    assert alert["value"] == alert["messages"] == len(alert["ids"])
