"""Whether a routing policy fits a label schema: every task, label and level that it names has to be there."""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError
from pipeline.routing_conditions import AspectIs, Condition, LabelIs, NumberIn, ProbabilityIn
from pipeline.routing_rules import Rule
from pipeline.schema import Kind, LabelSchema

if TYPE_CHECKING:
    from pipeline.routing_policy import RoutingPolicy


def check_policy(policy: "RoutingPolicy", schema: LabelSchema) -> None:
    """Raise ConfigError `routing_invalid` where a name is none of the schema's; it tells the nearest one.

    The tasks of queue and due time may be missing in the schema as a whole: then nothing is routed by them.
    """
    for table, task, labels in (
        ("queue", policy.queue_task, policy.queues),
        ("due", policy.due_task, policy.due),
    ):
        if task in schema:
            _check_task(schema, task, f"[{table}]")
            _check_labels(schema, task, labels, f"[{table}.labels]")
    if policy.dangers is not None and policy.due_task in schema:
        kind = schema.task(policy.due_task).kind
        if kind is not Kind.ORDINAL:
            raise _invalid(f"[dangers]: only an ordinal task has levels to raise; {policy.due_task!r} is {kind}")
    if policy.calendars and policy.due_task in schema:
        _check_labels(schema, policy.due_task, policy.around_the_clock, "[due] around_the_clock")
    for task in policy.thresholds:
        if task in schema:
            _check_task(schema, task, f"[zones.{task}]")
        elif task not in (policy.queue_task, policy.due_task):
            names = [known.name for known in schema.tasks]
            raise _invalid(f"[zones.{task}]: the model has no such task{_nearest(task, names)}")
    for number, rule in enumerate(policy.rules.rules, 1):
        _check_rule(policy, schema, rule, f"{policy.source}: [[rules.rule]] {number} {rule.name!r}")


def _check_rule(policy: "RoutingPolicy", schema: LabelSchema, rule: Rule, where: str) -> None:
    for part, conditions in (("when", rule.when), ("unless", rule.unless)):
        for condition in conditions:
            _check_condition(schema, condition, f"{where} {part}.{condition.key}")
    if rule.then.level is not None:
        if policy.due_task not in schema:
            raise _invalid(f"{where} then.level: the model has no task {policy.due_task!r}, whose levels are meant")
        if schema.task(policy.due_task).kind is not Kind.ORDINAL:
            raise _invalid(f"{where} then.level: {policy.due_task!r} is no ordinal task, so that it has no levels")
        _check_labels(schema, policy.due_task, (rule.then.level,), f"{where} then.level")


def _check_condition(schema: LabelSchema, condition: Condition, where: str) -> None:
    if isinstance(condition, LabelIs | ProbabilityIn):
        _require_task(schema, condition.task, where)
        _check_task(schema, condition.task, where)
        labels = condition.labels if isinstance(condition, LabelIs) else (condition.label,)
        where = where if isinstance(condition, LabelIs) else where.removesuffix(f".{condition.label}")
        _check_labels(schema, condition.task, labels, where)
    elif isinstance(condition, AspectIs):
        tasks = [task for task in schema.tasks if task.kind is Kind.ASPECT]
        known = list(dict.fromkeys(key for task in tasks for key in task.keys))
        if condition.category not in known:
            raise _invalid(f"{where}: the model has no such aspect{_nearest(condition.category, known)}")
    elif isinstance(condition, NumberIn) and condition.key.startswith("scores."):
        task = condition.key.removeprefix("scores.")
        _require_task(schema, task, where)
        if not any(label.alert for label in schema.task(task).labels):
            raise _invalid(f"{where}: task {task!r} has no score; only an ordinal task with alert labels has one")


def _require_task(schema: LabelSchema, task: str, where: str) -> None:
    if task not in schema:
        raise _invalid(f"{where}: the model has no such task{_nearest(task, [known.name for known in schema.tasks])}")


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


def _invalid(message: str) -> ConfigError:
    return ConfigError("routing_invalid", f"routing: {message}")
