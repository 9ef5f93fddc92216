"""Models change under load: promoted from a real MLflow registry, rolled back, and refused where they are unfit."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from models.bundle import ModelBundle, open_bundle
from models.champion import Champion, keep_copy, write_champion
from models.loading import load_predictor
from models.promotion import promote, rollback
from pipeline.errors import BundleError
from serving.app import create_app
from serving.engine import start_engine
from serving.settings import ServeSettings
from tests.conftest import COMMENTS
from tests.serving.other_models import contrary, copied

TEXTS = [text for text, *_ in COMMENTS]
PER_SECOND, SENDERS = 50, 5


@pytest.fixture(scope="module")
def registry(linear_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a registry with small/1 and small/2, which answer differently; the second is the challenger."""
    pytest.importorskip("mlflow")
    from training.publish import publish
    from training.run_record import RunRecord

    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        first = open_bundle(linear_bundle)
        for bundle in (first, open_bundle(contrary(first, folder / "contrary", name="small"))):
            publish(bundle, record=RunRecord("swaps", "one", {}, {}, {"model.kind": "linear"}))
        yield f"sqlite:///{folder}/mlflow.db"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FANKUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FANKUI_MODEL", raising=False)
    return tmp_path / "home"


class Load:
    """Requests at a fixed rate, whatever becomes of them, from the moment it is entered until it is left."""

    def __init__(self, url: str) -> None:
        self.answers: list[tuple[float, int, Any]] = []
        self._url = url
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(i,)) for i in range(SENDERS)]

    def __enter__(self) -> "Load":
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        number = sender
        while not self._ended.wait(max(0.0, self._began + number / PER_SECOND - time.monotonic())):
            # A connection each: the kernel chooses the worker anew.
            items = [{"text": text} for text in TEXTS[number % 20 : number % 20 + 4]]
            try:
                answer = httpx.post(f"{self._url}/v1/classify", json={"items": items}, timeout=20)
                self.answers.append((time.monotonic(), answer.status_code, (number % 20, answer.json())))
            except httpx.HTTPError as error:
                self.answers.append((time.monotonic(), 0, repr(error)))
            number += SENDERS

    def wait_for(self, version: str) -> None:
        """Until all that came in the last second were answered by that version."""
        deadline = time.monotonic() + 20
        while True:
            now = time.monotonic()
            lately = [entry for at, _, entry in list(self.answers) if at > now - 1]
            if len(lately) > 10 and all(entry[1]["model_version"].startswith(version) for entry in lately):
                return
            assert now < deadline, f"{version} does not answer in all workers"
            time.sleep(0.1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_swap_and_rollback_under_load(
    start_server: Callable[..., Any], registry: str, home: Path, tmp_path: Path, workers: str
) -> None:
    versions = [promote(f"models:/small/{number}", home=home) for number in (2, 1)]
    expected = {
        f"small/{champion.version}": [
            {name: task.label for name, task in found.tasks.items()}
            for found in load_predictor(champion.folder(home)).predict(TEXTS)
        ]
        for champion in versions
    }
    server = start_server(
        *("--workers", workers, "--shadow", "models:/small@challenger", "--shadow-share", "0.5"),
        FANKUI_HOME=str(home),
        MLFLOW_TRACKING_URI=registry,
        TMPDIR=str(tmp_path),
    )
    with Load(server.url) as load:
        load.wait_for("small/1@")
        promote("models:/small@challenger", home=home)
        load.wait_for("small/2@")
        page = httpx.get(f"{server.url}/metrics").text
        rollback(home=home)
        load.wait_for("small/1@")
        await_agreement(server.url)
    assert [entry for _, status, entry in load.answers if status != 200] == []
    for _, _, (start, body) in load.answers:
        labels = [{name: task["label"] for name, task in item["labels"].items()} for item in body["results"]]
        assert labels == expected[body["model_version"].partition("@")[0]][start : start + 4]
    assert f'fankui_model_workers{{model_version="small/2@{versions[0].digest[:12]}"}} {workers}.0' in page
    assert f'fankui_model_swaps_total{{outcome="replaced"}} {workers}.0' in page


def await_agreement(url: str) -> None:
    """The challenger is found in the registry, which takes seconds to import, and compared behind the answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for model in httpx.get(f"{url}/v1/models").json()["models"][1:]:
            assert (model["role"], model["model_version"][:8]) == ("shadow", "small/2@")
            told = {entry["task"]: (entry["agreed"], entry["compared"]) for entry in model["agreement"]}
            if told:
                agreed, compared = told["sentiment"]
                assert 0 <= agreed < compared
                return
        time.sleep(0.1)
    pytest.fail("nothing was compared")


def spoil_torn(folder: Path) -> None:
    weights = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(weights[: len(weights) // 2])


def spoil_one_byte(folder: Path) -> None:
    weights = bytearray((folder / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(weights)


def spoil_manifest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["card.md"]["sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "torn file": (spoil_torn, "bundle_altered"),
    "one bit": (spoil_one_byte, "bundle_altered"),
    "wrong hash": (spoil_manifest, "bundle_altered"),
    "missing file": (lambda folder: (folder / "vocabulary.json").unlink(), "bundle_incomplete"),
    "missing manifest": (lambda folder: (folder / "manifest.json").unlink(), "bundle_incomplete"),
    "no folder": (shutil.rmtree, "bundle_missing"),
    "a file too many": (lambda folder: (folder / "x.pkl").write_bytes(b"x"), "bundle_unlisted"),
}


class Follower:
    """An application that follows the champion, and its answers while it does."""

    def __init__(self, home: Path, bundle: ModelBundle, **settings: Any) -> None:
        self.home = home
        self.put(bundle, "1")
        self.app = create_app(ServeSettings(follow_seconds=0.02, **settings))
        self.engine = self.app.state.engine

    def put(self, bundle: ModelBundle, version: str) -> Champion:
        champion = keep_copy(self.home, bundle, name="feedback", version=version)
        write_champion(self.home, champion)
        return champion

    def figure(self, name: str) -> float:
        found = [line for line in self.engine.metrics.page().decode().splitlines() if line.startswith(f"{name} ")]
        return float(found[0].split()[1]) if found else 0.0

    def refused(self, bundle: ModelBundle, code: str, *, spoil: Callable[[Path], Any] = lambda _: None) -> None:
        """Promote it, and see that the old one goes on, ready, with a figure; and that a rollback clears that."""
        first = self.engine.active

        async def story() -> None:
            transport = httpx.ASGITransport(app=self.app)
            async with (
                self.app.router.lifespan_context(self.app),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
            ):
                spoil(self.put(bundle, "2").folder(self.home))  # no await between: nobody looks in between
                async with asyncio.timeout(10):
                    while not self.figure("fankui_champion_refused"):
                        await asyncio.sleep(0.01)
                assert self.engine.active is first
                assert self.figure(f'fankui_model_swaps_total{{outcome="{code}"}}') == 1
                assert (await client.get("/health/ready")).status_code == 200
                answer = await client.post("/v1/classify", json={"text": "快递很快"})
                assert answer.json()["model_version"] == first.version
                rollback(home=self.home)
                async with asyncio.timeout(10):
                    while self.figure("fankui_champion_refused"):
                        await asyncio.sleep(0.01)
                assert self.engine.active is first

        asyncio.run(story())


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_bundle_leaves_the_old_one(
    home: Path, linear_bundle: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, code = BROKEN[kind]
    first = open_bundle(linear_bundle)
    follower = Follower(home, first)
    follower.refused(open_bundle(contrary(first, tmp_path / "2")), code, spoil=spoil)
    told = [record.fields["why"] for record in caplog.records if record.getMessage() == "model_not_replaced"]  # type: ignore[attr-defined]
    assert [why.partition(":")[0] for why in told] == [code]


def golden_of(folder: Path, path: Path) -> Path:
    found = load_predictor(folder).predict(TEXTS)
    rows = [
        {"text": text, **{name: task.label for name, task in prediction.tasks.items()}}
        for text, prediction in zip(TEXTS, found, strict=True)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_one_that_misses_golden_answers_leaves_the_old_one(home: Path, linear_bundle: Path, tmp_path: Path) -> None:
    first = open_bundle(linear_bundle)
    follower = Follower(home, first, golden=golden_of(linear_bundle, tmp_path / "golden.jsonl"))
    follower.refused(open_bundle(contrary(first, tmp_path / "2")), "golden_failed")


def test_other_labels_leave_the_old_one(home: Path, linear_bundle: Path, tmp_path: Path) -> None:
    first = open_bundle(linear_bundle)
    task, *others = first.schema.tasks
    swapped = replace(first.schema, tasks=(replace(task, labels=task.labels[::-1]), *others))
    other = open_bundle(copied(first, tmp_path / "2", name="other", schema=swapped))
    Follower(home, first).refused(other, "labels_differ")


def test_a_golden_file_that_is_away_is_looked_for_again(home: Path, linear_bundle: Path, tmp_path: Path) -> None:
    first = open_bundle(linear_bundle)
    golden = golden_of(linear_bundle, tmp_path / "golden.jsonl")
    follower = Follower(home, first, golden=golden)
    second = open_bundle(copied(first, tmp_path / "2", name="second"))
    before = follower.engine.active

    async def story() -> None:
        async with follower.app.router.lifespan_context(follower.app):
            golden.rename(tmp_path / "away.jsonl")
            follower.put(second, "2")
            async with asyncio.timeout(10):
                while not follower.figure("fankui_champion_refused"):
                    await asyncio.sleep(0.01)
                (tmp_path / "away.jsonl").rename(golden)
                while follower.engine.active is before:
                    await asyncio.sleep(0.01)
            assert follower.figure("fankui_champion_refused") == 0

    asyncio.run(story())


def test_a_start_with_an_unfit_champion_is_with_the_one_before(
    home: Path, linear_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that dies while the others have refused the champion must come up again as they are."""
    first = open_bundle(linear_bundle)
    golden = golden_of(linear_bundle, tmp_path / "golden.jsonl")
    second = open_bundle(contrary(first, tmp_path / "2"))
    write_champion(home, keep_copy(home, second, name="feedback", version="2"))
    with pytest.raises(BundleError, match="otherwise than they are labelled"):
        start_engine(ServeSettings(golden=golden))  # nothing was before
    for version, bundle in (("1", first), ("2", second)):
        write_champion(home, keep_copy(home, bundle, name="feedback", version=version))
    engine = start_engine(ServeSettings(golden=golden))
    assert engine.active.version == f"feedback/1@{first.digest[:12]}"
    assert engine.active.resolved.origin == "previous"
    assert [record.getMessage() for record in caplog.records] == ["started_with_previous"]
    engine.close()
