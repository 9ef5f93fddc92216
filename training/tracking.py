"""One training in MLflow: params, metrics, curves, digests of the data, plots and the card. Never a text of a comment.

Written in one go when the training is done, so that a run in MLflow is a finished one; what a killed
process left behind is marked KILLED by the next attempt with the same model.
"""

import logging
import time
from collections.abc import Sequence

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, RunStatus

from models.registry import artifact_root, quiet_client, tracking_uri
from training.run_record import DataRecord, RunRecord

_PARAM_CHARS = 250  # longer values belong into artifacts; MLflow itself refuses 6,000
_METRICS_PER_CALL = 1000  # MLflow's limit for one log_batch


def track(record: RunRecord, *, bundle_digest: str) -> str:
    """Log one finished training and return its run id; the same model is not logged twice."""
    client = quiet_client()
    experiment = _experiment(client, record.experiment)
    known = _finished_run(client, experiment, bundle_digest)
    if known is not None:
        return known
    tags = {**record.tags, "bundle.digest": bundle_digest, "mlflow.runName": record.run_name}
    run = client.create_run(experiment, tags=tags)
    run_id: str = run.info.run_id
    for name, value in record.params.items():
        client.log_param(run_id, name, str(value)[:_PARAM_CHARS])
    _log_metrics(client, run_id, record)
    _log_inputs(run_id, record.data)
    for file in record.artifacts:
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id, RunStatus.to_string(RunStatus.FINISHED))
    return run_id


def _experiment(client: mlflow.MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifact_root(tracking_uri())))


def _finished_run(client: mlflow.MlflowClient, experiment: str, digest: str) -> str | None:
    runs = client.search_runs([experiment], filter_string=f"tags.`bundle.digest` = '{digest}'")
    for run in runs:
        if run.info.status == "RUNNING":
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
    return next((str(run.info.run_id) for run in runs if run.info.status == "FINISHED"), None)


def _log_metrics(client: mlflow.MlflowClient, run_id: str, record: RunRecord) -> None:
    now = int(time.time() * 1000)
    points = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    points += [Metric(name, value, now, step) for name, curve in record.curves.items() for step, value in curve]
    for start in range(0, len(points), _METRICS_PER_CALL):
        client.log_batch(run_id, metrics=points[start : start + _METRICS_PER_CALL])


def _log_inputs(run_id: str, data: Sequence[DataRecord]) -> None:
    # log_input works on the active run only; the client has no call that takes a Dataset.
    mlflow.set_tracking_uri(tracking_uri())
    logging.getLogger("mlflow.tracking.fluent").setLevel(logging.ERROR)
    with mlflow.start_run(run_id=run_id):
        for file in data:
            source = CodeDatasetSource(tags={"file": file.name, "rows": file.rows})
            # MLflow keeps 36 characters of a digest; the whole sha256 stands in the tags.
            dataset = MetaDataset(  # type: ignore[abstract]  # MLflow forgot a property of its base
                source, name=file.name, digest=file.digest[:36]
            )
            mlflow.log_input(dataset, context=file.role, tags={"sha256": file.digest, "rows": str(file.rows)})
