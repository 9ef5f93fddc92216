"""Rules that say when to raise an alert, read from TOML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline.config_file import read_config_file, unknown_key
from pipeline.errors import ConfigError, SchemaError
from pipeline.schema import Kind, LabelSchema

_MOST_DAYS = 366
_POLARITIES = ("negative", "neutral", "positive")


class Metric(StrEnum):
    """What is measured of a window's comments."""

    COUNT = "count"
    SHARE = "share"  # of all the window's comments
    NEGATIVE_SHARE = "negative_share"  # of those that pass the filter
    URGENT_SHARE = "urgent_share"
    SATISFACTION = "satisfaction"  # mean, 1 to 5
    INCIDENT = "incident"  # any series that bursts; takes no filter


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Fires when the metric passes `above` or `below`, or its base line, in `windows` windows in a row.

    A window is `days` long; an incident of several is one that none of them shows by itself. After firing the rule is
    silent for `cool_down` days.
    """

    name: str
    metric: Metric
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    days: int = 1
    above: float | None = None
    below: float | None = None
    chance: float | None = None  # against the base line: fires where chance alone does it so seldom
    windows: int = 1
    cool_down: int = 3
    least: int = 5  # comments in a window, below which it is not looked at


def load_rules(path: Path) -> tuple[AlertRule, ...]:
    """Raises ConfigError `alerts_missing`, `alerts_unreadable`, `alerts_invalid` with the place of the mistake."""
    return rules_from_dict(
        read_config_file(path, name="alert rules", code="alerts", advice="leave --rules out to take the shipped ones")
    )


def rules_from_dict(body: Mapping[str, Any]) -> tuple[AlertRule, ...]:
    """Raises ConfigError `alerts_invalid`."""
    if wrong := unknown_key(body, {"version", "rules"}, "alert rules"):
        raise _invalid(wrong)
    entries = body.get("rules")
    if not isinstance(entries, list) or not entries:
        raise _invalid("expected at least one table [[rules]]; found none")
    rules = tuple(_rule(entry, f"[[rules]] {i}") for i, entry in enumerate(entries, 1))
    names = [rule.name for rule in rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _invalid(f"two rules are named {twice!r}; give each a name of its own")
    return rules


def check_labels(rules: Sequence[AlertRule], schema: LabelSchema) -> None:
    """Raises ConfigError `alerts_invalid` for a filter by a label that no comment will ever have."""
    aspects = next((task for task in schema.tasks if task.kind is Kind.ASPECT), None)
    for rule in rules:
        for name, values in rule.filters.items():
            where = f"[[rules]] {rule.name!r} filter.{name}"
            try:
                if name.startswith("aspect.") and aspects is not None:
                    aspects.index(name.removeprefix("aspect."))
                    wrong = next((value for value in values if value not in _POLARITIES), None)
                    if wrong is not None:
                        raise _invalid(f"{where}: expected {', '.join(_POLARITIES)}; found {wrong!r}")
                elif name in schema:
                    task = schema.task(name)
                    for value in values:
                        if task.label(value).key != value:
                            raise _invalid(
                                f"{where}: expected the label's key {task.label(value).key!r}; found {value!r}"
                            )
            except SchemaError as error:
                raise _invalid(f"{where}: {error.message}") from None


def _rule(body: Any, where: str) -> AlertRule:
    known = {"name", "metric", "filter", "days", "above", "below", "chance", "windows", "cool_down", "least"}
    if not isinstance(body, Mapping):
        raise _invalid(f"{where}: expected a table; found {type(body).__name__}")
    if wrong := unknown_key(body, known, where):
        raise _invalid(wrong)
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise _invalid(f"{where} name: expected a name such as 'refunds'; found {name!r}")
    where = f"[[rules]] {name!r}"
    metrics = [metric.value for metric in Metric]
    if body.get("metric") not in metrics:
        raise _invalid(f"{where} metric: expected one of {', '.join(metrics)}; found {body.get('metric')!r}")
    rule = AlertRule(
        name=name,
        metric=Metric(body["metric"]),
        filters=_filters(body.get("filter", {}), f"{where} filter"),
        above=_number(body.get("above"), f"{where} above"),
        below=_number(body.get("below"), f"{where} below"),
        chance=_number(body.get("chance"), f"{where} chance"),
        **{
            key: _whole(body[key], f"{where} {key}", least=least)
            for key, least in (("days", 1), ("windows", 1), ("cool_down", 0), ("least", 1))
            if key in body
        },
    )
    _check(rule, where)
    return rule


def _check(rule: AlertRule, where: str) -> None:
    given = [name for name in ("above", "below", "chance") if getattr(rule, name) is not None]
    if rule.metric is Metric.INCIDENT:
        if rule.filters or set(given) - {"chance"} or rule.windows != 1:
            raise _invalid(
                f"{where}: an incident takes chance, days, cool_down and least alone; it looks at all series"
            )
    elif len(given) != 1:
        raise _invalid(f"{where}: expected one of above, below, chance; found {', '.join(given) or 'none'}")
    _check_threshold(rule, where)
    if rule.chance is not None and not 0 < rule.chance <= 0.1:
        raise _invalid(f"{where} chance: expected a number above 0 and at most 0.1; found {rule.chance}")
    if rule.chance is not None and rule.metric not in (Metric.COUNT, Metric.SHARE, Metric.INCIDENT):
        raise _invalid(f"{where}: a base line is kept for count, share and incident; give {rule.metric} above or below")


def _check_threshold(rule: AlertRule, where: str) -> None:
    """A threshold that can be passed: a share above 60 is a percentage, and never comes."""
    if rule.metric is Metric.COUNT:
        low, high, example = 0.0, float("inf"), "0 and more"
    elif rule.metric is Metric.SATISFACTION:
        low, high, example = 1.0, 5.0, "between 1 and 5"
    else:
        low, high, example = 0.0, 1.0, "between 0 and 1, such as 0.6 for 60 %"
    for name, value, possible in (
        ("above", rule.above, rule.above is None or low <= rule.above < high),
        ("below", rule.below, rule.below is None or low < rule.below <= high),
    ):
        if not possible:
            raise _invalid(f"{where} {name}: {rule.metric} is {example}; found {value:g}, which it never passes")


def _filters(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise _invalid(f"{where}: expected a table such as {{shop = 'S07'}}; found {value!r}")
    found = {}
    for name, wanted in value.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values or not all(isinstance(one, str) and one for one in values):
            raise _invalid(f"{where}.{name}: expected a value or a list of values; found {wanted!r}")
        found[name] = tuple(values)
    return found


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f"{where}: expected a number; found {value!r}")
    return float(value)


def _whole(value: Any, where: str, *, least: int) -> int:
    if type(value) is not int or not least <= value <= _MOST_DAYS:
        raise _invalid(f"{where}: expected a whole number from {least} to {_MOST_DAYS}; found {value!r}")
    return value


def _invalid(message: str) -> ConfigError:
    return ConfigError("alerts_invalid", f"alert rules: {message}")
