"""What is written for operators names what exists: options, files, figures. No daemon of Docker is needed for that."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import fankui
from pipeline.routing import CALENDAR_ESTIMATED
from serving.metrics import Metrics
from serving.store import events

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
UNIT = (DEPLOY / "fankui.service").read_text(encoding="utf-8")
PINNED = re.compile(r"^[a-z/.-]+:\d+\.\d+(\.\d+)?(-[a-z-]+)?$")


def serve_parameters() -> list[Any]:
    import typer

    from serving.cli import serve

    app = typer.Typer()
    app.command()(serve)
    return get_command(app).params


OPTIONS = {option for parameter in serve_parameters() for option in (*parameter.opts, *parameter.secondary_opts)}
VARIABLES = {parameter.envvar for parameter in serve_parameters() if parameter.envvar}
# Read beside the options: the champion's home, the keys of what is sealed, the registry.
VARIABLES |= {"FANKUI_HOME", "FANKUI_RAW_KEYS", "FANKUI_MODEL", "MLFLOW_TRACKING_URI"}


def long_options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def test_options_of_serve_exist() -> None:
    exec_start = next(line for line in UNIT.splitlines() if line.startswith("ExecStart="))
    unit = shlex.split(exec_start)
    assert unit[:2] == ["ExecStart=/opt/fankui/bin/fankui", "serve"]
    for words in (unit[2:], COMPOSE["services"]["server"]["command"][1:]):
        assert long_options(words) <= OPTIONS
    assert "serve" in fankui.VERBS


def test_the_kill_comes_after_the_requests_have_ended() -> None:
    command = COMPOSE["services"]["server"]["command"]
    drain = int(command[command.index("--shutdown-timeout") + 1])
    assert int(COMPOSE["services"]["server"]["stop_grace_period"].removesuffix("s")) > drain
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.M)
    (drain_of_unit,) = re.findall(r"--shutdown-timeout (\d+)", UNIT)
    assert int(stop) > int(drain_of_unit)


def test_variables_are_read_by_somebody() -> None:
    named = set(re.findall(r"\b(FANKUI_[A-Z_]+)=", DOCKERFILE + UNIT)) | set(re.findall(r"\b(FANKUI_[A-Z_]+)\b", UNIT))
    named |= {name for name in COMPOSE["services"]["server"]["environment"] if name.startswith("FANKUI_")}
    assert named
    assert named <= VARIABLES


def test_images_are_pinned_and_stages_exist() -> None:
    images = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.M)
    assert len(images) == len(re.findall(r"^FROM", DOCKERFILE, re.M))
    stages = {stage for _, stage in images}
    assert all(PINNED.match(image) for image, _ in images), images
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= stages
    for name, service in COMPOSE["services"].items():
        assert PINNED.match(service["image"]), name
        if "build" in service:
            assert service["build"]["target"] in stages
    for stage in ("server", "mlflow"):  # nothing runs as root
        body = DOCKERFILE.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
        assert re.search(r"^USER (?!root)\w+$", body, re.M)
        assert "HEALTHCHECK" in body


def test_extras_and_files_exist() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r'install "\.\[([a-z,]+)\]"', DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert "train" not in extras  # no torch in the image that serves
    pinned = next(entry for entry in project["optional-dependencies"]["train"] if entry.startswith("mlflow>="))
    assert f'"{pinned}"' in DOCKERFILE
    copied = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in copied)
    assert {"pipeline", "models", "training", "serving", "data", "fankui.py", "pyproject.toml"} <= set(copied)
    mounts = [entry for service in COMPOSE["services"].values() for entry in service.get("volumes", ())]
    for source in (entry.partition(":")[0] for entry in mounts):
        assert source in COMPOSE["volumes"] or (ROOT / source).is_dir(), source
    versions = {service["image"].partition(":")[2] for service in COMPOSE["services"].values() if "build" in service}
    assert versions == {project["version"]}


def test_mlflow_is_told_its_names_and_its_options_exist() -> None:
    cli = pytest.importorskip("mlflow.cli")
    service = COMPOSE["services"]["mlflow"]
    assert service["command"][:2] == ["mlflow", "server"]
    known = {option for parameter in cli.cli.commands["server"].params for option in parameter.opts}
    assert long_options(service["command"]) <= known
    (hosts,) = [word.partition("=")[2] for word in service["command"] if word.startswith("--allowed-hosts=")]
    uri = COMPOSE["services"]["server"]["environment"]["MLFLOW_TRACKING_URI"]
    assert uri.removeprefix("http://") in hosts.split(",")
    variables = {parameter.envvar for parameter in cli.cli.commands["server"].params}
    assert set(service["environment"]) <= variables


def known_figures() -> set[str]:
    names = set()
    for family in Metrics().registry.collect():
        names |= {family.name, *(sample.name for sample in family.samples)}
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ())
        names |= {family.name + suffix for suffix in suffixes}
    return names


def dashboard_queries() -> list[str]:
    panels = json.loads((DEPLOY / "grafana/fankui.json").read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_figure_that_is_asked_for_exists() -> None:
    asked = {name for query in dashboard_queries() for name in re.findall(r"\bfankui_\w+", query)}
    asked |= {name for rule in alert_rules() for name in re.findall(r"\bfankui_\w+", rule["expr"])}
    assert len(asked) > 15
    assert asked <= known_figures()


def test_labels_that_are_asked_for_exist() -> None:
    labels: dict[str, set[str]] = {}
    for collector in Metrics().registry._collector_to_names:
        for name in known_figures():
            if name.startswith(collector._name):  # type: ignore[attr-defined]
                labels.setdefault(name, set()).update((*collector._labelnames, "le"))  # type: ignore[attr-defined]
    for query in (*dashboard_queries(), *(rule["expr"] for rule in alert_rules())):
        for name, matchers in re.findall(r"\b(fankui_\w+)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)\s*=~?", matchers)) <= labels[name], query
    assert events.OVERDUE == "feedback.overdue"
    assert CALENDAR_ESTIMATED


def test_every_rule_says_what_and_how_grave() -> None:
    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
    assert len({rule["alert"] for rule in alert_rules()}) == len(alert_rules())


def test_the_unit_is_sound_and_hardened(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    unit = tmp_path / "fankui.service"
    unit.write_text(UNIT.replace("/opt/fankui/bin/fankui", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposure = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Of 100; a unit without any of it has 96.
    assert exposure.returncode == 0, exposure.stdout[-300:]


def test_the_top_of_the_repository_holds_what_it_should() -> None:
    """Places where operators and tools look; all else lies in a folder."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tops = {line.partition("/")[0] for line in listed.splitlines()}
    folders = {"data", "deploy", "models", "notebooks", "pipeline", "serving", "tests", "training", ".ci"}
    files = {"README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE", "fankui.py", "pyproject.toml", ".gitignore"}
    assert tops <= folders | files | {"Dockerfile", ".dockerignore", "compose.yaml"}
