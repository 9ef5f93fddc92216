"""How a model fares at the probes of tests/behaviour, by capability and kind.

python -m tests.bench.probes [--model FOLDER] [--failures]
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.loading import load_predictor
from models.resolving import DEFAULT, resolve_model
from pipeline.errors import FeedbackError
from tests.behaviour.probes import CAPABILITIES, KINDS, PROBES, Outcome, read_probes, run_probes, tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the probes and print the table; returns the exit status."""
    options = _options(arguments)
    console = Console()
    try:
        predictor = load_predictor(resolve_model(options.model))
        outcomes = run_probes(predictor, read_probes(PROBES, predictor.schema))
    except FeedbackError as error:
        Console(stderr=True).print(Text(f"{error.code}: {error.message}"))
        return 1
    console.print(_table(outcomes, predictor.model_version))
    if options.failures:
        for outcome in outcomes:
            if not outcome.passed:
                console.print(_failure(outcome), soft_wrap=True)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.probes", description="pass rates at the probes")
    parser.add_argument("--model", default=DEFAULT, help="a bundle's folder, 'default', or models:/NAME@ALIAS")
    parser.add_argument("--failures", action="store_true", help="print the sentences that failed, and how")
    return parser.parse_args(arguments)


def _table(outcomes: Sequence[Outcome], model_version: str) -> Table:
    counts = tally(outcomes)
    table = Table("capability", title=model_version)
    for column in (*KINDS, "all", "rate"):
        table.add_column(column, justify="right")
    for capability in (*CAPABILITIES, "all"):
        wanted = CAPABILITIES if capability == "all" else (capability,)
        cells = [[counts.get((name, kind), (0, 0)) for name in wanted] for kind in KINDS]
        cells.append([cell for kind in cells for cell in kind])
        sums = [(sum(passed for passed, _ in cell), sum(total for _, total in cell)) for cell in cells]
        passed, total = sums[-1]
        table.add_row(capability, *(f"{passed}/{total}" for passed, total in sums), f"{passed / total:.3f}")
    return table


def _failure(outcome: Outcome) -> Text:
    probe = outcome.probe
    shown = Text(f"{outcome.number:3} {probe.capability} {probe.kind}: ", style="bold")
    return shown.append(" → ".join(probe.texts), style="default").append(f"\n    {outcome.fault}", style="dim")


if __name__ == "__main__":
    sys.exit(main())
