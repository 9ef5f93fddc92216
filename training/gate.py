"""The promotion gate: rules of data/gate.toml on a model's figures, by themselves and beside a reference's."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import ConfigError, GateFailed
from pipeline.resources import shipped
from pipeline.schema import LabelSchema
from training.compare import lower_is_better
from training.metrics import HEADLINE


class Measured(Protocol):
    """A model with its figures; training.evaluate.Report is one."""

    @property
    def model_version(self) -> str: ...

    @property
    def schema(self) -> LabelSchema: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...  # `split/task/figure`


@dataclass(frozen=True, slots=True)
class Figures:
    """A model with figures that were kept, such as those of a bundle."""

    model_version: str
    schema: LabelSchema
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the gate; see data/gate.toml for the meaning of each field."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None
    max_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule applied to one figure."""

    figure: str
    passed: bool
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a model; `reference` is the version that it was held against."""

    model_version: str
    reference: str | None
    checks: tuple[Check, ...]
    unapplied: tuple[str, ...] = ()  # rules that could not be applied, and why

    @property
    def passed(self) -> bool:
        """Every check passed, and there was one: a model of which nothing is known passes nothing."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def require(self) -> None:
        """Raise GateFailed `gate_failed` naming every check that failed, or why there was none."""
        failed = [check.message for check in self.checks if not check.passed]
        if not self.checks:
            failed = ["no rule could be applied", *self.unapplied]
        if failed:
            raise GateFailed("gate_failed", f"{self.model_version} does not pass the gate: {'; '.join(failed)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return {
            "model_version": self.model_version,
            "reference": self.reference,
            "passed": self.passed,
            "checks": [{"figure": c.figure, "passed": c.passed, "message": c.message} for c in self.checks],
            "unapplied": list(self.unapplied),
        }


def load_gate(path: Path | None = None) -> Gate:
    """Read a gate; without a path the shipped one. Raises ConfigError `gate_unreadable` or `gate_invalid`."""
    path = path or shipped("data", "gate.toml")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError("gate_unreadable", f"gate file {path} does not exist; give --gate-file FILE.toml") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("gate_unreadable", f"gate file {path} cannot be read: {error}") from None
    rules = data.get("rules")
    if set(data) != {"rules"} or not isinstance(rules, list) or not rules:
        raise ConfigError("gate_invalid", f"gate file {path} needs tables [[rules]] and nothing else")
    return Gate(tuple(_rule(body, f"{path} rule {i}") for i, body in enumerate(rules, 1)))


def check_gate(report: Measured, reference: Measured | None, gate: Gate) -> Verdict:
    """Apply every rule to every figure that it names.

    `reference` is the champion, or the linear baseline where there is none, measured on the same rows; without one
    only the bounds count. The split is the last of dev and test that was measured.
    """
    figures = _figures(report)
    known = _figures(reference) if reference else None
    checks: list[Check] = []
    unapplied = []
    for rule in gate.rules:
        names = _named(rule.figure, report.schema, figures)
        if not names:
            unapplied.append(f"{rule.figure}: no such figure was measured")
        for name in names:
            checks += _bounds(rule, name, figures.get(name))
            if rule.max_loss is None or known is None:
                continue
            if name in known and name in figures:
                checks.append(_loss(name, figures[name], known[name], rule.max_loss))
            else:
                unapplied.append(f"{name}: not measured on both models with the same labels")
    if known is None and any(rule.max_loss is not None for rule in gate.rules):
        unapplied.append(
            "max_loss: no model answers the same tasks; name one, such as a linear baseline "
            "(promote --against MODEL, evaluate --baseline MODEL)"
        )
    version = reference.model_version if reference else None
    return Verdict(report.model_version, version, tuple(checks), tuple(unapplied))


def _named(pattern: str, schema: LabelSchema, figures: Mapping[str, float]) -> list[str]:
    """Figures that a rule is about: of measured tasks only, but a named figure stays even if it was not measured."""
    measured = [task for task in schema.tasks if f"{task.name}/rows" in figures]
    if pattern == "*":
        return [f"{task.name}/{HEADLINE[task.kind]}" for task in measured]
    task_name, _, figure = pattern.partition("/")
    if task_name == "*":
        return [name for task in measured if (name := f"{task.name}/{figure}") in figures]
    return [pattern] if any(task.name == task_name for task in measured) else []


def _bounds(rule: Rule, name: str, value: float | None) -> list[Check]:
    if rule.at_least is None and rule.at_most is None:
        return []
    if value is None:
        return [Check(name, False, f"{name} was not measured (no such labels in the rows)")]
    checks = []
    if rule.at_least is not None:
        passed = value >= rule.at_least
        checks.append(Check(name, passed, f"{name} {value:.3f}, at least {rule.at_least:g} wanted"))
    if rule.at_most is not None:
        passed = value <= rule.at_most
        checks.append(Check(name, passed, f"{name} {value:.3f}, at most {rule.at_most:g} wanted"))
    return checks


def _loss(name: str, value: float, reference: float, allowed: float) -> Check:
    loss = value - reference if lower_is_better(name) else reference - value
    # 0.70 - 0.69 is 0.010000000000000009: rounding must not decide.
    passed = loss <= allowed + 1e-9
    message = f"{name} {value:.3f} against {reference:.3f} of the reference, a loss of at most {allowed:g} allowed"
    return Check(name, passed, message)


def _figures(measured: Measured) -> dict[str, float]:
    """`task/figure` -> value of the split that counts: test where it was measured, else dev, else the only one."""
    splits = {name.partition("/")[0] for name in measured.metrics}
    split = next((name for name in ("test", "dev") if name in splits), min(splits, default=""))
    prefix = f"{split}/"
    return {name.removeprefix(prefix): value for name, value in measured.metrics.items() if name.startswith(prefix)}


def _rule(body: Any, where: str) -> Rule:
    known = [field.name for field in fields(Rule)]
    if not isinstance(body, Mapping) or not isinstance(body.get("figure"), str):
        raise ConfigError("gate_invalid", f'{where}: expected figure = "task/figure"')
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise ConfigError("gate_invalid", f"{where}: unknown key {unknown[0]!r}; known: {', '.join(known)}")
    bounds = {key: value for key, value in body.items() if key != "figure"}
    if not bounds or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in bounds.values()):
        raise ConfigError("gate_invalid", f"{where}: expected numbers for at_least, at_most or max_loss")
    return Rule(body["figure"], **{key: float(value) for key, value in bounds.items()})
