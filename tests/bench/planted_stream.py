"""A stream of comments with weekly and holiday pattern, and incidents planted into it."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from pipeline.insights.seasons import is_off
from pipeline.insights.table import Aspects, Categories, FeedbackTable
from pipeline.workdays import DayKind, Holidays, Workdays
from pipeline.workdays import day as day_of
from tests.bench.planted_kinds import CLOSINGS, KINDS, OPENINGS, Kind

SHOPS = tuple(f"门店{i:02}" for i in range(1, 41))
REGIONS = ("华北", "华东", "华南", "华中", "西南", "西北", "东北")
CHANNELS = ("app", "小程序", "电话", "直播间", "网页")
PRODUCTS = (*(f"商品{i:02}" for i in range(1, 23)), "奶粉", "充电器", "面包", "热水器", "鲜奶", "沙发", "平板", "外套")
_FAITHFUL = 0.85  # of an incident's comments that carry its cause; the others come from anywhere
_DECAY = (1.0, 0.6, 0.3)  # size of an incident day by day
SLOW_DAYS = 14  # that a slow incident lasts
_SLOW = (1.5, 3.5)  # its comments a day


@dataclass(frozen=True, slots=True)
class Planted:
    """An incident of the stream and the rows that tell of it."""

    kind: Kind
    day: date
    until: date  # by whose end it is to be found
    share: float
    ids: frozenset[str]


@dataclass(frozen=True, eq=False)
class Stream:
    table: FeedbackTable
    planted: tuple[Planted, ...]
    days: tuple[date, ...]  # that are looked at


def volume(day: date, per_day: int, rng: np.random.Generator) -> int:
    """Comments of a day: fewer at weekends, more on public holidays, overdispersed by a twentieth."""
    kind = day_of(day, Workdays.CHINA, Holidays()).kind
    factor = 1.35 if kind is DayKind.HOLIDAY else 0.8 if is_off(day) else 1.0
    return int(rng.poisson(per_day * factor * rng.gamma(400, 1 / 400)))


def stream(
    pool: FeedbackTable,
    *,
    seed: int,
    first: date,
    history: int = 56,
    looked_at: int = 40,
    per_day: int = 2000,
    slow: bool = False,
) -> Stream:
    """`history` quiet days, then `looked_at` days with one new incident on every second of them.

    `slow`: each of two or three comments a day for two weeks, as far as the days go.
    """
    rng = np.random.default_rng(seed)
    days = [first + timedelta(days=i) for i in range(history + looked_at)]
    counts = [volume(day, per_day, rng) for day in days]
    chosen = rng.permutation(np.resize(rng.permutation(len(pool)), sum(counts)))
    table = _dressed(pool.take(chosen), np.repeat(days, counts), rng)
    planted, extra = [], []
    for i, kind in enumerate(rng.permutation(len(KINDS))):
        at = history + 2 * i
        if at >= len(days):
            break
        share = float(np.exp(rng.uniform(np.log(0.005), np.log(0.05))))
        if slow and at + SLOW_DAYS > len(days):
            break
        if slow:
            sizes = rng.poisson(rng.uniform(*_SLOW), SLOW_DAYS).tolist()
        else:
            sizes = [
                max(round(share * count * part), 10 if later == 0 else 1)
                for later, (part, count) in enumerate(zip(_DECAY, counts[at:], strict=False))
            ]
        rows = [days[at + later] for later, size in enumerate(sizes) for _ in range(size)]
        piece = _telling(table, KINDS[kind], rows, f"p{i}-", rng)
        extra.append(piece)
        until = days[at + (SLOW_DAYS - 1 if slow else 0)]
        planted.append(Planted(KINDS[kind], days[at], until, share, frozenset(piece.ids)))
    return Stream(_stacked([table, *extra]), tuple(planted), tuple(days[history:]))


def _moments(days: "np.ndarray", rng: np.random.Generator) -> "np.ndarray":
    """Moments of the local day (UTC+8), most of them between morning and night."""
    hours = np.clip(rng.normal(15, 4, len(days)), 0, 23.9)
    seconds = (hours * 3600).astype(np.int64) - 8 * 3600
    return np.array(days, dtype="datetime64[s]") + seconds.astype("timedelta64[s]")


def _dressed(table: FeedbackTable, days: "np.ndarray", rng: np.random.Generator) -> FeedbackTable:
    count = len(table)
    return replace(
        table,
        ids=tuple(f"c{i}" for i in range(count)),
        times=_moments(days, rng),
        attributes=_attributes(count, rng),
        embeddings=None,
    )


def _attributes(count: int, rng: np.random.Generator) -> dict[str, Categories]:
    return {
        name: Categories(values, rng.choice(len(values), count, p=_skewed(len(values))))
        for name, values in (("shop", SHOPS), ("region", REGIONS), ("channel", CHANNELS), ("product", PRODUCTS))
    }


def _skewed(count: int) -> "np.ndarray":
    weights = 1 / (np.arange(count) + 8.0)
    return weights / weights.sum()


def _telling(
    table: FeedbackTable, kind: Kind, days: list[date], prefix: str, rng: np.random.Generator
) -> FeedbackTable:
    count = len(days)
    texts = []
    for _ in range(count):
        said = rng.choice(len(kind.tellings), size=int(rng.integers(1, 3)), replace=False)
        body = "，".join(kind.tellings[i] for i in said)
        texts.append(f"{rng.choice(OPENINGS)}{body}{rng.choice(CLOSINGS)}")
    attributes = _attributes(count, rng)
    for name, value in kind.cause.items():
        column = attributes[name]
        faithful = rng.random(count) < _FAITHFUL
        attributes[name] = Categories(column.values, np.where(faithful, column.values.index(value), column.codes))
    labels = {
        name: Categories(column.values, np.full(count, _label(name, column.values, kind)))
        for name, column in table.labels.items()
    }
    numbers = {name: np.full(count, 0.9 if "negative" in name else 0.7, np.float32) for name in table.numbers}
    aspects = None
    if table.aspects is not None:
        polarity = np.full((count, len(table.aspects.keys)), -128, dtype=np.int8)
        polarity[:, table.aspects.keys.index(kind.category)] = -1
        aspects = Aspects(table.aspects.keys, polarity)
    return replace(
        table,
        ids=tuple(f"{prefix}{i}" for i in range(count)),
        texts=tuple(texts),
        times=_moments(np.array(days), rng),
        attributes=attributes,
        labels=labels,
        numbers=numbers,
        aspects=aspects,
    )


def _label(task: str, values: tuple[str, ...], kind: Kind) -> int:
    wanted = {"sentiment": "negative", "category": kind.category, "urgency": "medium"}.get(task, values[0])
    return values.index(wanted)


def _stacked(tables: list[FeedbackTable]) -> FeedbackTable:
    first = tables[0]
    return replace(
        first,
        ids=tuple(name for table in tables for name in table.ids),
        texts=tuple(text for table in tables for text in table.texts),
        times=np.concatenate([table.times for table in tables]),
        labels={
            n: Categories(c.values, np.concatenate([t.labels[n].codes for t in tables]))
            for n, c in first.labels.items()
        },
        numbers={name: np.concatenate([table.numbers[name] for table in tables]) for name in first.numbers},
        aspects=None
        if first.aspects is None
        else Aspects(first.aspects.keys, np.concatenate([t.aspects.polarity for t in tables if t.aspects is not None])),
        attributes={
            n: Categories(c.values, np.concatenate([t.attributes[n].codes for t in tables]))
            for n, c in first.attributes.items()
        },
    )
