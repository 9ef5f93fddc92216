"""A report's pictures as PNG: confusion, reliability, risk–coverage, and differences of a comparison.

Labels are drawn by their ASCII keys, because most machines that train have no font with Chinese characters.
Figures are built without pyplot, which holds state for the whole process.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.atomic import atomic_file
from pipeline.schema import Kind, Task
from training.alert_curve import AlertCurve
from training.compare import Comparison
from training.evaluate import Report, TaskReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7785", "#e3e7eb"
SERIES = ("#2563a8", "#d1662b", "#3a8f5c", "#8a4fa3", "#b8902a", "#4a9bb5")
BETTER, WORSE = "#3a8f5c", "#c2413b"

MAX_ANNOTATED = 20  # labels; numbers in the cells of a larger matrix cannot be read
MAX_NAMED = 40


def draw_plots(report: Report, folder: Path) -> tuple[Path, ...]:
    """Write all pictures of a report into `folder`; returns their paths."""
    drawn = {f"confusion_{part.task.name}.png": draw_confusion(part) for part in report.tasks if _square(part)}
    drawn["reliability.png"] = draw_reliability(report.tasks)
    drawn["risk_coverage.png"] = draw_coverage(report.tasks)
    drawn |= {
        f"alerts_{part.task.name}.png": draw_alerts(part.task, part.alerts) for part in report.tasks if part.alerts
    }
    if report.baseline and report.baseline.headlines:
        drawn["baseline.png"] = draw_differences(report.baseline)
    return tuple(save(figure, folder / name) for name, figure in drawn.items())


def save(figure: "Figure", path: Path) -> Path:
    """Write one picture, whole or not at all."""
    with atomic_file(path) as temporary:
        # A fixed metadata makes equal pictures equal files.
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    return path


def draw_confusion(part: TaskReport) -> "Figure":
    """Gold in rows, decided in columns; color is the share of the row, the number is the count."""
    counts = np.asarray(part.confusion)
    k = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(2.2 + 0.48 * k, 3.8, 12)) if k <= MAX_NAMED else 7.0
    figure, axes = canvas(side + 0.9, side)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the gold label", color=MUTED, fontsize=8)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    bar.outline.set_visible(False)
    if k <= MAX_ANNOTATED:
        _annotate(axes, counts, share)
    if k <= MAX_NAMED:
        axes.set_xticks(range(k), part.task.keys, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(k), part.task.keys)
    axes.set_xlabel("decided")
    axes.set_ylabel("gold")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    right = int(np.trace(counts))
    title(axes, part.task.name, f"{right} of {counts.sum()} right")
    return figure


def draw_reliability(parts: Sequence[TaskReport]) -> "Figure":
    """Confidence against share right in ten equal-mass bins a task; on the diagonal a model means what it says."""
    columns = min(len(parts), 4)
    rows = -(-len(parts) // columns)
    figure, panes = panels(rows, columns, size=(2.9 * columns + 0.3, 3.3 * rows))
    for axes, part in zip(panes, parts, strict=False):
        confidence, right, counts = part.reliability.T
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        error = 1.96 * np.sqrt(np.maximum(right * (1 - right), 1e-9) / np.maximum(counts, 1))
        axes.errorbar(
            confidence, right, yerr=error, color=SERIES[0], marker="o", markersize=4, linewidth=1.4, elinewidth=0.8
        )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel=_meaning(part), ylabel="share right")
        gap = float((np.abs(confidence - right) * counts).sum() / max(counts.sum(), 1))
        title(axes, part.task.name, f"ECE {gap:.3f}, temperature {part.calibration.temperature:.2f}")
    for axes in panes[len(parts) :]:
        axes.set_visible(False)
    return figure


def draw_coverage(parts: Sequence[TaskReport]) -> "Figure":
    """Precision of the surest answers against their share, with the points where the zones begin."""
    figure, axes = canvas(6.4, 4.0)
    lowest = 1.0
    for i, part in enumerate(parts):
        curve, color = part.coverage, SERIES[i % len(SERIES)]
        if not len(curve.coverage):
            continue
        # The first few answers make the curve jump; from the twentieth on it says something.
        start = min(20, len(curve.coverage)) - 1
        axes.plot(curve.coverage[start:], curve.precision[start:], color=color, linewidth=1.6, label=part.task.name)
        lowest = min(lowest, float(curve.precision[start:].min()))
        for zone, marker in (("auto", "o"), ("suggest", "D")):
            share, precision = part.zones.get(f"{zone}_coverage", 0.0), part.zones.get(f"{zone}_precision")
            if precision is not None:
                axes.plot(share, precision, marker, markersize=7, color=color, markeredgecolor="white")
    axes.plot([], [], marker="o", color=MUTED, linestyle="none", label="auto begins")
    axes.plot([], [], marker="D", color=MUTED, linestyle="none", label="suggest begins")
    axes.set(xlim=(0, 1.01), ylim=(max(0.0, lowest - 0.05), 1.01))
    axes.set_xlabel("coverage: share of answers taken, surest first")
    axes.set_ylabel("precision")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), labelcolor=INK)
    title(axes, "risk and coverage", "how precise the surest answers are")
    return figure


def draw_alerts(task: Task, curve: AlertCurve) -> "Figure":
    """Recall of the rows marked `alert` against the share of all rows that is flagged, highest score first."""
    figure, axes = canvas(5.2, 4.0)
    prevalence = curve.alerts / curve.rows
    axes.plot([0, prevalence, 1], [0, 1, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="perfect ranking")
    axes.plot(curve.flagged, curve.recall, color=SERIES[1], linewidth=1.8, label="this model")
    for share in (0.1, 0.25, 0.5):
        recall = curve.recall_at(share)
        axes.plot(share, recall, "o", color=SERIES[1], markersize=6, markeredgecolor="white")
        axes.annotate(
            f"{share:.0%}: {recall:.2f}", (share, recall), xytext=(7, -11), textcoords="offset points", fontsize=8
        )
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03))
    axes.set_xlabel("share of all comments flagged")
    names = " or ".join(label.key for label in task.labels if label.alert)
    axes.set_ylabel(f"recall of {names}")
    axes.legend(frameon=False, fontsize=8, loc="lower right", labelcolor=INK)
    title(axes, task.name, f"{curve.alerts} of {curve.rows} comments are {names}")
    return figure


def draw_differences(comparison: Comparison) -> "Figure":
    """Candidate minus reference for each headline, with its paired 95 % interval."""
    names = comparison.headlines
    figure, axes = canvas(6.4, 1.3 + 0.42 * len(names))
    for row, name in enumerate(names):
        found = comparison.differences[name]
        color = {"better": BETTER, "worse": WORSE, "even": MUTED}[comparison.verdict(name)]
        axes.plot([found.low, found.high], [row, row], color=color, linewidth=2.4, solid_capstyle="round")
        axes.plot(found.value, row, "o", color=color, markersize=7, markeredgecolor="white")
        axes.annotate(
            f"{found.reference:.3f} → {found.candidate:.3f}",
            (1.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel("difference, 95 % interval of paired draws")
    title(axes, f"{comparison.candidate}", f"against {comparison.reference}, {comparison.rows} rows")
    return figure


def canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """An empty picture in the style of all others; inches."""
    figure, (axes,) = panels(1, 1, size=(width, height))
    return figure, axes


def panels(rows: int, columns: int, *, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    """The same with several axes, row by row; `size` is width and height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    # Constrained layout measures a title without its pad: the default margin cuts its top.
    figure.set_layout_engine("constrained", h_pad=0.14, w_pad=0.1)
    panes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panes:
        _style(axes)
    return figure, panes


def title(axes: "Axes", heading: str, subtitle: str) -> None:
    """A heading, and under it in small type what the picture shows."""
    axes.set_title(heading, loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=20)
    axes.annotate(
        subtitle, (0, 1), xytext=(0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=MUTED
    )


def _style(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=8.5, color=MUTED)


def _annotate(axes: "Axes", counts: NDArray[np.int64], share: NDArray[np.float64]) -> None:
    for i, j in np.argwhere(counts > 0):
        color = "white" if share[i, j] > 0.6 else INK
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7.5, color=color)


def _meaning(part: TaskReport) -> str:
    return "confidence" if _square(part) else "P(mentioned)"


def _square(part: TaskReport) -> bool:
    return part.confusion is not None and part.task.kind in (Kind.SINGLE, Kind.ORDINAL)
