"""What a piece of personal data is, and the names of its kinds."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Certainty: TypeAlias = Literal["high", "low"]

MOBILE = "手机号"
LANDLINE = "固定电话"
RESIDENT_ID = "身份证号"
BANK_CARD = "银行卡号"
PLATE = "车牌号"
EMAIL = "邮箱"
WECHAT = "微信号"
QQ = "QQ号"
ADDRESS = "地址"

KINDS: tuple[str, ...] = (MOBILE, LANDLINE, RESIDENT_ID, BANK_CARD, PLATE, EMAIL, WECHAT, QQ, ADDRESS)

PLACEHOLDERS: tuple[str, ...] = tuple(f"[{kind}]" for kind in KINDS)


@dataclass(frozen=True, slots=True)
class PiiSpan:
    """Personal data at `start:end` of the text that was searched. A low certainty is masked too, but told apart."""

    kind: str
    start: int
    end: int
    certainty: Certainty
