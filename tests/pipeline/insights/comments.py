"""A table of comments of our own to draw insights from: quiet days, with an incident on the last."""

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.insights.table import Aspects, Categories, FeedbackTable

ZONE = ZoneInfo("Asia/Shanghai")
FIRST = date(2025, 3, 3)
SHOPS = tuple(f"S{i:02}" for i in range(12))
CHANNELS = ("app", "电话", "网页")

# What is said of what, by category.
SAID: dict[str, tuple[str, ...]] = {
    "logistics": ("快递三天没动", "箱子压扁了", "派送员没打电话", "物流信息不更新", "送到驿站没通知", "包裹丢了"),
    "service": ("客服半天不回", "前台态度很好", "师傅说话难听", "打电话没人接", "服务员耐心讲解", "转人工转不到"),
    "product": ("衣服起球", "颜色很正", "味道有点怪", "用两次就坏", "质量不错", "毛边没剪干净"),
    "price": ("刚买就降价", "比超市便宜", "优惠券用不了", "性价比高", "满减算错了", "运费太贵"),
    "refund": ("退款没到账", "换货很快", "退货邮费谁出", "售后推来推去", "申请退款被拒", "补偿五元"),
}
ENDINGS = ("", "，哎", "，下次再看看", "，麻烦处理", "，给个说法", "，就这样吧", "，家里人都这么说")
INCIDENT = ("热水壶底座冒火花", "烧水时壶底座冒火花", "壶底座打火，冒火花", "底座冒火花，吓人")


def quiet_table(*, days: int = 40, per_day: int = 60, seed: int = 0) -> FeedbackTable:
    """Comments without anything special about any day."""
    rng = np.random.default_rng(seed)
    count = days * per_day
    keys = tuple(SAID)
    category = rng.integers(len(keys), size=count)
    texts = ["，".join(rng.choice(SAID[keys[i]], size=2, replace=False)) + str(rng.choice(ENDINGS)) for i in category]
    at = np.repeat([FIRST + timedelta(days=i) for i in range(days)], per_day)
    return table(texts, at, category=category, shop=rng.integers(len(SHOPS), size=count), rng=rng)


def with_incident(quiet: FeedbackTable, *, shop: int = 3, count: int = 12, seed: int = 1) -> FeedbackTable:
    """The same with an incident of one shop on the last day; its ids begin with x."""
    rng = np.random.default_rng(seed)
    last = quiet.days.max().astype(object)
    texts = [str(rng.choice(INCIDENT)) + str(rng.choice(ENDINGS)) for _ in range(count)]
    extra = table(
        texts,
        [last] * count,
        category=np.full(count, list(SAID).index("product")),
        shop=np.full(count, shop),
        rng=rng,
        prefix="x",
        negative=1.0,
    )
    return stacked(quiet, extra)


def table(
    texts: Sequence[str],
    days: Sequence[date] | np.ndarray,
    *,
    category: np.ndarray,
    shop: np.ndarray,
    rng: np.random.Generator,
    prefix: str = "c",
    negative: float = 0.5,
) -> FeedbackTable:
    """Comments at noon of their days, with labels that agree with each other."""
    count = len(texts)
    blamed = rng.random(count) < negative
    polarity = np.full((count, len(SAID)), -128, dtype=np.int8)
    polarity[np.arange(count), category] = np.where(blamed, -1, 1)
    return FeedbackTable(
        ids=tuple(f"{prefix}{i}" for i in range(count)),
        texts=tuple(texts),
        times=np.array(days, dtype="datetime64[s]") + np.timedelta64(4, "h"),
        timezone=ZONE,
        labels={
            "sentiment": Categories(("negative", "positive"), np.where(blamed, 0, 1)),
            "category": Categories(tuple(SAID), category.astype(np.int64)),
        },
        numbers={"urgency_score": np.where(blamed, 0.6, 0.1).astype(np.float32)},
        aspects=Aspects(tuple(SAID), polarity),
        attributes={
            "shop": Categories(SHOPS, shop.astype(np.int64)),
            "channel": Categories(CHANNELS, rng.integers(len(CHANNELS), size=count)),
        },
    )


def stacked(one: FeedbackTable, other: FeedbackTable) -> FeedbackTable:
    """One after the other."""
    assert one.aspects is not None
    assert other.aspects is not None
    return FeedbackTable(
        ids=one.ids + other.ids,
        texts=one.texts + other.texts,
        times=np.concatenate([one.times, other.times]),
        timezone=one.timezone,
        labels={
            name: Categories(column.values, np.concatenate([column.codes, other.labels[name].codes]))
            for name, column in one.labels.items()
        },
        numbers={name: np.concatenate([column, other.numbers[name]]) for name, column in one.numbers.items()},
        aspects=Aspects(one.aspects.keys, np.concatenate([one.aspects.polarity, other.aspects.polarity])),
        attributes={
            name: Categories(column.values, np.concatenate([column.codes, other.attributes[name].codes]))
            for name, column in one.attributes.items()
        },
    )
