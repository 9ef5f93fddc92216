"""Where a training keeps its things:

runs/fankui-20260131-101502/
  config.toml     the resolved settings
  checkpoints/    of a network, until it is done
  report/         figures, plots and card
  run.json        what MLflow is to know of it
  bundle/         the model; written last
  published.json  where it is in MLflow
"""

from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import ConfigError, UsageError
from training.config import TrainConfig
from training.processes import process_count
from training.unfinished import refuse_unfinished

RUNS = Path("runs")
BUNDLE, CHECKPOINTS, REPORT, RECORD, PUBLISHED = "bundle", "checkpoints", "report", "run.json", "published.json"


def run_folder(config: TrainConfig) -> Path:
    """The folder of this training; nothing is made yet.

    Raises UsageError `output_exists` for a finished one, `training_unfinished` for one that a new start would remove,
    `output_missing` for several processes without --output, ConfigError `nothing_to_resume`.
    """
    if config.output is not None:
        if (config.output / BUNDLE).exists() and not (config.resume and (config.output / RECORD).exists()):
            raise UsageError("output_exists", f"{config.output} holds a finished training; name another --output")
        if not config.resume:
            refuse_unfinished(config.output, config.output / CHECKPOINTS, what="training")
        return config.output
    if process_count() > 1:
        raise UsageError("output_missing", "several processes need --output DIR, so that all know the same folder")
    if config.resume:
        return _unfinished(config.name)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return _free(RUNS / f"{config.name}-{stamp}")


def _unfinished(name: str) -> Path:
    """The newest folder with checkpoints and no bundle, or with a bundle that was not published."""
    for folder in sorted(RUNS.glob(f"{name}-*"), reverse=True):
        unfitted = (folder / CHECKPOINTS).is_dir() and not (folder / BUNDLE).exists()
        unpublished = (folder / RECORD).exists() and not (folder / PUBLISHED).exists()
        if unfitted or unpublished:
            return folder
    raise ConfigError(
        "nothing_to_resume", f"no unfinished training of {name!r} under {RUNS}/; start one without --resume"
    )


def _free(folder: Path) -> Path:
    # Two trainings within one second.
    number, free = 2, folder
    while free.exists():
        free = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return free
