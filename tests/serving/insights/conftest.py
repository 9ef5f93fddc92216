"""Two months of stored feedback of which the last day holds an incident."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from pipeline.schema import LabelSchema
from serving.store import records
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade
from tests.stored_comments import scored_comment

NOW = datetime(2026, 9, 24, 13, 0, tzinfo=UTC)  # a Thursday evening in China
DAYS = 50
A_DAY = 20
INCIDENT = 30

OBJECTS = ("快递", "客服", "退款", "衣服", "手机壳", "耳机", "包装", "优惠券", "发票", "账号")
VERDICTS = ("太慢了", "态度一般", "还不错", "和图片不一样", "下次不买了", "用着挺好", "要等很久", "没有人管")


def fill(database: Database, schema: LabelSchema, *, now: datetime = NOW, incident: int = INCIDENT) -> None:
    """A_DAY ordinary comments on each of DAYS days, and today besides some about one shop's chargers."""
    rng = np.random.default_rng(5)
    rows = []
    for day in range(DAYS):
        for i in range(A_DAY):
            at = now - timedelta(days=DAYS - 1 - day, minutes=int(rng.integers(1, 600)))
            first, second = rng.integers(10, size=2)
            text = f"{OBJECTS[first]}{VERDICTS[rng.integers(8)]}，{OBJECTS[second]}也{VERDICTS[rng.integers(8)]}"
            shop = f"S{rng.integers(6)}"
            rows.append((f"d{day}-{i}", text, at, "product", "low", {"shop": shop}))
    for i in range(incident):
        text = f"{OBJECTS[i % 10]}店买的充电宝鼓包发烫，{VERDICTS[i % 8]}"
        rows.append((f"x{i}", text, now - timedelta(minutes=10 * i), "safety", "critical", {"shop": "S9"}))

    def keep(connection: object) -> None:
        for id_, text, at, category, urgency, metadata in rows:
            new = scored_comment(
                id_, schema=schema, text=text, received_at=at, category=category, urgency=urgency, metadata=metadata
            )
            records.store(connection, new)  # type: ignore[arg-type]

    database.write(keep)


@pytest.fixture
def database(store_url: str, schema: LabelSchema) -> Iterator[Database]:
    found = open_database(store_url, timeout=5.0)
    upgrade(found)
    fill(found, schema)
    yield found
    found.close()
