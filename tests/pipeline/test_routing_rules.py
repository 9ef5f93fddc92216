"""pipeline/routing_rules.py and routing_conditions.py in a policy: which rules fire and what they do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.feedback import Decision, Feedback, Prediction, Signals
from pipeline.routing import CALENDAR_ESTIMATED, RoutingPolicy
from tests.pipeline.routing_policies import LIMITS, NOW, policy, predicted


def decided(
    routing: RoutingPolicy,
    prediction: Prediction | None = None,
    text: str = "很好",
    *,
    now: datetime = NOW,
    signals: Signals | None = None,
    **origin: Any,
) -> Decision:
    feedback = Feedback(text, **origin)
    return routing.decide(prediction or predicted(), feedback, thresholds=LIMITS, now=now, signals=signals)


def fires(when: dict[str, Any], prediction: Prediction | None = None, text: str = "很好", **given: Any) -> bool:
    tables = given.pop("tables", {})
    routing = policy({"name": "it", "when": when, "then": {"queue": "special"}}, **tables)
    return decided(routing, prediction, text, **given).queue == "special"


@pytest.mark.parametrize(
    ("when", "prediction", "expected"),
    [
        ({"labels": {"category": "refund"}}, predicted("refund"), True),
        ({"labels": {"category": ["billing", "refund"]}}, predicted("refund"), True),
        ({"labels": {"category": "billing"}}, predicted("refund"), False),
        ({"labels": {"nothing": "billing"}}, predicted("refund"), False),
        ({"labels": {"category": "refund", "urgency": "low"}}, predicted("refund", "high"), False),
        ({"probabilities": {"category": {"refund": {"at_least": 0.9}}}}, predicted(sure=0.9), True),
        ({"probabilities": {"category": {"refund": {"below": 0.9}}}}, predicted(sure=0.9), False),
        ({"probabilities": {"category": {"billing": {"at_least": 0.03}}}}, predicted(sure=0.9), True),
        ({"probabilities": {"category": {"refund": {"at_least": 0.0}}}}, predicted(sure=float("nan")), False),
        ({"scores": {"urgency": {"at_least": 0.5}}}, predicted(score=0.5), True),
        ({"scores": {"urgency": {"at_least": 0.5}}}, predicted(score=0.49), False),
        ({"scores": {"other": {"at_least": 0.0}}}, predicted(), False),
        ({"aspects": {"service": "negative"}}, predicted(aspects={"service": -1}), True),
        ({"aspects": {"service": ["neutral", "positive"]}}, predicted(aspects={"service": -1}), False),
        ({"aspects": {"service": "negative"}}, predicted(), False),
        ({"satisfaction": {"below": 2.5}}, predicted(satisfaction=2.0), True),
        ({"satisfaction": {"below": 2.5}}, predicted(satisfaction=None), False),
        ({"flags": ["out_of_scope", "contradiction"]}, predicted(flags=("contradiction",)), True),
        ({"all_flags": ["out_of_scope", "contradiction"]}, predicted(flags=("contradiction",)), False),
        ({"flags": "truncated"}, predicted(truncated=True), True),
        ({"flags": "several_desks"}, predicted(aspects={"refund": -1, "logistics": -1}), True),
        ({"flags": "several_desks"}, predicted(aspects={"refund": -1, "logistics": 1}), False),
        ({"flags": "several_desks"}, predicted(aspects={"billing": -1, "service": -1}), False),  # both: the default
        ({}, predicted(), True),
    ],
)
def test_conditions_on_what_the_model_says(when: dict[str, Any], prediction: Prediction, expected: bool) -> None:
    assert fires(when, prediction) is expected


@pytest.mark.parametrize(
    ("text", "flag", "expected"),
    [
        ("再不退款就起诉你们", "danger:legal", True),
        ("再不退款就起诉你们", "danger", True),
        ("再不退款就起诉你们", "danger:fire", False),
        ("没有着火，放心", "danger", False),
        ("我要假一赔三", "compensation", True),
        ("不要假一赔三", "compensation", False),  # denied
    ],
)
def test_conditions_on_words(text: str, flag: str, expected: bool) -> None:
    tables = {"flags": {"compensation": {"terms": ["假一赔三"]}}}
    assert fires({"flags": flag}, text=text, tables=tables) is expected


def test_words_count_where_no_task_has_levels() -> None:
    only = Prediction({"category": predicted().tasks["category"]}, {}, "m")
    assert fires({"flags": "danger:legal"}, only, "就起诉你们")


@pytest.mark.parametrize(
    ("when", "origin", "expected"),
    [
        ({"channel": "Hotline"}, {"channel": "HOTLINE"}, True),
        ({"channel": ["app", "shop"]}, {"channel": "hotline"}, False),
        ({"channel": "app"}, {}, False),
        ({"tier": "vip"}, {"metadata": {"tier": "VIP "}}, True),
        ({"tier": "2"}, {"metadata": {"tier": 2.0}}, True),
        ({"tier": "2"}, {"metadata": {"tier": 2}}, True),
        ({"tier": "1"}, {"metadata": {"tier": True}}, False),
        ({"tier": "vip"}, {"metadata": {"tier": ["vip"]}}, False),
        ({"tier": "vip"}, {"metadata": {"tier": "none"}, "signals": Signals(customer_tier="vip")}, True),
    ],
)
def test_conditions_on_where_it_came_from(when: dict[str, Any], origin: dict[str, Any], expected: bool) -> None:
    assert fires(when, **origin) is expected


def test_the_tier_may_have_another_name() -> None:
    origin = {"metadata": {"会员等级": "金卡"}}
    assert fires({"tier": "金卡"}, tables={"customer": {"tier": "会员等级"}}, **origin)
    assert not fires({"tier": "金卡"}, **origin)


@pytest.mark.parametrize(
    ("when", "signals", "expected"),
    [
        ({"flags": "repeat_contact"}, Signals(repeat_contacts=1), True),
        ({"flags": "repeat_contact"}, Signals(near_duplicates=1), False),
        ({"flags": "repeat_contact"}, None, False),
        ({"repeat_contacts": {"at_least": 3}}, Signals(repeat_contacts=3), True),
        ({"repeat_contacts": {"at_least": 3}}, Signals(repeat_contacts=2), False),
        ({"near_duplicates": {"at_least": 1}}, Signals(near_duplicates=1), True),
        ({"repeat_contacts": {"below": 1}}, None, True),  # none is below one
    ],
)
def test_conditions_on_signals(when: dict[str, Any], signals: Signals | None, expected: bool) -> None:
    assert fires(when, signals=signals) is expected
    if signals is not None:  # those that come with the comment count too
        routing = policy({"name": "it", "when": when, "then": {"queue": "special"}})
        feedback = Feedback("很好", signals=signals)
        decision = routing.decide(predicted(), feedback, thresholds=LIMITS, now=NOW)
        assert (decision.queue == "special") is expected


def test_unless_keeps_a_rule_from_firing() -> None:
    rule = {
        "name": "it",
        "when": {"labels": {"category": "refund"}},
        "unless": {"channel": "app", "labels": {"urgency": "low"}},
        "then": {"queue": "special"},
    }
    routing = policy(rule)
    assert decided(routing, channel="app").queue == "after_sales"
    assert decided(routing, channel="web").queue == "special"  # not all of it holds
    assert decided(routing, predicted(urgency="high"), channel="app").queue == "special"


def test_the_first_rule_that_fires_applies_alone() -> None:
    routing = policy(
        {"name": "no", "when": {"labels": {"category": "billing"}}, "then": {"queue": "a"}},
        {"name": "one", "when": {}, "then": {"queue": "b"}},
        {"name": "two", "when": {}, "then": {"queue": "c", "zone": "review"}},
    )
    decision = decided(routing)
    assert (decision.queue, decision.zone) == ("b", "auto")
    assert decision.reasons == ("urgency:low", "rule:one")


def test_points_choose_the_queue_and_all_that_fire_apply() -> None:
    rules = [
        {"name": "a1", "when": {}, "then": {"queue": "a"}, "points": 1.0},
        {"name": "b1", "when": {}, "then": {"queue": "b"}, "points": 1.5},
        {"name": "a2", "when": {"channel": "app"}, "then": {"queue": "a"}, "points": 1.0},
        {"name": "careful", "when": {}, "then": {"zone": "suggest", "priority": 1, "within": "2 h"}},
    ]
    routing = policy(*rules, settings={"mode": "score", "least": 1.5})
    decision = decided(routing)
    assert (decision.queue, decision.zone, decision.priority) == ("b", "suggest", 1)
    assert decision.due_at == NOW + timedelta(hours=2)
    assert decision.reasons == ("urgency:low", "rule:a1", "rule:b1", "rule:careful")
    assert decided(routing, channel="app").queue == "a"
    none = policy(*rules, settings={"mode": "score", "least": 3.0})
    assert decided(none, channel="app").queue == "after_sales"
    assert decided(none, channel="app").reasons[0] == "category:refund"


def test_of_equal_points_the_queue_named_first_wins() -> None:
    rules = [{"name": name, "when": {}, "then": {"queue": name}} for name in ("z", "a")]
    assert decided(policy(*rules, settings={"mode": "score"})).queue == "z"


def test_a_level_raises_time_and_priority_but_asks_for_no_person() -> None:
    routing = policy({"name": "it", "when": {}, "then": {"level": "high"}})
    decision = decided(routing)
    assert (decision.due_at, decision.priority, decision.zone) == (NOW + timedelta(hours=1), 2, "auto")
    assert decision.reasons == ("category:refund", "urgency:low", "rule:it", "raised:high")
    graver = decided(routing, predicted(urgency="critical"))
    assert (graver.due_at, graver.priority) == (NOW + timedelta(minutes=30), 1)
    assert graver.reasons == ("category:refund", "urgency:critical", "rule:it")


@pytest.mark.parametrize(
    ("level", "text", "reasons"),
    [
        ("critical", "用完全身过敏", ("rule:it", "raised:critical", "danger:allergy")),
        ("high", "充电器冒烟", ("rule:it", "raised:critical", "danger:fire")),
        ("high", "用完全身过敏", ("rule:it", "raised:high", "danger:allergy")),
    ],
)
def test_of_words_and_rules_the_graver_raises(level: str, text: str, reasons: tuple[str, ...]) -> None:
    routing = policy({"name": "it", "when": {}, "then": {"level": level}})
    decision = decided(routing, text=text)
    assert decision.reasons[2:] == reasons
    assert decision.zone == "review"  # for the words
    order = routing.reason_codes()
    assert [order.index(reason) for reason in decision.reasons] == sorted(map(order.index, decision.reasons))


def test_a_rules_time_replaces_the_labels_but_not_that_of_words() -> None:
    routing = policy({"name": "it", "when": {}, "then": {"within": "3 d"}})
    assert decided(routing).due_at == NOW + timedelta(days=3)
    assert decided(routing, text="充电器冒烟").due_at == NOW + timedelta(minutes=30)


def test_a_rule_never_lessens_care() -> None:
    routing = policy({"name": "it", "when": {}, "then": {"zone": "suggest", "priority": 4}})
    unsure = decided(routing, predicted(sure=0.4))
    assert unsure.zone == "review"
    assert decided(routing).zone == "suggest"
    assert decided(routing, predicted(urgency="critical")).priority == 1


def test_priorities_follow_the_levels() -> None:
    found = [decided(policy(), predicted(urgency=level)).priority for level in ("low", "medium", "high", "critical")]
    assert found == [4, 3, 2, 1]
    assert decided(policy(), text="充电器冒烟").priority == 1
    only = Prediction({"category": predicted().tasks["category"]}, {}, "m")
    assert decided(policy(), only).priority is None
    assert decided(policy({"name": "it", "when": {}, "then": {"priority": 3}}), only).priority == 3


OFFICE = {"office": {"hours": ["09:00-12:00", "13:30-18:00"]}}
DESKS = {
    "queue": {
        "labels": {"refund": "after_sales", "logistics": "parcels", "product": "quality"},
        "calendars": {"after_sales": "office"},
    },
    "calendars": OFFICE,
}
NIGHT = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)  # 22:00 in China


def test_due_times_wait_for_the_desk_but_critical_ones() -> None:
    routing = policy(**DESKS)
    assert decided(routing, now=NIGHT).due_at == datetime(2026, 3, 10, 10, 30, tzinfo=routing.timezone)
    assert decided(routing, predicted(urgency="high"), now=NIGHT).due_at == datetime(
        2026, 3, 5, 10, 0, tzinfo=routing.timezone
    )
    assert decided(routing, predicted(urgency="critical"), now=NIGHT).due_at == NIGHT + timedelta(minutes=30)
    assert decided(routing, text="充电器冒烟", now=NIGHT).due_at == NIGHT + timedelta(minutes=30)
    assert decided(routing, predicted("logistics"), now=NIGHT).due_at == NIGHT + timedelta(hours=24)  # no calendar


def test_a_rule_may_run_around_the_clock_and_its_queues_calendar_counts() -> None:
    routing = policy(
        {"name": "night", "when": {"channel": "hotline"}, "then": {"around_the_clock": True}},
        {"name": "moved", "when": {"channel": "app"}, "then": {"queue": "quality"}},
        **DESKS,
    )
    assert decided(routing, now=NIGHT, channel="hotline").due_at == NIGHT + timedelta(hours=24)
    assert decided(routing, now=NIGHT, channel="app").due_at == NIGHT + timedelta(hours=24)
    assert decided(routing, now=NIGHT).due_at != NIGHT + timedelta(hours=24)


def test_a_due_time_over_unknown_holidays_says_so() -> None:
    routing = policy(**DESKS)
    late = datetime(2099, 3, 4, 14, 0, tzinfo=UTC)
    decision = decided(routing, predicted(urgency="high"), now=late)
    assert decision.reasons == ("category:refund", "urgency:high", CALENDAR_ESTIMATED)
    assert CALENDAR_ESTIMATED in routing.reason_codes()
    assert decided(routing, predicted(urgency="critical"), now=late).reasons == ("category:refund", "urgency:critical")
    assert CALENDAR_ESTIMATED not in policy().reason_codes()


def test_the_shipped_policy_hastens_who_complained_before() -> None:
    from pipeline.routing import load_policy

    routing = load_policy()
    again = Signals(repeat_contacts=2)
    decision = decided(routing, signals=again)
    assert decision.reasons[1:4] == ("urgency:low", "rule:asked_again", "raised:high")
    assert (decision.due_at, decision.zone) == (NOW + timedelta(hours=1), "suggest")
    assert "rule:asked_again" not in decided(routing, predicted(sentiment="positive"), signals=again).reasons
    assert "rule:asked_again" not in decided(routing, signals=Signals(repeat_contacts=1)).reasons
