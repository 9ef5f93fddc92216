"""What batch scoring is measured beside: the engine's bare loop, and HF pipelines as a newcomer writes them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from models.loading import load_predictor
from models.resolving import resolve_model
from pipeline.prepare import prepare
from pipeline.resources import shipped

PADDED = 256
BATCH = 32

Work = Callable[[], None]


def raw_loop(texts: Sequence[str], *, cores: int) -> Work:
    """From ready token ids to logits and no further: as many models as cores, with one thread each."""
    predictors = [load_predictor(resolve_model("default"), threads=1) for _ in range(cores)]
    networks: list[Any] = [getattr(one.model, "network", one.model) for one in predictors]
    prepared = [prepare(text).text for text in texts]
    pieces = [text[start:end] for text in prepared for start, end in networks[0].windows(text)]
    # Longest first and in turn, so that all cores get the same work.
    rows = sorted(networks[0].tokenizer.encode(pieces), key=len, reverse=True)
    shares = [rows[i::cores] for i in range(cores)]

    def work() -> None:
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda pair: pair[0].run(pair[1]), zip(networks, shares, strict=True)))

    return work


def hf_pipeline(folder: Path, texts: Sequence[str]) -> Work:
    """`pipeline("text-classification")` with the padding and the batch size of most tutorials."""
    from transformers import pipeline

    # On a CPU in float32, as it comes: the newcomer gives no dtype.
    classify = pipeline("text-classification", model=str(folder), device="cpu")

    def work() -> None:
        classify(list(texts), padding="max_length", max_length=PADDED, truncation=True, batch_size=BATCH)

    return work


def write_same_encoder(folder: Path) -> Path:
    """The shipped encoder as a classifier of transformers; its three labels are random, for only its speed counts."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    source = shipped("models", "encoder")
    torch.manual_seed(0)
    model = BertForSequenceClassification.from_pretrained(source, num_labels=3, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def write_bert_base(folder: Path) -> Path:
    """A classifier of the shape of bert-base-chinese with random weights, behind the shipped tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    BertForSequenceClassification(BertConfig(vocab_size=21_128, num_labels=3)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(shipped("models", "encoder")).save_pretrained(folder)
    return folder
