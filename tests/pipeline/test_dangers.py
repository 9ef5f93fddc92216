"""pipeline/dangers.py: which dangers a comment tells of, and the file that names them."""

import time
from pathlib import Path
from typing import Any

import pytest
from emoji import EMOJI_DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dangers import Danger, DangerLexicon, dangers_from_dict, find_dangers, load_dangers
from pipeline.errors import ConfigError
from pipeline.prepare import prepare

LEXICON = load_dangers()

TOLD = [
    # fire and electricity
    ("充电器插上就冒烟，差点把床烧了", ["fire"]),
    ("差点着火，幸亏我在家", ["fire"]),
    ("差点没爆炸，吓得我把插头拔了", ["fire"]),
    ("不是没有着火，是火被我及时扑灭了", ["fire"]),
    ("没有人管，着火了！", ["fire"]),
    ("没事？都冒烟了", ["fire"]),
    ("没几天就冒烟了", ["fire"]),
    ("没想到刚用就起火", ["fire"]),
    ("好好的怎么会自燃，你们给个说法", ["fire"]),
    ("厨房里一股煤气味，打燃气公司没人接", ["fire"]),
    ("燃气爆炸把玻璃都震碎了", ["fire"]),
    ("熱水壺漏電，手一碰就麻", ["electric", "electric"]),
    ("插上电源外壳麻手，这是漏电吧", ["electric", "electric"]),
    ("是不是漏电了？碰一下胳膊都麻了", ["electric"]),
    ("用了不到一周就漏电", ["electric"]),
    ("热水器漏电严重", ["electric"]),
    # body
    ("吃完全家拉肚子，孩子还在打点滴", ["poison", "poison"]),
    ("恐怕是食物中毒", ["poison"]),
    ("不会是食物中毒吧，三个人都吐了一晚上", ["poison", "poison"]),
    ("涂完整张脸又红又肿", ["allergy"]),
    ("汤里吃出一根头发和半只虫", ["foreign_body"]),
    ("孩子不小心被烫伤了", ["injury"]),
    ("椅子腿断了，老人摔倒骨折", ["injury", "injury"]),
    ("还好没受伤，但是玻璃炸了一地，保安流血了", ["fire", "injury"]),
    ("奶奶吃完被送到医院抢救", ["injury", "injury"]),
    ("你们再这样逼我，我不想活了", ["self_harm"]),
    ("催收天天骂，我老婆说想跳楼", ["self_harm"]),
    ("骑手动手打人，还威胁我", ["violence", "violence"]),
    # money and data
    ("卡里被盗刷了两千多", ["fraud"]),
    ("这不是诈骗吗？", ["fraud"]),
    ("这难道不是诈骗", ["fraud"]),
    ("账号异地登录，钱被转走了", ["fraud", "fraud"]),
    ("被盗刷了怎么办", ["fraud"]),
    ("刚注册就接推销电话，我的信息泄露了", ["leak"]),
    # threats
    ("不处理就起诉", ["legal"]),
    ("再不退款我就打１２３１５", ["regulator"]),
    ("如果你们还不退，我就起诉", ["legal"]),
    ("能不能起诉你们？", ["legal"]),
    ("律师函下周寄到", ["legal"]),
    ("法庭上見", ["legal"]),
    ("别逼我报警", ["police"]),
    ("不得不报警了", ["police"]),
    ("你们没人解决我就打12345", ["regulator"]),
    ("已经投诉到消协和市场监管局", ["regulator", "regulator"]),
    ("打官司也要讨回来，媒体曝光你们", ["legal", "media"]),
    ("再不给说法就找记者", ["media"]),
]

NOT_TOLD = [
    # denied
    "没有着火",
    "用了两年都没有漏电",
    "不会漏电，放心用",
    "没受伤",
    "人没有受伤就好",
    "没有人受伤",
    "还好没有中毒",
    "孩子没被烫伤",
    "从来没有发生过爆炸",
    "没有漏电、冒烟、短路的情况",
    "没有冒烟或者着火",
    "不用担心漏电",
    "不必担心会被盗刷",
    "不用过多考虑容易被盗的问题",
    "漏电的情况目前没有",
    "受伤倒没有",
    "不想起诉",
    "不打算投诉12315",
    "没必要也不想打官司",
    "报警就算了",
    "懒得报警",
    "不是诈骗，是我自己忘了",
    # asked before buying
    "会不会漏电？",
    "会漏电吗",
    "有没有漏电的危险",
    "请问会不会爆炸呀",
    "这款有触电的风险吗？",
    "充电的时候会不会冒烟啊",
    # supposed
    "如果起火怎么办",
    "万一漏电怎么办呢",
    "要是爆炸了谁负责",
    "漏电的话能赔吗",
    "万一半夜没人，起火了怎么办",
    "好怕会爆炸",
    "一直很担心孩子被烫伤",
    "以为被盗刷了，结果是我妈买的菜",
    # guarded against
    "带防漏电功能，很安心",
    "防止起火的设计不错",
    "小心烫伤，杯子很热",
    "谨防诈骗",
    "漏电保护很灵敏",
    # said in another sense
    "好吃到爆炸",
    "辣得嗓子冒烟",
    "围着火炉吃着火锅",
    "今天一起火锅吧",
    "烫伤膏收到了，日期新鲜",
    "手机待机漏电快",
    "电脑中毒了，杀毒软件卡",
    "跳楼价买的，很划算",
    "相机的曝光时间不好调",
    "打人工客服一直占线",
    "起诉状模板很实用",
    "胎压报警很准",
    "我是敏感肌，不过敏",
    "总价12345元，太贵了",
    "订单号812315009",
    "很好吃🤮",
    "快递很快，包装完好",
]


def groups(text: str) -> list[str]:
    return [danger.group for danger in find_dangers(prepare(text).text, LEXICON)]


@pytest.mark.parametrize(("text", "expected"), TOLD)
def test_a_danger_that_is_told_is_found(text: str, expected: list[str]) -> None:
    assert groups(text) == expected


@pytest.mark.parametrize("text", NOT_TOLD)
def test_a_danger_that_is_not_told_is_none(text: str) -> None:
    assert groups(text) == []


def test_where_it_stands_and_what_it_raises_to() -> None:
    text = prepare("鍋鏟斷了，手被燙傷").text
    assert text == "锅铲断了,手被烫伤"
    assert find_dangers(text, LEXICON) == (Danger("injury", "烫伤", "critical", 7, 9),)
    assert [danger.level for danger in find_dangers("用完全身过敏", LEXICON)] == ["high"]


def test_a_gap_spans_six_characters_of_one_clause_and_no_denial() -> None:
    lexicon = small(terms=["吃…吐了"])
    assert [danger.term for danger in find_dangers("吃了两口就吐了", lexicon)] == ["吃…吐了"]
    assert find_dangers("吃了一二三四五六吐了", lexicon) == ()
    assert find_dangers("吃了,吐了", lexicon) == ()
    assert find_dangers("吃了没吐了", lexicon) == ()


def test_the_longest_spelling_counts() -> None:
    lexicon = small(terms=["被盗", "被盗刷"], exceptions=["被盗险"])
    assert [danger.term for danger in find_dangers("被盗刷,被盗险,被盗", lexicon)] == ["被盗刷", "被盗"]


def test_a_number_counts_alone() -> None:
    lexicon = small(terms=["12315"])
    texts = ("我打12315", "我要打12315!", "拨打812315", "拨打123150", "一共12315元")
    assert [len(find_dangers(text, lexicon)) for text in texts] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12345", 0), ("12315", 0), ("12345上山打老虎", 1), ("12315!!", 0), ("a 12345 b", 0), ("好12345", 0),
        ("12345 [手机号]", 0), ("[手机号][手机号]12345", 0), ("打过12345", 1), ("12345没人管", 1), ("我, 12345, 见", 1),
        ("不好 , , , 12345", 0),
    ],
)  # fmt: skip
def test_a_number_counts_among_words_only(text: str, found: int) -> None:
    assert len(find_dangers(text, small(terms=["12345", "12315"]))) == found


def test_calling_the_number_is_a_threat_however_short() -> None:
    assert [danger.term for danger in find_dangers("打12315", LEXICON)] == ["打12315"]
    assert find_dangers("12315", LEXICON) == ()


def test_what_is_named_together_is_denied_together() -> None:
    lexicon = small(terms=["漏电", "起火"])
    assert find_dangers("没有漏电和起火", lexicon) == ()
    assert [danger.term for danger in find_dangers("没有漏电但是起火", lexicon)] == ["起火"]
    assert [danger.term for danger in find_dangers("不是没有漏电、起火", lexicon)] == ["漏电", "起火"]


def test_an_emoji_is_no_danger() -> None:
    found = [emoji for emoji in EMOJI_DATA if find_dangers(prepare(f"好{emoji}").text, LEXICON)]
    assert found == []


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="没有不会着火漏电吗？，12315 起诉就…冒烟a\n如果怕是", max_size=60) | st.text(max_size=60))
def test_offsets_are_within_any_text(text: str) -> None:
    found = find_dangers(text, LEXICON)
    assert all(0 <= danger.start < danger.end <= len(text) for danger in found)
    assert [danger.start for danger in found] == sorted(danger.start for danger in found)
    assert all(danger.term.split("…")[0] == text[danger.start :][: len(danger.term.split("…")[0])] for danger in found)


@pytest.mark.parametrize("unit", ["着火", "没有着火", "不会是没有", "没有不", "吃", "1", "一"])
def test_time_is_linear(unit: str) -> None:
    text = (unit * 2000)[:2000] + "x着火"
    started = time.process_time()
    find_dangers(text, LEXICON)
    assert time.process_time() - started < 0.5


def test_every_group_of_the_shipped_file() -> None:
    levels = {(entry.group, entry.level, entry.threat) for entry in LEXICON.entries}
    harm = {"fire", "electric", "poison", "injury", "self_harm", "violence", "fraud", "leak"}
    threats = {"legal", "regulator", "police", "media"}
    assert levels == {
        *((group, "critical", False) for group in harm),
        *((group, "critical", True) for group in threats),
        ("allergy", "high", False),
        ("foreign_body", "high", False),
        ("regulator", "high", True),
    }


def test_no_exception_of_the_shipped_file_hides_a_longer_term() -> None:
    """An exception counts wherever it begins first, so that no term may hold it at its start."""
    exceptions = {exception for entry in LEXICON.entries for exception in entry.exceptions}
    terms = {term for entry in LEXICON.entries for term in entry.terms}
    assert terms & exceptions == set()


def test_an_empty_file_finds_nothing() -> None:
    assert find_dangers("着火了", dangers_from_dict({})) == ()


def small(**entry: Any) -> DangerLexicon:
    return dangers_from_dict({"dangers": [{"group": "any", "level": "critical", **entry}]})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"group": "起火"}, "[[dangers]] 1: group is lower-case ASCII letters, digits and _; found '起火'"),
        ({"level": 3}, "[[dangers]] 1 (any): level is a label of the due task, such as 'critical'; found 3"),
        ({"threat": "yes"}, "[[dangers]] 1 (any): threat is true or false; found 'yes'"),
        ({"terms": []}, "[[dangers]] 1 (any) terms: expected at least one; found none"),
        ({"terms": "着火"}, "[[dangers]] 1 (any) terms: expected a list of texts; found '着火'"),
        ({"terms": ["著火", 1]}, "[[dangers]] 1 (any) terms: expected a list of texts; found ['著火', 1]"),
        (
            {"terms": ["漏電"]},
            "[[dangers]] 1 (any) terms: '漏電' is not as a prepared text spells it; write '漏电'",
        ),
        ({"terms": ["吃…"]}, "[[dangers]] 1 (any) terms: '吃…' is not as a prepared text spells it; write 'words'"),
        ({"terms": [" "]}, "[[dangers]] 1 (any) terms: ' ' is not as a prepared text spells it; write 'words'"),
        (
            {"exceptions": ["火锅"]},
            "[[dangers]] 1 (any) exceptions: '火锅' holds none of its terms, so that it excepts nothing",
        ),
        ({"words": []}, "[[dangers]] 1: unknown key 'words'; known: exceptions, group, level, terms, threat"),
    ],
)
def test_mistakes_are_told_with_their_place(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        small(**{"terms": ["着火"], **entry})
    assert (raised.value.code, raised.value.message) == ("dangers_invalid", f"dangers: {message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"groups": []}, "the file: unknown key 'groups'; known: dangers, version"),
        ({"dangers": {}}, "dangers: expected tables [[dangers]]; found dict"),
        ({"dangers": ["fire"]}, "[[dangers]] 1: expected a table; found str"),
        (
            {
                "dangers": [
                    {"group": "fire", "level": "critical", "terms": ["着火"]},
                    {"group": "smoke", "level": "high", "terms": ["着火"]},
                ]
            },
            "'着火' stands twice, in fire and smoke; keep one of them",
        ),
    ],
)
def test_mistakes_of_the_file_as_a_whole(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        dangers_from_dict(data)
    assert raised.value.message == f"dangers: {message}"


def test_a_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_dangers(tmp_path / "no.toml")
    assert raised.value.message == (
        f"danger file {tmp_path / 'no.toml'} does not exist; correct file in [dangers] of the routing policy"
    )
    with pytest.raises(ConfigError) as folder:
        load_dangers(tmp_path)
    assert folder.value.message == f"danger file {tmp_path} cannot be read: Is a directory"
    (tmp_path / "bad.toml").write_text("[[dangers", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid: "):
        load_dangers(tmp_path / "bad.toml")
