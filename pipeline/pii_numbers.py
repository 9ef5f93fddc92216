"""Phone numbers, resident ids and bank cards: digits that check out, not digits that merely have the right length.

Every pattern is bounded, so that a megabyte of digits takes linear time. Checksums alone let 9 to 10 % of random
numbers pass, hence region and date, or issuer, as well.
"""

import re
from collections.abc import Iterator
from datetime import date

from pipeline.pii import BANK_CARD, LANDLINE, MOBILE, RESIDENT_ID, Certainty, PiiSpan

_GAP = r"[ .·_/–—\-]{0,3}"
_MOBILE = re.compile(
    r"(?<![0-9])(?:(?:\(?\+\)?|00)?\(?86\)?[ \-]{0,2})?"
    rf"(?P<number>1[3-9][0-9]{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}"
    rf"|1[3-9][0-9]{{2}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{4}}"
    rf"|1[3-9][0-9]{_GAP}[0-9]{{3}}{_GAP}[0-9]{{5}}"
    r"|1(?P<gap>[ .·_/\-])[3-9](?:(?P=gap)[0-9]){9})(?![0-9])"
)
_HAN_DIGITS = {
    char: str(value) for value, chars in enumerate(("零〇○", "一幺", "二两", *"三四五六七八九")) for char in chars
}
_HAN = "".join(_HAN_DIGITS)
_SPELLED = re.compile(rf"(?<![0-9{_HAN}])[1一幺][3-9三四五六七八九][0-9{_HAN}]{{9}}(?![0-9{_HAN}])")
_LANDLINE = re.compile(
    r"(?<![0-9A-Za-z])(?:\+?86[ \-]?)?\(?0[1-9][0-9]{1,2}\)?[ \-]{0,3}[2-9][0-9]{2,3}[ \-]?[0-9]{4}"
    r"(?![0-9])(?:[ ]?(?:转|-|#|ext\.?)[ ]?[0-9]{1,6}(?![0-9]))?"
)
_SERVICE = re.compile(r"(?<![0-9A-Za-z.])[48]00(?:[ \-]?[0-9]){7}(?![0-9])(?:[ ]?(?:转|-|#)[ ]?[0-9]{1,6}(?![0-9]))?")
_LOCAL = re.compile(
    r"(?:电话|座机|固话|热线|致电|拨打|传真)(?:号码|是|为|:|给| ){0,3}"
    r"(?P<number>[2-9][0-9]{2,3}[ \-]?[0-9]{4})(?![0-9])"
)
_FOREIGN = re.compile(r"(?<![0-9A-Za-z])\+(?!86)[1-9][0-9]{0,2}(?:[ \-]?[0-9]){6,12}(?![0-9])")

_RESIDENT = re.compile(r"(?<![0-9])[1-9](?:[ \-]?[0-9]){16}[ \-]?[0-9Xx](?![0-9])")
_OLD_RESIDENT = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{14}(?![0-9A-Za-z])")
_PERMIT = re.compile(
    r"(?:护照|通行证|回乡证|台胞证)(?:号码?|是|为|:| ){0,3}(?P<number>[A-Za-z]{1,2}[0-9]{7,10}|[0-9]{8})(?![0-9A-Za-z])"
)
# Provinces of mainland ids; 81 to 83 for residents of Hong Kong, Macau and Taiwan; 9 for foreigners.
_REGION = re.compile("1[1-5]|2[123]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[123]|9[1-9]")
_CARD = re.compile(r"(?<![0-9A-Za-z])[2-9](?:[ \-]?[0-9]){15,18}(?![0-9A-Za-z])")
# UnionPay 62 everywhere; international schemes at their 16 digits; the older issuers of 17 to 19 digits.
_ISSUER_16 = re.compile(r"62|4|5[1-5]|2[2-7]|3[0568]|60|65|68|69")
_ISSUER_LONG = re.compile(r"62|60|68|69|9[4-9]")

# What is told right before a number decides about those that could be either.
_NOT_PERSONAL = re.compile(
    r"(?:[订运工账保]单|单据?号|编号|流水号?|货号|条码|批号|批次号?|序列号|型号|商品号|物流号?|交易号|凭证号?|SKU|ISBN)"
    r"(?:号?码?|是|为|:|#|\(| ){0,4}$",
    re.IGNORECASE,
)
_PHONE_WORD = re.compile(
    r"(?:手机|电话|号码|联系方式?|联系我|致电|拨打|回电|微信|tel|phone|mobile)[^0-9]{0,6}$", re.IGNORECASE
)
_ID_WORD = re.compile(r"(?:身份证|证件)[^0-9]{0,6}$")
_CARD_WORD = re.compile(
    r"(?:银行|信用卡|储蓄卡|借记卡|工资卡|卡号|账号|账户|尾号|工行|建行|农行|中行|招行|交行)[^0-9]{0,6}$"
)
# SF13800138000 is a parcel, example.com/13800138000 an article; tel13800138000 is a phone.
_LETTERS_BEFORE = re.compile(r"([A-Za-z]+)[/=]?$")
_PHONE_PREFIXES = frozenset(("tel", "phone", "mobile", "mob", "call", "t", "m", "v", "vx", "wx", "wechat", "qq", "app"))


def phones(text: str) -> Iterator[PiiSpan]:
    """Mobile, landline, service (400, 800) and foreign numbers."""
    for match in _MOBILE.finditer(text):
        certainty = _mobile_certainty(text, match.start(), _digits(match["number"]))
        if certainty:
            yield PiiSpan(MOBILE, match.start(), match.end(), certainty)
    for match in _SPELLED.finditer(text):
        number = "".join(_HAN_DIGITS.get(char, char) for char in match[0])
        if number != match[0] and _valid_phone(number):
            yield PiiSpan(MOBILE, match.start(), match.end(), "low")
    for pattern in (_LANDLINE, _SERVICE):
        for match in pattern.finditer(text):
            number = re.split(r"转|#|ext", match[0])[0]
            if not _told_otherwise(text, match.start()) and _valid_phone(_without_extension(number)):
                yield PiiSpan(LANDLINE, match.start(), match.end(), "high")
    for match in _FOREIGN.finditer(text):
        if _valid_phone(match[0]):
            yield PiiSpan(MOBILE if _is_mobile(match[0]) else LANDLINE, match.start(), match.end(), "high")
    for match in _LOCAL.finditer(text):
        yield PiiSpan(LANDLINE, match.start("number"), match.end("number"), "low")


def resident_ids(text: str) -> Iterator[PiiSpan]:
    """Resident ids of 18 and of 15 digits; passports and permits where they are named."""
    for match in _RESIDENT.finditer(text):
        number = match[0].replace(" ", "").replace("-", "").upper()
        if _resident_region_and_date(number) and _resident_check_digit(number):
            yield PiiSpan(RESIDENT_ID, match.start(), match.end(), "high")
        elif _ID_WORD.search(text[max(0, match.start() - 12) : match.start()]):
            yield PiiSpan(RESIDENT_ID, match.start(), match.end(), "low")
    for match in _OLD_RESIDENT.finditer(text):
        number = match[0]
        if not _told_otherwise(text, match.start()) and _resident_region_and_date(f"{number[:6]}19{number[6:]}0"):
            yield PiiSpan(RESIDENT_ID, match.start(), match.end(), "low")
    for match in _PERMIT.finditer(text):
        yield PiiSpan(RESIDENT_ID, match.start("number"), match.end("number"), "low")


def bank_cards(text: str) -> Iterator[PiiSpan]:
    """Card numbers by issuer and Luhn; by either of them where a card or account is spoken of."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        number = _digits(match[0])
        issuer = (_ISSUER_16 if len(number) == 16 else _ISSUER_LONG).match(number) is not None
        checked = luhn.is_valid(number)
        spoken_of = _CARD_WORD.search(text[max(0, match.start() - 12) : match.start()]) is not None
        if issuer and checked and (spoken_of or not _told_otherwise(text, match.start())):
            yield PiiSpan(BANK_CARD, match.start(), match.end(), "high")
        elif spoken_of and (issuer or checked):
            yield PiiSpan(BANK_CARD, match.start(), match.end(), "low")


def _mobile_certainty(text: str, start: int, number: str) -> Certainty | None:
    before = text[max(0, start - 12) : start]
    letters = _LETTERS_BEFORE.search(before)
    if _told_otherwise(text, start) or (letters and letters[1].lower() not in _PHONE_PREFIXES):
        return None
    if _valid_phone(number):
        return "high"
    # Prefixes that the metadata does not know (yet).
    return "low" if _PHONE_WORD.search(before) else None


def _told_otherwise(text: str, start: int) -> bool:
    return _NOT_PERSONAL.search(text[max(0, start - 12) : start]) is not None


def _valid_phone(number: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, "CN"))
    except phonenumbers.NumberParseException:
        return False


def _is_mobile(number: str) -> bool:
    from phonenumbers import PhoneNumberType, number_type, parse

    return number_type(parse(number, "CN")) in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def _without_extension(number: str) -> str:
    """The leading groups of a landline number: 010-62345678-801 without the 801."""
    return re.sub(r"(?<=[0-9]{7})[ ]?-[ ]?[0-9]{1,6}$|(?<=[0-9]{4})-[0-9]{1,3}$", "", number)


def _resident_region_and_date(number: str) -> bool:
    if not _REGION.match(number) or number[6:8] not in ("19", "20"):
        return False
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14])).year < 2040
    except ValueError:
        return False


def _resident_check_digit(number: str) -> bool:
    from stdnum.cn.ric import calc_check_digit

    return bool(calc_check_digit(number[:-1]) == number[-1])


def _digits(text: str) -> str:
    return "".join(char for char in text if "0" <= char <= "9")
