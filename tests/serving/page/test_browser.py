"""The page in a real Chromium, over a server of two workers: live, filters, details, changes, keyboard, contrast."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from playwright.sync_api import Page, expect

from serving.api_keys import new_key
from serving.app import create_app
from serving.key_file import KeyFile
from serving.page.panels import FiredAlert, ForecastPoint, HotIssue
from serving.settings import ServeSettings
from tests.conftest import RunningServer
from tests.page_seed import comments
from tests.serving.page.conftest import Watched

AXE = Path(__file__).parents[2] / "vendor" / "axe-core" / "axe-4.14.1.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CANARY = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>{{7*7}}</textarea>"\'`'
SIZES = {"phone": (390, 844), "laptop": (1280, 800), "wall": (2560, 1440)}

Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., RunningServer], linear_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunningServer:
    """Two workers on the loopback, where nobody needs a key, and 60 comments of the last three days."""
    store = tmp_path_factory.mktemp("page") / "store.db"
    found = start_server("--model", str(linear_bundle), "--workers", "2", "--store", str(store))
    for body in comments(60, now=datetime.now(UTC), days=3):
        assert httpx.post(f"{found.url}/v1/feedback", json=body, timeout=30).status_code == 201
    return found


def post(server: RunningServer, **body: Any) -> None:
    answer = httpx.post(f"{server.url}/v1/feedback", json={"text": "快递三天没到", **body}, timeout=30)
    assert answer.status_code == 201, answer.text


def loaded(open_page: Open, server: RunningServer, path: str = "", **options: Any) -> tuple[Watched, Page]:
    watched = open_page(f"{server.url}/dashboard{path}", **options)
    expect(watched.page.locator("#live")).to_have_attribute("data-state", "live")
    expect(watched.page.locator(".row").first).to_be_visible()
    return watched, watched.page


def row(page: Page, identity: str) -> Any:
    return page.locator(f'.row[data-id="{identity}"]')


@pytest.mark.parametrize("size", SIZES)
def test_it_shows_the_figures_of_the_store_at_every_size(open_page: Open, server: RunningServer, size: str) -> None:
    width, height = SIZES[size]
    _, page = loaded(open_page, server, width=width, height=height)
    tiles = httpx.get(f"{server.url}/dashboard/figures").json()["tiles"]
    expect(page.locator("#tile-open .value")).to_have_text(str(tiles["open"]))
    expect(page.locator("#tile-overdue .value")).to_have_text(str(tiles["overdue"]))
    expect(page.locator("#tile-today .value")).to_have_text(str(tiles["today"]))
    expect(page.locator("#chart-volume canvas")).to_be_visible()
    expect(page.locator("#heat .cell").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for hidden in ("#alerts", "#hot-issues", "#banner"):
        expect(page.locator(hidden)).to_be_hidden()


def test_a_new_comment_appears_within_two_seconds(open_page: Open, server: RunningServer) -> None:
    _, page = loaded(open_page, server, "?state=all")
    before = int(page.locator("#tile-open .value").inner_text())
    for i in range(4):  # each on a connection of its own, which the kernel gives to either worker
        post(server, id=f"live-{i}", text="充电宝半夜冒烟，把床单烧了个洞")
        started = time.monotonic()
        expect(row(page, f"live-{i}")).to_be_visible(timeout=4000)
        expect(page.locator("#tile-open .value")).to_have_text(str(before + i + 1))
        assert time.monotonic() - started < 2.0
    expect(page.locator("#announce")).to_contain_text("条新反馈")


def test_filters_narrow_the_list_and_the_figures_and_stand_in_the_address(
    open_page: Open, server: RunningServer
) -> None:
    _, page = loaded(open_page, server)
    for name, field in (("queue", "queue"), ("category", "category"), ("urgency", "urgency"), ("channel", "channel")):
        everything = httpx.get(f"{server.url}/dashboard/queue?limit=200").json()["items"]
        value = next(item[field] for item in everything if item[field])
        wanted = [item["id"] for item in everything if item[field] == value]
        page.select_option(f"#filter-{name}", value)
        expect(page.locator("#tile-open .value")).to_have_text(str(len(wanted)))
        expect(page.locator(".row")).to_have_count(min(50, len(wanted)))
        assert page.locator(".row").evaluate_all("rows => rows.map(row => row.dataset.id)") == wanted[:50]
        assert f"{name}=" in page.url
        if name == "channel":
            page.reload()
            expect(page.locator("#filter-channel")).to_have_value(value)
            expect(page.locator("#tile-open .value")).to_have_text(str(len(wanted)))
        page.click("#clear")
        expect(page.locator(f"#filter-{name}")).to_have_value("")
    page.select_option("#filter-state", "resolved")
    expect(page.locator("#work-empty")).to_be_visible()
    page.click("#tile-overdue")
    expect(page.locator("#filter-state")).to_have_value("overdue")
    expect(page.locator(".row .due.over").first).to_be_visible()


def test_a_cell_and_a_bar_lead_to_their_comments(open_page: Open, server: RunningServer) -> None:
    _, page = loaded(open_page, server)
    cell = page.locator("#heat .cell.h7").first
    count = int(str(cell.get_attribute("aria-label")).split("：")[1].split()[0])
    cell.click()
    expect(page.locator("#work-count")).to_have_text(f"显示 {count} 条")
    expect(page.locator("#window")).to_be_visible()
    assert "category=" in page.url
    page.click("#window")
    expect(page.locator("#window")).to_be_hidden()
    page.click("#clear")
    box = page.locator("#chart-volume").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 70, box["y"] + box["height"] - 40)  # the last day but one or the last
    expect(page.locator("#window")).to_be_visible()
    expect(page.locator("#filter-state")).to_have_value("all")


def test_a_comment_opens_masked_with_its_labels_and_the_words_for_them(open_page: Open, server: RunningServer) -> None:
    post(server, id="detail-1", text="电热毯半夜冒烟把床单烧出个洞😱，打13800138000找我", channel="app")
    _, page = loaded(open_page, server, "?state=all")
    row(page, "detail-1").click()
    text = page.locator("#comment-text")
    expect(text).to_contain_text("[手机号]")
    assert "13800138000" not in page.content()
    expect(page.locator("#labels .label")).not_to_have_count(0)
    expect(page.locator("#comment-text mark").first).to_be_visible()
    whole = text.inner_text()
    answer = httpx.get(f"{server.url}/dashboard/feedback/detail-1/evidence").json()
    points = httpx.get(f"{server.url}/v1/feedback/detail-1").json()["text"]
    for button in page.locator("#labels .label").all():
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        name = button.get_attribute("data-task"), button.get_attribute("data-label")
        spans = [item for item in answer["items"] if (item["task"], item["label"]) == name]
        marked = {i for item in spans for i in range(item["start"], item["end"])}
        assert "".join(page.locator("#comment-text mark").all_inner_texts()) == "".join(
            points[i] for i in sorted(marked)
        )
    assert text.inner_text() == whole
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_whoever_works_moves_a_comment_on_and_corrects_it(open_page: Open, server: RunningServer) -> None:
    post(server, id="work-1")
    _, page = loaded(open_page, server)
    page.select_option("#filter-state", "all")
    row(page, "work-1").click()
    page.click('[data-status="in_progress"]')
    expect(page.locator(".told")).to_have_text("请先填写处理人")
    page.fill('[name="by"]', "李娜")
    page.click('[data-status="assigned"]')
    expect(page.locator(".told")).to_have_text("请填写指派给谁")
    page.fill('[name="assignee"]', "王强")
    page.fill('[name="note"]', "电话 13900139000")
    page.click('[data-status="assigned"]')
    expect(page.locator(".told.good")).to_have_text("已保存")
    expect(page.locator(".history")).to_contain_text("王强 · 电话 [手机号]")
    page.click("#correct summary")
    page.select_option('[name="task"]', "urgency")
    page.select_option('[name="label"]', "critical")
    page.click('#correct [type="submit"]')
    expect(page.locator('[data-task="urgency"]')).to_contain_text("人工改正")
    page.click("#correct summary")
    page.select_option('[name="task"]', "aspects")
    page.select_option('[name="aspect-service"]', "1")
    page.click('#correct [type="submit"]')
    expect(page.locator(".history")).to_contain_text("服务态度 正面")
    page.click('[data-status="resolved"]')
    expect(page.locator(".sheet header")).to_contain_text("已解决")
    expect(page.locator('[data-status="reopened"]')).to_be_visible()
    assert violations(page) == []
    page.select_option('[name="outcome"]', "unreachable")
    page.click('#call [type="submit"]')
    expect(page.locator(".history")).to_contain_text("回访：未接通")
    page.select_option('[name="outcome"]', "satisfied")
    page.fill('[name="call-note"]', "已退款")
    page.click('#call [type="submit"]')
    expect(page.locator(".history")).to_contain_text("已退款")
    expect(page.locator(".sheet")).not_to_contain_text("回访截止")
    page.click(".sheet header button")
    expect(row(page, "work-1")).to_contain_text("紧急")
    kept = httpx.get(f"{server.url}/v1/feedback/work-1").json()
    assert [entry["by"] for entry in kept["history"]] == ["server", "李娜", "李娜"]
    assert (kept["urgency"], kept["status"], kept["call_outcome"]) == ("critical", "resolved", "satisfied")


def test_everything_can_be_reached_with_the_keyboard(open_page: Open, server: RunningServer) -> None:
    _, page = loaded(open_page, server)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    openers = page.locator(".row .open")
    expect(openers.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(openers.nth(2)).to_be_focused()
    identity = str(openers.nth(2).get_attribute("data-id"))
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator(".sheet header code")).to_have_text(identity)
    page.keyboard.press("Escape")
    expect(page.locator(f'.open[data-id="{identity}"]')).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#filter-state")).to_be_focused()
    page.locator('#heat [tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.at") == "1,1"
    page.keyboard.press("Enter")
    expect(page.locator("#window")).to_be_visible()


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("laptop", "light")])
def test_axe_finds_nothing(open_page: Open, server: RunningServer, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    _, page = loaded(open_page, server, width=width, height=height, color_scheme=scheme)
    assert violations(page) == []
    page.locator(".row .open").first.click()
    expect(page.locator("#comment-text mark").first).to_be_visible()
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    page.wait_for_timeout(300)  # until nothing fades in any more
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def test_what_customers_and_clerks_write_is_text_and_nothing_else(open_page: Open, server: RunningServer) -> None:
    post(
        server,
        id="xss-1",
        text=f"坏了{CANARY}",
        channel=CANARY[:60],
        metadata={CANARY: CANARY},
        customer_ref=CANARY[:90],
    )
    httpx.post(
        f"{server.url}/v1/feedback/xss-1/status",
        json={"status": "assigned", "by": CANARY, "assignee": CANARY, "note": CANARY},
    )
    _, page = loaded(open_page, server, "?state=all")
    expect(row(page, "xss-1")).to_contain_text("<img src=x")
    expect(page.locator("#filter-channel")).to_contain_text("<img src=x")
    row(page, "xss-1").click()
    expect(page.locator("#comment-text")).to_contain_text("</script>")
    expect(page.locator(".history")).to_contain_text("<script>")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hurt") is None
    assert page.locator("img:not(.brand img)").count() == 0
    page.goto(f"{server.url}/dashboard?queue={CANARY}&state={CANARY}&span={CANARY}&from={CANARY}&lang=en")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    assert page.evaluate("window.hurt") is None


def test_english_and_the_other_theme_are_a_click_away(open_page: Open, server: RunningServer) -> None:
    _, page = loaded(open_page, server, locale="en-US")
    expect(page.locator("h1")).to_have_text("Feedback board")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.click("text=中文")
    expect(page.locator("h1")).to_have_text("反馈看板")


def test_a_key_opens_the_page_and_its_end_closes_it(
    open_page: Open,
    start_server: Callable[..., RunningServer],
    linear_bundle: Path,
    tmp_path: Path,
) -> None:
    file = KeyFile(tmp_path / "keys.json", must_exist=False)
    reader, shown = new_key("desk", ["read"], now=datetime.now(UTC))
    writer, writes = new_key("shop", ["write"], now=datetime.now(UTC))
    file.put(reader)
    file.put(writer)
    options = ("--model", str(linear_bundle), "--store", str(tmp_path / "store.db"), "--keys-file", str(file.path))
    server = start_server(*options)
    key = {"Authorization": f"Bearer {writes}"}
    httpx.post(f"{server.url}/v1/feedback", json={"text": "快递三天没到", "id": "a1"}, headers=key, timeout=30)
    watched = open_page(f"{server.url}/dashboard")
    watched.expected = ("Failed to load resource: the server responded with a status of 401",)
    page = watched.page
    expect(page).to_have_url(f"{server.url}/dashboard/login")
    assert violations(page) == []
    page.fill("#key", "fk_wrong")
    page.press("#key", "Enter")
    expect(page.locator("[role=alert]")).to_contain_text("密钥不存在")
    page.fill("#key", shown)
    page.press("#key", "Enter")
    expect(row(page, "a1")).to_be_visible()
    (cookie,) = [cookie for cookie in watched.context.cookies() if cookie["name"] == "fankui_session"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    assert page.evaluate("document.cookie") == ""
    assert shown[16:] not in page.content()
    row(page, "a1").click()
    expect(page.locator(".sheet")).to_contain_text("当前密钥只能查看")
    started = time.monotonic()
    file.put(replace(reader, revoked_at=datetime.now(UTC)))
    expect(page).to_have_url(f"{server.url}/dashboard/login", timeout=9000)
    assert time.monotonic() - started < 7.0  # keys are read every five seconds, streams look every second


TODAY = date(2026, 3, 2)
SHOP = (("shop", "华东1店"), ("category", "logistics"))


class Found:
    """Insights that somebody found; the page itself looks for none."""

    def hot_issues(self, connection: Any, part: Any) -> list[HotIssue]:
        return [
            HotIssue("t1", "显示签收 没收到", 40, 0.9, None, 0.8, "显示已签收,可我根本没收到", "logistics"),
            HotIssue("t2", f"退款{CANARY}", 12, 0.4, 0.5, 0.9, CANARY, None),
        ]

    def members(self, connection: Any, kind: str, id: str) -> list[str]:  # noqa: A002
        return ["a2"] if kind == "issue" else ["a1"]

    def forecast(self, connection: Any, part: Any, *, hours: int) -> list[ForecastPoint]:
        return [ForecastPoint(datetime(2030, 1, day), 20.0 + day, 12.0, 33.0) for day in range(1, 8)]

    def alerts(self, connection: Any, part: Any) -> list[FiredAlert]:
        return [
            FiredAlert("a1", "物流负面连续三天偏高", TODAY, 40, 40.0, 12.5, (SHOP, (("term", "压坏"),))),
            FiredAlert("a2", "safety", TODAY, 9, 9.0, None, ((("aspect safety", "negative"),),)),
        ]


@pytest.fixture
def with_insights(linear_bundle: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a server in a thread of ours, whose page is given insights."""
    app = create_app(ServeSettings(model=str(linear_bundle), store=str(tmp_path / "store.db")))
    app.state.board.insights = Found()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        app.state.board.feed.close()
        server.should_exit = True
        thread.join(20)


def test_insights_have_their_panels_where_there_are_any(open_page: Open, with_insights: str) -> None:
    page = open_page(f"{with_insights}/dashboard").page
    expect(page.locator("#alerts")).to_contain_text("物流负面连续三天偏高")
    expect(page.locator("#alerts li").first).to_contain_text("40 条，平时约 13 条（03-02）")
    expect(page.locator("#alerts li").first).to_contain_text("shop 华东1店 + 物流配送；“压坏”")
    expect(page.locator("#alerts li").last).to_contain_text("涉及安全的反馈增多9 条（03-02）")
    expect(page.locator("#alerts li").last).to_contain_text("人身健康 负面")
    expect(page.locator("#hot-issues li")).to_have_count(2)
    expect(page.locator("#hot-issues")).to_contain_text("<img src=x")
    assert violations(page) == []
    for kept in ("a1", "a2"):
        answer = httpx.post(f"{with_insights}/v1/feedback", json={"text": "快递三天没到", "id": kept}, timeout=30)
        assert answer.status_code == 201
    expect(page.locator(".row")).to_have_count(2)
    page.locator("#hot-issues button").first.click()
    expect(page.locator(".row")).to_have_count(1)
    expect(row(page, "a2")).to_be_visible()
    expect(page.locator("#about")).to_have_text("只看：显示签收 没收到")
    page.locator("#alerts button").first.click()
    expect(row(page, "a1")).to_be_visible()
    page.click("#about")
    expect(page.locator(".row")).to_have_count(2)
    assert page.evaluate("window.hurt") is None


def test_a_server_that_ends_lets_those_go_who_watch(
    open_page: Open, start_server: Callable[..., RunningServer], linear_bundle: Path, tmp_path: Path
) -> None:
    server = start_server("--model", str(linear_bundle), "--store", str(tmp_path / "store.db"))
    post(server)
    watched, page = loaded(open_page, server)
    watched.expected = ("Failed to load resource: net::ERR",)
    started = time.monotonic()
    server.process.terminate()
    assert server.process.wait(20) in (0, -signal.SIGTERM)  # which uvicorn raises again once it is done
    assert time.monotonic() - started < 5.0
    expect(page.locator("#live")).to_have_attribute("data-state", "offline")
