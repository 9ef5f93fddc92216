"""What the options of a pre-training may be, told before the corpus is built or the first hour is spent."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ConfigError, UsageError

_LIMITS: Mapping[str, tuple[float, float]] = {
    "--minutes": (0.001, 1_000_000),
    "--steps": (1, 1_000_000_000),
    "--learning-rate": (1e-10, 1),
    "--rows": (1, 65_536),
    "--feedback": (0, 1),
    "--mask": (0.01, 0.9),
    "--layers": (1, 48),
    "--hidden": (64, 4096),
}


def check_limits(values: Mapping[str, float | None]) -> None:
    """Raise ConfigError `setting_invalid` for an option's value outside its limits; None is one that is not given."""
    for name, value in values.items():
        least, most = _LIMITS[name]
        if value is not None and not least <= value <= most:
            raise ConfigError("setting_invalid", f"{name} is between {least:,} and {most:,}; found {value:,}")


def writable_folder(path: Path) -> None:
    """Make the folder of a leg. Raises UsageError `output_unwritable`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "output_unwritable", f"{path} cannot be made a folder ({error.strerror}); name another --output"
        ) from None
