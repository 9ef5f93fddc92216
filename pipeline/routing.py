"""The routing policy out of its file (data/routing.toml), and the names of routing that other packages need.

What it does with a comment: pipeline/routing_policy.py.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.config_file import read_config_file, unknown_key
from pipeline.dangers import DangerLexicon, danger_terms, load_dangers
from pipeline.desk_calendar import DeskCalendar, calendar_from_dict
from pipeline.errors import ConfigError
from pipeline.resources import shipped
from pipeline.routing_policy import CALENDAR_ESTIMATED, NO_ORIGIN, Origin, RoutingPolicy, Verdict, origin_word
from pipeline.routing_rule_file import known_flags, rules_from_dict
from pipeline.routing_zone import CONTRADICTION, NEVER, OUT_OF_SCOPE, TRUNCATED, UNFITTED, ZONES, Thresholds
from pipeline.schema import minutes
from pipeline.workdays import Holidays, holidays_from_dict

__all__ = [
    "CALENDAR_ESTIMATED",
    "CONTRADICTION",
    "NEVER",
    "NO_ORIGIN",
    "OUT_OF_SCOPE",
    "TRUNCATED",
    "UNFITTED",
    "ZONES",
    "Origin",
    "RoutingPolicy",
    "Thresholds",
    "Verdict",
    "load_policy",
    "origin_word",
    "policy_from_dict",
]

_OFFSET = re.compile(r"([+-])([01]\d):([0-5]\d)")
_TABLES = {"version", "timezone", "queue", "due", "zones", "dangers"}
_FURTHER = {"rules", "flags", "customer", "calendars", "holidays"}
_TEN_YEARS = 520  # weeks


def load_policy(path: Path | None = None) -> RoutingPolicy:
    """Read a policy from TOML; without a path the shipped one. Raises ConfigError with the place of the mistake."""
    path = path or shipped("data", "routing.toml")
    data = read_config_file(path, name="routing", code="routing", advice="give --routing FILE.toml")
    try:
        return replace(policy_from_dict(data, folder=path.parent), source=str(path))
    except ConfigError as error:
        if error.code != "routing_invalid":
            raise
        message = error.message.removeprefix("routing: ")
        raise ConfigError(error.code, f"routing: {path}: {message}") from None


def policy_from_dict(data: Mapping[str, Any], *, folder: Path | None = None) -> RoutingPolicy:
    """Check and build a policy from its plain form; ConfigError `routing_invalid` tells the first mistake.

    The file of the dangers lies under `folder`.
    """
    _only(data, _TABLES | _FURTHER, "the file")
    queue, due, zones, customer = (_table(data, name) for name in ("queue", "due", "zones", "customer"))
    _only(queue, {"task", "default", "labels", "calendars", "several_desks"}, "[queue]")
    _only(due, {"task", "labels", "around_the_clock"}, "[due]")
    _only(customer, {"tier"}, "[customer]")
    zone = _timezone(data.get("timezone", "+08:00"), "timezone")
    dangers, flags = _dangers(data, folder or Path()), _flags(_table(data, "flags"))
    policy = RoutingPolicy(
        version=str(data.get("version", "1")),
        timezone=zone,
        queue_task=str(queue.get("task", "category")),
        default_queue=_text(queue.get("default", "general"), "[queue] default"),
        queues={label: _text(name, f"[queue.labels] {label}") for label, name in _table(queue, "labels").items()},
        due_task=str(due.get("task", "urgency")),
        due={label: _time(value, f"[due.labels] {label}") for label, value in _table(due, "labels").items()},
        thresholds={task: _thresholds(body, f"[zones.{task}]") for task, body in zones.items()},
        dangers=dangers,
        rules=rules_from_dict(_table(data, "rules"), flags=known_flags(dangers, flags)),
        flags=flags,
        several_desks=_several(queue.get("several_desks", 2)),
        tier_field=_name(customer.get("tier", "tier"), "[customer] tier"),
        around_the_clock=_levels(due.get("around_the_clock", ["critical"])),
    )
    calendars, unused = _calendars(data, policy)
    return replace(policy, calendars=calendars, unused_calendars=unused)


def _calendars(data: Mapping[str, Any], policy: RoutingPolicy) -> tuple[dict[str, DeskCalendar], tuple[str, ...]]:
    """Queue -> its desk's calendar, and names of those that no queue has."""
    holidays = holidays_from_dict(data["holidays"], "[holidays]") if _table(data, "holidays") else Holidays()
    known = {
        name: calendar_from_dict(name, body, zone=policy.timezone, holidays=holidays, timezone=_timezone)
        for name, body in _table(data, "calendars").items()
    }
    found: dict[str, DeskCalendar] = {}
    queues = policy.queue_names()
    for queue, name in _table(_table(data, "queue"), "calendars").items():
        where = f"[queue.calendars] {queue}"
        if queue not in queues:
            raise _invalid(f"{where}: no label and no rule leads to such a queue; there are: {', '.join(queues)}")
        if name not in known:
            there = f"there are: {', '.join(known)}" if known else "there is none; write a table [calendars.NAME]"
            raise _invalid(f"{where}: no calendar is called {name!r}; {there}")
        found[queue] = known[name]
    ruled = [rule.then.within for rule in policy.rules.rules if rule.then.within is not None]
    longest = max((*policy.due.values(), *ruled), default=timedelta())
    for calendar in found.values():
        if longest > _TEN_YEARS * timedelta(minutes=calendar.weekly_minutes()):
            raise _invalid(
                f"[calendars.{calendar.name}]: with its hours the longest due time would take over ten years"
            )
    used = {calendar.name for calendar in found.values()}
    return found, tuple(name for name in known if name not in used)


def _flags(body: Mapping[str, Any]) -> DangerLexicon | None:
    """Words of the policy's own, each list of them a flag."""
    entries = []
    for name, terms in body.items():
        where = f"[flags.{name}]"
        if not isinstance(terms, Mapping):
            raise _invalid(f"{where}: expected a table; found {type(terms).__name__}")
        _only(terms, {"terms", "exceptions", "threat"}, where)
        if name in known_flags(None, None) or name == "danger":
            raise _invalid(f"{where}: the flag {name!r} means something else already; give another name")
        try:
            entries.append(danger_terms({**terms, "group": name, "level": "none"}, where))
        except ConfigError as error:
            raise _invalid(error.message.removeprefix("dangers: ")) from None
    return DangerLexicon("1", tuple(entries)) if entries else None


def _several(value: Any) -> int:
    if type(value) is not int or value < 2:
        raise _invalid(f"[queue] several_desks: expected a number of queues from 2 on; found {value!r}")
    return value


def _levels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(level, str) for level in value):
        raise _invalid(f"[due] around_the_clock: expected a list of labels such as ['critical']; found {value!r}")
    return tuple(value)


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(f"{where}: expected the name of a field; found {value!r}")
    return value


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


def _timezone(name: Any, where: str) -> tzinfo:
    # An offset works where the system has no time zone database, as in the smallest containers.
    offset = _OFFSET.fullmatch(name) if isinstance(name, str) else None
    if offset:
        sign = -1 if offset[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, AttributeError, OSError):
        raise _invalid(f"{where}: expected '+08:00' or a name such as 'Asia/Shanghai'; found {name!r}") from None


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
