"""Comments of our own for a store that looks like a desk's: 30 days with nights, weekends and one bad afternoon."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

_SAID: tuple[tuple[int, str], ...] = (
    (6, "{thing}发货太慢，{days}天了物流一直没更新，问客服也不回"),
    (5, "快递把{thing}放门卫就走了，也不打个电话"),
    (4, "收到的{thing}外包装压扁了，里面也磕了一块"),
    (5, "{thing}用了{days}天就坏了，按键没反应"),
    (3, "{thing}的颜色跟图片差太多，退货还要我自己出运费"),
    (4, "退款申请{days}天了还没到账，一直显示处理中"),
    (4, "这个月账单多扣了{days}块钱会员费，请退给我"),
    (3, "打了{days}遍客服电话都是机器人，转不了人工"),
    (3, "APP更新之后扫码就闪退，重装也没用"),
    (2, "门店空调坏了，等位区热得待不住"),
    (2, "验证码收不到，账号登不上去，急用"),
    (1, "{thing}充电的时候冒烟，插座都烧黑了，太吓人了"),
    (1, "孩子吃了你家的饼干上吐下泻，现在还在医院"),
    (1, "再不处理我就打12315投诉，已经录音了"),
    (1, "账号被人异地登录，余额少了{days}00块，赶紧冻结"),
    (8, "{thing}很好用，比超市买的划算，会回购"),
    (7, "快递小哥送货上门，态度特别好，点赞"),
    (5, "客服很耐心，换货第二天就寄出来了"),
    (4, "{thing}做工细致，家里老人也用得顺手"),
    (3, "请问{thing}支持七天无理由退货吗"),
    (2, "建议{thing}多出几个颜色"),
    (2, "一般般吧，{thing}没有想象中好也没有很差"),
    (1, "麻烦回电13800138000，{thing}的发票抬头开错了"),
)
_THINGS = (
    "电饭煲",
    "充电宝",
    "扫地机",
    "羽绒服",
    "蓝牙耳机",
    "保温杯",
    "婴儿车",
    "电热毯",
    "咖啡机",
    "书桌灯",
    "行李箱",
)
_CHANNELS = (("app", 9), ("微信小程序", 7), ("hotline", 4), ("天猫旗舰店", 6), ("email", 1), ("门店", 2))
_BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 8, 14, 20, 24, 22, 16, 17, 21, 22, 20, 18, 16, 18, 20, 17, 10, 5)


def comments(count: int, *, now: datetime, days: int = 30, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Bodies for POST /v1/feedback, oldest first; `now` is aware and tells the wall clock that customers live by."""
    chance = random.Random(seed)
    weights = [weight for weight, _ in _SAID]
    moments = sorted(_moments(chance, count, now=now, days=days))
    for i, moment in enumerate(moments):
        text = chance.choices(_SAID, weights)[0][1]
        if timedelta(days=5) < now - moment < timedelta(days=6) and chance.random() < 0.5:
            text = "{thing}显示已签收，可我根本没收到，快递柜里也没有"  # a courier's bad day
        yield {
            "id": f"fb-{i:05d}",
            "text": text.format(thing=chance.choice(_THINGS), days=chance.randint(2, 9)),
            "channel": chance.choices([name for name, _ in _CHANNELS], [weight for _, weight in _CHANNELS])[0],
            "customer_ref": f"c{chance.randint(1, count // 2)}",
            "created_at": moment.isoformat(),
            "metadata": {"shop": f"{chance.choice(('华东', '华南', '华北'))}{chance.randint(1, 4)}店"},
        }


def _moments(chance: random.Random, count: int, *, now: datetime, days: int) -> Iterator[datetime]:
    made = 0
    while made < count:
        moment = now - timedelta(seconds=chance.uniform(0, days * 86_400))
        weight = _BY_HOUR[moment.hour] / max(_BY_HOUR) * (0.7 if moment.weekday() >= 5 else 1.0)
        if chance.random() < weight:
            made += 1
            yield moment
