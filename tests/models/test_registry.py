"""models/registry.py, promotion.py, pyfunc_*: a real SQLite registry, real versions, killed at the worst moments."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import fankui
from models.bundle import ModelBundle, write_bundle
from models.calibration import Calibration
from models.champion import Champion, previous, read_champion
from models.loading import load_predictor
from models.promotion import align_registry
from models.promotion import promote as move
from models.promotion import rollback as move_back
from pipeline.errors import BundleError, ConfigError
from pipeline.feedback import Example
from pipeline.schema import LabelSchema

mlflow = pytest.importorskip("mlflow")

from models import registry  # noqa: E402
from training.baseline import LinearSettings, fit_linear  # noqa: E402
from training.publish import Published, publish  # noqa: E402
from training.run_record import DataRecord, RunRecord  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["快递三天没到，客服也不回", "花束很新鲜，包装也仔细", "", "充电头冒烟了！我的电话13812345678"]

# MLflow's own imports and SQLAlchemy models warn; nothing of ours does.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

MakeBundle = Callable[..., ModelBundle]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def fitted_bundle(tmp_path_factory: pytest.TempPathFactory, schema: LabelSchema, examples: list[Example]) -> MakeBundle:
    """`fitted_bundle(seed=1)`: a small real model; different seeds differ, the same seed gives the same bundle."""
    folder = tmp_path_factory.mktemp("bundles")

    @cache
    def make(*, seed: int = 0) -> ModelBundle:
        fitted = fit_linear(examples, schema=schema, settings=LinearSettings(min_count=1, strength=1.0 + seed))
        return write_bundle(
            folder / str(seed),
            kind="linear",
            name="tiny",
            schema=schema,
            calibration=Calibration.identity(schema),
            files=fitted.files,
            metrics={"dev/urgency/qwk": 0.5},
            card="# tiny\n",
        )

    return make


def record(**changes: object) -> RunRecord:
    body = {
        "experiment": "trial",
        "run_name": "one",
        "params": {"model": "linear", "long": "x" * 1000},
        "metrics": {"dev/urgency/recall.critical": 0.5},
        "tags": {"schema.version": "1", "model.kind": "linear", "secret": "not copied"},
        "data": [DataRecord("train.jsonl", "train", 24, "a" * 64)],
        "curves": {"train/loss": [(1, 0.9), (2, 0.4)]},
    }
    return RunRecord(**{**body, **changes})  # type: ignore[arg-type]


def published(bundle: ModelBundle, **changes: object) -> Published:
    return publish(bundle, record=record(**changes))


def promote(model: str, *, home: Path) -> Champion:
    """As the command does it."""
    champion = move(model, home=home)
    assert align_registry(home, repair="again") is None
    return champion


def rollback(*, home: Path, to: str = "previous") -> Champion:
    champion = move_back(home=home, to=to)
    assert align_registry(home, repair="again") is None
    return champion


def test_a_run_holds_what_was_measured_and_no_text(home: Path, fitted_bundle: MakeBundle) -> None:
    bundle = fitted_bundle()
    done = published(bundle)
    run = registry.quiet_client().get_run(done.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"dev/urgency/recall.critical": 0.5, "train/loss": 0.4}
    assert len(run.data.params["long"]) == 250
    assert run.data.tags["bundle.digest"] == bundle.digest
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "train.jsonl"
    assert data.dataset.digest == "a" * 36
    assert {tag.key: tag.value for tag in data.tags}["sha256"] == "a" * 64


def test_a_version_is_registered_once_and_becomes_the_challenger(home: Path, fitted_bundle: MakeBundle) -> None:
    bundle = fitted_bundle()
    first, second = published(bundle), published(bundle)
    assert first == second
    assert first.version is not None
    assert first.version.aliases == ("challenger",)
    assert "secret" not in first.version.tags
    assert [version.model_version for version in registry.versions()] == [f"{bundle.name}/1"]


def test_a_version_without_a_role_becomes_the_challenger_but_a_champion_does_not(
    home: Path, fitted_bundle: MakeBundle
) -> None:
    version = published(fitted_bundle()).version
    assert version is not None
    registry.quiet_client().delete_registered_model_alias(version.name, "challenger")
    assert published(fitted_bundle()).version == version
    promote(version.uri, home=home)
    assert published(fitted_bundle()).version.aliases == ("champion",)  # type: ignore[union-attr]


def test_promote_and_rollback_move_pointer_and_aliases(home: Path, fitted_bundle: MakeBundle) -> None:
    for seed in (1, 2):
        published(fitted_bundle(seed=seed))
    name = fitted_bundle().name
    with pytest.raises(ConfigError) as error:
        rollback(home=home)
    assert error.value.code == "no_previous"

    promote(f"models:/{name}/1", home=home)
    promote(f"models:/{name}@challenger", home=home)
    champion, before = read_champion(home), previous(home)
    assert champion is not None
    assert before is not None
    assert (champion.version, before.version) == ("2", "1")
    assert {version.version: version.aliases for version in registry.versions(name)} == {
        2: ("champion",),
        1: ("previous",),
    }
    rollback(home=home)
    assert {version.version: version.aliases for version in registry.versions(name)} == {
        2: ("previous",),
        1: ("champion",),
    }
    # Naming the champion again must not make it its own predecessor.
    promote(f"models:/{name}@champion", home=home)
    kept = previous(home)
    assert kept is not None
    assert kept.version == "2"


def test_a_pointer_that_moved_stays_when_the_registry_cannot_be_asked(
    home: Path, fitted_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 2):
        promote(published(fitted_bundle(seed=seed)).version.uri, home=home)  # type: ignore[union-attr]
    real = registry.tracking_uri()
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/x.db")
        assert fankui.run(["rollback", "--json"]) == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["champion"] == "tiny/1"
        assert captured.err.splitlines()[-1] == (
            "fankui: the champion here is tiny/1, but the registry's aliases do not say so: MLflow at "
            "sqlite:////proc/nowhere/x.db does not answer (FileNotFoundError); check MLFLOW_TRACKING_URI; "
            "`fankui rollback --to tiny/1` aligns them, `fankui models list` shows them"
        )
        assert fankui.run(["rollback", "--to", "tiny/1"]) == 0
        # As many times as one likes: it never goes back to the bad one.
        assert read_champion(home).version == "1"  # type: ignore[union-attr]
    assert registry.tracking_uri() == real
    assert [version.aliases for version in registry.versions("tiny")] == [("champion",), ("previous",)]
    capsys.readouterr()
    assert fankui.run(["rollback", "--to", "tiny/1"]) == 0
    assert capsys.readouterr().err == ""
    assert [version.aliases for version in registry.versions("tiny")] == [("previous",), ("champion",)]


def test_a_version_that_the_registry_lost_is_a_warning(home: Path, fitted_bundle: MakeBundle) -> None:
    move(published(fitted_bundle()).version.uri, home=home)  # type: ignore[union-attr]
    registry.quiet_client().delete_model_version("tiny", "1")
    warning = align_registry(home, repair="again")
    assert warning is not None
    assert "refuses (RESOURCE_DOES_NOT_EXIST); `again` aligns them" in warning


def test_a_folder_can_be_champion_without_any_registry(home: Path, fitted_bundle: MakeBundle, tmp_path: Path) -> None:
    champion = promote(str(fitted_bundle().path), home=home)
    assert champion.version == f"sha-{fitted_bundle().digest[:12]}"
    assert not (tmp_path / "mlflow.db").exists()


def test_unknown_versions_name_the_known_ones(home: Path, fitted_bundle: MakeBundle) -> None:
    name = published(fitted_bundle()).version.name  # type: ignore[union-attr]
    with pytest.raises(ConfigError) as error:
        registry.find(f"models:/{name}/9")
    assert error.value.code == "version_missing"
    assert error.value.message == (
        f"the registry has no models:/{name}/9; versions of '{name}': {name}/1 (see fankui models list)"
    )
    with pytest.raises(ConfigError, match="expected models:/NAME/VERSION or models:/NAME@ALIAS; found 'models:/x'"):
        registry.find("models:/x")


def test_an_address_that_does_not_answer_is_told_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/nowhere/x.db")
    with pytest.raises(ConfigError) as error:
        registry.quiet_client()
    assert error.value.code == "registry_unreachable"
    assert "check MLFLOW_TRACKING_URI" in error.value.message


def test_an_altered_artifact_is_refused(home: Path, fitted_bundle: MakeBundle, tmp_path: Path) -> None:
    version = published(fitted_bundle()).version
    assert version is not None
    (weights,) = (tmp_path / "mlartifacts").rglob("bundle/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleError, match=r"weights\.safetensors is not the file that manifest\.json names"):
        promote(version.uri, home=home)
    assert read_champion(home) is None


LOAD_ELSEWHERE = """
import importlib.abc, json, sys
class NotHere(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pipeline", "models", "training", "serving", "fankui"):
            raise ImportError(f"{name} must not be imported")
sys.meta_path.insert(0, NotHere())
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pandas.DataFrame({"text": json.loads(sys.argv[2])}))
print(answer.to_json(orient="records", force_ascii=False))
"""


@pytest.mark.slow
def test_a_version_loads_without_this_repository_and_answers_the_same(
    home: Path, fitted_bundle: MakeBundle, tmp_path: Path
) -> None:
    bundle = fitted_bundle()
    version = published(bundle).version
    assert version is not None
    command = [sys.executable, "-W", "ignore", "-c", LOAD_ELSEWHERE, version.uri, json.dumps(TEXTS)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    rows = json.loads(run.stdout.splitlines()[-1])
    ours = load_predictor(bundle.path).predict_each(TEXTS)
    assert rows[2]["sentiment"] == ""  # as csv: Spark ends a job at a missing text
    assert rows[2]["error"].startswith("empty_text: ")
    for row, mine in zip(rows, ours, strict=True):
        if row["error"] is None:
            assert not isinstance(mine, Exception)
            assert row["sentiment"] == mine.tasks["sentiment"].label
            assert row["urgency_probability"] == pytest.approx(mine.tasks["urgency"].probability, abs=1e-6)
            assert row["model_version"] == mine.model_version


KILLED = """
import os, signal, sys
from pathlib import Path
{setup}
real = {target}
count = 0
def cut(*args, **kwargs):
    global count
    count += 1
    if count == {nth}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
{target} = cut
from models.promotion import align_registry, promote
promote(sys.argv[1], home=Path(sys.argv[2]))
align_registry(Path(sys.argv[2]), repair="again")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setup", "target", "nth"),
    [
        ("import shutil", "shutil.copyfile", 2),  # while the copy is made
        ("import os", "os.fsync", 1),  # before the copy is renamed into place
        ("import models.promotion", "models.promotion.write_champion", 1),  # copied, not pointed to
        ("from models import registry", "registry.align_aliases", 1),  # pointed to, aliases not moved
    ],
)
def test_a_killed_promote_leaves_the_old_or_the_new_champion(
    home: Path, fitted_bundle: MakeBundle, setup: str, target: str, nth: int
) -> None:
    for seed in (1, 2):
        published(fitted_bundle(seed=seed))
    name = fitted_bundle().name
    promote(f"models:/{name}/1", home=home)
    code = textwrap.dedent(KILLED).format(setup=setup, target=target, nth=nth)
    command = [sys.executable, "-W", "ignore", "-c", code, f"models:/{name}/2", str(home)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr[-2000:]
    champion = read_champion(home)
    assert champion is not None
    assert champion.version in ("1", "2")
    assert load_predictor(champion.folder(home)).predict(TEXTS[:1])
    promote(f"models:/{name}/2", home=home)
    assert {version.version: version.aliases for version in registry.versions(name)} == {
        2: ("champion",),
        1: ("previous",),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("create_model_version", []),
        ("set_registered_model_alias", [()]),  # a version, but nobody's challenger
    ],
)
def test_a_killed_publish_leaves_no_half_version(
    home: Path, fitted_bundle: MakeBundle, call: str, left: list[tuple[str, ...]]
) -> None:
    bundle = fitted_bundle()
    code = f"""
import os, signal
from pathlib import Path
import mlflow
from models.bundle import open_bundle
from training.publish import publish
from training.run_record import RunRecord
def cut(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
mlflow.MlflowClient.{call} = cut
record = RunRecord("trial", "one", {{}}, {{}}, {{}})
publish(open_bundle(Path({str(bundle.path)!r})), record=record)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr[-2000:]
    assert [version.aliases for version in registry.versions()] == left
    done = published(bundle)
    assert done.version is not None
    assert done.version.version == 1
    assert done.version.aliases == ("challenger",)
    assert promote(done.version.uri, home=home).version == "1"
