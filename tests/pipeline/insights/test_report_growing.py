"""What is said to grow does: streams without any change, slow ramps, and what only seems to fall."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.insights.report.growing import halve, more
from pipeline.insights.report.issues import find_issues
from pipeline.insights.report.previous import Earlier, Item, Result, follow_up
from pipeline.insights.report.shares import Share
from pipeline.insights.report.signs import Signs, plain, signs_of
from pipeline.insights.report.week import Week, recent_part
from pipeline.insights.series import membership
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import read_terms
from pipeline.insights.trends import rows_of
from tests.pipeline.insights.comments import ZONE
from tests.pipeline.insights.report_rows import LAST_MONDAY
from tests.pipeline.insights.test_report import Rows, read, report_on

WEEK = Week(LAST_MONDAY)
THINGS = re.findall(
    r"[^ ]+",
    "杯盖 纸袋 米饭 牛肉 青菜 汤底 吸管 订单 骑手 店员 前台 房间 空调 热水 床单 毛巾 早餐 电梯 屏幕 电池 "
    "耳机 按键 音量 包装 快递 驿站 柜门 发票 会员 积分 退款 客服 电话 短信 密码 水壶 插头 拉链 袖口 鞋底",
)
FAULTS = re.findall(
    r"[^ ]+",
    "洒了 漏了 破了 脏得很 不新鲜 太咸 太淡 凉透了 少给了 弄错了 等太久 没人管 不认账 态度差 不回话 "
    "坏掉了 卡住了 发烫 没反应 掉色 有异味 有头发 打不开 关不上 太吵 太贵 多扣钱 找不到 过期了 松了",
)


def _row(text: str, at: datetime) -> dict[str, object]:
    label = {"sentiment": "negative", "category": "service", "urgency": "medium"}
    return {"text": text, "created_at": at.replace(tzinfo=ZONE).isoformat()} | label


def _even(rng: np.random.Generator, count: int) -> Rows:
    """Comments of five weeks, as likely in the one as in the other."""
    first = datetime.combine(WEEK.base.first, datetime.min.time())
    rows = []
    for _ in range(count):
        told = zip(rng.choice(THINGS, 4), rng.choice(FAULTS, 4), strict=True)
        text = "，".join(a + b for a, b in list(told)[: int(rng.integers(2, 5))])
        rows.append(_row(text, first + timedelta(minutes=int(rng.integers(0, 35 * 1440)))))
    return sorted(rows, key=lambda row: str(row["created_at"]))


def _with(rows: Rows, texts: Mapping[str, int], week: Week) -> Rows:
    first = datetime.combine(week.first, datetime.min.time())
    told = [text for text, count in texts.items() for _ in range(count)]
    return rows + [_row(text, first + timedelta(hours=11 * i % 160)) for i, text in enumerate(told)]


def _p_values(table: FeedbackTable) -> tuple[list[float], list[float]]:
    """Of the week's issues: as they are told, and counted in the week that they were found in."""
    recent = recent_part(table, WEEK)
    terms, texts = read_terms(recent.texts), plain(recent.texts)
    of_week, base = rows_of(recent.days, WEEK.period), rows_of(recent.days, WEEK.base)
    at = np.flatnonzero(of_week)
    issues = find_issues(recent, terms, membership(recent, terms), WEEK, base_days=28)
    naive = []
    for issue in issues:
        signs = signs_of(issue.phrases, [texts[i] for i in at], np.isin(at, issue.rows))
        naive.append(1.0 if signs is None else more(signs.found(texts), of_week, base))
    found = halve(recent, terms, texts, WEEK).p_values([issue.rows for issue in issues])
    return found.tolist(), naive


def test_what_does_not_change_does_not_grow(tmp_path: Path) -> None:
    told, naive, growing, issues = [], [], 0, 0
    for seed in range(6):
        table = read(tmp_path / f"{seed}.jsonl", _even(np.random.default_rng(seed), 1500))
        one, other = _p_values(table)
        told, naive = told + one, naive + other
        found = report_on(table, WEEK).issues
        growing, issues = growing + sum(issue.growing for issue in found), issues + len(found)
    assert len(told) >= 100
    assert issues >= 30
    assert np.mean(np.array(naive) < 0.05) > 0.1  # why each half is counted in the other one
    assert np.mean(np.array(told) < 0.05) <= 0.05
    assert growing <= 0.05 * issues


def test_a_slow_ramp_is_told_though_the_weeks_before_hold_it(tmp_path: Path) -> None:
    rows = _even(np.random.default_rng(7), 1500)
    ramp = ("奶茶封口没压紧洒一袋子", "奶茶封口裂开洒得满袋子", "封口膜翘边奶茶全洒了")
    for back, count in ((2, 9), (1, 14), (0, 14)):
        texts = {text: count // 3 + (i < count % 3) for i, text in enumerate(ramp)}
        rows = _with(rows, texts, Week(LAST_MONDAY - timedelta(days=7 * back)))
    report = report_on(read(tmp_path / "a.jsonl", rows), WEEK)
    issue = next(issue for issue in report.issues if "奶茶" in "".join(issue.phrases))
    assert issue.growing
    assert issue.weekly is not None
    assert len(issue.rows) >= 9
    assert sum(issue.weekly) == pytest.approx(4 * (issue.usual or 0))
    assert issue.weekly[:2] == (0, 0)


def test_one_matter_has_one_number_in_a_report(tmp_path: Path) -> None:
    before = Week(LAST_MONDAY - timedelta(days=7))
    slow = {"骑手迟到一小时汤都凉了": 10, "催了三次骑手还没到": 10, "骑手绕路迟到汤洒光": 10}
    rows = _with(_even(np.random.default_rng(8), 1200), slow, before)
    rows = _with(rows, dict.fromkeys(slow, 11) | {"抽屉滑轨卡死": 2}, WEEK)
    table = read(tmp_path / "a.jsonl", rows)
    signs = Signs(("迟到", "汤都凉"), 1)
    items = tuple(
        Item(title, within_48h=False, desk=None, signs=one, share=Share(9, 300), usual=0.0)
        for title, one in (("迟到", signs), ("抽屉", Signs(("抽屉滑轨",), 1)), ("太咸", Signs(("太咸",), 1)))
    )
    report = report_on(table, WEEK, Earlier(before, items))
    late = next(issue for issue in report.issues if "骑手" in "".join(issue.phrases))
    assert report.follow_up is not None
    one, other, third = report.follow_up.outcomes
    assert one.joined
    assert one.now.count == len(late.rows)
    assert late.weekly is not None
    assert one.then.count == late.weekly[-1]
    assert one.result is Result.HIGH  # has not come down, and was next to nothing before
    assert (other.result, other.joined) == (Result.UNKNOWN, False)
    assert third.result is Result.USUAL
    alone = follow_up(table, WEEK, Earlier(before, items), ())
    assert alone.outcomes[0].now.count == signs.found(plain([str(row["text"]) for row in rows[-35:]])).sum()
