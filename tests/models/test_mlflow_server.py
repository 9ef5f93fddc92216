"""The registry on a real MLflow server of its own process, as a team runs it: artifacts travel over HTTP."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.bundle import open_bundle
from models.champion import read_champion
from models.loading import load_predictor
from models.promotion import align_registry, promote

pytest.importorskip("mlflow")

from models import registry
from training.publish import publish
from training.run_record import RunRecord

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    log = (tmp_path / "server.log").open("wb")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process, tmp_path / "server.log")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)
        log.close()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            told = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.3)


# What full mlflow, pandas and our training stack bring beyond mlflow-skinny and the base install.
SKINNY = """
import sys
for name in ("pandas", "sqlalchemy", "alembic", "flask", "sklearn", "scipy", "matplotlib", "docker", "graphene",
             "skops", "huey", "torch", "transformers", "datasets", "models.pyfunc_export"):
    sys.modules[name] = None
import fankui
sys.exit(fankui.run(sys.argv[1:]))
"""


def test_tracked_registered_promoted_and_fetched_over_http(server: str, linear_bundle: Path, tmp_path: Path) -> None:
    bundle = open_bundle(linear_bundle)
    record = RunRecord("trial", "one", {"model": "linear"}, {"dev/urgency/qwk": 0.5}, {"model.kind": "linear"})
    done = publish(bundle, record=record)
    assert done.version is not None
    assert [version.model_version for version in registry.versions()] == ["small/1"]
    champion = promote("models:/small@challenger", home=tmp_path / "home")
    assert align_registry(tmp_path / "home", repair="again") is None
    assert read_champion(tmp_path / "home") == champion
    copy = load_predictor(champion.folder(tmp_path / "home"))
    text = "快递三天没到，客服也不回"
    ours = load_predictor(linear_bundle).predict([text])[0]
    assert json.dumps(dict(copy.predict([text])[0].tasks["urgency"].probabilities)) == json.dumps(
        dict(ours.tasks["urgency"].probabilities)
    )
    assert registry.find("models:/small@champion").version == 1
    # The extra `registry` is enough to list, show and score with what is registered.
    for words in (
        ("models", "list", "--json"),
        ("models", "show", "models:/small/1", "--json"),
        ("score", "--json", "--model", "models:/small@champion", text),
    ):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SKINNY, *words],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "FANKUI_HOME": str(tmp_path / "another")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        assert "small/1" in run.stdout
