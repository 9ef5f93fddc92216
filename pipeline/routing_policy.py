"""From a Prediction to a Decision: which queue, how pressing, by when, and who may act on it. Pure.

How the file is written: data/routing.toml; read by pipeline/routing.py.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from pipeline.dangers import Danger, DangerLexicon, find_dangers
from pipeline.desk_calendar import MICROSECOND, DeskCalendar
from pipeline.feedback import Decision, Feedback, Prediction, Signals
from pipeline.prepare import prepare_whole
from pipeline.routing_conditions import DANGER, SEVERAL_DESKS, Facts
from pipeline.routing_rules import Rule, RuleSet
from pipeline.routing_zone import CONTRADICTION, OUT_OF_SCOPE, TRUNCATED, ZONES, Thresholds, zone_of
from pipeline.schema import LabelSchema

CALENDAR_ESTIMATED = "calendar_estimated"
"""Reason of a due time that counts days of a year whose public holidays are not known yet."""

NO_DANGERS = DangerLexicon("none", ())

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a comment's row tells beside its text, as far as rules ask for it."""

    channel: str | None = None
    tier: str | None = None  # of the customer


NO_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comment says decides: all of a Decision but the moment from which its due time runs."""

    queue: str
    within: timedelta | None  # to the due time
    zone: str
    reasons: tuple[str, ...]
    priority: int | None = None
    around_the_clock: bool = True  # the due time does not wait for the desk to open


@dataclass(frozen=True)
class RoutingPolicy:
    """data/routing.toml. Labels that it does not name go to the default queue, or have no due time."""

    version: str
    timezone: tzinfo  # of due times, and of times that come without one
    queue_task: str
    default_queue: str
    queues: Mapping[str, str] = field(default_factory=dict)  # label -> queue
    due_task: str = ""
    due: Mapping[str, timedelta] = field(default_factory=dict)  # label -> time to respond
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)  # task -> instead of the model's own
    dangers: DangerLexicon | None = None  # words that raise a decision
    rules: RuleSet = field(default_factory=RuleSet)
    flags: DangerLexicon | None = None  # words that raise a flag of the policy's own; the group is its name
    several_desks: int = 2  # queues that complaints in one comment belong to, for the flag
    tier_field: str = "tier"  # in the metadata, or a file's column
    calendars: Mapping[str, DeskCalendar] = field(default_factory=dict)  # queue -> the desk's
    unused_calendars: tuple[str, ...] = ()
    around_the_clock: tuple[str, ...] = ()  # labels of the due task that no calendar holds up
    source: str = field(default="the file", repr=False, compare=False)  # where it was read from, for messages
    _flagged: bool = field(init=False, repr=False, compare=False)
    counted_tasks: tuple[str, ...] = field(init=False, repr=False, compare=False)  # tasks that count for the zone

    def __post_init__(self) -> None:
        object.__setattr__(self, "_flagged", self.rules.needs("flags"))
        counted = tuple(dict.fromkeys((self.queue_task, self.due_task, *self.thresholds)))
        object.__setattr__(self, "counted_tasks", counted)

    def decide(
        self,
        prediction: Prediction,
        feedback: Feedback,
        *,
        thresholds: Mapping[str, Thresholds],
        now: datetime,
        text: str | None = None,
        signals: Signals | None = None,
        settled: Collection[str] = (),
    ) -> Decision:
        """Where the comment goes. `thresholds` are the model's; the due time runs from created_at, else from `now`.

        `signals` are what is known of it beside its text; by default those that come with it. Of the tasks that are
        `settled` a person who read the comment gave the label: nothing raises it.

        `text` is the comment's as `prepare` gives it, for words of danger. Without it the comment is prepared here, a
        third of the time that a linear model takes; and always where it was cut, so that no danger is cut off with it.
        """
        signals = feedback.signals if signals is None else signals
        if text is None or prediction.truncated:
            text = prepare_whole(feedback.text).whole if self.reads_text(prediction) else ""
        verdict = self.verdict(
            prediction,
            text,
            thresholds=thresholds,
            origin=self.origin(feedback, signals),
            signals=signals,
            settled=settled,
        )
        due_at, reasons = None, verdict.reasons
        if verdict.within is not None:
            start = self.start(feedback.created_at, now=now)
            due_at, estimated = self.due_at(start, verdict)
            if estimated:
                reasons = (*reasons, CALENDAR_ESTIMATED)
        return Decision(verdict.queue, due_at, verdict.zone, reasons, verdict.priority)

    def verdict(
        self,
        prediction: Prediction,
        text: str,
        *,
        thresholds: Mapping[str, Thresholds],
        origin: Origin = NO_ORIGIN,
        signals: Signals | None = None,
        settled: Collection[str] = (),
    ) -> Verdict:
        """What follows from a prediction and its prepared text (`Prepared.whole`), whenever the comment came in."""
        label = _label(prediction, self.due_task)
        candidates = self.rules.candidates(signals)
        found = self._dangers(text, label, flagged=bool(candidates) and self._flagged)
        applied: tuple[Rule, ...] = ()
        if candidates:
            facts = self.facts(prediction, text, dangers=found, origin=origin, signals=signals)
            applied = self.rules.applied(candidates, facts)
        queue, queue_reasons = self._queue(prediction, applied)
        levels = () if label is None else tuple(prediction.tasks[self.due_task].probabilities)  # lowest first
        raisable = None if self.due_task in settled else label
        raised, danger_reasons = self._raised(raisable, levels, found)
        limits = {**thresholds, **self.thresholds} if self.thresholds else thresholds
        zone, zone_reasons = zone_of(prediction, self.counted_tasks, limits)
        if raised is not None:
            zone = "review"
        rule_reasons: tuple[str, ...] = ()
        if applied:
            zone = max((zone, *(rule.then.zone or zone for rule in applied)), key=ZONES.index)
            raised, rule_reasons = _raised_by_rules(raisable, levels, raised, applied)
            if len(rule_reasons) > len(applied):  # graver than the dangers
                danger_reasons = danger_reasons[1:]
        within, due_reason = self._within(label, raised, applied)
        reasons = (*queue_reasons, *due_reason, *rule_reasons, *danger_reasons, *zone_reasons)
        return Verdict(
            queue,
            within,
            zone,
            tuple(dict.fromkeys(reasons)),
            _priority(label, raised, levels, applied),
            self._runs_at_night(label, raised, applied),
        )

    def facts(
        self,
        prediction: Prediction,
        text: str,
        *,
        dangers: Iterable[Danger] | None = None,
        origin: Origin = NO_ORIGIN,
        signals: Signals | None = None,
        every_flag: bool = False,
    ) -> Facts:
        """What rules may ask of a comment. `dangers`: those of the text, where they were looked for already.

        Flags are looked for where a rule asks for one, or with `every_flag`.
        """
        if dangers is None:
            dangers = find_dangers(text, self.dangers or NO_DANGERS)
        signals = signals or Signals()
        flags = list(prediction.flags)
        if self._flagged or every_flag:
            flags += [TRUNCATED] if prediction.truncated else []
            groups = dict.fromkeys(danger.group for danger in dangers)
            flags += [DANGER, *(f"{DANGER}:{group}" for group in groups)] if groups else []
            if self.flags is not None:
                flags += dict.fromkeys(found.group for found in find_dangers(text, self.flags))
            flags += [SEVERAL_DESKS] if self._desks(prediction) >= self.several_desks else []
            flags += signals.flags
        return Facts(prediction, origin.channel, origin.tier, signals, tuple(dict.fromkeys(flags)))

    def origin(self, feedback: Feedback, signals: Signals | None = None) -> Origin:
        """What rules may ask of where a comment came from."""
        if not self.rules.asks_origin:
            return NO_ORIGIN
        tier = signals.customer_tier if signals is not None else None
        if tier is None:
            tier = origin_word(feedback.metadata.get(self.tier_field))
        return Origin(origin_word(feedback.channel), tier)

    def due_at(self, start: datetime, verdict: Verdict) -> tuple[datetime, bool]:
        """When a time to respond that begins at `start` (UTC) ends, and whether that counts unknown holidays."""
        within = verdict.within or timedelta()
        calendar = None if verdict.around_the_clock else self.calendars.get(verdict.queue)
        if calendar is None:
            return (start + within).astimezone(self.timezone), False
        due = calendar.due((start - _EPOCH) // MICROSECOND, within // MICROSECOND)
        return (_EPOCH + due.at * MICROSECOND).astimezone(self.timezone), due.estimated

    def reason_codes(self) -> tuple[str, ...]:
        """Every reason that a decision of this policy may have, in the order in which decisions tell them."""
        dangers = () if self.dangers is None else self.dangers.entries
        return tuple(
            dict.fromkeys(
                (
                    *(f"{self.queue_task}:{label}" for label in self.queues),
                    "default_queue",
                    *(f"{self.due_task}:{label}" for label in self.due),
                    *(rule.reason for rule in self.rules.rules),
                    *(f"raised:{rule.then.level}" for rule in self.rules.rules if rule.then.level is not None),
                    *(f"raised:{entry.level}" for entry in dangers),
                    *(f"danger:{entry.group}" for entry in dangers),
                    OUT_OF_SCOPE,
                    "no_routed_task",
                    TRUNCATED,
                    CONTRADICTION,
                    *(f"{below}:{name}" for name in self.counted_tasks for below in ("below_suggest", "below_auto")),
                    *([CALENDAR_ESTIMATED] if self.calendars else []),
                )
            )
        )

    def queue_names(self) -> tuple[str, ...]:
        """Every queue that a comment may go to."""
        ruled = (rule.then.queue for rule in self.rules.rules)
        return tuple(dict.fromkeys((*self.queues.values(), self.default_queue, *(name for name in ruled if name))))

    def tasks(self) -> tuple[str, ...]:
        """Tasks whose labels or probabilities it reads."""
        return tuple(dict.fromkeys((*self.counted_tasks, *self.rules.tasks())))

    def reads_aspects(self) -> bool:
        """Whether any rule asks for aspects."""
        return self.rules.needs("aspects") or SEVERAL_DESKS in self.rules.flags()

    def reads_text(self, prediction: Prediction) -> bool:
        """Whether words of the comment can decide anything."""
        dangers = self.dangers is not None and _label(prediction, self.due_task) is not None
        return dangers or self._flagged

    def start(self, created_at: datetime | None, *, now: datetime) -> datetime:
        """From when the due time of a comment runs, in UTC; a time without a zone is in the policy's."""
        # A clock that runs ahead at the sender must not win the customer a later answer. In UTC, because two times of
        # one zone are compared and added to by their clocks, which daylight saving puts back.
        present = self.local(now).astimezone(UTC)
        if created_at is None:
            return present
        try:
            return min(self.local(created_at).astimezone(UTC), present)
        except OverflowError:  # in the first or the last hours that there are
            return present if created_at.year > present.year else datetime.min.replace(tzinfo=UTC)

    def check(self, schema: LabelSchema) -> None:
        """Raise ConfigError `routing_invalid` where a name is none of the schema's; it tells the nearest one.

        The tasks of queue and due time may be missing in the schema as a whole: then nothing is routed by them.
        """
        from pipeline.routing_check import check_policy

        check_policy(self, schema)

    def _dangers(self, text: str, label: str | None, *, flagged: bool) -> tuple[Danger, ...]:
        if self.dangers is None or (label is None and not flagged):
            return ()
        return find_dangers(text, self.dangers)

    def _queue(self, prediction: Prediction, applied: tuple[Rule, ...]) -> tuple[str, tuple[str, ...]]:
        if applied:
            ruled, _ = self.rules.queue(applied)
            if ruled is not None:
                return ruled, ()
        label = _label(prediction, self.queue_task)
        if label is not None and label in self.queues:
            return self.queues[label], (f"{self.queue_task}:{label}",)
        return self.default_queue, ("default_queue",)

    def _desks(self, prediction: Prediction) -> int:
        """How many queues the comment's complaints would go to, each for itself."""
        blamed = (aspect for found in prediction.aspects.values() for aspect in found if aspect.polarity < 0)
        return len({self.queues.get(aspect.category, self.default_queue) for aspect in blamed})

    def _raised(
        self, label: str | None, levels: tuple[str, ...], found: tuple[Danger, ...]
    ) -> tuple[str | None, tuple[str, ...]]:
        """The level that the comment's dangers raise the decision to, where it is above the model's own."""
        if self.dangers is None or label is None or not found:
            return None, ()
        above = [danger for danger in found if danger.level in levels[levels.index(label) + 1 :]]
        if not above:
            return None, ()
        raised = max((danger.level for danger in above), key=levels.index)
        told = {danger.group for danger in above}
        groups = dict.fromkeys(entry.group for entry in self.dangers.entries if entry.group in told)
        return raised, (f"raised:{raised}", *(f"danger:{group}" for group in groups))

    def _within(
        self, label: str | None, raised: str | None, applied: tuple[Rule, ...]
    ) -> tuple[timedelta | None, tuple[str, ...]]:
        ruled = [rule.then.within for rule in applied if rule.then.within is not None]
        times = ruled or [self.due[level] for level in (label,) if level is not None and level in self.due]
        if raised is not None and raised in self.due:
            times = [*times, self.due[raised]]
        if not times:
            return None, ()
        return min(times), (f"{self.due_task}:{label}",) if label in self.due else ()

    def _runs_at_night(self, label: str | None, raised: str | None, applied: tuple[Rule, ...]) -> bool:
        if not self.calendars:
            return True
        grave = label in self.around_the_clock or raised in self.around_the_clock
        return grave or any(rule.then.around_the_clock for rule in applied)

    def local(self, time: datetime) -> datetime:
        """A time that has a zone: its own, else the policy's."""
        return time if time.tzinfo else time.replace(tzinfo=self.timezone)

    def utc(self, time: datetime) -> datetime:
        """The same in UTC; in the first or the last hours that there are, by its own clock."""
        local = self.local(time)
        try:
            return local.astimezone(UTC)
        except OverflowError:
            return local.replace(tzinfo=UTC)


def origin_word(cell: object) -> str | None:
    """A channel's or a tier's name as rules compare it: 2, 2.0 (as a table with gaps stores it) and "2" are one."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell) if abs(cell) < 1 << 53 else None
    return (cell.strip() or None) if isinstance(cell, str) else None


def _raised_by_rules(
    label: str | None, levels: tuple[str, ...], raised: str | None, applied: tuple[Rule, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """The gravest of the levels that dangers and rules raise to; the rules, and theirs where it is the gravest."""
    told = tuple(rule.reason for rule in applied)
    named = [rule.then.level for rule in applied if rule.then.level in levels]
    if label is None or not named:
        return raised, told
    present = raised or label
    gravest = max((str(level) for level in named), key=levels.index)
    if levels.index(gravest) <= levels.index(present):
        return raised, told
    return gravest, (*told, f"raised:{gravest}")


def _priority(label: str | None, raised: str | None, levels: tuple[str, ...], applied: tuple[Rule, ...]) -> int | None:
    """1 for the highest level, 2 for the one below …; a rule's where that is more pressing."""
    level = raised or label
    found = [] if level is None else [len(levels) - levels.index(level)]
    found += [rule.then.priority for rule in applied if rule.then.priority is not None]
    return min(found, default=None)


def _label(prediction: Prediction, task: str) -> str | None:
    found = prediction.tasks.get(task)
    if found is None:
        return None
    # Of several labels the likeliest routes.
    return (
        found.label
        if isinstance(found.label, str)
        else max(found.label, key=found.probabilities.__getitem__, default=None)
    )
