"""Shipped files (schema, routing, samples, the default model), found beside the code, never in the working directory.

`data/` holds files only and so is no package: it is reached from the folder that holds `pipeline`,
in a checkout, in an installed wheel, and in the private copy that travels with an MLflow model alike.
"""

from importlib.resources import files
from pathlib import Path


def shipped(*parts: str) -> Path:
    """Path of a shipped file or folder, such as `shipped("data", "schema.toml")`."""
    return Path(str(files(__package__))).parent.joinpath(*parts)
