"""pipeline/routing.py: queue, due time and zone of a prediction."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.feedback import Feedback, Prediction, TaskPrediction
from pipeline.prepare import prepare
from pipeline.routing import RoutingPolicy, Thresholds, load_policy, policy_from_dict
from pipeline.schema import LabelSchema, schema_from_dict

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))
LIMITS = {"category": Thresholds(auto=0.9, suggest=0.5), "urgency": Thresholds(auto=0.8, suggest=0.4)}


def predicted(flags: tuple[str, ...] = (), **labels: tuple[str, float]) -> Prediction:
    tasks = {name: TaskPrediction(label, value, {label: value}) for name, (label, value) in labels.items()}
    return Prediction(tasks=tasks, aspects={}, model_version="m", flags=flags)


@pytest.fixture(scope="module")
def policy() -> RoutingPolicy:
    return load_policy()


def test_the_shipped_policy_has_a_queue_and_a_time_for_every_label(policy: RoutingPolicy, schema: LabelSchema) -> None:
    assert set(policy.queues) == set(schema.task("category").keys)
    within = {label.key: label.respond_within for label in schema.task("urgency").labels}
    assert {key: time / timedelta(minutes=1) for key, time in policy.due.items()} == within


def test_category_gives_the_queue_and_urgency_the_due_time(policy: RoutingPolicy) -> None:
    prediction = predicted(category=("billing", 0.95), urgency=("high", 0.9))
    decision = policy.decide(prediction, Feedback("x"), thresholds=LIMITS, now=NOW)
    assert (decision.queue, decision.zone) == ("billing", "auto")
    assert decision.due_at == datetime(2026, 3, 1, 13, 0, tzinfo=CHINA)
    assert decision.due_at.utcoffset() == timedelta(hours=8)
    assert decision.reasons == ("category:billing", "urgency:high")


@pytest.mark.parametrize(
    ("category", "urgency", "zone", "reasons"),
    [
        (0.9, 0.8, "auto", ()),
        (0.9, 0.79, "suggest", ("below_auto:urgency",)),
        (0.5, 0.4, "suggest", ("below_auto:category", "below_auto:urgency")),
        (0.49, 0.99, "review", ("below_suggest:category",)),
        (0.6, 0.1, "review", ("below_auto:category", "below_suggest:urgency")),
    ],
)
def test_the_zone_is_that_of_the_least_certain_task(
    policy: RoutingPolicy, category: float, urgency: float, zone: str, reasons: tuple[str, ...]
) -> None:
    prediction = predicted(category=("billing", category), urgency=("high", urgency), sentiment=("neutral", 0.01))
    decision = policy.decide(prediction, Feedback("x"), thresholds=LIMITS, now=NOW)
    assert decision.zone == zone
    assert decision.reasons[2:] == reasons


def test_nothing_raises_what_a_person_said(policy: RoutingPolicy, schema: LabelSchema) -> None:
    prediction = predicted(category=("product", 1.0), urgency=("low", 1.0))
    levels = dict.fromkeys(schema.task("urgency").keys, 0.0) | {"low": 1.0}
    prediction = replace(prediction, tasks={**prediction.tasks, "urgency": TaskPrediction("low", 1.0, levels)})
    feedback = Feedback("说明书写着：电热毯着火请拨119。电热毯着火了")
    raised = policy.decide(prediction, feedback, thresholds=LIMITS, now=NOW)
    assert (raised.priority, raised.zone) == (1, "review")
    assert "raised:critical" in raised.reasons
    settled = policy.decide(prediction, feedback, thresholds=LIMITS, now=NOW, settled=("urgency",))
    assert (settled.priority, settled.zone, settled.reasons) == (4, "auto", ("category:product", "urgency:low"))
    assert settled.due_at == NOW + timedelta(hours=24)
    # Of another task than the one that gives the due time it changes nothing.
    assert policy.decide(prediction, feedback, thresholds=LIMITS, now=NOW, settled=("category",)) == raised


def test_out_of_scope_is_reviewed_however_certain(policy: RoutingPolicy) -> None:
    prediction = predicted(("out_of_scope",), category=("billing", 1.0), urgency=("low", 1.0))
    decision = policy.decide(prediction, Feedback("x"), thresholds=LIMITS, now=NOW)
    assert (decision.zone, decision.reasons[-1]) == ("review", "out_of_scope")


def test_the_time_runs_from_when_the_comment_was_made(policy: RoutingPolicy) -> None:
    prediction = predicted(category=("billing", 1.0), urgency=("critical", 1.0))
    earlier = Feedback("x", created_at=datetime(2026, 3, 1, 9, 0))  # no zone: China
    decision = policy.decide(prediction, earlier, thresholds=LIMITS, now=NOW)
    assert decision.due_at == datetime(2026, 3, 1, 9, 30, tzinfo=CHINA)


def test_a_comment_from_the_future_wins_no_time(policy: RoutingPolicy) -> None:
    prediction = predicted(category=("billing", 1.0), urgency=("critical", 1.0))
    later = Feedback("x", created_at=NOW + timedelta(days=3))
    decision = policy.decide(prediction, later, thresholds=LIMITS, now=NOW)
    assert decision.due_at == NOW + timedelta(minutes=30)


def test_a_schema_without_category_and_urgency(policy: RoutingPolicy) -> None:
    limits = {"intent": Thresholds(auto=0.1, suggest=0.1)}
    decision = policy.decide(predicted(intent=("a", 1.0)), Feedback("x"), thresholds=limits, now=NOW)
    assert (decision.queue, decision.due_at, decision.zone) == ("general", None, "review")
    assert decision.reasons == ("default_queue", "no_routed_task")


def test_a_comment_with_aspects_alone_is_reviewed(policy: RoutingPolicy) -> None:
    decision = policy.decide(predicted(), Feedback("x"), thresholds={}, now=NOW)
    assert (decision.zone, decision.reasons) == ("review", ("default_queue", "no_routed_task"))


def test_a_task_with_thresholds_in_the_policy_counts_for_the_zone() -> None:
    policy = policy_from_dict({"zones": {"mood": {"auto": 0.9, "suggest": 0.5}}})
    decision = policy.decide(predicted(mood=("bad", 0.95)), Feedback("x"), thresholds={}, now=NOW)
    assert decision.zone == "auto"
    both = predicted(mood=("bad", 0.6), category=("billing", 1.0))
    assert policy.decide(both, Feedback("x"), thresholds=LIMITS, now=NOW).zone == "suggest"


@pytest.mark.parametrize(("probability", "zone"), [(1.0, "suggest"), (0.5, "review"), (float("nan"), "review")])
def test_without_fitted_thresholds_nothing_is_decided_unseen(
    policy: RoutingPolicy, probability: float, zone: str
) -> None:
    prediction = predicted(category=("billing", probability))
    assert policy.decide(prediction, Feedback("x"), thresholds={}, now=NOW).zone == zone


def test_the_shipped_policy_fits_the_shipped_schema(policy: RoutingPolicy, schema: LabelSchema) -> None:
    policy.check(schema)


def test_a_policy_for_tasks_that_the_schema_lacks_fits() -> None:
    zones = {"category": {"auto": 0.9, "suggest": 0.5}}
    policy = policy_from_dict(
        {"queue": {"labels": {"anything": "x"}}, "due": {"labels": {"soon": "1 h"}}, "zones": zones}
    )
    policy.check(schema_from_dict({"tasks": {"intent": {"kind": "single", "labels": ["a", "b"]}}}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"queue": {"labels": {"logistic": "x"}}},
            "[queue.labels] logistic: task 'category' has no label with this key; did you mean 'logistics'?",
        ),
        (
            {"queue": {"labels": {"物流配送": "x"}}},
            "[queue.labels] 物流配送: task 'category' has no label with this key; did you mean 'logistics'?",
        ),
        (
            {"due": {"labels": {"zzz": "1 h"}}},
            "[due.labels] zzz: task 'urgency' has no label with this key; it has: low, medium, high, critical",
        ),
        (
            {"zones": {"categroy": {"auto": 0.9, "suggest": 0.5}}},
            "[zones.categroy]: the model has no such task; did you mean 'category'?",
        ),
        (
            {"zones": {"aspects": {"auto": 0.9, "suggest": 0.5}}},
            "[zones.aspects]: task 'aspects' is an aspect task, which has no label of its own; name another task",
        ),
        (
            {"due": {"task": "sentiment"}, "dangers": {}},
            "[dangers]: only an ordinal task has levels to raise; 'sentiment' is single",
        ),
        (
            {"queue": {"task": "aspects"}},
            "[queue]: task 'aspects' is an aspect task, which has no label of its own; name another task",
        ),
    ],
)
def test_names_that_the_schema_does_not_know_are_refused(
    schema: LabelSchema, data: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        policy_from_dict(data).check(schema)
    assert (raised.value.code, raised.value.message) == ("routing_invalid", f"routing: {message}")


def test_a_label_without_a_queue_goes_to_the_default(policy: RoutingPolicy) -> None:
    decision = policy.decide(predicted(category=("gardening", 1.0)), Feedback("x"), thresholds=LIMITS, now=NOW)
    assert (decision.queue, decision.reasons) == ("general", ("default_queue",))


def test_of_several_labels_the_likeliest_routes() -> None:
    policy = policy_from_dict({"queue": {"task": "tags", "labels": {"a": "first", "b": "second"}}})
    tags = TaskPrediction(("a", "b"), 0.6, {"a": 0.6, "b": 0.9})
    prediction = Prediction(tasks={"tags": tags}, aspects={}, model_version="m")
    assert policy.decide(prediction, Feedback("x"), thresholds={}, now=NOW).queue == "second"
    none = Prediction(tasks={"tags": TaskPrediction((), 0.6, {"a": 0.4})}, aspects={}, model_version="m")
    assert policy.decide(none, Feedback("x"), thresholds={}, now=NOW).queue == "general"


def test_thresholds_of_the_policy_replace_the_models() -> None:
    policy = policy_from_dict({"zones": {"category": {"auto": 0.3, "suggest": 0.2}}})
    decision = policy.decide(predicted(category=("billing", 0.35)), Feedback("x"), thresholds=LIMITS, now=NOW)
    assert decision.zone == "auto"


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "+08:00"])
def test_a_zone_by_name_or_offset(zone: str) -> None:
    policy = policy_from_dict({"timezone": zone, "due": {"labels": {"low": "1 d"}}})
    decision = policy.decide(predicted(urgency=("low", 1.0)), Feedback("x"), thresholds={}, now=NOW)
    assert decision.due_at is not None
    assert decision.due_at.isoformat() == "2026-03-02T12:00:00+08:00"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"queues": {}},
            "the file: unknown key 'queues'; known: calendars, customer, dangers, due, flags, "
            "holidays, queue, rules, timezone, version, zones",
        ),
        (
            {"queue": {"name": "x"}},
            "[queue]: unknown key 'name'; known: calendars, default, labels, several_desks, task",
        ),
        ({"queue": "x"}, "queue: expected a table; found str"),
        ({"queue": {"labels": {"a": ""}}}, "[queue.labels] a: expected the name of a queue; found ''"),
        ({"queue": {"default": 3}}, "[queue] default: expected the name of a queue; found 3"),
        (
            {"due": {"labels": {"low": "soon"}}},
            "[due.labels] low: expected a time such as '30 min', '4 h' or '1 d'; found 'soon'",
        ),
        (
            {"due": {"labels": {"low": 0}}},
            "[due.labels] low: expected a time such as '30 min', '4 h' or '1 d'; found 0",
        ),
        ({"dangers": []}, "dangers: expected a table; found list"),
        ({"dangers": {"enable": True}}, "[dangers]: unknown key 'enable'; known: enabled, file"),
        ({"dangers": {"enabled": "yes"}}, "[dangers] enabled: expected true or false; found 'yes'"),
        (
            {"dangers": {"file": ""}},
            "[dangers] file: expected the name of a file like data/dangers.toml; found ''",
        ),
        ({"timezone": "Moon"}, "timezone: expected '+08:00' or a name such as 'Asia/Shanghai'; found 'Moon'"),
        ({"zones": {"a": {"auto": 1}}}, "[zones.a] needs auto and suggest, nothing else"),
        (
            {"zones": {"a": {"auto": 0.2, "suggest": 0.5}}},
            "[zones.a]: expected numbers with 0 <= suggest <= auto; found auto = 0.2, suggest = 0.5",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        policy_from_dict(data)
    assert raised.value.message == f"routing: {message}"


LEVELS = ("low", "medium", "high", "critical")


def leveled(level: str, **labels: tuple[str, float]) -> Prediction:
    """As `predicted`, with every level of urgency."""
    rest = predicted(category=("product", 0.99), **labels)
    urgency = TaskPrediction(level, 0.97, {name: 0.97 if name == level else 0.01 for name in LEVELS})
    return Prediction(tasks={**rest.tasks, "urgency": urgency}, aspects={}, model_version="m")


def test_a_danger_raises_the_due_time_and_asks_for_a_person(policy: RoutingPolicy) -> None:
    prediction = leveled("low")
    decision = policy.decide(prediction, Feedback("充電器冒煙，還漏電"), thresholds=LIMITS, now=NOW)
    assert decision.due_at == NOW + timedelta(minutes=30)
    assert (decision.queue, decision.zone) == ("quality", "review")
    assert decision.reasons == (
        "category:product", "urgency:low", "raised:critical", "danger:fire", "danger:electric"
    )  # fmt: skip
    assert prediction == leveled("low")


def test_a_danger_raises_to_its_own_level(policy: RoutingPolicy) -> None:
    decision = policy.decide(leveled("medium"), Feedback("用完全身过敏"), thresholds=LIMITS, now=NOW)
    assert decision.due_at == NOW + timedelta(hours=1)
    assert decision.reasons[1:] == ("urgency:medium", "raised:high", "danger:allergy")


def test_only_dangers_above_the_models_level_are_reasons(policy: RoutingPolicy) -> None:
    both = Feedback("脸上过敏，手还烫伤了")
    decision = policy.decide(leveled("high"), both, thresholds=LIMITS, now=NOW)
    assert decision.reasons[1:] == ("urgency:high", "raised:critical", "danger:injury")


@pytest.mark.parametrize(
    ("level", "text"), [("critical", "着火了"), ("high", "全身过敏"), ("low", "没有着火"), ("low", "很好")]
)
def test_nothing_is_raised_without_need(policy: RoutingPolicy, level: str, text: str) -> None:
    decision = policy.decide(leveled(level), Feedback(text), thresholds=LIMITS, now=NOW)
    assert decision.due_at == NOW + policy.due[level]
    assert (decision.zone, decision.reasons) == ("auto", ("category:product", f"urgency:{level}"))


def test_the_prepared_text_is_taken_where_it_is_given(policy: RoutingPolicy) -> None:
    decision = policy.decide(leveled("low"), Feedback("很好"), thresholds=LIMITS, now=NOW, text="着火了")
    assert decision.reasons[2:] == ("raised:critical", "danger:fire")


def test_what_the_model_is_unsure_of_is_told_beside_the_danger(policy: RoutingPolicy) -> None:
    prediction = leveled("low", intent=("ask", 0.1))
    unsure = {**LIMITS, "category": Thresholds(auto=1.0, suggest=0.5)}
    decision = policy.decide(prediction, Feedback("着火了"), thresholds=unsure, now=NOW)
    assert (decision.zone, decision.reasons[2:]) == (
        "review",
        ("raised:critical", "danger:fire", "below_auto:category"),
    )


def test_a_schema_without_the_due_task_or_the_level_raises_nothing(policy: RoutingPolicy) -> None:
    alone = predicted(category=("product", 0.99))
    assert policy.decide(alone, Feedback("着火了"), thresholds=LIMITS, now=NOW).reasons == ("category:product",)
    other = predicted(category=("product", 0.99), urgency=("low", 0.99))  # its only level
    assert policy.decide(other, Feedback("着火了"), thresholds=LIMITS, now=NOW).zone == "auto"


def test_a_policy_without_the_table_or_with_it_switched_off_knows_no_dangers() -> None:
    due = {"labels": {"low": "1 d", "critical": "1 h"}}
    for data in ({"due": due}, {"due": due, "dangers": {"enabled": False}}):
        policy = policy_from_dict(data)
        assert policy.dangers is None
        decision = policy.decide(leveled("low"), Feedback("着火了"), thresholds=LIMITS, now=NOW)
        assert (decision.due_at, decision.zone) == (NOW + timedelta(days=1), "auto")


def test_words_of_ones_own_lie_beside_the_policy(tmp_path: Path) -> None:
    words = '[[dangers]]\ngroup = "goods"\nlevel = "high"\nterms = ["塌了"]\n'
    (tmp_path / "words.toml").write_text(words, encoding="utf-8")
    (tmp_path / "routing.toml").write_text('[dangers]\nfile = "words.toml"\n', encoding="utf-8")
    policy = load_policy(tmp_path / "routing.toml")
    decision = policy.decide(leveled("low"), Feedback("床塌了，还着火了"), thresholds=LIMITS, now=NOW)
    assert (decision.due_at, decision.reasons[-2:]) == (None, ("raised:high", "danger:goods"))
    (tmp_path / "words.toml").unlink()
    with pytest.raises(ConfigError, match=r"danger file .*words\.toml does not exist"):
        load_policy(tmp_path / "routing.toml")


def test_raising_never_makes_the_answer_later() -> None:
    data = {"due": {"labels": {"high": "1 h", "critical": "2 h"}}, "dangers": {}}
    decision = policy_from_dict(data).decide(leveled("high"), Feedback("着火了"), thresholds=LIMITS, now=NOW)
    assert decision.due_at == NOW + timedelta(hours=1)


def test_a_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_policy(tmp_path / "no.toml")
    assert raised.value.message == f"routing file {tmp_path / 'no.toml'} does not exist; give --routing FILE.toml"
    with pytest.raises(ConfigError) as folder:
        load_policy(tmp_path)
    assert folder.value.message == f"routing file {tmp_path} cannot be read: Is a directory"
    (tmp_path / "bad.toml").write_text("[queue", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid: "):
        load_policy(tmp_path / "bad.toml")


def test_a_comment_that_was_cut_is_reviewed(policy: RoutingPolicy) -> None:
    prediction = replace(leveled("low"), truncated=True)
    decision = policy.decide(prediction, Feedback("好"), thresholds=LIMITS, now=NOW)
    assert (decision.zone, decision.reasons[2:]) == ("review", ("truncated",))


def test_a_danger_beyond_the_cap_counts(policy: RoutingPolicy) -> None:
    prediction = replace(leveled("low"), truncated=True)
    days = "".join(f"第{i}天不错，" for i in range(700))  # repetitions would be squeezed
    prepared = prepare(days + "后来充电器着火了，" + days)
    assert prepared.truncated
    comment = Feedback(days + "后来充电器着火了，" + days)
    decision = policy.decide(prediction, comment, thresholds=LIMITS, now=NOW, text=prepared.text)
    assert decision.reasons[2:] == ("raised:critical", "danger:fire", "truncated")
    assert decision.due_at == NOW + timedelta(minutes=30)


@pytest.mark.parametrize(("sure", "zone"), [(0.99, "suggest"), (0.55, "suggest"), (0.1, "review")])
def test_a_contradiction_is_never_acted_on_unseen(policy: RoutingPolicy, sure: float, zone: str) -> None:
    prediction = predicted(("contradiction",), category=("billing", sure), urgency=("low", 0.99))
    decision = policy.decide(prediction, Feedback("x"), thresholds=LIMITS, now=NOW)
    assert (decision.zone, decision.reasons[2]) == (zone, "contradiction")


def test_dangers_are_told_in_the_lexicons_order(policy: RoutingPolicy) -> None:
    decision = policy.decide(leveled("low"), Feedback("漏电，还冒烟"), thresholds=LIMITS, now=NOW)
    assert decision.reasons[3:] == ("danger:fire", "danger:electric")


def test_every_reason_is_among_the_codes_once() -> None:
    data = {
        "queue": {"task": "urgency", "labels": {"low": "a", "high": "b"}},
        "due": {"task": "urgency", "labels": {"low": "1 d", "critical": "1 h"}},
        "zones": {"mood": {"auto": 0.9, "suggest": 0.5}},
    }
    policy = policy_from_dict(data)
    assert policy.reason_codes() == (
        "urgency:low", "urgency:high", "default_queue", "urgency:critical", "out_of_scope", "no_routed_task",
        "truncated", "contradiction", "below_suggest:urgency", "below_auto:urgency", "below_suggest:mood",
        "below_auto:mood",
    )  # fmt: skip
    decision = policy.decide(leveled("low"), Feedback("x"), thresholds=LIMITS, now=NOW)
    assert decision.reasons == ("urgency:low",)
