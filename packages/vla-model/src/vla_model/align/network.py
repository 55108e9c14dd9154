"""A language model that sees: video tokens, projected, stand where the prompt has its video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from vla_model.align.questions import Question
from vla_model.lm.gpt import GPT, IGNORED, rms_norm
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder import VideoEncoder
from vla_vision.encoder.tokens import Tokens

VIDEO_AT = 2  # tokens before the first one of the video


class SceneModel(nn.Module):
    """Video encoder, projector, language model.

    Args:
        blind: zeros stand for what is seen.
    """

    def __init__(self, encoder: VideoEncoder, gpt: GPT, hidden: int, blind: bool = False) -> None:
        super().__init__()
        self.encoder, self.gpt, self.blind = encoder, gpt, blind
        self.project = nn.Sequential(
            nn.Linear(encoder.config.width, hidden), nn.GELU(), nn.Linear(hidden, gpt.config.width)
        )

    @property
    def video_tokens(self) -> int:
        """Tokens that stand for a scene."""
        return self.encoder.tokens_per_frame

    def seen(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "b n d"]:
        """What the language model is given of B windows; zeros where a token stands for nothing."""
        return self.given(self.encoder(batch))

    def given(self, tokens: Tokens) -> Float[Tensor, "b n d"]:
        """Tokens of the encoder as the language model takes them."""
        given = rms_norm(self.project(tokens.values)) * tokens.mask[..., None]
        return torch.zeros_like(given) if self.blind else given

    def logits(
        self, seen: Float[Tensor, "b n d"], tokens: Int64[Tensor, "b t"]
    ) -> Float[Tensor, "b t vocab"]:
        """Of the token after each."""
        x_BTD = self.gpt.embedded(tokens)
        stop = VIDEO_AT + seen.shape[1]
        x_BTD = torch.cat([x_BTD[:, :VIDEO_AT], seen.to(x_BTD.dtype), x_BTD[:, stop:]], dim=1)
        return self.gpt.logits(self.gpt.features(x_BTD))

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `SceneBatches`: windows, `tokens` [B, T + 1] and `targets` [B, T]."""
        logits = self.logits(self.seen(batch), batch["tokens"][:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED)
        said = batch["targets"] != IGNORED
        right = (logits.argmax(-1) == batch["targets"])[said].float().mean()
        return {"loss": loss, "token_accuracy": right.detach()}


@dataclass(frozen=True)
class Talk:
    """Questions and answers as tokens.

    Args:
        tokens: the prompt with a mark for each token of the video, then turn after turn.
        answers: positions of what is to be said.
    """

    tokens: tuple[int, ...]
    answers: tuple[int, ...]


def opening(tokenizer: Tokenizer, video_tokens: int) -> list[int]:
    """The beginning of a talk: a mark for each token of the video."""
    begin, user, video = (tokenizer.special(n) for n in ("<|begin|>", "<|user|>", "<|video|>"))
    return [begin, user, *[video] * video_tokens]


def turn(tokenizer: Tokenizer, text: str) -> list[int]:
    """A question, up to where the model answers."""
    end, assistant = (tokenizer.special(n) for n in ("<|end|>", "<|assistant|>"))
    return [*tokenizer.encode(text), end, assistant]


def talk(tokenizer: Tokenizer, video_tokens: int, questions: Sequence[Question]) -> Talk:
    """A scene talked about; the pictures come first."""
    user, end = tokenizer.special("<|user|>"), tokenizer.special("<|end|>")
    tokens = opening(tokenizer, video_tokens)
    answers: list[int] = []
    for i, question in enumerate(questions):
        tokens += [user] * (i > 0) + turn(tokenizer, question.text)
        said = [*tokenizer.encode(question.answer), end]
        answers += range(len(tokens), len(tokens) + len(said))
        tokens += said
    return Talk(tuple(tokens), tuple(answers))


def talk_batch(tokenizer: Tokenizer, talks: Sequence[Talk], context: int) -> dict[str, Tensor]:
    """`tokens` [B, T + 1] and `targets` [B, T], padded; what is longer than the context is cut."""
    length = min(max(len(t.tokens) for t in talks), context + 1)
    tokens = torch.full((len(talks), length), tokenizer.special("<|pad|>"))
    targets = torch.full((len(talks), length - 1), IGNORED)
    for row, one in enumerate(talks):
        kept = torch.tensor(one.tokens[:length])
        tokens[row, : len(kept)] = kept
        places = torch.tensor([a for a in one.answers if a < length])
        targets[row, places - 1] = tokens[row, places]
    return {"tokens": tokens, "targets": targets}


@torch.inference_mode()
def answered(model: SceneModel, seen: Tensor, batch: Mapping[str, Tensor]) -> Bool[Tensor, "b"]:
    """Whether the most probable token is the right one all along each answer, as greedy decoding needs it."""
    guesses = model.logits(seen, batch["tokens"][:, :-1]).argmax(-1)
    return ((guesses == batch["targets"]) | (batch["targets"] == IGNORED)).all(dim=1)
