"""Two models side by side on the same rows, with paired bootstrap intervals of the difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError
from training.bootstrap import DRAWS, Difference, paired
from training.metrics import HEADLINE
from training.scored import Scored, common_tasks

LOWER_IS_BETTER = ("mae", "ece", "aurc", "under_rate", "over_rate", "late_minutes")


@dataclass(frozen=True)
class Comparison:
    """Candidate against reference. `differences` has names such as `urgency/qwk`; `skipped` tasks differ in labels."""

    reference: str
    candidate: str
    rows: int
    differences: Mapping[str, Difference]
    headlines: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def verdict(self, name: str) -> str:
        """`better`, `worse` or `even`: even where the interval holds zero."""
        found = self.differences[name]
        if not found.settled:
            return "even"
        return "better" if (found.value > 0) != lower_is_better(name) else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return {
            "reference": self.reference,
            "candidate": self.candidate,
            "rows": self.rows,
            "headlines": list(self.headlines),
            "skipped": list(self.skipped),
            "differences": {
                name: {
                    "reference": found.reference,
                    "candidate": found.candidate,
                    "difference": found.value,
                    "low": found.low,
                    "high": found.high,
                    "verdict": self.verdict(name),
                }
                for name, found in self.differences.items()
            },
        }


def compare(reference: Scored, candidate: Scored, *, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Differences of all figures of the tasks that both models have with the same labels.

    Raises DataError `rows_differ` for other examples, `nothing_to_compare` without a common task.
    """
    if [example.text for example in reference.examples] != [example.text for example in candidate.examples]:
        raise DataError("rows_differ", "expected both models scored on the same rows; score them on one file")
    alike = {task.name for task in common_tasks(candidate.schema, reference.schema)} & set(reference.gold)
    common = [task for task in candidate.tasks if task.name in alike]
    if not common:
        raise DataError(
            "nothing_to_compare",
            f"{reference.model_version} and {candidate.model_version} have no task with the same labels in common",
        )
    differences = {
        f"{task.name}/{name}": found
        for task in common
        for name, found in paired(
            reference.statistics(task), candidate.statistics(task), draws=draws, seed=seed
        ).items()
    }
    return Comparison(
        reference=reference.model_version,
        candidate=candidate.model_version,
        rows=len(candidate.examples),
        differences=differences,
        headlines=tuple(name for task in common if (name := f"{task.name}/{HEADLINE[task.kind]}") in differences),
        skipped=tuple(task.name for task in candidate.tasks if task not in common),
    )


def lower_is_better(name: str) -> bool:
    """Whether a figure, with or without its task, is an error rather than a score."""
    return name.rsplit("/", 1)[-1] in LOWER_IS_BETTER
