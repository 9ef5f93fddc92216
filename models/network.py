"""The network: one shared encoder, one linear head per task of the schema.

Any encoder that transformers knows may be inside; its configuration travels in ours, so that a saved folder
needs nothing from outside.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel

from models.heads import head_width
from models.tokenization import FeedbackTokenizer
from pipeline.errors import ConfigError, SchemaError
from pipeline.privacy import PLACEHOLDERS
from pipeline.schema import LabelSchema, schema_from_dict

EMBEDDING = "embedding"
RESERVED = ("input_ids", "attention_mask", EMBEDDING)
"""Names in the graph that a task cannot have."""

POOLINGS = ("mean", "cls")

# Encoders whose position ids start behind the padding id, so that they hold fewer tokens than positions.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "data2vec-text")


class FeedbackConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What builds a FeedbackClassifier: the encoder's configuration, the label schema, the pooling."""

    model_type = "fankui"

    def __init__(
        self,
        *,
        encoder: Mapping[str, Any] | None = None,
        label_schema: Mapping[str, Any] | None = None,
        pooling: str = "mean",
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        self.encoder = dict(encoder or {})
        self.label_schema = _listed(label_schema or {})
        self.pooling = pooling
        self.dropout = dropout
        if label_schema and "id2label" not in kwargs:
            names = [f"{task.name}.{key}" for task in self.schema().tasks for key in task.keys]
            kwargs["id2label"] = dict(enumerate(names))
            kwargs["label2id"] = {name: i for i, name in enumerate(names)}
        super().__init__(**kwargs)

    def schema(self) -> LabelSchema:
        """The label schema; SchemaError where it was tampered with."""
        tasks = {entry["name"]: {k: v for k, v in entry.items() if k != "name"} for entry in self.label_schema["tasks"]}
        return schema_from_dict({**self.label_schema, "tasks": tasks})


class FeedbackClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Tokens in, logits of every task and one pooled embedding out."""

    config_class = FeedbackConfig
    base_model_prefix = "encoder"

    def __init__(self, config: FeedbackConfig) -> None:
        super().__init__(config)
        self.schema = checked(config.schema())
        self.encoder = _build_encoder(AutoConfig.for_model(**config.encoder))
        self.dropout = nn.Dropout(config.dropout)
        hidden = self.encoder.config.hidden_size
        # A list in schema order: a ModuleDict refuses keys such as "type" and "keys", which tasks may well be called.
        self.heads = nn.ModuleList(nn.Linear(hidden, _outputs(head_width(task))) for task in self.schema.tasks)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`: (n, length) int64.

        Returns task -> (n, *head_width(task)), and `embedding` -> (n, hidden).
        """
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = _pool(hidden, attention_mask, self.config.pooling)
        dropped = self.dropout(pooled)
        outputs = {
            task.name: head(dropped).view(-1, *head_width(task))
            for task, head in zip(self.schema.tasks, self.heads, strict=True)
        }
        return outputs | {EMBEDDING: pooled}

    @property
    def max_tokens(self) -> int:
        """Most tokens, special ones included, that the encoder has positions for."""
        return longest_input(self.encoder.config)


def new_classifier(
    encoder: PreTrainedConfig | PreTrainedModel, schema: LabelSchema, *, pooling: str = "mean", dropout: float = 0.1
) -> FeedbackClassifier:
    """A classifier with random heads: around random encoder weights from a configuration, or around a given encoder.

    Raises SchemaError `task_reserved`, ConfigError `pooling_unknown`.
    """
    if pooling not in POOLINGS:
        raise ConfigError("pooling_unknown", f"pooling is one of {', '.join(POOLINGS)}; found {pooling!r}")
    settings = encoder.config if isinstance(encoder, PreTrainedModel) else encoder
    config = FeedbackConfig(
        encoder=settings.to_dict(), label_schema=checked(schema).to_dict(), pooling=pooling, dropout=dropout
    )
    classifier = FeedbackClassifier(config)
    if isinstance(encoder, PreTrainedModel):
        classifier.encoder = encoder
    return classifier


def load_encoder(name: str, *, revision: str | None = None) -> PreTrainedModel:
    """A pre-trained encoder in float32 from a local folder or the hub: safetensors only, and no code of others is run.

    Raises ConfigError `encoder_unreadable`, `encoder_unusable`, and `revision_missing` for a hub name without a pinned
    revision.
    """
    check_encoder_name(name, revision)
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        encoder: PreTrainedModel = AutoModel.from_pretrained(
            name,
            config=config,
            revision=revision,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,  # transformers 5 would keep the checkpoint's own, often half precision
            **_without_pooler(config),
        )
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(
            "encoder_unreadable", f"--encoder {name}: expected a Hugging Face encoder with safetensors: {first}"
        ) from error
    _try_out(encoder, name)
    # transformers keeps where it was, and a model that is given away would tell the folders of its maker's machine.
    encoder.config._name_or_path = ""
    return encoder


def _try_out(encoder: PreTrainedModel, name: str) -> None:
    """One pass over a few tokens. Raises ConfigError `encoder_unusable` where that gives no hidden states."""
    ids = torch.ones((1, 4), dtype=torch.long)
    try:
        with torch.no_grad():
            shape = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.shape
    except Exception as error:  # whatever an architecture of any kind raises
        first = str(error).strip().partition("\n")[0]
        kind = encoder.config.model_type
        raise ConfigError(
            "encoder_unusable",
            f"--encoder {name}: expected an encoder such as BERT, fed with token ids and a mask; {kind} says: {first}",
        ) from None
    if tuple(shape[:2]) != (1, 4):
        raise ConfigError(
            "encoder_unusable", f"--encoder {name}: expected one hidden state a token; found {tuple(shape)} for 4"
        )


def check_encoder_name(name: str, revision: str | None) -> None:
    """A hub name needs a pinned revision (a commit), because a branch can be changed under a run."""
    if Path(name).is_dir() or (revision is not None and len(revision) == 40):
        return
    raise ConfigError(
        "revision_missing",
        f"--encoder {name} is no local folder, so it is taken from the hub and needs --revision with the commit's "
        f"40 hexadecimal digits; found {revision!r}",
    )


def fit_vocabulary(encoder: PreTrainedModel, tokenizer: FeedbackTokenizer) -> None:
    """Widen the encoder's embeddings to the tokenizer's vocabulary.

    A placeholder starts as the mean of its characters, which puts it near what it stands for.
    """
    size = tokenizer.backend.get_vocab_size(with_added_tokens=True)
    before = token_embeddings(encoder).num_embeddings
    if size > before:
        encoder.resize_token_embeddings(size, mean_resizing=False)
    weight = token_embeddings(encoder).weight
    with torch.no_grad():
        for placeholder in PLACEHOLDERS:
            number = tokenizer.backend.token_to_id(placeholder)
            # Below the old size it is the encoder's own token and has been trained.
            if number is not None and number >= before:
                inner = tokenizer.backend.encode(placeholder[1:-1], add_special_tokens=False).ids
                weight[number] = weight[inner].mean(dim=0)


def longest_input(config: PreTrainedConfig) -> int:
    """Most tokens that an encoder of this configuration takes."""
    positions = int(getattr(config, "max_position_embeddings", 512) or 512)
    if config.model_type in _OFFSET_POSITIONS:
        return positions - int(config.pad_token_id or 0) - 1
    return positions


def checked(schema: LabelSchema) -> LabelSchema:
    """The schema itself, or SchemaError `task_reserved` where a task is named like an input or output of the graph."""
    for task in schema.tasks:
        if task.name in RESERVED:
            raise SchemaError(
                "task_reserved", f"a network cannot have a task named {task.name!r}; reserved: {', '.join(RESERVED)}"
            )
    return schema


def _build_encoder(config: PreTrainedConfig) -> PreTrainedModel:
    # float32 whatever the checkpoint's configuration says: half precision on a CPU is slow and parity would fail.
    encoder: PreTrainedModel = AutoModel.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.float32, **_without_pooler(config)
    )
    return encoder


def token_embeddings(encoder: PreTrainedModel) -> nn.Embedding:
    """The encoder's table of token embeddings; ConfigError `encoder_unusable` where it has none."""
    found = encoder.get_input_embeddings()
    if not isinstance(found, nn.Embedding):
        raise ConfigError("encoder_unusable", "this encoder has no table of token embeddings; choose another --encoder")
    return found


def _without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    # BERT's own pooler is a layer that nothing here would read: dead weight, and an error with several processes.
    found: Any = AutoModel._model_mapping[type(config)]
    known = inspect.signature(found[0] if isinstance(found, tuple) else found).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}


def _pool(hidden: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """(n, length, hidden) -> (n, hidden)."""
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _listed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema's plain form with the tasks in a list: transformers sorts the keys of the JSON that it writes."""
    tasks = schema.get("tasks", [])
    if isinstance(tasks, Mapping):
        tasks = [{"name": name, **body} for name, body in tasks.items()]
    return {**schema, "tasks": list(tasks)}


def _outputs(width: tuple[int, ...]) -> int:
    total = 1
    for size in width:
        total *= size
    return total
