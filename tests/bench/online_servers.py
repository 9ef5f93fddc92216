"""The servers that tests.bench.online measures: how each is started, asked and ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_PYTHON = (sys.executable, "-W", "ignore", "-m")
_START = 180.0  # seconds
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Peer:
    """A server: its command line without the port, and the form of its requests."""

    name: str
    command: tuple[str, ...]
    path: str
    form: str  # text | inputs | split
    environment: Mapping[str, str] = field(default_factory=dict)

    def requests(self, texts: Sequence[str]) -> list[bytes]:
        """Whole HTTP requests, one a text."""
        return [_request(self.path, _body(self.form, text)) for text in texts]


def peers(work: Path, *, workers: int) -> dict[str, Peer]:
    """All servers that can run here. Writes what they need under `work`."""
    os.environ |= _QUIET
    from tests.bench.online_peers import write_encoder, write_pyfunc

    encoder, logged = work / "encoder", work / "pyfunc"
    write_encoder(encoder)
    write_pyfunc(encoder, logged)
    mlflow = ("mlflow", "models", "serve", "--env-manager", "local", "--host", "127.0.0.1")
    uri = f"sqlite:///{work}/mlflow.db"
    found = [
        Peer(
            "fankui",
            ("fankui", "serve", "--model", "default", "--cache", "0", "--workers", str(workers)),
            "/v1/classify",
            "text",
            {"FANKUI_HOME": str(work / "home")},
        ),
        Peer("FastAPI + HF pipeline", ("tests.bench.online_peers", "--encoder", str(encoder)), "/predict", "text"),
        Peer("mlflow models serve, HF pipeline", (*mlflow, "-m", str(logged)), "/invocations", "inputs"),
        Peer(
            "mlflow models serve, our pyfunc",
            (*mlflow, "-m", _our_pyfunc(work, uri)),
            "/invocations",
            "split",
            {"MLFLOW_TRACKING_URI": uri},
        ),
    ]
    if find_spec("litserve") is not None:
        found.append(
            Peer(
                "LitServe + HF pipeline", ("tests.bench.online_litserve", "--encoder", str(encoder)), "/predict", "text"
            )
        )
    return {peer.name: peer for peer in found}


@contextmanager
def running(peer: Peer, *, work: Path, text: str) -> Iterator[int]:
    """The server's port, once it has answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = work / f"{peer.path.strip('/').replace('/', '-')}-{port}.log"
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        # mlflow starts the program `uvicorn` by its name.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **peer.environment,
    }
    with log.open("wb") as told:
        process = subprocess.Popen(
            [*_PYTHON, *peer.command, "--port", str(port)],
            cwd=work,
            env=environment,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
        try:
            _wait(peer, port, process, log, text)
            yield port
        finally:
            _end(process)


def _wait(peer: Peer, port: int, process: subprocess.Popen[bytes], log: Path, text: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{peer.path}",
        data=_body(peer.form, text),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + _START
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                return
        except (OSError, urllib.error.URLError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"{peer.name} did not start: {error}\n{end}") from error
            time.sleep(0.3)


def _end(process: subprocess.Popen[bytes]) -> None:
    # Whole groups: some of the peers leave workers behind.
    for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _our_pyfunc(work: Path, uri: str) -> str:
    import mlflow

    from models.bundle import open_bundle
    from models.pyfunc_export import log_pyfunc
    from pipeline.resources import shipped

    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("bench", artifact_location=(work / "artifacts").as_uri())
    with mlflow.start_run(experiment_id=mlflow.get_experiment_by_name("bench").experiment_id) as run:
        pass
    address, _ = log_pyfunc(open_bundle(shipped("models", "default")), run_id=run.info.run_id, uri=uri)
    return address


def _body(form: str, text: str) -> bytes:
    bodies: dict[str, Any] = {
        "text": {"text": text},
        "inputs": {"inputs": [text]},
        "split": {"dataframe_split": {"columns": ["text"], "data": [[text]]}},
    }
    return json.dumps(bodies[form], ensure_ascii=False).encode()


def _request(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body
