"""Whether a phrase in a prepared text is told as a fact, or denied, asked beforehand, supposed or guarded against.

“没有着火”, “会不会漏电”, “如果起火怎么办” and “防漏电” tell of no danger; “差点着火” and “没人管，着火了” do.
What counts are the words of the phrase's own clause that stand right beside it: Chinese denies what follows at once
(“不会漏电”); with something between (“没几天就冒烟”, “不处理就起诉”) it is no denial. In doubt the phrase is a fact.
"""

import re

BORDERS = r"。！？；，：…!?;,.:~～|\s"
"""Characters that end a clause, as in a regular expression's set. A space is one, since many write it for a comma; “、”
is none, since what it joins is denied together."""

_BORDER = re.compile(f"[{BORDERS}]")

_REACH = 24
"""Characters before and after the phrase that are read; a clause has about ten."""

# Tried in this order. The plain ones hold a word of denial or caution and are none; 差点没 and 差点 say the same.
_WORDS = {
    "plain": (
        "不得不|差一?点(?:没有?)?|险些(?:没有?)?|再不|要不|不过|不料|没想到|想不到|没料到|没成想|该不会是?"
        "|会不会是|不会是|是不是(?!会|容易|有)|不小心|没小心|没当心|不当心|没注意|不注意|恐怕|可怕|哪怕|只怕"
        "|特别|个别|级别|消防"
    ),
    "asked": "会不会|会否|有没有|有无|是否|能否|能不能|是不是",
    "denied": (
        "没有|没|从未|并未|未曾|未|毫无|并无|无须|无需|无|不是|并非|绝非|不用|不必|不够|不值得|懒得|犯不着|不"
        "|别|勿|免于|免受|甭"
    ),
    "guarded": (
        "防止了?|防范|预防|严防|谨防|提防|防|避免了?|杜绝|以免|免得|省得|远离|当心|小心|注意|警惕|担心|害怕|生怕|怕"
        "|以为|减少|降低|减轻|阻止"
    ),
    "between": (
        "明显|任何|什么|一点|半点|丝毫|出现|存在|发生|发现|遇到|碰到|看到|收到|受到|遭到|遭受|引起|引发|造成"
        "|导致|产生|可能|可以|容易|至于|真的|人员|因此|因为|打算|准备|愿意|需要|考虑|选择|投诉|拨打|联系"
        "|把(?:人|我|孩子|宝宝|老人|手|脚)|让(?:孩子|宝宝|老人)|曾|[跟和与对向给](?:你们?|他们?|她们?|商家|店家|平台|公司)|有|过"
        "|再次?|会|想|要|敢|能|人|被|受|遭|真|去|打|太|怎么|易|是|因"
    ),
}
_WORD = re.compile("|".join(f"(?P<{kind}>{words})" for kind, words in _WORDS.items()))
_BESIDE = re.compile(f"(?>{'|'.join(_WORDS.values())})*+$")  # possessive: 没有 is never tried again as 没 and 有
_WORRY = re.compile(
    "以为|担心|害怕|生怕|(?<![恐可哪只])怕|(?:不用|不必|无需|无须|不需要)(?:太|过多)?(?:考虑|顾虑|操心)"
)
"""Whoever worries, or need not, tells of nothing that happened, wherever in the clause it stands."""

_NOBODY = re.compile("(?:没有?|无)人")

_IF = "(?:如果|(?<![主只重想需])要是|假如|假设|万一|碰巧|倘若|若是|一旦|如若)"
_SUPPOSED = re.compile(_IF)
_SUPPOSED_HERE = re.compile(f"{_IF}(?!不是|没|不(?!小心|慎))")  # “如果不是我在就着火了”: it nearly did
_WHAT_THEN = re.compile("怎么办|咋办|怎么处理|谁负责|谁来负责|找谁")
_OF = "的?(?:危险|风险|情况|现象|问题|可能性?|隐患)"
_ASKED_AFTER = re.compile(f"(?:{_OF})?(?:吗|么|不|没有?)$|了?的话")
_DENIED_AFTER = re.compile(
    f"(?:(?:倒是?|{_OF})(?:目前|暂时|都|也)?(?:没有|没|不会|不至于|不可能|不存在)|是(?:没有|不会|不可能|不存在)"
    "|就(?:算了|免了|不必|不用))(?:了|的|过|发生|出现)*$"
)
_RHETORICAL = re.compile("难道|莫非|不就是|不是")
_TAG = re.compile("吗|么|嘛|是什么")


def asserted(text: str, start: int, end: int, *, threat: bool = False) -> bool:
    """Whether `text[start:end]` is told as a fact, or as a `threat`: that is one whatever its conditions and questions.

    Takes a time that does not depend on the length of the text.
    """
    before, after = _left(text, start), _right(text, end)
    beside = _BESIDE.search(before)
    words = [match.lastgroup for match in _WORD.finditer(beside[0] if beside else "")]
    if "guarded" in words or _DENIED_AFTER.match(after):
        return False
    if _RHETORICAL.search(before) and _TAG.search(after):  # “这不是诈骗吗”
        return True
    if words.count("denied") % 2 and "难道" not in before and not (threat and beside and _NOBODY.search(beside[0])):
        return False
    return threat or not ("asked" in words or _ASKED_AFTER.match(after) or _supposed(text, start, before, after))


def _supposed(text: str, start: int, before: str, after: str) -> bool:
    if _WORRY.search(before) or _SUPPOSED_HERE.search(before):
        return True
    # “万一半夜没人，起火了怎么办”: who asks what then may have begun to suppose in the clause before.
    return bool(_WHAT_THEN.search(after) and _SUPPOSED.search(text[max(0, start - _REACH) : start]))


def _left(text: str, start: int) -> str:
    """The clause as far as it stands before `start`."""
    return _BORDER.split(text[max(0, start - _REACH) : start])[-1]


def _right(text: str, end: int) -> str:
    """The clause as far as it stands after `end`."""
    return _BORDER.split(text[end : end + _REACH], maxsplit=1)[0]
