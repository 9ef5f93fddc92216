"""From a finished bundle to a tracked run and a registered version: the last step of a training.

Safe to repeat: a run or a version of the same bundle that is already there is returned, not made twice.
"""

from dataclasses import dataclass

from models.bundle import ModelBundle
from models.registry import RegisteredVersion, register
from training.run_record import RunRecord
from training.tracking import track


@dataclass(frozen=True, slots=True)
class Published:
    """Where a training can be found again."""

    run_id: str
    version: RegisteredVersion | None


def publish(bundle: ModelBundle, *, record: RunRecord, as_version: bool = True) -> Published:
    """Track the run and, unless told otherwise, register the bundle under its own name as the challenger."""
    run_id = track(record, bundle_digest=bundle.digest)
    if not as_version:
        return Published(run_id, None)
    tags = {key: value for key, value in record.tags.items() if key in ("schema.version", "model.kind")}
    return Published(run_id, register(bundle, run_id=run_id, name=bundle.name, tags=tags))
