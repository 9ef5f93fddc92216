"""What turns a model's logits into decisions, as data: a temperature, cuts and thresholds per task (calibration.json).

It is fitted by training/calibrate.py on rows of its own; here it is only held, checked, written and read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pipeline.errors import BundleError
from pipeline.routing_zone import UNFITTED, Thresholds
from pipeline.schema import Kind, LabelSchema, Task


@dataclass(frozen=True, slots=True)
class TaskCalibration:
    """One task's. From `auto` upwards a label may be acted on unseen, from `suggest` upwards it is worth proposing."""

    temperature: float = 1.0  # logits are divided by it
    auto: float = UNFITTED.auto  # never
    suggest: float = UNFITTED.suggest
    cuts: tuple[float, ...] = ()  # ordinal: the level is the number of j with P(y > j) >= cuts[j]; empty means 0.5 each
    mentioned: float = 0.5  # aspect and multi: the least probability of being mentioned that counts as mentioned


@dataclass(frozen=True, slots=True)
class Calibration:
    """All tasks' calibrations by task name."""

    tasks: Mapping[str, TaskCalibration] = field(default_factory=dict)

    def task(self, name: str) -> TaskCalibration:
        """The task's calibration, or the identity where none was fitted."""
        return self.tasks.get(name, TaskCalibration())

    def thresholds(self) -> dict[str, Thresholds]:
        """What routing needs of it."""
        return {name: Thresholds(auto=task.auto, suggest=task.suggest) for name, task in self.tasks.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form, the inverse of `from_dict`."""
        return {"tasks": {name: asdict(task) | {"cuts": list(task.cuts)} for name, task in self.tasks.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], schema: LabelSchema) -> "Calibration":
        """Check and build; BundleError `calibration_invalid` names the task and the value that is wrong."""
        tasks = data.get("tasks")
        if not isinstance(tasks, Mapping):
            raise _invalid("expected an object 'tasks'")
        unknown = [name for name in tasks if name not in schema]
        if unknown:
            raise _invalid(f"task {unknown[0]!r} is not in the schema")
        return cls({task.name: _read(task, tasks.get(task.name, {})) for task in schema.tasks})

    @classmethod
    def identity(cls, schema: LabelSchema) -> "Calibration":
        """The one that changes nothing: temperature 1, cuts at one half."""
        return cls({task.name: TaskCalibration() for task in schema.tasks})


def _read(task: Task, body: Any) -> TaskCalibration:
    known = {entry.name for entry in fields(TaskCalibration)}
    if not isinstance(body, Mapping) or not set(body) <= known:
        raise _invalid(f"task {task.name!r} holds other keys than {', '.join(sorted(known))}")
    numbers = {key: _number(task, key, value) for key, value in body.items() if key != "cuts"}
    cuts = body.get("cuts", ())
    if not isinstance(cuts, list | tuple):
        raise _invalid(f"task {task.name!r}: cuts is a list of numbers")
    found = TaskCalibration(**numbers, cuts=tuple(_number(task, "cuts", cut) for cut in cuts))
    _check(task, found)
    return found


def _number(task: Task, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f"task {task.name!r}: {key} is a number; found {type(value).__name__}")
    # Thresholds may lie above 1: "never". NaN compares false with everything, so it is refused by the same test.
    if not 0 <= value <= 1000:
        raise _invalid(f"task {task.name!r}: {key} is between 0 and 1000; found {value}")
    return float(value)


def _check(task: Task, found: TaskCalibration) -> None:
    if found.temperature < 0.01:
        raise _invalid(f"task {task.name!r}: temperature is at least 0.01; found {found.temperature}")
    if found.auto < found.suggest:
        raise _invalid(f"task {task.name!r}: auto ({found.auto}) is below suggest ({found.suggest})")
    expected = len(task.labels) - 1 if task.kind is Kind.ORDINAL else 0
    if found.cuts and len(found.cuts) != expected:
        raise _invalid(f"task {task.name!r}: expected {expected} cuts; found {len(found.cuts)}")


def _invalid(message: str) -> BundleError:
    return BundleError("calibration_invalid", f"calibration.json: {message}")
