"""Fixtures for every test: the shipped schema, labelled comments of our own, and the public data where it lies."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.feedback import Example, Feedback
from pipeline.schema import LabelSchema, load_schema

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


@pytest.fixture(scope="session")
def schema() -> LabelSchema:
    """The shipped label schema."""
    return load_schema()


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
