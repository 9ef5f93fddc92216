"""pipeline/routing_rule_file.py and routing_check.py: bad rules are refused by file, rule and key."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.routing import load_policy, policy_from_dict
from pipeline.schema import LabelSchema, schema_from_dict
from tests.pipeline.routing_policies import policy

THEN = {"queue": "x"}


def rule(**body: Any) -> dict[str, Any]:
    return {"name": "it", "when": {}, "then": THEN, **body}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x", "[[rules.rule]] 1: expected a table; found str"),
        (
            {"when": {}, "then": THEN},
            "[[rules.rule]] 1 name: lower-case ASCII letters, digits and _ (it is told as rule:NAME); found None",
        ),
        (
            rule(name="VIP 客户"),
            "[[rules.rule]] 1 name: lower-case ASCII letters, digits and _ (it is told as rule:NAME); found 'VIP 客户'",
        ),
        (
            rule(whem={}),
            "[[rules.rule]] 1 'it': unknown key 'whem'; known: name, points, then, unless, when; did you mean 'when'?",
        ),
        (
            {"name": "it", "then": THEN},
            "[[rules.rule]] 1 'it' when: missing; say what it asks, or when = {} for every comment",
        ),
        (rule(when=3), "[[rules.rule]] 1 'it' when: expected a table; found 3"),
        (
            rule(when={"label": {}}),
            "[[rules.rule]] 1 'it' when: unknown key 'label'; known: all_flags, aspects, channel, flags, labels, "
            "near_duplicates, probabilities, repeat_contacts, satisfaction, scores, tier; did you mean 'labels'?",
        ),
        (rule(when={"labels": "refund"}), "[[rules.rule]] 1 'it' when.labels: expected a table; found 'refund'"),
        (
            rule(when={"labels": {"category": []}}),
            "[[rules.rule]] 1 'it' when.labels.category: expected a label, or a list of several; found []",
        ),
        (
            rule(when={"labels": {"category": ["a", 3]}}),
            "[[rules.rule]] 1 'it' when.labels.category: expected a label, or a list of several; found ['a', 3]",
        ),
        (
            rule(when={"probabilities": {"category": {"refund": 0.5}}}),
            "[[rules.rule]] 1 'it' when.probabilities.category.refund: expected bounds such as "
            "{at_least = 0.4, below = 0.9}; found 0.5",
        ),
        (
            rule(when={"probabilities": {"category": {"refund": {"at_least": 1.5}}}}),
            "[[rules.rule]] 1 'it' when.probabilities.category.refund: a probability is between 0 and 1; found 1.5",
        ),
        (
            rule(when={"scores": {"urgency": {"at_most": 1}}}),
            "[[rules.rule]] 1 'it' when.scores.urgency: unknown key 'at_most'; known: at_least, below; "
            "did you mean 'at_least'?",
        ),
        (
            rule(when={"satisfaction": {"below": "2"}}),
            "[[rules.rule]] 1 'it' when.satisfaction.below: expected a number; found '2'",
        ),
        (
            rule(when={"satisfaction": {"below": float("nan")}}),
            "[[rules.rule]] 1 'it' when.satisfaction.below: expected a number; found nan",
        ),
        (
            rule(when={"satisfaction": {"at_least": 3, "below": 2}}),
            "[[rules.rule]] 1 'it' when.satisfaction: nothing is at least 3 and below 2",
        ),
        (
            rule(when={"aspects": {"service": "bad"}}),
            "[[rules.rule]] 1 'it' when.aspects.service: a polarity is negative, neutral, positive; found 'bad'",
        ),
        (
            rule(when={"flags": ["danger:fier"]}),
            "[[rules.rule]] 1 'it' when.flags: nothing raises the flag 'danger:fier' (words of your own: "
            "[flags.NAME]); did you mean 'danger:fire'?",
        ),
        (
            rule(unless={}),
            "[[rules.rule]] 1 'it' unless: is empty, which would hold always; take it out",
        ),
        (
            rule(then={}),
            "[[rules.rule]] 1 'it' then: does nothing; give one of queue, within, around_the_clock, priority, level, "
            "zone",
        ),
        (
            rule(then={"que": "x"}),
            "[[rules.rule]] 1 'it' then: unknown key 'que'; known: around_the_clock, level, priority, queue, within, "
            "zone; did you mean 'queue'?",
        ),
        (rule(then={"queue": ""}), "[[rules.rule]] 1 'it' then.queue: expected a name; found ''"),
        (
            rule(then={"within": "soon"}),
            "[[rules.rule]] 1 'it' then.within: expected a time such as '30 min', '4 h' or '1 d'; found 'soon'",
        ),
        (
            rule(then={"within": 0}),
            "[[rules.rule]] 1 'it' then.within: expected a time such as '30 min', '4 h' or '1 d'; found 0",
        ),
        (
            rule(then={"priority": True}),
            "[[rules.rule]] 1 'it' then.priority: expected a whole number from 1, the most pressing, to 99; found True",
        ),
        (
            rule(then={"zone": "auto"}),
            "[[rules.rule]] 1 'it' then.zone: a rule asks for 'suggest' or 'review', never for less care; found 'auto'",
        ),
        (
            rule(then={"around_the_clock": 1}),
            "[[rules.rule]] 1 'it' then.around_the_clock: expected true or false; found 1",
        ),
        (
            rule(points=2),
            "[[rules.rule]] 1 'it' points: count only with mode = 'score' in [rules]; take them out, or set the mode",
        ),
    ],
)
def test_bad_rules_are_told_by_place_name_and_key(body: Any, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        policy(body)
    assert (raised.value.code, raised.value.message) == ("routing_invalid", f"routing: {message}")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"rules": {"modes": "first"}}, "[rules]: unknown key 'modes'; known: least, mode, rule; did you mean 'mode'?"),
        (
            {"rules": {"mode": "all"}},
            "[rules] mode: expected 'first' (the first rule that fires) or 'score'; found 'all'",
        ),
        ({"rules": {"mode": "score", "least": 0}}, "[rules] least: expected a number above 0; found 0"),
        ({"rules": {"least": 2}}, "[rules] least: counts only with mode = 'score'; take it out, or set the mode"),
        ({"rules": {"rule": {}}}, "[rules] rule: expected tables [[rules.rule]]; found dict"),
        ({"rules": {"rule": [rule(), rule()]}}, "[[rules.rule]] 2 name: 'it' is rule 1 already; give another"),
        (
            {"rules": {"mode": "score", "rule": [rule(points=-1)]}},
            "[[rules.rule]] 1 'it' points: expected a number above 0; found -1",
        ),
        ({"flags": {"x": 3}}, "[flags.x]: expected a table; found int"),
        ({"flags": {"x": {"words": []}}}, "[flags.x]: unknown key 'words'; known: exceptions, terms, threat"),
        ({"flags": {"x": {"terms": []}}}, "[flags.x] (x) terms: expected at least one; found none"),
        (
            {"flags": {"danger": {"terms": ["赔"]}}},
            "[flags.danger]: the flag 'danger' means something else already; give another name",
        ),
        ({"queue": {"several_desks": 1}}, "[queue] several_desks: expected a number of queues from 2 on; found 1"),
        ({"customer": {"tier": 3}}, "[customer] tier: expected the name of a field; found 3"),
        (
            {"due": {"around_the_clock": "critical"}},
            "[due] around_the_clock: expected a list of labels such as ['critical']; found 'critical'",
        ),
        (
            {"queue": {"calendars": {"nobody": "office"}}},
            "[queue.calendars] nobody: no label and no rule leads to such a queue; there are: general",
        ),
        (
            {"queue": {"calendars": {"general": "office"}}},
            "[queue.calendars] general: no calendar is called 'office'; there is none; write a table [calendars.NAME]",
        ),
        (
            {"queue": {"calendars": {"general": "a"}}, "calendars": {"b": {"hours": ["09:00-10:00"]}}},
            "[queue.calendars] general: no calendar is called 'a'; there are: b",
        ),
        (
            {"calendars": {"b": {"hours": ["09:00-10:00"], "timezone": "Moon"}}},
            "[calendars.b] timezone: expected '+08:00' or a name such as 'Asia/Shanghai'; found 'Moon'",
        ),
        (
            {
                "queue": {"calendars": {"general": "b"}},
                "due": {"labels": {"low": "3650 d"}},
                "calendars": {"b": {"hours": ["09:00-09:01"]}},
            },
            "[calendars.b]: with its hours the longest due time would take over ten years",
        ),
    ],
)
def test_bad_tables_are_told(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        policy_from_dict(tables)
    assert raised.value.message == f"routing: {message}"


def test_a_flag_of_dangers_needs_the_dangers() -> None:
    with pytest.raises(ConfigError, match="nothing raises the flag 'danger'"):
        policy_from_dict({"rules": {"rule": [rule(when={"flags": "danger"})]}})


def test_the_file_is_named(tmp_path: Path, schema: LabelSchema) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[rules.rule]]\nname = "vip"\nwhen.tier = 3\nthen.queue = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_policy(file)
    wanted = "expected a name, or a list of several; found 3"
    assert raised.value.message == f"routing: {file}: [[rules.rule]] 1 'vip' when.tier: {wanted}"
    file.write_text('[[rules.rule]]\nname = "vip"\nwhen.labels.categry = "x"\nthen.queue = "x"\n', encoding="utf-8")
    loaded = load_policy(file)
    with pytest.raises(ConfigError) as raised:
        loaded.check(schema)
    assert raised.value.message == (
        f"routing: {file}: [[rules.rule]] 1 'vip' when.labels.categry: the model has no such task; "
        "did you mean 'category'?"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            rule(when={"labels": {"category": ["refund", "return"]}}),
            "when.labels.category return: task 'category' has no label with this key; did you mean 'refund'?",
        ),
        (
            rule(unless={"probabilities": {"category": {"退换售后": {"at_least": 0.5}}}}),
            "unless.probabilities.category 退换售后: task 'category' has no label with this key; "
            "did you mean 'refund'?",
        ),
        (
            rule(when={"labels": {"aspects": "refund"}}),
            "when.labels.aspects: task 'aspects' is an aspect task, which has no label of its own; name another task",
        ),
        (
            rule(when={"aspects": {"refunds": "negative"}}),
            "when.aspects.refunds: the model has no such aspect; did you mean 'refund'?",
        ),
        (
            rule(when={"scores": {"category": {"at_least": 0.5}}}),
            "when.scores.category: task 'category' has no score; only an ordinal task with alert labels has one",
        ),
        (
            rule(then={"level": "hight"}),
            "then.level hight: task 'urgency' has no label with this key; did you mean 'high'?",
        ),
    ],
)
def test_names_that_the_model_lacks_are_refused(schema: LabelSchema, body: dict[str, Any], message: str) -> None:
    routing = policy_from_dict({"rules": {"rule": [rule(name="fine"), body]}})
    with pytest.raises(ConfigError) as raised:
        routing.check(schema)
    assert raised.value.message == f"routing: the file: [[rules.rule]] 2 'it' {message}"


def test_levels_need_an_ordinal_task() -> None:
    routing = policy_from_dict({"rules": {"rule": [rule(then={"level": "high"})]}})
    other = schema_from_dict({"tasks": {"intent": {"kind": "single", "labels": ["a", "b"]}}})
    with pytest.raises(ConfigError, match=r"then\.level: the model has no task 'urgency', whose levels are meant"):
        routing.check(other)
    single = schema_from_dict({"tasks": {"urgency": {"kind": "single", "labels": ["low", "high"]}}})
    with pytest.raises(ConfigError, match=r"then\.level: 'urgency' is no ordinal task"):
        routing.check(single)


def test_the_shipped_file_with_all_its_examples_is_a_policy(tmp_path: Path, schema: LabelSchema) -> None:
    """What is commented out in data/routing.toml would be read as it stands there."""
    from pipeline.resources import shipped

    lines = shipped("data", "routing.toml").read_text(encoding="utf-8").splitlines()
    example = re.compile(r"# (\[{1,2}[\w.]+\]{1,2}$|[\w.]+ = .*)")
    whole = [match[1] if (match := example.match(line)) else line for line in lines]
    assert sum(one != other for one, other in zip(whole, lines, strict=True)) > 25
    file = tmp_path / "routing.toml"
    file.write_text("\n".join(whole), encoding="utf-8")
    routing = load_policy(file)
    routing.check(schema)
    assert [found.name for found in routing.rules.rules] == ["asked_again", "complex", "vip_refund"]
    assert set(routing.calendars) == {"general", "logistics"}
    assert routing.flags is not None
    assert 2027 in routing.calendars["general"].holidays.years
