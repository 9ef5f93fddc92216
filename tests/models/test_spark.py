"""The registered model on a real Spark: README's recipe, on a session of this machine."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.answer import columns
from models.bundle import open_bundle
from models.loading import load_predictor
from models.predictor import BundlePredictor
from pipeline.cells import flat
from pipeline.errors import FeedbackError

pytest.importorskip("mlflow")
pytest.importorskip("pyspark", reason="needs pyspark")

import mlflow
from pyspark.sql import SparkSession

from training.publish import publish
from training.run_record import RunRecord

# MLflow's own imports warn, and PySpark of every pandas from 3 on.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

TEXTS = [
    "快递三天没到，客服也不回",
    "花束很新鲜，包装也仔细",
    "",
    None,
    "𠮷野家的牛肉饭👍真香",
    "充电头冒烟了！我的电话13812345678",
]


@pytest.fixture
def spark(java: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SparkSession]:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "2", "spark.log.level": "ERROR"}
    session = SparkSession.builder.master("local[2]").appName("fankui").config(map=settings).getOrCreate()
    yield session
    session.stop()


def test_a_registered_model_scores_a_spark_table(
    spark: SparkSession, linear_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    record = RunRecord("trial", "one", {"model": "linear"}, {"dev/urgency/qwk": 0.5}, {"model.kind": "linear"})
    done = publish(open_bundle(linear_bundle), record=record)
    assert done.version is not None

    classify = mlflow.pyfunc.spark_udf(spark, f"models:/{done.version.model_version}", env_manager="local")
    rows = [(i, text) for i, text in enumerate(TEXTS * 50)]
    table = spark.createDataFrame(rows, "id long, text string")
    scored = table.withColumn("answer", classify("text")).select("id", "text", "answer.*")

    found = [row.asDict() for row in scored.orderBy("id").collect()]
    assert [(row.pop("id"), row.pop("text")) for row in found] == rows
    assert found == expected(load_predictor(linear_bundle), [text for _, text in rows])
    assert {row["error"].partition(":")[0] for row in found} == {"", "empty_text", "not_text"}
    assert scored.where("error = ''").count() == 200


def expected(predictor: BundlePredictor, texts: list[str | None]) -> list[dict[str, Any]]:
    """The predictor's answers, as a csv has them."""
    rows = []
    for answer in predictor.predict_each(texts):
        if isinstance(answer, FeedbackError):
            row = columns(predictor.schema, None, model_version=predictor.model_version, error=answer)
            row["truncated"] = False
        else:
            row = columns(predictor.schema, answer)
        numbers = {name for name, value in row.items() if name.endswith(("_probability", "_score", "satisfaction"))}
        rows.append(
            {
                name: value if name in numbers or name == "truncated" else flat(value) or ""
                for name, value in row.items()
            }
        )
    return rows
