"""Rules read from TOML, and every mistake told with its place."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.insights.alert_rules import Metric, check_labels, load_rules, rules_from_dict
from pipeline.resources import shipped
from pipeline.schema import LabelSchema

GOOD: dict[str, Any] = {"name": "refunds", "metric": "count", "filter": {"category": "refund"}, "above": 20}


def test_the_shipped_rules_are_valid() -> None:
    rules = load_rules(shipped("data", "alerts.toml"))
    assert [rule.name for rule in rules][:3] == ["incident", "slow incident", "safety"]
    assert [rule.days for rule in rules][:3] == [1, 7, 1]
    assert rules[3].filters == {"urgency": ("high", "critical")}
    assert rules[3].windows == 2


def test_what_is_left_out_has_a_default() -> None:
    (rule,) = rules_from_dict({"rules": [GOOD]})
    assert (rule.metric, rule.days, rule.windows, rule.cool_down, rule.least) == (Metric.COUNT, 1, 1, 3, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "sum"}, "[[rules]] 'refunds' metric: expected one of count, share, negative_share, urgent_share,"),
        ({"above": None}, "[[rules]] 'refunds': expected one of above, below, chance; found none"),
        ({"below": 3}, "[[rules]] 'refunds': expected one of above, below, chance; found above, below"),
        ({"above": "many"}, "[[rules]] 'refunds' above: expected a number; found 'many'"),
        ({"above": None, "chance": 0.5}, "chance: expected a number above 0 and at most 0.1; found 0.5"),
        ({"windows": 0}, "[[rules]] 'refunds' windows: expected a whole number from 1 to 366; found 0"),
        ({"filter": {"shop": []}}, "filter.shop: expected a value or a list of values; found []"),
        ({"window": 2}, "[[rules]] 1: unknown key 'window'; known: above, below, chance,"),
        ({"name": ""}, "[[rules]] 1 name: expected a name such as 'refunds'; found ''"),
        (
            {"metric": "satisfaction", "above": None, "chance": 0.01},
            "a base line is kept for count, share and incident",
        ),
        (
            {"metric": "negative_share", "above": 60},
            "above: negative_share is between 0 and 1, such as 0.6 for 60 %; found",
        ),
        ({"metric": "share", "above": None, "below": 0}, "below: share is between 0 and 1"),
        ({"metric": "satisfaction", "above": None, "below": 60}, "below: satisfaction is between 1 and 5; found 60"),
        ({"above": -1}, "above: count is 0 and more; found -1, which it never passes"),
        ({"metric": "incident"}, "an incident takes chance, days, cool_down and least alone"),
    ],
)
def test_mistakes_are_told(change: dict[str, Any], message: str) -> None:
    body = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        rules_from_dict({"rules": [body]})
    assert caught.value.code == "alerts_invalid"
    assert message in caught.value.message


def test_names_are_unique() -> None:
    with pytest.raises(ConfigError, match="two rules are named 'refunds'"):
        rules_from_dict({"rules": [GOOD, GOOD]})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path / "none.toml")
    assert caught.value.code == "alerts_missing"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"category": "refnd"},
            "'refunds' filter.category: task 'category' has no label 'refnd'; did you mean 'refund'?",
        ),
        ({"category": ["refund", "退款售后"]}, "filter.category: "),
        ({"urgency": "urgent"}, "filter.urgency: task 'urgency' has no label 'urgent'"),
        (
            {"aspect.servce": "negative"},
            "filter.aspect.servce: task 'aspects' has no label 'servce'; did you mean 'service'",
        ),
        ({"aspect.service": "bad"}, "filter.aspect.service: expected negative, neutral, positive; found 'bad'"),
    ],
)
def test_labels_that_no_comment_can_have_are_told(wanted: dict[str, Any], message: str, schema: LabelSchema) -> None:
    rules = rules_from_dict({"rules": [GOOD | {"filter": wanted}]})
    with pytest.raises(ConfigError) as caught:
        check_labels(rules, schema)
    assert caught.value.code == "alerts_invalid"
    assert message in caught.value.message


def test_what_is_no_label_may_have_any_value(schema: LabelSchema) -> None:
    wanted = {"shop": "S07", "category": "refund", "aspect.service": "negative", "text": "漏水"}
    check_labels(rules_from_dict({"rules": [GOOD | {"filter": wanted}]}), schema)
    check_labels(load_rules(shipped("data", "alerts.toml")), schema)


def test_a_labels_name_is_told_its_key(schema: LabelSchema) -> None:
    label = schema.task("category").label("refund")
    with pytest.raises(ConfigError, match=f"expected the label's key 'refund'; found '{label.zh}'"):
        check_labels(rules_from_dict({"rules": [GOOD | {"filter": {"category": label.zh}}]}), schema)
