"""The wheel alone, in an empty environment and another folder: every shipped file is in it, and no torch is needed."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # A clean export: setuptools would otherwise leave build/ and egg-info in the checkout.
    source = folder / "source"
    source.mkdir()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    return next(folder.glob("fankui-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    # Compiled or not says nothing about the wheel, and compiling takes a third of the time. Without PYTHONPATH, in
    # which pip would find a checkout and take it for fankui.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "--no-compile", str(wheel)]
    subprocess.run(command, check=True, env=variables)
    return folder / "venv" / "bin"


def clean_environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "200"}


def test_shipped_files_are_in_the_wheel(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "data", "models/default", "serving/page"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    missing = [name for name in tracked.stdout.split() if name not in packed]
    assert missing == []


def test_base_install_has_none_of_the_training_stack(environment: Path) -> None:
    run = subprocess.run([environment / "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True)
    names = set(re.findall(r"^([\w.-]+)==", run.stdout, re.MULTILINE))
    assert names & {"torch", "transformers", "mlflow", "mlflow-skinny", "scikit-learn", "matplotlib", "pandas"} == set()


def test_scores_from_another_folder(environment: Path, tmp_path: Path) -> None:
    command = [environment / "fankui", "score", "--json", "快递三天没到，客服也不回"]
    run = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, text=True, check=True
    )
    answer = json.loads(run.stdout)
    result = answer["results"][0] if "results" in answer else answer
    assert result["labels"]["sentiment"]["label"] == "negative"
    assert list(tmp_path.iterdir()) == []


def test_training_says_which_extra_it_needs(environment: Path, tmp_path: Path) -> None:
    labelled = tmp_path / "a.jsonl"
    labelled.write_text('{"text": "很好", "sentiment": "positive"}\n', encoding="utf-8")
    command = [environment / "fankui", "train", "--train", labelled, "--dev", labelled]
    run = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert 'pip install ".[train]"' in run.stderr
    assert "Traceback" not in run.stderr


def test_serves_from_another_folder(environment: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [environment / "fankui", "serve", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(tmp_path), stdout=log, stderr=log)
    try:
        body = json.dumps({"text": "充电器插上就冒烟，吓死人了"}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/classify", data=body, headers={"Content-Type": "application/json"}
        )
        answer = _when_up(request, deadline=time.monotonic() + 30)
    finally:
        server.terminate()
        server.wait(20)
    assert answer["results"][0]["labels"]["sentiment"]["label"] == "negative"
    assert answer["model_version"]


def _when_up(request: urllib.request.Request, *, deadline: float) -> dict:  # type: ignore[type-arg]
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)  # type: ignore[no-any-return]
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
