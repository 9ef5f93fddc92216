"""pipeline/routing_lint.py: what is suspicious in a policy."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.routing import load_policy, policy_from_dict
from pipeline.routing_lint import Finding, lint, lint_file
from pipeline.schema import LabelSchema
from pipeline.workdays import known_years
from tests.pipeline.routing_policies import BASE

TODAY = date(2026, 6, 1)


def codes(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.where) for finding in found]


def found_of(schema: LabelSchema, *rules: dict[str, Any], **tables: Any) -> list[tuple[str, str]]:
    shipped = load_policy()
    labels = {"queue": {"labels": dict(shipped.queues)}, "due": BASE["due"], "dangers": {}}
    settings = tables.pop("settings", {})
    policy = policy_from_dict({**labels, "rules": {**settings, "rule": list(rules)}, **tables})
    found = lint(policy, schema, today=TODAY)
    return [entry for entry in codes(found) if entry[0] not in ("no_calendars", "rule_needs_signals")]


def rule(name: str, when: dict[str, Any], **body: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "then": {"queue": "x"}, **body}


def test_the_shipped_policy_has_notes_alone(schema: LabelSchema) -> None:
    found = lint_file(None, schema, today=TODAY)
    assert codes(found) == [
        ("rule_needs_signals", "[[rules.rule]] 1 'asked_again'"),
        ("no_calendars", "[queue.calendars]"),
    ]
    assert {finding.severity for finding in found} == {"note"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"channel": "app"}),
        ({"channel": ["app", "web"]}, {"channel": "app"}),
        ({"channel": "app"}, {"channel": "app", "tier": "vip"}),
        ({"labels": {"category": ["refund", "billing"]}}, {"labels": {"category": "refund"}}),
        (
            {"probabilities": {"category": {"refund": {"at_least": 0.3}}}},
            {"probabilities": {"category": {"refund": {"at_least": 0.4, "below": 0.6}}}},
        ),
        ({"scores": {"urgency": {"at_least": 0.3}}}, {"scores": {"urgency": {"at_least": 0.5}}}),
        ({"aspects": {"refund": ["negative", "neutral"]}}, {"aspects": {"refund": "negative"}}),
        ({"flags": ["danger", "truncated"]}, {"flags": "danger"}),
        ({"flags": "danger"}, {"flags": ["danger:fire", "danger:legal"]}),
        ({"flags": "danger"}, {"all_flags": ["truncated", "danger:fire"]}),
        ({"all_flags": ["truncated"]}, {"flags": "truncated", "channel": "app"}),
        ({"all_flags": ["truncated", "danger"]}, {"all_flags": ["truncated", "danger:fire", "contradiction"]}),
    ],
)
def test_a_rule_below_one_that_asks_for_less_is_unreachable(
    schema: LabelSchema, first: dict[str, Any], second: dict[str, Any]
) -> None:
    expected = [("rule_unreachable", "[[rules.rule]] 2 'two'")]
    assert found_of(schema, rule("one", first), rule("two", second)) == expected
    # The other way round both may apply, and where points are given all do.
    assert found_of(schema, rule("one", second), rule("two", first)) == []
    assert found_of(schema, rule("one", first), rule("two", second), settings={"mode": "score"}) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"channel": "app"}, {"tier": "app"}),
        ({"labels": {"category": "refund"}}, {"labels": {"sentiment": "negative"}}),
        ({"labels": {"category": "refund"}}, {"labels": {"category": ["refund", "billing"]}}),
        ({"flags": "danger:fire"}, {"flags": "danger"}),
        ({"all_flags": ["truncated", "danger"]}, {"flags": ["truncated", "danger"]}),
        ({"all_flags": ["truncated", "danger"]}, {"flags": "truncated"}),
        ({"flags": "truncated"}, {"flags": ["truncated", "danger"]}),
        ({"satisfaction": {"below": 2}}, {"satisfaction": {"below": 3}}),
        ({"satisfaction": {"below": 2}}, {"scores": {"urgency": {"below": 1}}}),
        ({"aspects": {"refund": "negative"}}, {"aspects": {"billing": "negative"}}),
        (
            {"probabilities": {"category": {"refund": {"at_least": 0.3}}}},
            {"probabilities": {"category": {"billing": {"at_least": 0.3}}}},
        ),
    ],
)
def test_rules_that_both_may_apply_are_let_be(
    schema: LabelSchema, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert found_of(schema, rule("one", first), rule("two", second)) == []


def test_what_keeps_an_earlier_rule_from_firing_lets_the_later_one(schema: LabelSchema) -> None:
    free = rule("two", {"channel": "app"})
    assert found_of(schema, rule("one", {}, unless={"tier": "vip"}), free) == []
    kept = rule("two", {"channel": "app"}, unless={"tier": ["vip", "gold"]})
    unreachable = [("rule_unreachable", "[[rules.rule]] 2 'two'")]
    assert found_of(schema, rule("one", {}, unless={"tier": "vip"}), kept) == unreachable
    assert found_of(schema, rule("one", {}, unless={"tier": ["vip", "gold", "new"]}), kept) == []


def test_a_rule_that_contradicts_itself_never_fires(schema: LabelSchema) -> None:
    found = found_of(schema, rule("it", {"channel": "app"}, unless={"channel": ["app", "web"]}))
    assert found == [("rule_unreachable", "[[rules.rule]] 1 'it'")]


def test_points_that_never_reach_the_least(schema: LabelSchema) -> None:
    rules = [rule("a", {}, points=1.0), rule("b", {"channel": "app"}, points=1.5)]
    assert found_of(schema, *rules, settings={"mode": "score", "least": 3}) == [("queue_unreachable", "[rules]")]
    assert found_of(schema, *rules, settings={"mode": "score", "least": 2.5}) == []


def test_labels_without_a_route(schema: LabelSchema) -> None:
    found = found_of(
        schema, queue={"labels": {"refund": "a"}}, due={"labels": {"low": "1 d", "medium": "4 h", "high": "1 h"}}
    )
    assert found == [("label_unrouted", "[queue.labels]")] * 11 + [("label_unrouted", "[due.labels]")]
    assert found_of(schema, queue={"task": "intent"})[0] == ("task_missing", "[queue]")


def test_times_that_are_not_graded_and_levels_that_raise_nothing(schema: LabelSchema) -> None:
    due = {"labels": {"low": "1 d", "medium": "1 h", "high": "4 h", "critical": "30 min"}}
    assert found_of(schema, due=due) == [("times_not_graded", "[due.labels]")]
    lowest = {"name": "it", "when": {"channel": "a"}, "then": {"level": "low"}}
    assert found_of(schema, lowest) == [("level_raises_nothing", "[[rules.rule]] 1 'it'")]


OFFICE = {"hours": ["09:00-18:00"]}


def calendars(schema: LabelSchema, today: date, *, holidays: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    queue = {**{"labels": dict(load_policy().queues)}, "calendars": {"quality": "office", "general": "office"}}
    tables = {"queue": queue, "calendars": {"office": OFFICE, "spare": OFFICE}, "due": BASE["due"]}
    policy = policy_from_dict({**tables, **({"holidays": holidays} if holidays else {})})
    return codes(lint(policy, schema, today=today))


def test_queues_without_a_calendar_and_calendars_without_a_queue(schema: LabelSchema) -> None:
    assert calendars(schema, date(known_years()[1], 6, 1)) == [
        ("queue_without_calendar", "[queue.calendars]"),
        ("calendar_unused", "[calendars.spare]"),
    ]


def test_years_whose_holidays_are_not_known(schema: LabelSchema) -> None:
    last = known_years()[1]
    expected = ("holidays_unknown", "[calendars.office]")
    assert expected not in calendars(schema, date(last, 10, 31))
    assert expected in calendars(schema, date(last, 11, 1))
    assert expected in calendars(schema, date(last + 1, 1, 1))
    assert expected not in calendars(schema, date(last, 12, 1), holidays={"years": [last + 1]})


def test_a_file_that_cannot_be_read_is_an_error(schema: LabelSchema, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[calendars.a]\nhours = ["09:00-12:00", "11:00-13:00"]\n', encoding="utf-8")
    (finding,) = lint_file(file, schema, today=TODAY)
    assert (finding.severity, finding.code, finding.where) == ("error", "routing_invalid", str(file))
    assert "[calendars.a] hours: 09:00-12:00 and 11:00-13:00 overlap" in finding.message
    (missing,) = lint_file(tmp_path / "none.toml", schema, today=TODAY)
    assert missing.code == "routing_missing"


def test_a_policy_for_other_labels_is_an_error_and_the_rest_is_told_too(schema: LabelSchema) -> None:
    found = lint(policy_from_dict({"queue": {"labels": {"refunds": "a"}}}), schema, today=TODAY)
    assert (found[0].severity, found[0].code) == ("error", "routing_invalid")
    assert {finding.severity for finding in found[1:]} == {"warning", "note"}
