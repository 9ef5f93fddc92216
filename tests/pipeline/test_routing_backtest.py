"""pipeline/routing_backtest.py: a policy tried on comments of the past."""

from datetime import datetime
from typing import Any

from pipeline.feedback import Example, Feedback, Gold, Prediction
from pipeline.routing import RoutingPolicy
from pipeline.routing_backtest import Routed, backtest, routed, with_gold
from tests.pipeline.routing_policies import LIMITS, NOW, policy, predicted


def one(
    routing: RoutingPolicy, prediction: Prediction, created_at: str | None, text: str = "很好", **labels: Gold
) -> Routed:
    time = None if created_at is None else datetime.fromisoformat(created_at)
    example = Example(Feedback(text, created_at=time), labels)
    return routed(routing, prediction, example, thresholds=LIMITS, now=NOW, text=text)


def test_volume_by_queue_and_hour() -> None:
    routing = policy()
    comments = [
        one(routing, predicted("refund"), "2026-03-01 09:10"),
        one(routing, predicted("refund"), "2026-03-01 09:59:59"),
        one(routing, predicted("refund"), "2026-03-02T01:00:00+00:00"),  # 09:00 in China
        one(routing, predicted("refund", sure=0.6), "2026-03-02 23:00"),
        one(routing, predicted("refund", sure=0.1), None),
        one(routing, predicted("billing"), "2026-03-01 09:10"),
    ]
    found = backtest(comments, routing)
    assert (found.comments, found.undated, found.misroutes) == (6, 1, None)
    refund, general = found.loads
    assert (refund.queue, refund.comments, general.queue, general.comments) == ("after_sales", 5, "general", 1)
    assert [(hour, count) for hour, count in enumerate(refund.hours) if count] == [(9, 3), (23, 1)]
    assert (refund.peak, refund.peak_at) == (2, "2026-03-01T09:00+08:00")
    assert refund.zones == {"auto": 3, "suggest": 1, "review": 1}
    assert found.reasons["urgency:low"] == 6


def test_breaches_at_a_capacity() -> None:
    routing = policy()
    high = [one(routing, predicted("refund", "high"), "2026-03-01 09:00") for _ in range(6)]
    (service,) = backtest(high, routing, capacities={"after_sales": 4}).services
    assert (service.dated, service.breaches, service.worst_minutes, service.needed) == (6, 2, 30.0, 6)
    (service,) = backtest(high, routing).services
    assert (service.capacity, service.breaches, service.worst_minutes, service.needed) == (None, None, None, 6)
    (service,) = backtest(high, routing, capacities={"after_sales": 6}).services
    assert (service.breaches, service.worst_minutes) == (0, 0.0)


def test_a_desk_works_by_its_calendar() -> None:
    queue = {"labels": {"refund": "after_sales"}, "calendars": {"after_sales": "office"}}
    routing = policy(queue=queue, calendars={"office": {"hours": ["09:00-12:00"]}})
    comments = [one(routing, predicted("refund", "high"), "2026-03-02 20:00") for _ in range(3)]
    comments.append(one(routing, predicted("refund", "critical"), "2026-03-02 22:00"))
    assert [comment.around_the_clock for comment in comments] == [False, False, False, True]
    (service,) = backtest(comments, routing, capacities={"after_sales": 2}).services
    assert (service.dated, service.breaches, service.worst_minutes, service.needed) == (4, 1, 30.0, 3)


def test_misroutes_cost_what_transfers_take_and_delays_are_told() -> None:
    routing = policy()
    comments = [
        one(routing, predicted("refund"), None, category="refund"),
        one(routing, predicted("refund"), None, category="billing"),
        one(routing, predicted("refund", sure=0.1), None, category="billing"),
        one(routing, predicted("refund"), None, category="logistics", urgency="critical"),
        one(routing, predicted("refund", "critical"), None, category="refund", urgency="low"),  # early is no harm
        one(routing, predicted("refund"), None, sentiment="negative"),  # not labelled for the queue
    ]
    found = backtest(comments, routing, transfer_minutes=10).misroutes
    assert found is not None
    assert (found.labelled, found.wrong, found.cost_minutes) == (5, 3, 30.0)
    assert found.by_zone == {"auto": 2, "suggest": 0, "review": 1}
    assert found.confusions == (("general", "after_sales", 2), ("parcels", "after_sales", 1))
    assert (found.too_late, found.late_minutes) == (1, 24 * 60 - 30)


def test_the_right_queue_is_what_the_rules_say_of_the_right_labels() -> None:
    routing = policy({"name": "it", "when": {"labels": {"category": "billing"}}, "then": {"queue": "money"}})
    found = backtest([one(routing, predicted("refund"), None, category="billing")], routing).misroutes
    assert found is not None
    assert found.confusions == (("money", "after_sales", 1),)
    # What words decide is right with any label.
    grave = one(policy(), predicted("refund"), "2026-03-01 09:00", "充电器冒烟", category="refund", urgency="low")
    assert grave.gold is not None
    assert grave.gold.due_at == grave.decision.due_at


def test_gold_labels_take_the_models_place() -> None:
    prediction = predicted(aspects={"refund": -1})
    gold = with_gold(prediction, Example(Feedback("x"), {"category": "product", "aspects": {"service": 1}}))
    assert (gold.tasks["category"].label, gold.tasks["category"].probabilities["product"]) == ("product", 1.0)
    assert gold.tasks["urgency"] == prediction.tasks["urgency"]
    assert [(aspect.category, aspect.polarity) for aspect in gold.aspects["aspects"]] == [("service", 1)]


def test_nothing_is_a_backtest_too() -> None:
    found = backtest([], policy())
    assert (found.loads, found.services, found.misroutes) == ((), (), None)
    told: dict[str, Any] = found.to_dict()
    assert told["comments"] == 0
