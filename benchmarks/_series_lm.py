"""What `series_questions` trains: a small causal transformer; series are spliced in or written as digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from vla_ts.language.batches import IGNORED, PreparedExample, SeriesBatch, prompt_of
from vla_ts.language.encoder import SeriesEncoder, SeriesEncoderConfig
from vla_ts.language.generator import SeriesExample
from vla_ts.language.scaling import SeriesScale
from vla_ts.language.splicing import splice
from vla_ts.language.words import WordTokenizer

LEVELS = 99  # two digits


@dataclass(frozen=True)
class Sizes:
    """Sizes of an answerer; `encoder` None reads text only."""

    vocab_size: int
    longest: int
    width: int = 96
    heads: int = 4
    layers: int = 2
    encoder: SeriesEncoderConfig | None = None


class Block(nn.Module):
    """Attention to what came before, and a perceptron, both added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x_BTC: Tensor) -> Tensor:
        b, t, c = x_BTC.shape
        qkv = self.qkv(self.before_attention(x_BTC)).view(b, t, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        # Padding stands behind the end, where nothing that counts looks.
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTC = x_BTC + self.out(seen.transpose(1, 2).reshape(b, t, c))
        return x_BTC + self.mlp(self.before_mlp(x_BTC))


class Answerer(nn.Module):
    """Predicts the token that comes next; trained where that is the answer."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.words = nn.Embedding(sizes.vocab_size, sizes.width)
        self.places = nn.Embedding(sizes.longest, sizes.width)
        nn.init.normal_(self.words.weight, std=0.05)
        nn.init.normal_(self.places.weight, std=0.05)
        self.encoder = SeriesEncoder(sizes.encoder) if sizes.encoder else None
        self.blocks = nn.Sequential(*(Block(sizes.width, sizes.heads) for _ in range(sizes.layers)))
        self.last = nn.LayerNorm(sizes.width)

    def answer_logits(self, batch: SeriesBatch) -> tuple[Tensor, Tensor]:
        """Scores [B, vocab] of the answer's token, and the token, [B]."""
        x_BTC = self.words(batch.tokens)
        if self.encoder is not None:
            x_BTC = splice(x_BTC, self.encoder(batch.patches, batch.start), batch.positions)
        x_BTC = self.blocks(x_BTC + self.places.weight[: x_BTC.shape[1]])
        asked = batch.labels != IGNORED
        return self.last(x_BTC[asked]) @ self.words.weight.T, batch.labels[asked]

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logits, answer = self.answer_logits(SeriesBatch(**batch))
        right = (logits.argmax(1) == answer).float().mean()
        return {"loss": F.cross_entropy(logits, answer), "right": right}


def digits_of(values: np.ndarray, scale: SeriesScale) -> str:
    """Two digits a value, 00 to 99 over the series' scale, commas between; offset and scale in front."""
    numbers = np.rint((scale.normalize(values) + 1) / 2 * LEVELS).astype(int)
    return f"{scale.text} : " + " , ".join(f"{n:02d}" for n in numbers)


def prepare_digits(example: SeriesExample, tokenizer: WordTokenizer) -> PreparedExample:
    """An example whose series are written out in the text."""
    series = example.series
    said = [
        f"{name} : steps={len(series.values)} {digits_of(values, SeriesScale.of(values))}"
        for name, values in zip(series.names, series.values.T, strict=True)
    ]
    tokens = tokenizer.encode(prompt_of(example.question, " ; ".join(said)))
    none = np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    return PreparedExample(tokens, [], *none, (), tokenizer.encode(example.answer))
