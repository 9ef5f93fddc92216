"""Seven weeks of scored comments of our own, with figures planted that a weekly report has to find.

The last day is Sunday 2025-04-13, so that the report is on 2025-W15. Planted in that week: sparks out of a kettle at
shop S03 (24 comments, all critical), 30 more complaints than usual about a parcel station in 城东, and the desk of
logistics late with most of what it got. Planted in the week before: an app that crashes at the log-in (30; 4 after).
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.resources import shipped

FIRST, DAYS, PER_DAY = date(2025, 2, 24), 49, 40
LAST_MONDAY = date(2025, 4, 7)
SHOPS = tuple(f"S{i:02}" for i in range(1, 9))
REGIONS = ("城东", "城西", "城南", "城北")
QUEUES = {"logistics": "logistics", "safety": "safety", "function": "technical", "refund": "after_sales"}
KETTLE = ("热水壶底座冒火花", "烧水的时候壶底座冒火花", "水壶底座打火还冒火花", "热水壶一插电底座就冒火花")
KETTLE_ENDINGS = (
    "，吓得我赶紧拔了插头",
    "，桌布烧了个洞",
    "，家里有老人太危险了",
    "，你们管不管",
    "，再不处理就找媒体",
)
STATION = (
    "快递又给扔到驿站，电话都不打",
    "说送到家，结果放驿站了",
    "驿站堆成山，找了半小时才找到包裹",
    "驿站要收保管费",
)
CRASH = ("一点登录就闪退", "登录页面闪退三次了", "更新后登录就闪退", "输完验证码直接闪退")
HOSTILE = "底座冒火花<script>alert(1)</script>，打13812345678，**快|点** [点我](http://evil.example/x)"


def planted_rows(*, seed: int = 0) -> list[dict[str, Any]]:
    """As `fankui score` and the store's export write them, in order of time."""
    rng = np.random.default_rng(seed)
    rows = [_row(rng, text, day) for day, text in _background(rng)]
    last = LAST_MONDAY
    for i in range(24):
        text = KETTLE[i % 4] + KETTLE_ENDINGS[i % 5] if i else HOSTILE
        day = last + timedelta(days=2 + i % 5)
        rows.append(_planted(rng, text, day, "safety", "critical", shop="S03"))
    for i in range(30):
        text = STATION[i % 4] + ("", "，麻烦", "，气人")[i % 3]
        rows.append(_planted(rng, text, last + timedelta(days=i % 7), "logistics", "medium", region="城东"))
    for i in range(34):
        day = last - timedelta(days=1 + i % 7) if i < 30 else last + timedelta(days=i % 7)
        rows.append(_planted(rng, CRASH[i % 4] + ("", "，急用", "，换手机也一样")[i % 3], day, "function", "medium"))
    rows.sort(key=lambda row: row["created_at"])
    for i, row in enumerate(rows):
        _handled(row, rng, late=row["category"] == "logistics" and row["created_at"] >= str(last))
        row["id"] = f"r{i}"
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """As jsonl."""
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def _background(rng: np.random.Generator) -> list[tuple[date, dict[str, Any]]]:
    """The project's own sample comments, a different one each time, spread evenly."""
    lines = shipped("data", "samples", "domains.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(lines[i]) for i in rng.permutation(len(lines))[: DAYS * PER_DAY]]
    return [(FIRST + timedelta(days=i % DAYS), sample) for i, sample in enumerate(samples)]


def _row(rng: np.random.Generator, sample: dict[str, Any], day: date) -> dict[str, Any]:
    row = {name: sample[name] for name in ("text", "sentiment", "category", "aspects", "urgency")}
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=int(rng.integers(0, 15 * 60)))
    row |= {"created_at": moment.isoformat(), "shop": str(rng.choice(SHOPS)), "region": str(rng.choice(REGIONS))}
    mood = {"negative": 1.6, "neutral": 3.0, "positive": 4.6}[row["sentiment"]]
    row["satisfaction"] = round(float(np.clip(mood + rng.normal(0, 0.3), 1, 5)), 3)
    row["customer_ref"] = f"k{rng.integers(0, 4000)}"
    if rng.random() < 0.3:
        row["csat"] = int(np.clip(round(mood + rng.normal(0, 0.7)), 1, 5))
    if rng.random() < 0.2:
        row["nps"] = int(np.clip(round((mood - 1) * 2.5 + rng.normal(0, 1.5)), 0, 10))
    return row


def _planted(
    rng: np.random.Generator, text: str, day: date, category: str, urgency: str, **where: str
) -> dict[str, Any]:
    sample = {"text": text, "sentiment": "negative", "category": category, "urgency": urgency}
    return _row(rng, sample | {"aspects": {category: -1}}, day) | where


def _handled(row: dict[str, Any], rng: np.random.Generator, *, late: bool) -> None:
    created = datetime.fromisoformat(row["created_at"])
    due = created + timedelta(hours=4)
    answered = due + timedelta(hours=3 if rng.random() < (0.7 if late else 0.08) else -2)
    row |= {
        "queue": QUEUES.get(row["category"], "general"),
        "due_at": due.isoformat(),
        "responded_at": answered.isoformat(),
        "status": "resolved",
    }
