"""Rules read from TOML, and every mistake told with its place."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.insights.alert_rules import Metric, load_rules, rules_from_dict
from pipeline.resources import shipped

GOOD: dict[str, Any] = {"name": "refunds", "metric": "count", "filter": {"category": "refund"}, "above": 20}


def test_the_shipped_rules_are_valid() -> None:
    rules = load_rules(shipped("data", "alerts.toml"))
    assert [rule.name for rule in rules][:2] == ["incident", "safety"]
    assert rules[2].filters == {"urgency": ("high", "critical")}
    assert rules[2].windows == 2


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
        ({"metric": "incident"}, "an incident takes chance, cool_down and least alone"),
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
