"""Words of the report in Chinese and English (words.toml), and how it writes numbers, days, labels and series."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import isfinite

from pipeline.bilingual import shipped_words
from pipeline.insights.report.shares import Share
from pipeline.insights.report.week import Week
from pipeline.insights.series import Family, Series
from pipeline.schema import LabelSchema


def words(language: str) -> Mapping[str, str]:
    """Name -> text."""
    return shipped_words(language, "pipeline", "insights", "report_text", "words.toml")


@dataclass(frozen=True, slots=True)
class Wording:
    """One language, with the names that the label schema gives."""

    language: str
    schema: LabelSchema

    def __call__(self, name: str, /, **values: object) -> str:
        return words(self.language)[name].format(**values)

    def known(self, name: str, otherwise: str) -> str:
        return words(self.language).get(name, otherwise)

    def listed(self, texts: Iterable[str]) -> str:
        return self("list_comma").join(texts)

    def number(self, value: float) -> str:
        """Small ones that are no whole numbers with one digit."""
        return f"{value:,.0f}" if value >= 10 or abs(value - round(value)) < 0.05 else f"{value:,.1f}"

    def mean(self, value: float) -> str:
        """With two digits where it is no whole number: that of four weeks is whole, so that it can be counted over."""
        return f"{value:,.2f}".rstrip("0").rstrip(".")

    def percent(self, value: float) -> str:
        if not isfinite(value):
            return self("none")
        return f"{value:.1%}" if 0 < value < 0.095 else f"{value:.0%}"

    def share(self, share: Share) -> str:
        if not share.of:
            return self("none")
        return self("share.of", share=self.percent(share.value), count=f"{share.count:,}", of=f"{share.of:,}")

    def day(self, day: date) -> str:
        return self("day", month=day.month, day=day.day)

    def range(self, week: Week) -> str:
        return self("range", first=self.day(week.first), last=self.day(week.last))

    def week(self, week: Week) -> str:
        return self("week", year=week.year, number=week.number)

    def label(self, task: str, key: str) -> str:
        """As the schema calls it; English ones by their key."""
        if self.language == "zh" and task in self.schema:
            found = self.schema.task(task)
            return found.label(key).zh if key in found.keys else key
        return _title(key)

    def task(self, name: str) -> str:
        return self.schema.task(name).zh if self.language == "zh" and name in self.schema else _title(name)

    def desk(self, name: str) -> str:
        """The shipped ones are translated, those of the operator's own are as they are."""
        return self.known(f"queue.{name}", name)

    def attribute(self, name: str) -> str:
        return self.known(f"attribute.{name.lower()}", name)

    def series(self, series: Series) -> str:
        """What is counted, as people say it."""
        return " + ".join(self._part(series.family, name, value) for name, value in series.parts)

    def _part(self, family: Family, name: str, value: str) -> str:
        if name == "term":
            return self("quoted", text=value)
        if name.startswith("aspect "):
            return self("series.aspect", value=self.label("category", name.removeprefix("aspect ")))
        if family is Family.LABEL or name in self.schema:
            return self("series.label", task=self.task(name), value=self.label(name, value))
        return self("series.attribute", name=self.attribute(name), value=value)


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()
