"""What is wrong or suspicious in a routing policy though it can be read: `fankui route lint`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.routing import load_policy
from pipeline.routing_conditions import Condition
from pipeline.routing_policy import RoutingPolicy
from pipeline.routing_rules import Rule
from pipeline.schema import LabelSchema
from pipeline.workdays import Workdays, known_years

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark. `error`: the policy is refused; `warning`: it hardly does what was meant; `note`: good to know."""

    severity: str
    code: str  # stable
    where: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def lint_file(path: Path | None, schema: LabelSchema, *, today: date) -> list[Finding]:
    """All findings about a policy's file, without a path about the shipped one. A file that cannot be read is one."""
    try:
        policy = load_policy(path)
    except ConfigError as error:
        return [Finding(ERROR, error.code, str(path or "the shipped policy"), error.message)]
    return lint(policy, schema, today=today)


def lint(policy: RoutingPolicy, schema: LabelSchema, *, today: date) -> list[Finding]:
    """All findings about a policy for the labels of a schema, gravest first. Pure."""
    found: list[Finding] = []
    try:
        policy.check(schema)
    except ConfigError as error:
        found.append(Finding(ERROR, error.code, policy.source, error.message))
    found += _unrouted(policy, schema)
    found += _times(policy, schema)
    found += _rules(policy, schema)
    found += _calendars(policy, today)
    return sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.severity))


def implied(conditions: Sequence[Condition], others: Sequence[Condition]) -> bool:
    """Whether all of `others` hold wherever all of `conditions` do, as far as that shows."""
    return all(any(one.implies(other) for one in conditions) for other in others)


def _unrouted(policy: RoutingPolicy, schema: LabelSchema) -> Iterator[Finding]:
    for table, task, named in (("queue", policy.queue_task, policy.queues), ("due", policy.due_task, policy.due)):
        if task not in schema:
            message = f"the model has no task {task!r}, so that nothing is routed by it; name another one in task"
            yield Finding(WARNING, "task_missing", f"[{table}]", message)
            continue
        for label in schema.task(task).keys:
            if label not in named:
                fate = f"goes to {policy.default_queue!r}" if table == "queue" else "has no due time"
                message = f"label {label!r} of {task!r} is not named and {fate}; add a line for it"
                yield Finding(WARNING, "label_unrouted", f"[{table}.labels]", message)


def _times(policy: RoutingPolicy, schema: LabelSchema) -> Iterator[Finding]:
    if policy.due_task not in schema:
        return
    levels = [label for label in schema.task(policy.due_task).keys if label in policy.due]
    for lower, higher in pairwise(levels):
        if policy.due[higher] > policy.due[lower]:
            message = f"{higher!r} is above {lower!r} and has more time; exchange them"
            yield Finding(WARNING, "times_not_graded", "[due.labels]", message)


def _rules(policy: RoutingPolicy, schema: LabelSchema) -> Iterator[Finding]:
    rules = policy.rules.rules
    for i, rule in enumerate(rules):
        where = f"[[rules.rule]] {i + 1} {rule.name!r}"
        if rule.unless and implied(rule.when, rule.unless):
            message = "never fires: wherever its `when` holds its `unless` holds too"
            yield Finding(WARNING, "rule_unreachable", where, message)
        elif policy.rules.mode == "first" and (before := _covered(rule, rules[:i])) is not None:
            message = f"never applies: {before.name!r} fires first wherever it would; put it above, or narrow the other"
            yield Finding(WARNING, "rule_unreachable", where, message)
        if rule.then.level is not None and policy.due_task in schema:
            levels = schema.task(policy.due_task).keys
            if rule.then.level == levels[0]:
                message = f"then.level {rule.then.level!r} is the lowest, which raises nothing; take it out"
                yield Finding(WARNING, "level_raises_nothing", where, message)
        if rule.needs_signals:
            message = "asks for earlier comments, so that it fires for kept comments only, not in scored files"
            yield Finding(NOTE, "rule_needs_signals", where, message)
    if policy.rules.mode == "score":
        yield from _scores(policy)


def _covered(rule: Rule, earlier: Sequence[Rule]) -> Rule | None:
    """An earlier rule that fires wherever this one does."""
    for before in earlier:
        if not implied(rule.when, before.when):
            continue
        # Nothing may keep the earlier one from firing that does not keep this one too.
        if not before.unless or (rule.unless and implied(before.unless, rule.unless)):
            return before
    return None


def _scores(policy: RoutingPolicy) -> Iterator[Finding]:
    points: dict[str, float] = {}
    for rule in policy.rules.rules:
        if rule.then.queue is not None:
            points[rule.then.queue] = points.get(rule.then.queue, 0.0) + rule.points
    for queue, most in points.items():
        if most < policy.rules.least:
            message = f"all rules for {queue!r} together give {most:g} points, below least = {policy.rules.least:g}"
            yield Finding(WARNING, "queue_unreachable", "[rules]", message)


def _calendars(policy: RoutingPolicy, today: date) -> Iterator[Finding]:
    without = [queue for queue in policy.queue_names() if queue not in policy.calendars]
    if not policy.calendars:
        message = "no queue has a calendar: due times run around the clock; if desks close, see [calendars.NAME]"
        yield Finding(NOTE, "no_calendars", "[queue.calendars]", message)
    elif without:
        message = f"without a calendar, so that due times run around the clock: {', '.join(without)}"
        yield Finding(WARNING, "queue_without_calendar", "[queue.calendars]", message)
    for name in policy.unused_calendars:
        message = "no queue uses it; name it in [queue.calendars], or take it out"
        yield Finding(WARNING, "calendar_unused", f"[calendars.{name}]", message)
    seen: set[str] = set()
    for calendar in policy.calendars.values():
        if calendar.name in seen or calendar.workdays is not Workdays.CHINA:
            continue
        seen.add(calendar.name)
        last = known_years()[1]
        unknown = [year for year in (today.year, today.year + 1) if year > last and year not in calendar.holidays.years]
        # The holidays of the next year are told in November; before, nobody could list them.
        if unknown and (unknown[0] == today.year or today.month >= 11):
            message = (
                f"public holidays of {unknown[0]} are not known (the installed chinesecalendar ends with {last}): "
                "upgrade it, or list them in [holidays] with years"
            )
            yield Finding(WARNING, "holidays_unknown", f"[calendars.{calendar.name}]", message)
