"""What the encoder is pre-trained on: guessing masked words, or telling replaced tokens from original ones.

- `mlm`: masked-language modelling with whole words (Devlin et al. 2019, Cui et al. 2021);
- `rtd`: replaced-token detection (ELECTRA, Clark et al. 2020): a generator 64 wide guesses masked words, its guesses
  are put in, and the encoder tells of every token whether it was replaced. Both share the token embeddings.

Measured on a 4x256 encoder, 6,144 tokens a step, learning rate 1.5e-3, where guesses from frequencies alone cost 7.06
nats and 0.421 a token: after 1.5 M tokens `mlm` is at 5.96, `rtd` still at 0.408 (its generator at 6.75). Started as
`start_from` does, `mlm` begins at 6.62 and is at 6.18 after 0.25 M tokens.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from models.tokenization import SPECIALS
from training.packing import Batch

Objective = Literal["rtd", "mlm"]
OBJECTIVES: tuple[Objective, ...] = ("mlm", "rtd")

_GENERATOR_WIDTH = 64
_RTD_WEIGHT = 50.0  # the paper's: the loss of a yes-or-no question is small


class Losses(NamedTuple):
    """Mean losses of a step, in nats."""

    total: Tensor
    mlm: Tensor  # of the masked tokens
    rtd: Tensor  # of all tokens; zero where the objective is mlm
    found: Tensor  # share of the replaced tokens that were told; of the masked ones guessed, where it is mlm


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the encoder."""

    layers: int = 4
    hidden: int = 256  # a multiple of 64, the width of an attention head
    positions: int = 512

    def config(self, *, vocabulary: int, pad_id: int, dropout: float) -> BertConfig:
        """As transformers knows it."""
        return BertConfig(
            vocab_size=vocabulary,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=max(self.hidden // 64, 1),
            intermediate_size=4 * self.hidden,
            max_position_embeddings=self.positions,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=pad_id,
        )


class GuessHead(nn.Module):
    """Hidden states to logits over the vocabulary, through the table of token embeddings."""

    def __init__(self, hidden: int, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        """(n, hidden), (vocabulary, width) -> (n, vocabulary)."""
        inner = self.norm(functional.gelu(self.dense(hidden)))
        return functional.linear(inner, table, self.bias)


class MaskedModelling(nn.Module):
    """The encoder under `mlm`."""

    def __init__(self, encoder: BertModel, *, mask_id: int) -> None:
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        self.guess = GuessHead(config.hidden_size, config.hidden_size, config.vocab_size)
        self.mask_id, self.vocabulary = mask_id, config.vocab_size

    def forward(self, batch: Batch) -> Losses:
        """Of the chosen tokens 80 % are masked, 10 % replaced by any token and 10 % left as they are."""
        fate = torch.rand(batch.ids.shape, device=batch.ids.device)
        anything = torch.randint_like(batch.ids, len(SPECIALS), self.vocabulary)
        ids = torch.where(batch.chosen & (fate < 0.8), self.mask_id, batch.ids)
        ids = torch.where(batch.chosen & (fate >= 0.9), anything, ids)
        hidden = _encoded(self.encoder, batch, seen=_seen(self.encoder, batch), input_ids=ids)
        logits = self.guess(hidden.flatten(0, 1)[batch.picked], _table(self.encoder))
        gold = batch.ids.flatten()[batch.picked]
        loss = functional.cross_entropy(logits.float(), gold)
        guessed = (logits.argmax(-1) == gold).float().mean()
        return Losses(loss, loss.detach(), torch.zeros_like(loss), guessed)


class ReplacedDetection(nn.Module):
    """The encoder under `rtd`, and its generator."""

    def __init__(self, encoder: BertModel, *, mask_id: int) -> None:
        super().__init__()
        config = encoder.config
        shape = Shape(config.num_hidden_layers, _GENERATOR_WIDTH, config.max_position_embeddings)
        self.encoder = encoder
        # One row only: its embeddings are the encoder's, made narrower.
        small = shape.config(vocabulary=1, pad_id=0, dropout=0.0)
        self.generator = BertModel(small, add_pooling_layer=False)
        self.narrow = nn.Linear(config.hidden_size, _GENERATOR_WIDTH)
        self.guess = GuessHead(_GENERATOR_WIDTH, config.hidden_size, config.vocab_size)
        self.judge = nn.Sequential(
            nn.Linear(config.hidden_size, config.hidden_size), nn.GELU(), nn.Linear(config.hidden_size, 1)
        )
        self.mask_id, self.vocabulary = mask_id, config.vocab_size

    def forward(self, batch: Batch) -> Losses:
        """Both losses; the encoder's is over every token that is not special."""
        masked = torch.where(batch.chosen, self.mask_id, batch.ids)
        table = _table(self.encoder)
        seen = _seen(self.encoder, batch)
        inputs = self.narrow(functional.embedding(masked, table))
        inner = _encoded(self.generator, batch, seen=seen, inputs_embeds=inputs)
        logits = self.guess(inner.flatten(0, 1)[batch.picked], table).float()
        gold = batch.ids.flatten()[batch.picked]
        mlm = functional.cross_entropy(logits, gold)
        drawn = _drawn(logits.detach())
        replaced = batch.ids.flatten().scatter(0, batch.picked, drawn).view_as(batch.ids)
        hidden = _encoded(self.encoder, batch, seen=seen, input_ids=replaced)
        verdict = self.judge(hidden).squeeze(-1).float()
        wrong = replaced != batch.ids
        each = functional.binary_cross_entropy_with_logits(verdict, wrong.float(), reduction="none")
        rtd = (each * batch.ordinary).sum() / batch.ordinary.sum()
        told = ((verdict > 0) & wrong).sum() / wrong.sum().clamp(min=1)
        return Losses(mlm + _RTD_WEIGHT * rtd, mlm.detach(), rtd.detach(), told)


Pretraining = MaskedModelling | ReplacedDetection


def new_objective(name: Objective, encoder: BertModel, *, mask_id: int) -> Pretraining:
    """The encoder with the heads of an objective, which are new."""
    return (ReplacedDetection if name == "rtd" else MaskedModelling)(encoder, mask_id=mask_id)


def prefer_attention(model: nn.Module, device: torch.device) -> None:
    """Plain matrix products on a CPU, where a step takes 22 % less than with fused attention (bf16, rows of 128)."""
    for module in model.modules():
        if isinstance(module, BertModel):
            module.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")


def guess_by_frequency(model: Pretraining, frequencies: NDArray[np.float64]) -> None:
    """Let new heads begin with the tokens' own frequencies: (vocabulary,), summing to 1."""
    with torch.no_grad():
        model.guess.bias.copy_(torch.from_numpy(np.log(frequencies + 1e-7)).float())


def start_from(model: Pretraining, table: NDArray[np.float32]) -> None:
    """Put co-occurrence embeddings in, (vocabulary, hidden) with rows of unit length, and let the layers use them."""
    encoder, guess = model.encoder, model.guess
    with torch.no_grad():
        # Norm 0.8 and so logits of up to 13 behind a layer norm of 256; positions are made to weigh less than words.
        _table(encoder).copy_(torch.from_numpy(table) * 0.05 * table.shape[1] ** 0.5)
        guess.dense.weight.copy_(torch.eye(*guess.dense.weight.shape))
        _pass_context_on(encoder)
        if isinstance(model, ReplacedDetection):
            # The first columns are those of the greatest singular values: the best 64 there are.
            model.narrow.weight.copy_(torch.eye(*model.narrow.weight.shape))
            _pass_context_on(model.generator)


def _pass_context_on(encoder: BertModel) -> None:
    """Let the first layer add the mean of all words around to each: with embeddings from co-occurrence, a guess from
    that is better than one from frequencies, so learning does not begin on the plateau."""
    layers: Any = encoder.encoder.layer
    attention = layers[0].attention
    for weight in (attention.self.value.weight, attention.output.dense.weight):
        weight.copy_(torch.eye(len(weight)))


def _table(encoder: BertModel) -> Tensor:
    return encoder.embeddings.word_embeddings.weight


def _encoded(model: BertModel, batch: Batch, *, seen: Tensor, **inputs: Tensor) -> Tensor:
    found: Tensor = model(**inputs, attention_mask=seen, position_ids=batch.positions).last_hidden_state
    return found


def _seen(model: BertModel, batch: Batch) -> Tensor:
    """The attention mask in the form that the model's kind of attention is fastest with."""
    if model.config._attn_implementation != "eager":
        return batch.attention()
    device = batch.ids.device.type
    half = torch.is_autocast_enabled(device)
    return batch.attention_bias(torch.get_autocast_dtype(device) if half else torch.float32)


def _drawn(logits: Tensor) -> Tensor:
    """One token per row, drawn by its probability: a tenth of the time of `multinomial`, or of Gumbel's trick."""
    reached = logits.softmax(-1).cumsum(-1)
    point = torch.rand(len(logits), 1, device=logits.device) * reached[:, -1:]
    return torch.searchsorted(reached, point).squeeze(-1).clamp(max=logits.shape[-1] - 1)
