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


Block: TypeAlias = Bars | Splits | Chart | Card | Table


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
