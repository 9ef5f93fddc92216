"""The figures of one server, and those of several workers added up."""

import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from serving.batcher import Outcome
from serving.metrics import Metrics

ROOT = Path(__file__).parents[2]
SCORED = [Outcome({"decision": {"zone": "auto"}}), Outcome({"decision": {"zone": "review"}})]


def value(page: bytes, name: str) -> float:
    (line,) = [line for line in page.decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_a_pass_counts_its_comments_and_zones() -> None:
    metrics = Metrics()
    metrics.scored("m", SCORED, seconds=0.003)
    metrics.refused("m", 2)
    metrics.in_flight(3)
    page = metrics.page()
    assert value(page, 'fankui_comments_total{model_version="m",outcome="ok"}') == 2
    assert value(page, 'fankui_comments_total{model_version="m",outcome="error"}') == 2
    assert value(page, 'fankui_decisions_total{model_version="m",zone="review"}') == 1
    assert value(page, 'fankui_score_comments_bucket{le="2.0",model_version="m"}') == 1
    assert value(page, "fankui_comments_in_flight") == 3


def test_only_the_model_that_answers_is_shown() -> None:
    metrics = Metrics()
    metrics.answering("old")
    metrics.answering("new")
    assert value(metrics.page(), 'fankui_model{model_version="new"}') == 1
    assert b'"old"' not in metrics.page()


def test_a_file_that_another_worker_is_just_making_is_read_again(tmp_path: Path) -> None:
    fresh = tmp_path / "counter_4711.db"
    fresh.touch()  # not yet of its length
    metrics = Metrics(tmp_path)
    making = threading.Timer(0.03, lambda: fresh.write_bytes(struct.pack("i", 8).ljust(4096, b"\0")))
    making.start()
    assert metrics.page() == b""
    making.join()


def test_a_file_that_stays_torn_is_told(tmp_path: Path) -> None:
    (tmp_path / "counter_4711.db").touch()
    with pytest.raises(struct.error):
        Metrics(tmp_path).page()


WORKER = """
import sys
from pathlib import Path
from serving.metrics import Metrics
metrics = Metrics(Path(sys.argv[1]))
metrics.answering("old")
metrics.answering("new")
metrics.request(method="GET", path="/metrics", status=200, seconds=0.002)
metrics.in_flight(4)
sys.stdout.buffer.write(metrics.page())
"""


def test_workers_figures_are_added_up(tmp_path: Path) -> None:
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    first, second = (subprocess.check_output(command, env=environment) for _ in range(2))
    requests = 'fankui_requests_total{method="GET",path="/metrics",status="200"}'
    assert (value(first, requests), value(second, requests)) == (1, 2)
    assert value(second, 'fankui_request_seconds_count{path="/metrics"}') == 2
    assert value(second, "fankui_comments_in_flight") == 8
    assert value(second, 'fankui_model{model_version="new"}') == 1
    assert value(second, 'fankui_model{model_version="old"}') == 0


def test_due_times_over_unknown_holidays_are_counted() -> None:
    metrics = Metrics()
    name = "fankui_due_times_estimated_total"
    assert value(metrics.page(), name) == 0
    reasons = (["urgency:low", "calendar_estimated"], ["urgency:low"])
    outcomes = [Outcome({"decision": {"zone": "auto", "reasons": told}}) for told in reasons]
    metrics.scored("m", [*outcomes, *SCORED], seconds=0.003)
    assert value(metrics.page(), name) == 1
