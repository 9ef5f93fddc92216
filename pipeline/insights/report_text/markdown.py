"""A report as Markdown (GitHub's): the same sentences, cards as lists, bars as tables, charts as a sentence."""

import re
from collections.abc import Iterable, Sequence

from pipeline.insights.report_text.document import Bars, Block, Card, Document, Heat, Section, Splits, Table

_MARKS = re.compile(r"([\\`*_\[\]|~])")
_LINE_START = re.compile(r"^([-+#>=]|\d+(?=[.)](?:\s|$)))")


def to_markdown(document: Document) -> str:
    """The whole text."""
    colon = "：" if document.language == "zh" else ": "
    parts = [f"# {plain(document.title)}", plain(document.subtitle), "\n".join(map(plain, document.summary))]
    parts.append(_list(f"**{plain(t.name)}**{colon}{plain(t.value)} {_aside(t.note)}".rstrip() for t in document.tiles))
    for section in document.sections:
        parts += _section(section, colon)
    parts.append(f"---\n\n{plain(document.footer)}")
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Text that Markdown takes as text: no tag, no link, no emphasis out of what customers wrote."""
    found = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    found = _MARKS.sub(r"\\\1", found)
    # Bare addresses become links by themselves; these stay readable and do not.
    found = found.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")
    return _LINE_START.sub(lambda m: m[1] + "\\" if m[1].isdigit() else "\\" + m[1], found)


def _aside(note: str) -> str:
    return f"({plain(note)})" if note else ""


def _section(section: Section, colon: str) -> list[str]:
    parts = [f"## {plain(section.title)}"]
    # Two sentences of a section are two matters: each a paragraph of its own.
    parts += [plain(sentence) for sentence in section.lead if sentence]
    for block in section.blocks:
        parts.append(_block(block, colon))
    return parts + [plain(sentence) for sentence in section.after if sentence]


def _block(block: Block, colon: str) -> str:
    if isinstance(block, Card):
        lines = [f"### {plain(block.title)} ({plain(block.badge)})", ""]
        lines.append(_list(f"**{plain(name)}**{colon}{plain(text)}" for name, text in block.facts))
        lines += [f"\n> {plain(text)}" for text in block.quotes]
        return "\n".join(lines)
    if isinstance(block, Bars):
        rows = [(bar.name, bar.now_text, bar.usual_text, bar.change) for bar in block.bars]
        return f"**{plain(block.caption)}**\n\n{_table(block.head, rows)}"
    if isinstance(block, Splits):
        cells = [
            (f"{one.name}{colon}{one.means}", one.praised_text, one.blamed_text, one.count, one.change)
            for one in block.splits
        ]
        return _table(block.head, cells)
    if isinstance(block, Heat):
        return f"**{plain(block.caption)}**\n\n{_table(block.head, [(row.name, row.total) for row in block.rows])}"
    if isinstance(block, Table):
        return _table(block.head, block.rows)
    return plain(block.told)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, *rows]
    told = ["| " + " | ".join(map(plain, line)) + " |" for line in lines]
    return "\n".join([told[0], "|" + "---|" * len(head), *told[1:]])


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
