"""E-mail addresses, WeChat and QQ names, number plates and street addresses."""

import re
from collections.abc import Iterator

from pipeline.pii import ADDRESS, EMAIL, PLATE, QQ, WECHAT, PiiSpan

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64} ?@ ?(?:[A-Za-z0-9\-]{1,63}\.){1,4}[A-Za-z]{2,24}(?![A-Za-z0-9\-])"
)

_WECHAT = re.compile(
    r"(?:微信|威信|薇信|(?<![A-Za-z])(?:wechat|weixin|wx|vx|v信|[+加]v))"
    r"(?P<link>(?:号码?|账号|id|是|为|:|=|→| ){0,4})"
    r"(?P<name>[A-Za-z][A-Za-z0-9_\-]{5,19}|[1-9][0-9]{4,10}(?![元块.]))(?![A-Za-z0-9_\-])",
    re.IGNORECASE,
)
_WXID = re.compile(r"(?<![A-Za-z0-9])wxid_[A-Za-z0-9]{6,20}(?![A-Za-z0-9])")
_CLEAR_LINK = re.compile(r"号|id|:|=|→|是|为", re.IGNORECASE)
# Devices and the like after 微信, which nobody is called.
_NO_NAME = re.compile(
    r"(?:android|iphone|ipad|ios|windows|harmony(?:os)?|wechat|weixin|https?|www|vip|app|version|mac(?:os|book)?)"
    r"[0-9]{0,4}(?:pro|max|promax|plus|mini|se)?",
    re.IGNORECASE,
)

_QQ = re.compile(
    r"(?:(?<![A-Za-z])(?:qq|q(?=[:号]))|扣扣|企鹅)(?:群|号码?|账号|是|为|:|=|加| ){0,4}"
    r"(?P<number>[1-9][0-9]{4,10})(?![0-9元块个人次版年]|\.[0-9])",
    re.IGNORECASE,
)

_PLATE_CHAR = "A-HJ-NP-Za-hj-np-z"  # no I and no O
_PLATE = re.compile(
    rf"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼] ?[{_PLATE_CHAR}][ ·•.\-]{{0,2}}"
    rf"(?P<serial>[0-9{_PLATE_CHAR}]{{5,6}}|[0-9{_PLATE_CHAR}]{{4}}[挂学警港澳使领])(?![0-9A-Za-z])"
)
_NEW_ENERGY = re.compile(r"[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK]")

_PART = r"(?:[0-9A-Za-z一二三四五六七八九十]{1,5}(?:号楼|号院|号|弄|栋|幢|座|单元|楼|层|室|房))"
_ESTATE = r"(?:小区|花园|家园|公寓|大厦|广场|新村|社区|苑|府|庄|湾)"
_STREET = re.compile(
    r"(?:路|街|大道|巷|弄|胡同|道)(?:[东南西北中]|[东南西北中一二三四]段)?[0-9]{1,5}(?:-[0-9]{1,4})?(?:号|弄)"
    rf"(?:院|楼)?(?:[\u4e00-\u9fff]{{2,8}}{_ESTATE})?{_PART}{{0,5}}(?:[0-9]{{2,5}}(?![0-9]))?"
)
_BUILDING = re.compile(
    rf"{_ESTATE}[0-9A-Za-z一二三四五六七八九十]{{1,4}}(?:号楼|栋|幢|座|号院)"
    rf"(?:{_PART}{{1,4}}(?:[0-9]{{2,5}}(?![0-9]))?|[0-9]{{2,5}}(?![0-9]))"
)
_BEFORE_ADDRESS = re.compile(r"[\u4e00-\u9fff0-9]+$")
_NO_ADDRESS = re.compile(r"[我你您他她它在是到给从址去的了于寄送往回来过说,。]")


def emails(text: str) -> Iterator[PiiSpan]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield PiiSpan(EMAIL, match.start(), match.end(), "high")


def accounts(text: str) -> Iterator[PiiSpan]:
    """WeChat and QQ names, where the word stands before them."""
    for match in _WXID.finditer(text):
        yield PiiSpan(WECHAT, match.start(), match.end(), "high")
    for match in _WECHAT.finditer(text):
        name = match["name"]
        clear = _CLEAR_LINK.search(match["link"]) is not None
        looks_chosen = not name.isdigit() and re.search(r"[0-9_\-]", name) is not None
        if (clear or looks_chosen) and not _NO_NAME.fullmatch(name):
            yield PiiSpan(WECHAT, match.start("name"), match.end("name"), "high" if clear else "low")
    for match in _QQ.finditer(text):
        yield PiiSpan(QQ, match.start("number"), match.end("number"), "high")


def plates(text: str) -> Iterator[PiiSpan]:
    """Number plates: five places with at most two letters, or six of the new-energy kind."""
    for match in _PLATE.finditer(text):
        serial = match["serial"].upper()
        digits = sum(char.isdigit() for char in serial)
        if (len(serial) == 5 and digits >= 3) or _NEW_ENERGY.fullmatch(serial):
            yield PiiSpan(PLATE, match.start(), match.end(), "high")


def addresses(text: str) -> Iterator[PiiSpan]:
    """Street or estate with a number. Where an address begins is a guess, hence the low certainty."""
    for pattern in (_STREET, _BUILDING):
        for match in pattern.finditer(text):
            start = _address_start(text, match.start())
            if match.start() - start >= 1:
                yield PiiSpan(ADDRESS, start, match.end(), "low")


def _address_start(text: str, anchor: int) -> int:
    window = text[max(0, anchor - 24) : anchor]
    run = _BEFORE_ADDRESS.search(window)
    if run is None:
        return anchor
    stops = [match.end() for match in _NO_ADDRESS.finditer(run[0])]
    return anchor - len(run[0]) + (stops[-1] if stops else 0)
