"""Why: what some comments have in common that the others have not, with effect, exact test and false discovery rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from pipeline.insights.seasons import Doubles
from pipeline.insights.series import Family, Membership, Series
from pipeline.insights.significance import adjusted, discoveries
from pipeline.insights.table import Ints, Mask

_RATE = 0.01
_LEAST = 3  # comments that a cause must account for
_LEAST_SHARE = 0.1
_LIFT = 1.5
_NAMED_SHARE = 0.4  # of the comments that the cause named first must account for
_PAIR_GAIN = 1.5  # a pair must be that much more special than each of its values …
_PAIR_SHARE = 0.6  # … and account for this part of what they do
_MOST = 10


@dataclass(frozen=True, slots=True)
class Cause:
    """Something over-represented. `share` of the comments looked at, `rest_share` of all others.

    `odds_ratio` with its 95 % interval (Haldane and Anscombe's correction); `evidence`: likelihood ratio (G squared).
    """

    series: Series
    count: int
    share: float
    rest_share: float
    odds_ratio: float
    interval: tuple[float, float]
    p_value: float
    q_value: float
    evidence: float

    @property
    def lift(self) -> float:
        return self.share / max(self.rest_share, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        return {
            "cause": self.series.name,
            "kind": str(self.series.family),
            "parts": [{"name": name, "value": value} for name, value in self.series.parts],
            "messages": self.count,
            "share": round(self.share, 4),
            "rest_share": round(self.rest_share, 6),
            "odds_ratio": round(self.odds_ratio, 2),
            "interval": [round(bound, 2) for bound in self.interval],
            "p_value": self.p_value,
            "q_value": self.q_value,
        }


@dataclass(frozen=True, slots=True)
class Causes:
    """`where`: attribute values and pairs; `what`: labels, negative aspects and phrases; each the strongest first."""

    where: tuple[Cause, ...]
    what: tuple[Cause, ...]

    @property
    def first(self) -> Cause | None:
        """What to name first: where it comes from, if that accounts for enough; else what is said."""
        named = [cause for cause in self.where if cause.share >= _NAMED_SHARE]
        said = [cause for cause in self.what if cause.series.family is Family.TERM]
        return next(iter(named or said or self.what or self.where), None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "first": None if self.first is None else self.first.series.name,
            "where": [cause.to_dict() for cause in self.where],
            "what": [cause.to_dict() for cause in self.what],
        }


def find_causes(
    members: Membership, target: Ints, rest: Ints, *, rate: float = _RATE, without: Sequence[str] = ()
) -> Causes:
    """What rows `target` have in common against rows `rest`. `without`: what the choice was made by, such as `shop`."""
    inside = np.asarray(members.matrix[target].sum(axis=0)).ravel()
    outside = np.asarray(members.matrix[rest].sum(axis=0)).ravel()
    least = max(_LEAST, _LEAST_SHARE * len(target))
    likely = np.flatnonzero(inside >= least)
    skipped = {name.replace("aspect.", "aspect ", 1) for name in without}
    likely = np.array(
        [i for i in likely if not skipped & {name for name, _ in members.series[i].parts}], dtype=np.int64
    )
    if not len(likely) or not len(rest):
        return Causes((), ())
    a, c = inside[likely], outside[likely]
    n, m = len(target), len(rest)
    p_values = _fisher(a, c, n, m)
    q_values = _in_two_stages(members, likely, p_values, inside + outside >= least, rate)
    evidence = _g_squared(a, c, n, m)
    found = []
    for j, i in enumerate(likely):
        if q_values[j] > rate or a[j] * m < _LIFT * c[j] * n:
            continue
        odds, interval = _odds_ratio(a[j], c[j], n, m)
        found.append(
            Cause(
                members.series[i], int(a[j]), float(a[j] / n), float(c[j] / m), odds, interval,
                float(p_values[j]), float(q_values[j]), float(evidence[j]),
            )
        )  # fmt: skip
    found.sort(key=lambda cause: (-cause.evidence, cause.series.name))
    where = [cause for cause in found if cause.series.family in (Family.ATTRIBUTE, Family.PAIR)]
    what = [cause for cause in found if cause.series.family in (Family.LABEL, Family.TERM)]
    return Causes(tuple(_plain(where)[:_MOST]), tuple(_distinct(what)[:_MOST]))


def _in_two_stages(members: Membership, likely: Ints, p_values: Doubles, possible: Mask, rate: float) -> Doubles:
    """q-values: which attributes tell anything at all, then which of their values (Benjamini and Bogomolov 2014).

    In each family by itself, and not by all values in one: thousands of housing estates would drown the one batch of
    six that a true cause is. Values that are too rare to be a cause whatever they were found in are no tests
    (Gilbert 2005): `possible`: (series,) of all.
    """
    found = np.ones(len(likely))
    # A value that is frequent enough in the target is so in all: every group of a likely one is counted.
    sizes = np.bincount(members.groups[possible], minlength=int(members.groups.max()) + 1)
    for family in np.unique(members.families[likely]):
        groups = np.unique(members.groups[possible & (members.families == family)])
        ats = [np.flatnonzero(members.groups[likely] == group) for group in groups]
        within = [
            np.minimum(adjusted(p_values[at]) * sizes[group] / max(len(at), 1), 1.0)
            for group, at in zip(groups, ats, strict=True)
        ]
        # Of Simes' p-value of a group, which is the smallest q-value in it.
        chosen = discoveries(np.array([float(values.min(initial=1.0)) for values in within]), rate)
        for k in np.flatnonzero(chosen):
            found[ats[k]] = np.minimum(within[k] * len(groups) / chosen.sum(), 1.0)
    return found


def _plain(where: Sequence[Cause]) -> list[Cause]:
    """Pairs only where they say more than each of their values alone, and then before these."""
    alone = {cause.series.parts[0]: cause for cause in where if cause.series.family is Family.ATTRIBUTE}
    kept, pairs = [], []
    for cause in where:
        singles = [alone[part] for part in cause.series.parts if part in alone]
        if cause.series.family is Family.PAIR:
            both = len(singles) == 2
            more = all(cause.lift >= _PAIR_GAIN * single.lift for single in singles)
            most = all(cause.count >= _PAIR_SHARE * single.count for single in singles)
            if both and more and most:
                pairs.append(cause)
        else:
            kept.append(cause)
    said = {part for pair in pairs for part in pair.series.parts}
    first = [cause for cause in kept if cause.series.parts[0] not in said]
    stronger = [cause for cause in first if pairs and cause.evidence > pairs[0].evidence]
    rest = [cause for cause in kept if cause not in stronger]
    return [*stronger, *pairs, *rest]


def _distinct(what: Sequence[Cause]) -> list[Cause]:
    kept: list[Cause] = []
    for cause in what:
        name = cause.series.name
        if cause.series.family is Family.TERM and any(
            name in other.series.name or other.series.name in name
            for other in kept
            if other.series.family is Family.TERM
        ):
            continue
        kept.append(cause)
    return kept


def _fisher(a: Doubles, c: Doubles, n: int, m: int) -> Doubles:
    """Fisher's exact test, one-sided: as many or more inside by chance."""
    return np.asarray(stats.hypergeom.sf(a - 1, n + m, a + c, n))


def _g_squared(a: Doubles, c: Doubles, n: int, m: int) -> Doubles:
    expected = (a + c) / (n + m)
    cells = ((a, n * expected), (c, m * expected), (n - a, n * (1 - expected)), (m - c, m * (1 - expected)))
    found = np.zeros(len(a))
    for seen, usual in cells:
        found += 2 * np.where(seen > 0, seen * np.log(np.maximum(seen, 1e-12) / np.maximum(usual, 1e-12)), 0.0)
    return found


def _odds_ratio(a: float, c: float, n: int, m: int) -> tuple[float, tuple[float, float]]:
    cells = np.array([a, n - a, c, m - c], dtype=np.float64) + 0.5
    log = float(np.log(cells[0] * cells[3] / (cells[1] * cells[2])))
    width = 1.96 * float(np.sqrt((1 / cells).sum()))
    return float(np.exp(log)), (float(np.exp(log - width)), float(np.exp(log + width)))
