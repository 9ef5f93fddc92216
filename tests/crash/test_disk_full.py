"""A disk that is really full: nothing is acknowledged that is not kept, and all goes on once there is room."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

SIZE = 4 << 20  # bytes; the empty store takes 0.5 MB
_FILL = 1 << 16


class SmallDisk:
    """A file system of SIZE bytes of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room, not for a byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (_FILL, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A tmpfs, which whoever may not mount goes without."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_nothing_is_acknowledged_on_a_full_disk_and_all_goes_on_when_there_is_room(
    disk: SmallDisk, start_server: Callable[..., Any], linear_bundle: Path
) -> None:
    server = start_server("--model", str(linear_bundle), "--store", str(disk.folder / "store.db"))
    with httpx.Client(base_url=server.url, timeout=20) as client:
        first = client.post("/v1/feedback", json={"text": "快递三天没到", "id": "first"})
        assert first.status_code == 201
        disk.fill()
        refused: list[dict[str, Any]] = []
        for i in range(200):
            body = {"text": f"充电宝冒烟了，第{i}次", "id": f"full-{i}", "metadata": {"more": "很" * 1000}}
            answer = client.post("/v1/feedback", json=body, headers={"Idempotency-Key": f"full-{i}"})
            if answer.status_code == 201:  # the log had pages to write over
                continue
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            refused.append(body)
            if len(refused) == 20:
                break
        assert len(refused) == 20
        assert client.post("/v1/classify", json={"text": "快递三天没到"}).status_code == 200
        assert client.get("/v1/feedback/first").status_code == 200

        correction = {"task": "urgency", "label": "high", "by": "li", "why": "很" * 2000}
        status = {"status": "in_progress", "by": "li", "note": "很" * 2000}
        job = {"items": [{"text": f"客服一直不回，{i}"} for i in range(2000)]}
        changes = {"/v1/feedback/first/corrections": correction, "/v1/feedback/first/status": status, "/v1/jobs": job}
        for path, body in changes.items():
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), path
            assert int(answer.headers["Retry-After"]) > 0
        unchanged = client.get("/v1/feedback/first").json()
        assert (unchanged["status"], unchanged["corrections"]) == ("new", [])

        disk.free()
        for body in refused:
            key = {"Idempotency-Key": str(body["id"])}
            again = client.post("/v1/feedback", json=body, headers=key)
            assert (again.status_code, again.headers.get("Idempotent-Replayed")) == (201, None)
            assert client.post("/v1/feedback", json=body, headers=key).headers["Idempotent-Replayed"] == "true"
        assert {path: client.post(path, json=body).status_code for path, body in changes.items()} == {
            "/v1/feedback/first/corrections": 201,
            "/v1/feedback/first/status": 200,
            "/v1/jobs": 202,
        }
        ids = [line.split(",")[0] for line in client.get("/v1/export?format=csv").text.splitlines()]
        assert len(ids) == len(set(ids))
        assert {str(body["id"]) for body in refused} < set(ids)
    assert server.process.poll() is None
