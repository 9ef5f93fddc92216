"""Shipped files (schema, routing, samples, the default model), found beside the code, never in the working directory.

`data/` holds files only and so is no package: it is reached from the folder that holds `pipeline`,
in a checkout and in an installed wheel alike.
"""

from importlib.resources import files
from pathlib import Path


def shipped(*parts: str) -> Path:
    """Path of a shipped file or folder, such as `shipped("data", "schema.toml")`."""
    return Path(str(files("pipeline"))).parent.joinpath(*parts)
