"""Rules out of TOML: the table [rules] of a routing policy. A rule that is wrong is refused by its place and name."""

import difflib
import math
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from pipeline.config_file import unknown_key
from pipeline.dangers import DangerLexicon
from pipeline.errors import ConfigError
from pipeline.feedback import NEAR_DUPLICATE, REPEAT_CONTACT
from pipeline.routing_conditions import (
    DANGER,
    SEVERAL_DESKS,
    AspectIs,
    Bounds,
    Condition,
    HasFlag,
    LabelIs,
    NumberIn,
    OriginIs,
    ProbabilityIn,
)
from pipeline.routing_rules import Effect, Rule, RuleSet
from pipeline.routing_zone import CONTRADICTION, OUT_OF_SCOPE, TRUNCATED, ZONES
from pipeline.schema import POLARITIES, minutes

MODES = ("first", "score")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CONDITIONS = (
    "labels", "probabilities", "scores", "aspects", "satisfaction", "channel", "tier", "flags", "all_flags",
    "repeat_contacts", "near_duplicates",
)  # fmt: skip
_EFFECTS = ("queue", "within", "around_the_clock", "priority", "level", "zone")
_POLARITY = {name: value for value, name in POLARITIES.items()}


def rules_from_dict(body: Mapping[str, Any], *, flags: Collection[str]) -> RuleSet:
    """From the table [rules]; `flags` are those that may be asked for. Raises ConfigError `routing_invalid`."""
    _only(body, ("mode", "least", "rule"), "[rules]")
    mode = body.get("mode", "first")
    if mode not in MODES:
        raise _invalid(f"[rules] mode: expected 'first' (the first rule that fires) or 'score'; found {mode!r}")
    if "least" in body and mode != "score":
        raise _invalid("[rules] least: counts only with mode = 'score'; take it out, or set the mode")
    least = _positive(body.get("least", 1.0), "[rules] least")
    entries = body.get("rule", [])
    if not isinstance(entries, list):
        raise _invalid(f"[rules] rule: expected tables [[rules.rule]]; found {type(entries).__name__}")
    rules = [_rule(entry, f"[[rules.rule]] {i}", mode=mode, flags=flags) for i, entry in enumerate(entries, 1)]
    places: dict[str, int] = {}
    for i, rule in enumerate(rules, 1):
        if rule.name in places:
            raise _invalid(f"[[rules.rule]] {i} name: {rule.name!r} is rule {places[rule.name]} already; give another")
        places[rule.name] = i
    return RuleSet(tuple(rules), mode, least)


def known_flags(dangers: DangerLexicon | None, own: DangerLexicon | None) -> tuple[str, ...]:
    """Every flag that a comment may have under a policy."""
    groups = dict.fromkeys(entry.group for entry in dangers.entries) if dangers is not None else {}
    danger = (DANGER, *(f"{DANGER}:{group}" for group in groups)) if groups else ()
    named = tuple(entry.group for entry in own.entries) if own is not None else ()
    model = (OUT_OF_SCOPE, CONTRADICTION, TRUNCATED)
    return (*model, SEVERAL_DESKS, REPEAT_CONTACT, NEAR_DUPLICATE, *danger, *named)


def _rule(body: Any, where: str, *, mode: str, flags: Collection[str]) -> Rule:
    if not isinstance(body, Mapping):
        raise _invalid(f"{where}: expected a table; found {type(body).__name__}")
    name = body.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _invalid(
            f"{where} name: lower-case ASCII letters, digits and _ (it is told as rule:NAME); found {name!r}"
        )
    where = f"{where} {name!r}"
    _only(body, ("name", "when", "unless", "then", "points"), where)
    if "when" not in body:
        raise _invalid(f"{where} when: missing; say what it asks, or when = {{}} for every comment")
    if "points" in body and mode != "score":
        raise _invalid(f"{where} points: count only with mode = 'score' in [rules]; take them out, or set the mode")
    unless = tuple(_conditions(body.get("unless", {}), f"{where} unless", flags))
    if "unless" in body and not unless:
        raise _invalid(f"{where} unless: is empty, which would hold always; take it out")
    return Rule(
        name=name,
        when=tuple(_conditions(body["when"], f"{where} when", flags)),
        then=_effect(body.get("then"), f"{where} then"),
        unless=unless,
        points=_positive(body.get("points", 1.0), f"{where} points"),
    )


def _conditions(body: Any, where: str, flags: Collection[str]) -> Iterator[Condition]:
    body = _table(body, where)
    _only(body, _CONDITIONS, where)
    for key, value in body.items():
        place = f"{where}.{key}"
        if key in ("labels", "probabilities", "scores", "aspects"):
            for name, entry in _table(value, place).items():
                yield from _of_task(key, name, entry, f"{place}.{name}")
        elif key in ("channel", "tier"):
            names = _names(value, place, "a name")
            yield OriginIs(key, tuple(dict.fromkeys(name.casefold() for name in names)))
        elif key in ("flags", "all_flags"):
            yield HasFlag(key, _flags(value, place, flags))
        else:
            yield NumberIn(key, _bounds(value, place))


def _of_task(key: str, name: str, value: Any, place: str) -> Iterator[Condition]:
    if key == "labels":
        yield LabelIs(f"labels.{name}", name, _names(value, place, "a label"))
    elif key == "probabilities":
        for label, bounds in _table(value, place).items():
            path = f"probabilities.{name}.{label}"
            yield ProbabilityIn(path, name, label, _share(bounds, f"{place}.{label}"))
    elif key == "scores":
        yield NumberIn(f"scores.{name}", _share(value, place))
    else:
        yield AspectIs(f"aspects.{name}", name, _polarities(value, place))


def _effect(body: Any, where: str) -> Effect:
    body = _table({} if body is None else body, where)
    _only(body, _EFFECTS, where)
    if not body:
        raise _invalid(f"{where}: does nothing; give one of {', '.join(_EFFECTS)}")
    within, priority, zone = body.get("within"), body.get("priority"), body.get("zone")
    if within is not None and not minutes(within):
        raise _invalid(f"{where}.within: expected a time such as '30 min', '4 h' or '1 d'; found {within!r}")
    if priority is not None and (type(priority) is not int or not 1 <= priority <= 99):
        raise _invalid(
            f"{where}.priority: expected a whole number from 1, the most pressing, to 99; found {priority!r}"
        )
    if zone is not None and zone not in ZONES[1:]:
        raise _invalid(f"{where}.zone: a rule asks for 'suggest' or 'review', never for less care; found {zone!r}")
    clock = body.get("around_the_clock", False)
    if not isinstance(clock, bool):
        raise _invalid(f"{where}.around_the_clock: expected true or false; found {clock!r}")
    for key in ("queue", "level"):
        if key in body and (not isinstance(body[key], str) or not body[key]):
            raise _invalid(f"{where}.{key}: expected a name; found {body[key]!r}")
    time = None if within is None else timedelta(minutes=minutes(within) or 0)
    return Effect(body.get("queue"), time, clock, priority, body.get("level"), zone)


def _flags(value: Any, where: str, known: Collection[str]) -> tuple[str, ...]:
    names = _names(value, where, "a flag")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise _invalid(f"{where}: nothing raises the flag {name!r} (words of your own: [flags.NAME]); {hint}")
    return names


def _polarities(value: Any, where: str) -> tuple[int, ...]:
    names = _names(value, where, "a polarity")
    for name in names:
        if name not in _POLARITY:
            raise _invalid(f"{where}: a polarity is {', '.join(_POLARITY)}; found {name!r}")
    return tuple(_POLARITY[name] for name in names)


def _share(value: Any, where: str) -> Bounds:
    bounds = _bounds(value, where)
    for number in (bounds.at_least, bounds.below):
        if not math.isinf(number) and not 0 <= number <= 1:
            raise _invalid(f"{where}: a probability is between 0 and 1; found {number:g}")
    return bounds


def _bounds(value: Any, where: str) -> Bounds:
    if not isinstance(value, Mapping) or not value:
        raise _invalid(f"{where}: expected bounds such as {{at_least = 0.4, below = 0.9}}; found {value!r}")
    _only(value, ("at_least", "below"), where)
    for key, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _invalid(f"{where}.{key}: expected a number; found {number!r}")
    bounds = Bounds(float(value.get("at_least", -math.inf)), float(value.get("below", math.inf)))
    if bounds.at_least >= bounds.below:
        raise _invalid(f"{where}: nothing is at least {bounds.at_least:g} and below {bounds.below:g}")
    return bounds


def _names(value: Any, where: str, what: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise _invalid(f"{where}: expected {what}, or a list of several; found {value!r}")
    return tuple(dict.fromkeys(names))


def _positive(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _invalid(f"{where}: expected a number above 0; found {value!r}")
    return float(value)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(f"{where}: expected a table; found {value!r}")
    return value


def _only(body: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    if wrong := unknown_key(body, set(allowed), where):
        near = difflib.get_close_matches(sorted(set(body) - set(allowed))[0], allowed, n=1, cutoff=0.6)
        raise _invalid(wrong + (f"; did you mean {near[0]!r}?" if near else ""))


def _invalid(message: str) -> ConfigError:
    return ConfigError("routing_invalid", f"routing: {message}")
