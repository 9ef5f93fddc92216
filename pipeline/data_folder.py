"""Where the user's copies of the public sets are."""

import os
from pathlib import Path

from pipeline.errors import ConfigError


def data_folder(named: Path | None = None) -> Path:
    """The folder with `datasets/` and `triage/`: the given one, else `$FANKUI_DATA`.

    Raises ConfigError `data_missing`.
    """
    folder = named or (Path(os.environ["FANKUI_DATA"]) if os.environ.get("FANKUI_DATA") else None)
    if folder is None or not (folder / "datasets").is_dir():
        found = "nothing" if folder is None else str(folder)
        raise ConfigError(
            "data_missing", f"expected a folder that holds datasets/ in --data or FANKUI_DATA; found {found}"
        )
    return folder
