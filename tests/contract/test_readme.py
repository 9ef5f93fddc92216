"""README.md and README.zh-CN.md: the same commands in both, each verb told, and the real answer is the real answer."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fankui

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", ["bash", "console", "csv", "json", "python"])
def test_both_languages_show_the_same_blocks(language: str) -> None:
    assert blocks(ENGLISH, language) == blocks(CHINESE, language)
    assert blocks(ENGLISH, language)


def test_both_languages_show_the_same_figures() -> None:
    def figures(path: Path) -> list[str]:
        rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        return [number for row in rows for number in re.findall(r"\d+(?:\.\d+)?", row)]

    assert figures(ENGLISH) == figures(CHINESE)
    assert len(figures(ENGLISH)) > 20


def test_order_of_the_sections() -> None:
    wanted = ["commands", "Results", "Train", "Serve", "Score", "folders", "Limits"]
    heads = re.findall(r"^## (.*)$", ENGLISH.read_text(encoding="utf-8"), re.MULTILINE)
    assert [next((w for w in wanted if w in head), head) for head in heads] == wanted
    assert len(re.findall(r"^## ", CHINESE.read_text(encoding="utf-8"), re.MULTILINE)) == len(wanted)


def test_every_command_in_it_exists_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(blocks(ENGLISH, "bash") + blocks(ENGLISH, "console"))
    for line in re.findall(r"^(?:\$ )?fankui (.*)$", text, re.MULTILINE):
        words = line.split()
        verb = words[:2] if fankui.VERBS[words[0]].group else words[:1]
        assert fankui.run([*verb, "--help"]) == 0
        help_text = capsys.readouterr().out
        for option in re.findall(r"(?<!\S)--[a-z-]+", line):
            assert option in help_text, f"{line}: {option}"


def test_every_verb_is_told() -> None:
    for readme in (ENGLISH, CHINESE):
        told = set(re.findall(r"\bfankui ([a-z]+)\b", readme.read_text(encoding="utf-8")))
        assert set(fankui.VERBS) - told == set(), readme.name


def leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every number, text and truth value of a JSON document with its place."""
    if isinstance(node, dict | list):
        entries = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in entries:
            yield from leaves(value, f"{place}/{key}")
    else:
        yield place, node


@pytest.mark.slow
def test_the_request_gets_the_answer_that_is_shown(start_server: Callable[..., Any]) -> None:
    (command, *_), (answer, *_) = blocks(ENGLISH, "console"), blocks(ENGLISH, "json")
    body = re.search(r"-d '(.*)'", command)
    assert body is not None
    server = start_server("--model", "default")
    request = urllib.request.Request(
        f"{server.url}/v1/classify", data=body[1].encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        real = json.load(response)
    shown = json.loads(answer)
    for document in (real, shown):
        document["results"][0]["decision"].pop("due_at")  # now and an hour
        document["results"][0].pop("id")
    # Another processor adds in another order: the last digits may differ.
    assert list(leaves(real)) == [(place, pytest.approx(leaf, abs=1e-4)) for place, leaf in leaves(shown)]
