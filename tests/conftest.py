"""Fixtures for every test: the shipped schema, labelled comments of our own, and the public data where it lies."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from pipeline.feedback import Example, Feedback
from pipeline.schema import LabelSchema, load_schema
from tests.postgresql import PostgresqlServer, find_binaries

# A pipeline must not fail by chance: there the examples follow from the test itself, elsewhere they are new each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

AnyReport = TypeVar("AnyReport", pytest.CollectReport, pytest.TestReport)

# text, sentiment, category, aspects, urgency
COMMENTS: tuple[tuple[str, str, str, dict[str, int], str], ...] = (
    ("等了五天还没发货，问客服只会回复请耐心等待", "negative", "logistics", {"logistics": -1, "service": -1}, "medium"),
    ("快递小哥冒雨送上楼，箱子一点没湿，谢谢", "positive", "logistics", {"logistics": 1}, "low"),
    ("电热毯半夜冒烟把床单烧出个洞，幸亏人醒了", "negative", "safety", {"safety": -1}, "critical"),
    ("莲蓬头装上就漏水，地板泡了一片，今天必须有人来处理", "negative", "product", {"product": -1}, "high"),
    ("桃子个大汁多，连核边上都是甜的", "positive", "product", {"product": 1}, "low"),
    ("裤子标的一米七五，穿上像七分裤，尺码表跟实物两回事", "negative", "description", {"description": -1}, "low"),
    ("升级之后一点扫码就闪退，卸了重装也没用", "negative", "function", {"function": -1}, "medium"),
    ("扫地机很安静，床底也钻得进去，孩子睡觉都不醒", "positive", "function", {"function": 1}, "low"),
    ("退款说三天到账，半个月了钱还没影子", "negative", "refund", {"refund": -1}, "medium"),
    ("换货流程挺顺，寄回去第二天新的就到了", "positive", "refund", {"refund": 1, "logistics": 1}, "low"),
    ("卡里莫名其妙被扣了两笔会员费，请马上退给我", "negative", "billing", {"billing": -1}, "high"),
    ("请问满两百减三十能和店铺券一起用吗", "neutral", "price", {"price": 0}, "low"),
    ("同样的洗衣液比超市便宜一半，划算得很", "positive", "price", {"price": 1}, "low"),
    ("前台小姑娘笑眯眯的，还帮我把行李提到房间", "positive", "service", {"service": 1}, "low"),
    ("师傅迟到两小时，不过手艺真没话说", "neutral", "service", {"logistics": -1, "service": 1}, "low"),
    ("打了六遍热线都是机器人，就是不给转人工", "negative", "service", {"service": -1}, "medium"),
    ("怎么把账号绑定的旧手机号换掉？", "neutral", "account", {"account": 0}, "low"),
    ("账号被人异地登录，余额少了三千多，赶紧冻结！", "negative", "account", {"account": -1}, "critical"),
    ("房间隔音差得离谱，隔壁打电话每个字都听得清", "negative", "environment", {"environment": -1}, "low"),
    ("院子里种满绣球，早晨坐着喝茶特别舒服", "positive", "environment", {"environment": 1}, "low"),
    ("建议加一个夜间模式，晚上看屏幕太刺眼了", "neutral", "function", {"function": 0}, "low"),
    ("粥还行，油条凉了，一般般", "neutral", "product", {"product": 0}, "low"),
    ("宝宝吃完这批奶粉上吐下泻，现在在急诊", "negative", "safety", {"safety": -1}, "critical"),
    ("一直在你家买，放心", "positive", "other", {}, "low"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no process is left alone with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.path.parent.name == "crash"}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def schema() -> LabelSchema:
    """The shipped label schema."""
    return load_schema()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Where something has to be there, a module that skips for want of it has failed."""
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Likewise a test."""
    return _refuse_skip((yield))


def _refuse_skip(report: AnyReport) -> AnyReport:
    """A skip whose reason is `needs X` fails where $FANKUI_CI_REQUIRE lists X, as it does in CI."""
    required = [f"needs {name}" for name in os.environ.get("FANKUI_CI_REQUIRE", "").split(",") if name]
    if report.skipped and any(reason in str(report.longrepr) for reason in required):
        report.outcome = "failed"
        report.longrepr = f"skipped though FANKUI_CI_REQUIRE={os.environ['FANKUI_CI_REQUIRE']}: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def java() -> Path:
    """The Java that Spark runs on; skips where there is none."""
    found = shutil.which("java")
    if found is None:
        pytest.skip("needs java: apt-get install openjdk-17-jre-headless")
    return Path(found)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser that the page is tested in; skips where there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("needs chromium: apt-get install chromium")
    return Path(found)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL that runs; skips where it is not installed. A test that stops it starts it again."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("needs postgresql: apt-get install postgresql")
    server = PostgresqlServer(binaries)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What `--store` is given, for an empty database of either kind."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    url: str = request.getfixturevalue("postgresql").new_database()
    return url


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the public sets (`$FANKUI_DATA`, else ../shared); skips where there is none."""
    named = os.environ.get("FANKUI_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the public sets: no folder {folder} (set FANKUI_DATA)")
    return folder


@pytest.fixture
def make_example() -> Callable[..., Example]:
    """`make_example("文字", sentiment="negative", …)`: one labelled comment."""

    def make(text: str, *, source: str = "", group: str = "", id: str = "", **labels: Any) -> Example:  # noqa: A002
        return Example(Feedback(text=text, id=id), labels=labels, source=source, group=group)

    return make


@pytest.fixture
def examples(make_example: Callable[..., Example]) -> list[Example]:
    """24 comments of our own with labels for every task of the shipped schema; every sentiment and urgency occurs."""
    return [
        make_example(text, id=f"c{i}", sentiment=sentiment, category=category, aspects=aspects, urgency=urgency)
        for i, (text, sentiment, category, aspects, urgency) in enumerate(COMMENTS)
    ]


@pytest.fixture(scope="session")
def linear_bundle(schema: LabelSchema, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a linear bundle fitted on those 24 comments. Read only: tests that alter it work on a copy."""
    from models.bundle import write_bundle
    from models.calibration import Calibration
    from training.baseline import LinearSettings, fit_linear

    tasks = ("sentiment", "category", "aspects", "urgency")
    examples = [Example(Feedback(text=text), dict(zip(tasks, gold, strict=True))) for text, *gold in COMMENTS]
    fitted = fit_linear(examples, schema=schema, settings=LinearSettings(ngrams=(1, 2), min_count=1))
    folder = tmp_path_factory.mktemp("bundles") / "small"
    write_bundle(
        folder,
        kind="linear",
        name="small",
        schema=schema,
        calibration=Calibration.identity(schema),
        files=fitted.files,
        metrics={},
        card="# small\n",
    )
    return folder


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A `fankui serve` of its own process, on a free port of the loopback."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """`start_server("--model", …, FANKUI_HOME=…)`: starts one and waits until it lives; ended after the module."""
    started: list[RunningServer] = []

    def start(*options: str, **environment: str) -> RunningServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = tmp_path_factory.mktemp("server")
        log = folder / "log.jsonl"
        root = Path(__file__).parent.parent
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "fankui", "serve", "--port", str(port), *options],
                cwd=folder,
                env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(folder), **environment},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        server = RunningServer(process, port, log)
        started.append(server)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if '"starting"' in log.read_text(encoding="utf-8"):
                return server  # it listens: what is sent now is answered
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')[-2000:]}")

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()
