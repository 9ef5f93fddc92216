"""pipeline/routing_explain.py: what decided a comment."""

import json
from datetime import UTC, datetime, timedelta

from pipeline.feedback import Feedback, Signals
from pipeline.routing_explain import Asked, explain_decision
from tests.pipeline.routing_policies import LIMITS, NOW, policy, predicted

RULES = (
    {"name": "never", "when": {"channel": "app", "flags": "danger"}, "then": {"queue": "a"}},
    {"name": "vip", "when": {"tier": "vip"}, "unless": {"labels": {"urgency": "critical"}}, "then": {"queue": "b"}},
    {"name": "again", "when": {"repeat_contacts": {"at_least": 1}}, "then": {"queue": "c"}},
    {"name": "rest", "when": {}, "then": {"zone": "review"}},
)


def test_every_rule_is_told_with_what_it_asks_and_finds() -> None:
    routing = policy(*RULES)
    feedback = Feedback("就起诉你们", channel="web", signals=Signals(repeat_contacts=2, customer_tier="VIP"))
    found = explain_decision(routing, predicted(), feedback, thresholds=LIMITS, now=NOW)
    assert found.decision == routing.decide(predicted(), feedback, thresholds=LIMITS, now=NOW)
    assert [(rule.name, rule.fires, rule.applies) for rule in found.rules] == [
        ("never", False, False),
        ("vip", True, True),
        ("again", True, False),
        ("rest", True, False),
    ]
    never, vip, again, rest = found.rules
    flags = "danger, danger:legal, repeat_contact"
    assert never.conditions == (
        Asked("when", "channel is app", "web", False),
        Asked("when", "flags has danger", flags, True),
    )
    assert vip.conditions[1] == Asked("unless", "labels.urgency is critical", "low", False)
    assert again.conditions == (Asked("when", "repeat_contacts >= 1", "2", True),)
    assert rest.conditions == ()
    assert ", ".join(found.flags) == flags


def test_how_the_due_time_came_about() -> None:
    queue = {"labels": {"refund": "after_sales"}, "calendars": {"after_sales": "office"}}
    routing = policy(queue=queue, calendars={"office": {"hours": ["09:00-12:00", "13:30-18:00"]}})
    night = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
    found = explain_decision(routing, predicted(urgency="high"), Feedback("好"), thresholds=LIMITS, now=night)
    assert found.due is not None
    assert (found.due.minutes, found.due.calendar, found.due.starts_at) == (60, "office", night)
    assert (found.due.hours["mon"], found.due.hours["sat"]) == ("09:00-12:00, 13:30-18:00", "")
    critical = explain_decision(routing, predicted(urgency="critical"), Feedback("好"), thresholds=LIMITS, now=night)
    assert critical.due is not None
    assert (critical.due.calendar, critical.decision.due_at) == (None, night + timedelta(minutes=30))


def test_certainties_and_json() -> None:
    found = explain_decision(policy(*RULES), predicted(sure=0.7), Feedback("手机坏了"), thresholds=LIMITS, now=NOW)
    category, urgency = found.certainties
    assert (category.task, category.label, category.probability) == ("category", "refund", 0.7)
    assert (urgency.auto, urgency.suggest) == (0.8, 0.5)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["decision"]["due_at"] == "2026-03-05T10:00:00+08:00"
    assert told["due"]["starts_at"] == "2026-03-04T10:00:00+08:00"
    assert "手机" not in json.dumps(told, ensure_ascii=False)


def test_flags_are_told_though_no_rule_asks_for_them() -> None:
    prediction = predicted(aspects={"refund": -1, "logistics": -1})
    found = explain_decision(policy(), prediction, Feedback("漏电"), thresholds=LIMITS, now=NOW)
    assert found.flags == ("danger", "danger:electric", "several_desks")
    assert found.rules == ()
