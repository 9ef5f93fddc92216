"""The pre-training corpus: public texts, screened, each once, as token numbers on disk.

    corpus/
      tokenizer.json
      feedback-000.npy …   uint16: documents one after the other in random order
      general-000.npy …
      manifest.json        sources, counts, what was held back and why, digests, also of what it was built from

A document is [CLS] … [SEP], at most 512 tokens. Bit 15 of a token says that it goes on a word, for whole-word masks.
The folder holds others' texts in another form: it is never committed and never shipped.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.tokenization import CLS, SEP, FeedbackTokenizer
from pipeline.atomic import atomic_folder
from pipeline.duplicates import text_key
from pipeline.errors import DataError, TextError
from pipeline.prepare import prepare, text_contract
from training.corpus_source import corpus_source, file_digest
from training.leakage import MATCHES, LeakGuard, guard_of
from training.progress import Progress
from training.public_sets import Found, Kind, PublicSet, found_in, present_sets, public_sets, unlisted
from training.vocabulary import VocabularySettings, WordCutter, batches, build_vocabulary

MANIFEST, TOKENIZER = "manifest.json", "tokenizer.json"
KINDS: tuple[Kind, ...] = ("feedback", "general")
CONTINUES = np.uint16(1 << 15)
MAX_TOKENS = 512
NAME_SETS = "name them in a table of your own, in the form of data/public_sets.toml, with --sets FILE.toml"

Tokens = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class CorpusSettings:
    """How much is taken, and how it is cut."""

    max_tokens: int = 32_000_000  # 61 MiB in all; feedback first, general text as far as it fits
    shard_tokens: int = 4_000_000
    min_chars: int = 4  # shorter comments ("好") tell nothing about their words
    max_chars: int = 20_000  # of one article
    duplicate_chars: int = 60  # texts with the same first ones (letters, digits, Han) count as one
    seed: int = 7


@dataclass
class Source:
    """What became of the texts of one set."""

    kind: Kind
    about: str = ""
    read: int = 0
    unreadable: int = 0
    same: int = 0  # held back by the guard: the match
    contained: int = 0
    near: int = 0
    duplicate: int = 0
    short: int = 0
    over: int = 0  # found no room
    documents: int = 0
    characters: int = 0
    tokens: int = 0


def build_corpus(
    data: Path,
    folder: Path,
    *,
    tokenizer: FeedbackTokenizer | None,
    settings: CorpusSettings,
    vocabulary: VocabularySettings,
    progress: Progress,
    table: tuple[PublicSet, ...] | None = None,
) -> None:
    """Read the public sets under `data` and write the corpus; `tokenizer`: that of the encoder that goes on from it.

    `table`: the sets to look for; by default the shipped one. Raises ConfigError and DataError as public_sets does,
    DataError `no_texts` where nothing is left.
    """
    table = public_sets() if table is None else table
    sets = present_sets(data, table)
    origin = corpus_source(data, sets)  # before the hours of reading, so that a file changed meanwhile is noticed later
    passed_over = unlisted(data, table)
    if passed_over:
        progress.say(f"not read, since no table names them: {_listed(passed_over)} ({NAME_SETS})")
    guard = guard_of(data, sets)
    progress.say(str(guard))
    texts, sources = gather(data, sets, guard=guard, settings=settings, progress=progress)
    if tokenizer is None:
        progress.say("counting words for the vocabulary")
        tokenizer = build_vocabulary(_balanced(texts, sources), vocabulary, max_tokens=MAX_TOKENS)
    documents = encode(texts, sources, tokenizer=tokenizer, settings=settings, progress=progress)
    write(folder, documents, sources, tokenizer=tokenizer, settings=settings, origin=origin)
    progress.say(f"{sum(source.tokens for source in sources.values()):,} tokens in {folder}")


def gather(
    data: Path, sets: Sequence[PublicSet], *, guard: LeakGuard, settings: CorpusSettings, progress: Progress
) -> tuple[dict[str, list[str]], dict[str, Source]]:
    """Prepared texts by set: readable, not guarded, each once over all sets, feedback before general text."""
    texts: dict[str, list[str]] = {}
    sources: dict[str, Source] = {}
    seen: set[str] = set()
    ordered = sorted(sets, key=lambda one: KINDS.index(one.kind))
    with progress.bar("reading", len(ordered)) as advance:
        for number, one in enumerate(ordered):
            advance(number, note=one.name)
            sources[one.name] = source = Source(one.kind, one.about)
            raw = _shared(data, one, seed=settings.seed)
            texts[one.name] = list(_clean(raw, source, guard=guard, seen=seen, settings=settings))
        advance(len(ordered))
    if not any(texts.values()):
        passed_over = unlisted(data, sets)
        also = f"; {_listed(passed_over)} is there, but in no table of sets: {NAME_SETS}" if passed_over else ""
        raise DataError("no_texts", f"{data}: expected texts to pre-train on; found none that may be used{also}")
    return texts, sources


def encode(
    texts: Mapping[str, Sequence[str]],
    sources: Mapping[str, Source],
    *,
    tokenizer: FeedbackTokenizer,
    settings: CorpusSettings,
    progress: Progress,
) -> dict[Kind, list[Tokens]]:
    """Documents of each kind, in order of the sets, until `max_tokens` are reached; completes the counts."""
    cutter = WordCutter()
    documents: dict[Kind, list[Tokens]] = {kind: [] for kind in KINDS}
    used = 0
    with progress.bar("encoding", len(texts)) as advance:
        for number, (name, found) in enumerate(texts.items()):
            advance(number, note=name)
            source = sources[name]
            for batch in batches(found):
                if used >= settings.max_tokens:
                    source.over += len(batch)
                    continue
                made = [piece for pieces in _encoded(batch, tokenizer, cutter) for piece in pieces]
                size = sum(map(len, made))
                source.documents += len(made)
                source.characters += sum(map(len, batch))
                source.tokens += size
                used += size
                documents[source.kind] += made
        advance(len(texts))
    return documents


def write(
    folder: Path,
    documents: Mapping[Kind, Sequence[Tokens]],
    sources: Mapping[str, Source],
    *,
    tokenizer: FeedbackTokenizer,
    settings: CorpusSettings,
    origin: Mapping[str, Any],
) -> None:
    """Shuffle, write shards and manifest; the folder appears whole or not at all."""
    rng = np.random.default_rng(settings.seed)
    with atomic_folder(folder) as target:
        shards: list[dict[str, Any]] = []
        for kind in KINDS:
            order = rng.permutation(len(documents[kind]))
            for shard in _shards((documents[kind][i] for i in order), settings.shard_tokens):
                file = f"{kind}-{sum(one['kind'] == kind for one in shards):03d}.npy"
                np.save(target / file, shard, allow_pickle=False)
                shards.append({"file": file, "kind": kind, "tokens": len(shard), "sha256": file_digest(target / file)})
        (target / TOKENIZER).write_text(tokenizer.to_json(), encoding="utf-8")
        manifest = {
            "format": 1,
            "tokens": sum(one["tokens"] for one in shards),
            "settings": asdict(settings),
            "text": asdict(text_contract()),
            "tokenizer_sha256": file_digest(target / TOKENIZER),
            "guard": list(MATCHES),
            "origin": origin,
            "sources": {name: asdict(source) for name, source in sources.items()},
            "shards": shards,
        }
        (target / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished corpus; DataError `corpus_unreadable` where there is none."""
    try:
        body: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("corpus_unreadable", f"{folder}: expected a corpus with {MANIFEST}: {error}") from error
    if body.get("format") != 1:
        raise DataError("corpus_unreadable", f"{folder}: expected a corpus of format 1; found {body.get('format')!r}")
    return body


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _shared(data: Path, one: PublicSet, *, seed: int) -> Iterator[Found]:
    rng = np.random.default_rng(seed)
    for split in one.text:
        for found in found_in(data, one, split):
            if one.share >= 1 or rng.random() < one.share:
                yield found


def _clean(
    raw: Iterable[Found], source: Source, *, guard: LeakGuard, seen: set[str], settings: CorpusSettings
) -> Iterator[str]:
    for found in raw:
        source.read += 1
        try:
            prepared = prepare(found.text, max_chars=settings.max_chars).text
        except TextError:
            source.unreadable += 1
            continue
        head = text_key(prepared)[: settings.duplicate_chars]
        if len(head) < settings.min_chars:
            source.short += 1
        elif head in seen:
            source.duplicate += 1
        elif (match := guard.match(prepared, found.forms)) is not None:
            setattr(source, match, getattr(source, match) + 1)
        else:
            seen.add(head)
            yield prepared


def _balanced(texts: Mapping[str, Sequence[str]], sources: Mapping[str, Source]) -> Iterator[str]:
    """All feedback, and about half as much general text: the words are to be those of feedback."""
    sizes: Counter[Kind] = Counter()
    for name, found in texts.items():
        sizes[sources[name].kind] += sum(map(len, found))
    step = max(1, round(2 * sizes["general"] / max(sizes["feedback"], 1)))
    for name, found in texts.items():
        yield from found if sources[name].kind == "feedback" else found[::step]


def _encoded(batch: Sequence[str], tokenizer: FeedbackTokenizer, cutter: WordCutter) -> Iterator[list[Tokens]]:
    """The documents of each text: one, or several where it is long."""
    first, last = (np.array([tokenizer.backend.token_to_id(token)], np.uint16) for token in (CLS, SEP))
    encodings = tokenizer.backend.encode_batch(list(batch), add_special_tokens=False)
    for encoding, words in zip(encodings, cutter.cut(batch), strict=True):
        ids = np.array(encoding.ids, np.uint16)
        starts = {start for start, _ in words}
        within = np.array([start not in starts for start, _ in encoding.offsets], bool)
        ids[within] |= CONTINUES
        step = MAX_TOKENS - 2
        yield [np.concatenate([first, ids[at : at + step], last]) for at in range(0, len(ids), step)]


def _shards(documents: Iterable[Tokens], size: int) -> Iterator[Tokens]:
    waiting: list[Tokens] = []
    count = 0
    for document in documents:
        waiting.append(document)
        count += len(document)
        if count >= size:
            yield np.concatenate(waiting)
            waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting)
