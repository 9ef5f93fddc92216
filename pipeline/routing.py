"""From a Prediction to a Decision: which queue, by when, and who may act on it (data/routing.toml). Pure.

Zones: `auto` may be acted on unseen, `suggest` is worth proposing to a person, `review` needs a person's reading.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.config_file import read_config_file, unknown_key
from pipeline.dangers import DangerLexicon, find_dangers, load_dangers
from pipeline.errors import ConfigError
from pipeline.feedback import Decision, Feedback, Prediction
from pipeline.prepare import prepare_whole
from pipeline.resources import shipped
from pipeline.schema import Kind, LabelSchema, minutes

_OFFSET = re.compile(r"([+-])([01]\d):([0-5]\d)")

ZONES = ("auto", "suggest", "review")

NEVER = 1.01
"""A threshold that no probability reaches."""

OUT_OF_SCOPE = "out_of_scope"
CONTRADICTION = "contradiction"
"""Flags of a prediction that keep its comment from being acted on unseen; the reasons are called the same."""

TRUNCATED = "truncated"
"""Reason of a comment that the model has not read to its end."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least probability of a task's label for the zones `auto` and `suggest`."""

    auto: float
    suggest: float


UNFITTED = Thresholds(auto=NEVER, suggest=0.6)
"""Of a task for which nobody measured what its probabilities are worth."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comment's text alone decides: all of a Decision but the moment from which its due time runs."""

    queue: str
    within: timedelta | None  # to the due time
    zone: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
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

    def decide(
        self,
        prediction: Prediction,
        feedback: Feedback,
        *,
        thresholds: Mapping[str, Thresholds],
        now: datetime,
        text: str | None = None,
    ) -> Decision:
        """Where the comment goes. `thresholds` are the model's; the due time runs from created_at, else from `now`.

        `text` is the comment's as `prepare` gives it, for words of danger. Without it the comment is prepared here, a
        third of the time that a linear model takes; and always where it was cut, so that no danger is cut off with it.
        """
        if text is None or prediction.truncated:
            text = prepare_whole(feedback.text).whole if self._looks_for_dangers(prediction) else ""
        verdict = self.verdict(prediction, text, thresholds=thresholds)
        due_at = None
        if verdict.within is not None:
            due_at = (self.start(feedback.created_at, now=now) + verdict.within).astimezone(self.timezone)
        return Decision(verdict.queue, due_at, verdict.zone, verdict.reasons)

    def verdict(self, prediction: Prediction, text: str, *, thresholds: Mapping[str, Thresholds]) -> Verdict:
        """What follows from a prediction and its prepared text (`Prepared.whole`), whenever the comment came in."""
        queue, queue_reason = self._queue(prediction)
        raised, danger_reasons = self._raised(prediction, text)
        within, due_reason = self._within(prediction, raised=raised)
        zone, zone_reasons = self._zone(prediction, {**thresholds, **self.thresholds})
        if raised is not None:
            zone = "review"
        reasons = dict.fromkeys((*queue_reason, *due_reason, *danger_reasons, *zone_reasons))
        return Verdict(queue, within, zone, tuple(reasons))

    def reason_codes(self) -> tuple[str, ...]:
        """Every reason that a decision of this policy may have, in the order in which decisions tell them."""
        dangers = () if self.dangers is None else self.dangers.entries
        return tuple(
            dict.fromkeys(
                (
                    *(f"{self.queue_task}:{label}" for label in self.queues),
                    "default_queue",
                    *(f"{self.due_task}:{label}" for label in self.due),
                    *(f"raised:{entry.level}" for entry in dangers),
                    *(f"danger:{entry.group}" for entry in dangers),
                    OUT_OF_SCOPE,
                    "no_routed_task",
                    TRUNCATED,
                    CONTRADICTION,
                    *(f"{below}:{name}" for name in self._counted() for below in ("below_suggest", "below_auto")),
                )
            )
        )

    def start(self, created_at: datetime | None, *, now: datetime) -> datetime:
        """From when the due time of a comment runs, in UTC; a time without a zone is in the policy's."""
        # A clock that runs ahead at the sender must not win the customer a later answer. In UTC, because two times of
        # one zone are compared and added to by their clocks, which daylight saving puts back.
        present = self._aware(now).astimezone(UTC)
        if created_at is None:
            return present
        try:
            return min(self._aware(created_at).astimezone(UTC), present)
        except OverflowError:  # in the first or the last hours that there are
            return present if created_at.year > present.year else datetime.min.replace(tzinfo=UTC)

    def check(self, schema: LabelSchema) -> None:
        """Raise ConfigError `routing_invalid` where a name is none of the schema's; it tells the nearest one.

        The tasks of queue and due time may be missing in the schema as a whole: then nothing is routed by them.
        """
        for table, task, labels in (("queue", self.queue_task, self.queues), ("due", self.due_task, self.due)):
            if task in schema:
                _check_task(schema, task, f"[{table}]")
                _check_labels(schema, task, labels, f"[{table}.labels]")
        if self.dangers is not None and self.due_task in schema:
            kind = schema.task(self.due_task).kind
            if kind is not Kind.ORDINAL:
                raise _invalid(f"[dangers]: only an ordinal task has levels to raise; {self.due_task!r} is {kind}")
        for task in self.thresholds:
            if task in schema:
                _check_task(schema, task, f"[zones.{task}]")
            elif task not in (self.queue_task, self.due_task):
                names = [known.name for known in schema.tasks]
                raise _invalid(f"[zones.{task}]: the model has no such task{_nearest(task, names)}")

    def _queue(self, prediction: Prediction) -> tuple[str, tuple[str, ...]]:
        label = _label(prediction, self.queue_task)
        if label is not None and label in self.queues:
            return self.queues[label], (f"{self.queue_task}:{label}",)
        return self.default_queue, ("default_queue",)

    def _looks_for_dangers(self, prediction: Prediction) -> bool:
        return self.dangers is not None and _label(prediction, self.due_task) is not None

    def _raised(self, prediction: Prediction, text: str) -> tuple[str | None, tuple[str, ...]]:
        """The level that the comment's dangers raise the decision to, where it is above the model's own."""
        label = _label(prediction, self.due_task)
        if self.dangers is None or label is None:
            return None, ()
        found = find_dangers(text, self.dangers)
        levels = list(prediction.tasks[self.due_task].probabilities)  # lowest first
        above = [danger for danger in found if danger.level in levels[levels.index(label) + 1 :]]
        if not above:
            return None, ()
        raised = max((danger.level for danger in above), key=levels.index)
        told = {danger.group for danger in above}
        groups = dict.fromkeys(entry.group for entry in self.dangers.entries if entry.group in told)
        return raised, (f"raised:{raised}", *(f"danger:{group}" for group in groups))

    def _within(self, prediction: Prediction, *, raised: str | None) -> tuple[timedelta | None, tuple[str, ...]]:
        label = _label(prediction, self.due_task)
        times = [self.due[level] for level in (label, raised) if level is not None and level in self.due]
        if not times:
            return None, ()
        return min(times), (f"{self.due_task}:{label}",) if label in self.due else ()

    def _zone(self, prediction: Prediction, thresholds: Mapping[str, Thresholds]) -> tuple[str, tuple[str, ...]]:
        reasons = [TRUNCATED] if prediction.truncated else []
        if CONTRADICTION in prediction.flags:
            reasons.append(CONTRADICTION)
        if OUT_OF_SCOPE in prediction.flags:
            return "review", (OUT_OF_SCOPE, *reasons)
        routed = [name for name in self._counted() if name in prediction.tasks]
        if not routed:
            return "review", ("no_routed_task", *reasons)
        worst = 2 if prediction.truncated else len(reasons)  # a contradiction is worth proposing
        for name in routed:
            limits = thresholds.get(name, UNFITTED)
            probability = prediction.tasks[name].probability
            # Asked this way round, so that NaN goes to a person.
            if not probability >= limits.suggest:
                worst = 2
                reasons.append(f"below_suggest:{name}")
            elif not probability >= limits.auto:
                worst = max(worst, 1)
                reasons.append(f"below_auto:{name}")
        return ZONES[worst], tuple(reasons)

    def _counted(self) -> tuple[str, ...]:
        """Names of the tasks that count for the zone."""
        return tuple(dict.fromkeys((self.queue_task, self.due_task, *self.thresholds)))

    def _aware(self, time: datetime) -> datetime:
        return time if time.tzinfo else time.replace(tzinfo=self.timezone)


def load_policy(path: Path | None = None) -> RoutingPolicy:
    """Read a policy from TOML; without a path the shipped one. Raises ConfigError with the place of the mistake."""
    path = path or shipped("data", "routing.toml")
    data = read_config_file(path, name="routing", code="routing", advice="give --routing FILE.toml")
    return policy_from_dict(data, folder=path.parent)


def policy_from_dict(data: Mapping[str, Any], *, folder: Path | None = None) -> RoutingPolicy:
    """Check and build a policy from its plain form; ConfigError `routing_invalid` tells the first mistake.

    The file of the dangers lies under `folder`.
    """
    _only(data, {"version", "timezone", "queue", "due", "zones", "dangers"}, "the file")
    queue, due, zones = (_table(data, name) for name in ("queue", "due", "zones"))
    _only(queue, {"task", "default", "labels"}, "[queue]")
    _only(due, {"task", "labels"}, "[due]")
    return RoutingPolicy(
        version=str(data.get("version", "1")),
        timezone=_timezone(str(data.get("timezone", "+08:00"))),
        queue_task=str(queue.get("task", "category")),
        default_queue=_text(queue.get("default", "general"), "[queue] default"),
        queues={label: _text(name, f"[queue.labels] {label}") for label, name in _table(queue, "labels").items()},
        due_task=str(due.get("task", "urgency")),
        due={label: _time(value, f"[due.labels] {label}") for label, value in _table(due, "labels").items()},
        thresholds={task: _thresholds(body, f"[zones.{task}]") for task, body in zones.items()},
        dangers=_dangers(data, folder or Path()),
    )


def _check_task(schema: LabelSchema, task: str, where: str) -> None:
    if schema.task(task).kind is Kind.ASPECT:
        raise _invalid(f"{where}: task {task!r} is an aspect task, which has no label of its own; name another task")


def _check_labels(schema: LabelSchema, task: str, labels: Iterable[str], where: str) -> None:
    known = schema.task(task)
    for label in labels:
        if label not in known.keys:
            # A 中文 name is known to the schema, but predictions hold keys.
            meant = [found.key for found in known.labels if found.zh == label]
            nearest = f"; did you mean {meant[0]!r}?" if meant else _nearest(label, known.keys)
            raise _invalid(f"{where} {label}: task {task!r} has no label with this key{nearest}")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return f"; did you mean {found[0]!r}?" if found else f"; it has: {', '.join(names[:12])}"


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


def _dangers(data: Mapping[str, Any], folder: Path) -> DangerLexicon | None:
    # Only where the file has the table: a policy that somebody wrote decides as it always did.
    if "dangers" not in data:
        return None
    body = _table(data, "dangers")
    _only(body, {"enabled", "file"}, "[dangers]")
    enabled, file = body.get("enabled", True), body.get("file")
    if not isinstance(enabled, bool):
        raise _invalid(f"[dangers] enabled: expected true or false; found {enabled!r}")
    if file is not None and (not isinstance(file, str) or not file):
        raise _invalid(f"[dangers] file: expected the name of a file like data/dangers.toml; found {file!r}")
    if not enabled:
        return None
    return load_dangers(None if file is None else folder / file)


def _thresholds(body: Any, where: str) -> Thresholds:
    if not isinstance(body, Mapping) or set(body) != {"auto", "suggest"}:
        raise _invalid(f"{where} needs auto and suggest, nothing else")
    auto, suggest = body["auto"], body["suggest"]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (auto, suggest))
    if not numbers or not 0 <= suggest <= auto:
        raise _invalid(
            f"{where}: expected numbers with 0 <= suggest <= auto; found auto = {auto!r}, suggest = {suggest!r}"
        )
    return Thresholds(auto=float(auto), suggest=float(suggest))


def _time(value: Any, where: str) -> timedelta:
    found = minutes(value)
    if found is None or found <= 0:
        raise _invalid(f"{where}: expected a time such as '30 min', '4 h' or '1 d'; found {value!r}")
    return timedelta(minutes=found)


def _timezone(name: str) -> tzinfo:
    # An offset works where the system has no time zone database, as in the smallest containers.
    offset = _OFFSET.fullmatch(name)
    if offset:
        sign = -1 if offset[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise _invalid(f"timezone: expected '+08:00' or a name such as 'Asia/Shanghai'; found {name!r}") from None


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(f"{where}: expected the name of a queue; found {value!r}")
    return value


def _table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name, {})
    if not isinstance(found, Mapping):
        raise _invalid(f"{name}: expected a table; found {type(found).__name__}")
    return found


def _only(body: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if wrong := unknown_key(body, allowed, where):
        raise _invalid(wrong)


def _invalid(message: str) -> ConfigError:
    return ConfigError("routing_invalid", f"routing: {message}")
