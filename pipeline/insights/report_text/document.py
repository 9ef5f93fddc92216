"""What a written report is made of, whatever it is written as: sections of sentences, cards, bars, tables, charts."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the top row. `tone`: "", "good" or "bad"."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A length `now` beside another `usual`, with what it means."""

    name: str
    now: float
    usual: float
    now_text: str
    usual_text: str
    change: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """`head`: of the name, now, usual and change."""

    caption: str
    head: tuple[str, str, str, str]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """How many of those who spoke of something praised and blamed it; both from 0 to 1, None where nobody spoke."""

    name: str
    means: str
    praised: float | None
    blamed: float | None
    praised_text: str
    blamed_text: str
    count: str
    change: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Splits:
    """`head`: of the name, praised, blamed, count and change."""

    head: tuple[str, str, str, str, str]
    splits: tuple[Split, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns or a line over time. `marked`: the last so many stand out; `usual`: (marked,) or ()."""

    caption: str
    told: str  # the same for those who do not see it
    values: tuple[float, ...]
    labels: tuple[str, ...]  # first and last under the axis, as far as there are any
    marked: int
    usual: tuple[float, ...] = ()
    line: bool = False
    top: float | None = None  # of the axis; None: of the values


@dataclass(frozen=True, slots=True)
class Card:
    """An issue. `badge` with its tone; `spark`: comments a day, the last seven of the week."""

    title: str
    badge: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    quotes: tuple[str, ...] = ()
    spark: tuple[int, ...] = ()
    spark_caption: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below a head; `tones`: of each row's last cell."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """One part of stacked columns. `tone`: bad, warn, mild, pale or good."""

    name: str
    tone: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stacked:
    """Columns over time, in layers from the axis up. `marked`: the last so many stand out."""

    caption: str
    told: str  # the same for those who do not see it
    layers: tuple[Layer, ...]
    labels: tuple[str, ...]  # first and last under the axis
    marked: int


@dataclass(frozen=True, slots=True)
class HeatRow:
    """`cells`: what each tells, and how dark it is, 0 to 1; `total`: of the last seven."""

    name: str
    cells: tuple[tuple[str, float], ...]
    total: str


@dataclass(frozen=True, slots=True)
class Heat:
    """Counts as tints, one row each. `head`: of the names and of the totals; `labels`: of the first and last column."""

    caption: str
    head: tuple[str, str]
    rows: tuple[HeatRow, ...]
    labels: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Band:
    """What was, as columns, and what is to be expected, as a line within an interval. `labels`: begin, now, end."""

    caption: str
    told: str
    past: tuple[float, ...]
    expected: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    labels: tuple[str, str, str]


Block: TypeAlias = Bars | Splits | Chart | Card | Table | Stacked | Heat | Band


@dataclass(frozen=True, slots=True)
class Section:
    """`key`: its anchor."""

    key: str
    title: str
    lead: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. `summary`: its sentences that somebody in a hurry reads."""

    language: str
    title: str
    subtitle: str
    summary: tuple[str, ...]
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    footer: str = ""
