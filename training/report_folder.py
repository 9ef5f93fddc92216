"""A report as files: report.json, card.md and the pictures."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.atomic import write_text
from training.card import model_card
from training.evaluate import Report
from training.plots import draw_plots


def write_report(
    report: Report, folder: Path, *, name: str, kind: str, facts: Mapping[str, str] | None = None
) -> tuple[Path, ...]:
    """Write into `folder`, over what is there; returns the files. `name`, `kind` and `facts` are for the card."""
    document = json.dumps(report.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
    card = model_card(report, name=name, kind=kind, facts=facts)
    files = [write_text(folder / "report.json", document + "\n"), write_text(folder / "card.md", card)]
    return (*files, *draw_plots(report, folder / "plots"))
