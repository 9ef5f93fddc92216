"""Text that was decoded with the wrong encoding, and characters that no Chinese text needs."""

import re
import unicodedata
from functools import lru_cache

_MARKS = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯屯")  # what replacement characters and freed memory turn into
_BEYOND = re.compile(r"[^\x00-\x7f]")
_RUN = re.compile(r"[^\x00-\x7f]{4,}")
_HAN = re.compile(r"[\u3400-\u9fff\u3000-\u303f\uff00-\uffef]")
_LEAST_HAN = 2
_SYMBOLS = frozenset({"So", "Sk", "Sc", "Sm"})


def looks_garbled(text: str) -> bool:
    """Whether any part is mojibake: UTF-8 read as GBK (鐨勫揩閫), either read as Latin-1 (å¿«é), or replaced.

    On 50,000 proper microblog posts it finds one.
    """
    if _MARKS.search(text):
        return True
    runs = _RUN.findall(text)
    # GBK's second bytes may be ASCII, so Latin-1 is looked for in the whole text, if most of it is beyond ASCII.
    mostly = [text] if 2 * len(_BEYOND.findall(text)) > len(text) else []
    return any(_was_gbk(run) for run in runs) or any(_was_latin(run) for run in (*runs, *mostly))


@lru_cache(maxsize=8192)
def is_common(char: str) -> bool:
    """Whether a character is in GBK (all Han in use, traditional too), ASCII, or an emoji or symbol."""
    if char.isascii():
        return char.isprintable() or char in "\t\r\n"
    try:
        char.encode("gbk")
    except UnicodeEncodeError:
        symbol = unicodedata.category(char) in _SYMBOLS or "\U0001f000" <= char <= "\U0001faff"
        return (symbol and char != "\ufffd") or char in "\u200d\ufe0e\ufe0f\u00a0"
    return True


def _was_gbk(run: str) -> bool:
    """UTF-8 bytes read as GBK; the bytes of proper Chinese text are hardly ever valid UTF-8."""
    # Windows reads byte 80 as €, which Python's codec does not know; a torn last character costs one replacement.
    raw = b"\x80".join(part.encode("gbk", "ignore") for part in run.split("€"))
    found = raw.decode("utf-8", "replace")
    return found.count("\ufffd") <= 1 and len(_HAN.findall(found)) >= max(_LEAST_HAN, 0.7 * len(found))


def _was_latin(run: str) -> bool:
    if len(set(run)) < 3:
        return False  # ···· and ………… would be Han by chance
    for latin in ("latin-1", "cp1252"):
        for real in ("utf-8", "gb18030"):
            try:
                found = run.encode(latin).decode(real)
            except UnicodeError:
                continue
            if len(_HAN.findall(found)) >= max(_LEAST_HAN, 0.7 * len(found)):
                return True
    return False
