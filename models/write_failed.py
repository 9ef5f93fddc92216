"""What is told where answers cannot be written."""

from pathlib import Path

from pipeline.errors import DataError


def write_failed(path: Path, error: OSError) -> DataError:
    """DataError `write_failed`."""
    message = f"{path} cannot be written ({error.strerror or error}); free space or choose another place with -o"
    return DataError("write_failed", message)
