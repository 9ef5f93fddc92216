"""Parts of a test set that are worth a figure of their own: source, length, script, and probes for hard wording.

The probes go by tags (`metadata["tags"]`) and by cue words. A cue marks wording that is often sarcastic or negated;
it finds places to look, it is no label.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.feedback import Example
from pipeline.script import simplify

Mask = NDArray[np.bool_]

MIN_ROWS = 10  # a figure on fewer rows says nothing
MAX_SOURCES = 40
MAX_TAGS = 20

LENGTHS = ((0, 15), (15, 40), (40, 100), (100, 300), (300, None))

_TRADITIONAL_SHARE = 0.05  # of the characters; a single 乾 or 後 occurs in simplified text too

CUES = {
    "sarcasm": re.compile(
        r"呵呵|(?:真|可真|还真|好一个)[^，。！？]{0,4}[“\"「][^”\"」]{1,8}[”\"」]|[“\"「](?:好|优质|贴心|专业|周到|高效|正品)[^”\"」]{0,6}[”\"」]"
        r"|也是醉了|我真是?服了|真行|厉害了|好样的|涨姿势|开眼|谢谢你们?(?:全家|啊|了)|真是好(?:服务|样|东西)|太“?贴心”?了吧"
        r"|(?:可真|真)(?:是)?(?:会做生意|有你们?的|不愧)|不愧是|笑死|真棒啊|感谢[^，。！？]{0,8}让我"
    ),
    "negation": re.compile(
        r"(?:不|没|没有|无|未|毫无|并非|谈不上|算不上|称不上|从不|绝不)[^，。！？\s]{0,6}"
        r"(?:好|满意|推荐|值|喜欢|舒服|方便|清楚|准时|及时|新鲜|干净|专业|热情|耐心|错|差|坏|贵|失望|问题|毛病)"
    ),
    "contrast": re.compile(r"但是?|不过|可惜|就是|然而|虽然|除了|美中不足|可是"),
}
"""Probe -> pattern over the raw text."""


def slices(examples: Sequence[Example]) -> dict[str, Mask]:
    """Name of each slice with at least MIN_ROWS examples, such as `length=15-40` -> (n,) rows in it."""
    texts = [example.text for example in examples]
    found = _by_source(examples) | _by_length(texts) | {"script=traditional": _mask(_traditional(t) for t in texts)}
    tags = [_tags(example.feedback.metadata) for example in examples]
    found |= _by_tag(tags)
    for probe, cue in CUES.items():
        found[f"probe={probe}"] = _mask(
            probe in tag or cue.search(text) is not None for tag, text in zip(tags, texts, strict=True)
        )
    return {name: mask for name, mask in found.items() if mask.sum() >= MIN_ROWS}


def _by_source(examples: Sequence[Example]) -> dict[str, Mask]:
    names = Counter(example.source for example in examples if example.source)
    if len(names) < 2:
        return {}
    return {
        f"source={name}": _mask(example.source == name for example in examples)
        for name, _ in names.most_common(MAX_SOURCES)
    }


def _by_tag(tags: Sequence[set[str]]) -> dict[str, Mask]:
    counts = Counter(tag for row in tags for tag in row if tag not in CUES)
    return {f"tag={name}": _mask(name in row for row in tags) for name, _ in counts.most_common(MAX_TAGS)}


def _by_length(texts: Sequence[str]) -> dict[str, Mask]:
    length = np.array([len(text.strip()) for text in texts])
    return {
        f"length={low}-{high}" if high else f"length={low}+": (length >= low) & (length < (high or np.inf))
        for low, high in LENGTHS
    }


def _traditional(text: str) -> bool:
    simplified, offsets = simplify(text)
    changed = sum(char != text[offsets[i]] for i, char in enumerate(simplified))
    return changed > _TRADITIONAL_SHARE * len(text)


def _tags(metadata: Mapping[str, object]) -> set[str]:
    tags = metadata.get("tags", ())
    if isinstance(tags, str):
        return set(re.findall(r"[^;,\s]+", tags))
    return {str(tag) for tag in tags} if isinstance(tags, list | tuple) else set()


def _mask(values: Iterable[bool]) -> Mask:
    return np.fromiter(values, dtype=np.bool_)
