"""What a routing policy would have done with comments of the past: `fankui route backtest`. Pure.

Volume by queue and hour; which due times a desk of a given capacity would have missed; what wrong queues cost where the
right labels are known.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.desk_calendar import MICROSECOND, DeskCalendar
from pipeline.desk_simulation import Ticket, least_capacity, serve
from pipeline.feedback import AspectPrediction, Decision, Example, Prediction, TaskPrediction
from pipeline.routing_policy import RoutingPolicy
from pipeline.routing_zone import ZONES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONFUSIONS = 20


@dataclass(frozen=True, slots=True)
class Routed:
    """One comment and what was decided of it; `gold` is the decision had the model been right, where that is known."""

    decision: Decision
    arrived: datetime | None  # in the policy's time zone; None: only its queue counts
    around_the_clock: bool = True
    gold: Decision | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A queue over the file."""

    queue: str
    comments: int
    hours: tuple[int, ...]  # (24,) comments by hour of the day
    peak: int  # comments of the busiest hour
    peak_at: str | None  # when that was, ISO 8601
    zones: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Service:
    """A desk that works off its queue, by due time."""

    queue: str
    capacity: float | None  # comments an hour; None where none was given
    dated: int  # comments with a time and a due time
    breaches: int | None  # of those, done too late; None without capacity
    worst_minutes: float | None  # the latest one's delay
    needed: int  # least whole capacity without a breach


@dataclass(frozen=True, slots=True)
class Misroutes:
    """Comments with a gold label of the queue's task, and what sending them to the wrong queue costs."""

    labelled: int
    wrong: int
    by_zone: Mapping[str, int]
    confusions: tuple[tuple[str, str, int], ...]  # right queue, given queue, comments; the most frequent
    too_late: int  # due later than it had been with the right level
    late_minutes: float  # by so much together
    cost_minutes: float  # of handling: `wrong` times what a transfer takes


@dataclass(frozen=True, slots=True)
class Backtest:
    """All figures."""

    comments: int
    undated: int  # without a time, which count for volume and misroutes only
    loads: tuple[Load, ...]
    services: tuple[Service, ...]
    misroutes: Misroutes | None  # None where the file has no gold labels
    reasons: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)


def routed(
    policy: RoutingPolicy,
    prediction: Prediction,
    example: Example,
    *,
    thresholds: Mapping[str, Any],
    now: datetime,
    text: str,
) -> Routed:
    """Decide one comment of the past by what the model says and, where it is labelled, by what is right."""
    feedback = example.feedback
    decision = policy.decide(prediction, feedback, thresholds=thresholds, now=now, text=text)
    verdict = policy.verdict(
        prediction, text, thresholds=thresholds, origin=policy.origin(feedback), signals=feedback.signals
    )
    gold = None
    if policy.queue_task in example.labels:
        right = with_gold(prediction, example)
        gold = policy.decide(right, feedback, thresholds=thresholds, now=now, text=text)
    arrived = None
    if feedback.created_at is not None:
        arrived = policy.start(feedback.created_at, now=now).astimezone(policy.timezone)
    clock = verdict.around_the_clock or verdict.queue not in policy.calendars
    return Routed(decision, arrived, clock, gold)


def with_gold(prediction: Prediction, example: Example) -> Prediction:
    """The prediction of a model that gives the gold labels, and is sure of them; elsewhere as it was."""
    tasks, aspects = dict(prediction.tasks), dict(prediction.aspects)
    for name, gold in example.labels.items():
        if name in tasks and isinstance(gold, str | tuple):
            given = {gold} if isinstance(gold, str) else set(gold)
            sure = {key: float(key in given) for key in tasks[name].probabilities}
            tasks[name] = TaskPrediction(gold, 1.0, sure)
        elif name in aspects and isinstance(gold, Mapping):
            aspects[name] = tuple(
                AspectPrediction(key, side, 1.0, 1.0, {}, 3.0 + 2 * side) for key, side in gold.items()
            )
    return Prediction(
        tasks=tasks,
        aspects=aspects,
        model_version=prediction.model_version,
        scores=prediction.scores,
        satisfaction=prediction.satisfaction,
        truncated=prediction.truncated,
        windows=prediction.windows,
        flags=prediction.flags,
    )


def backtest(
    comments: Sequence[Routed],
    policy: RoutingPolicy,
    *,
    capacities: Mapping[str, float] | None = None,
    transfer_minutes: float = 15.0,
) -> Backtest:
    """All figures about the decided comments. `capacities`: queue -> comments that its desk finishes in an hour."""
    capacities = capacities or {}
    queues = [queue for queue in policy.queue_names() if any(one.decision.queue == queue for one in comments)]
    by_queue = {queue: [one for one in comments if one.decision.queue == queue] for queue in queues}
    return Backtest(
        comments=len(comments),
        undated=sum(one.arrived is None for one in comments),
        loads=tuple(_load(queue, found) for queue, found in by_queue.items()),
        services=tuple(
            _service(queue, found, policy.calendars.get(queue), capacities.get(queue))
            for queue, found in by_queue.items()
        ),
        misroutes=_misroutes(comments, transfer_minutes),
        reasons=dict(Counter(reason for one in comments for reason in one.decision.reasons).most_common()),
    )


def _load(queue: str, comments: Sequence[Routed]) -> Load:
    hours = [0] * 24
    slots: Counter[datetime] = Counter()
    for one in comments:
        if one.arrived is not None:
            hours[one.arrived.hour] += 1
            slots[one.arrived.replace(minute=0, second=0, microsecond=0)] += 1
    busiest = max(slots, key=lambda slot: (slots[slot], -slot.timestamp()), default=None)
    zones = Counter(one.decision.zone for one in comments)
    return Load(
        queue=queue,
        comments=len(comments),
        hours=tuple(hours),
        peak=slots[busiest] if busiest is not None else 0,
        peak_at=None if busiest is None else busiest.isoformat(timespec="minutes"),
        zones={zone: zones[zone] for zone in ZONES},
    )


def _service(queue: str, comments: Sequence[Routed], calendar: DeskCalendar | None, capacity: float | None) -> Service:
    tickets = sorted(_tickets(comments))
    needed = least_capacity(tickets, calendar)
    if capacity is None:
        return Service(queue, None, len(tickets), None, None, needed)
    late = [delay for delay in serve(tickets, calendar, capacity=capacity) if delay > 0]
    worst = round(max(late, default=0) * MICROSECOND / timedelta(minutes=1), 1)
    return Service(queue, capacity, len(tickets), len(late), worst, needed)


def _tickets(comments: Iterable[Routed]) -> Iterable[Ticket]:
    for one in comments:
        if one.arrived is not None and one.decision.due_at is not None:
            arrived = (one.arrived.astimezone(UTC) - _EPOCH) // MICROSECOND
            due = (one.decision.due_at.astimezone(UTC) - _EPOCH) // MICROSECOND
            yield Ticket(arrived, due, one.around_the_clock)


def _misroutes(comments: Sequence[Routed], transfer_minutes: float) -> Misroutes | None:
    known = [(one, one.gold) for one in comments if one.gold is not None]
    if not known:
        return None
    wrong = [(one, gold) for one, gold in known if one.decision.queue != gold.queue]
    zones = Counter(one.decision.zone for one, _ in wrong)
    pairs = Counter((gold.queue, one.decision.queue) for one, gold in wrong)
    delays = [delay for one, gold in known if (delay := _delay(one.decision, gold)) > 0]
    return Misroutes(
        labelled=len(known),
        wrong=len(wrong),
        by_zone={zone: zones[zone] for zone in ZONES},
        confusions=tuple((right, given, count) for (right, given), count in pairs.most_common(_CONFUSIONS)),
        too_late=len(delays),
        late_minutes=round(sum(delays), 1),
        cost_minutes=round(len(wrong) * transfer_minutes, 1),
    )


def _delay(given: Decision, gold: Decision) -> float:
    """Minutes by which a due time is later than the right one."""
    if given.due_at is None or gold.due_at is None:
        return 0.0
    return (given.due_at - gold.due_at) / timedelta(minutes=1)
