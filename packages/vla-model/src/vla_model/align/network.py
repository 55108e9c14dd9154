"""A language model that sees: video tokens, projected, stand where the prompt has its video.

The question comes before the video, as a task does in the prompt of a policy: what is seen can then be read
for what is asked. (With the video first a small model has to find each named thing again from the words,
three layers deep, and did not learn to, see docs/lab-notes.md.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from vla_data.errors import ConfigError
from vla_model.align.questions import Question
from vla_model.lm.gpt import GPT, IGNORED, rms_norm
from vla_model.lm.tokenizer import SPECIAL, Tokenizer
from vla_vision.encoder import VideoEncoder
from vla_vision.encoder.tokens import Tokens
from vla_vision.image_tokens import wave_count, waves

READ = 16
NO_WORD = -1
VIDEO = SPECIAL.index("<|video|>")


class Projector(nn.Module):
    """Tokens of an encoder → what a language model takes.

    Beside the token itself, `READ` linear readings of it are told in octaves of sines and cosines: norms in a
    GPT hide how large a number is.
    """

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, READ)
        self.hidden = nn.Linear(width + wave_count(READ), hidden)
        self.out = nn.Linear(hidden, out)

    def forward(self, tokens: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
        told = torch.cat([tokens, waves(self.read(tokens))], dim=-1)
        return self.out(F.gelu(self.hidden(told)))


class SceneModel(nn.Module):
    """Video encoder, projector, language model.

    A thing that was detected is told by its token and by the words for its class beside.

    Args:
        names: tokens of the words for each class that the encoder knows.
        blind: zeros stand for what is seen.
    """

    names: Tensor

    def __init__(
        self,
        encoder: VideoEncoder,
        gpt: GPT,
        hidden: int,
        names: Sequence[Sequence[int]],
        blind: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.gpt, self.blind = encoder, gpt, blind
        self.project = Projector(encoder.config.width, hidden, gpt.config.width)
        longest = max(map(len, names), default=1)
        padded = [[*n, *[NO_WORD] * (longest - len(n))] for n in names] or [[NO_WORD]]
        self.register_buffer("names", torch.tensor(padded), persistent=False)

    @property
    def video_tokens(self) -> int:
        """Tokens that stand for a scene."""
        return self.encoder.tokens_per_frame

    def seen(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "b n d"]:
        """What the language model is given of B windows; zeros where a token stands for nothing."""
        return self.given(self.encoder(batch))

    def given(self, tokens: Tokens) -> Float[Tensor, "b n d"]:
        """Tokens of the encoder as the language model takes them."""
        given = rms_norm(self.project(tokens.values))
        given = rms_norm(given + self.called(tokens.kinds)) * tokens.mask[..., None]
        return torch.zeros_like(given) if self.blind else given

    def called(self, kinds: Int64[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """The words for classes, one on the other; zeros for no class."""
        words_CPD = self.gpt.embedded(self.names.clamp(min=0)) * (self.names >= 0)[..., None]
        said_CD = F.pad(words_CPD.sum(dim=1), (0, 0, 1, 0))  # first a row for no class
        return said_CD[torch.where(kinds < len(self.names), kinds + 1, 0)]

    def logits(
        self,
        seen: Float[Tensor, "b n d"],
        tokens: Int64[Tensor, "b t"],
        layers: list[Tensor] | None = None,
    ) -> Float[Tensor, "b t vocab"]:
        """Of the token after each; `tokens` has N marks of the video in every row; `layers` as of the GPT."""
        x_BTD = self.gpt.embedded(tokens)
        marks = (tokens == VIDEO)[..., None].expand_as(x_BTD)
        x_BTD = x_BTD.masked_scatter(marks, seen.to(x_BTD.dtype))
        return self.gpt.logits(self.gpt.features(x_BTD, layers=layers))


def names_of(tokenizer: Tokenizer, class_names: Sequence[str]) -> list[list[int]]:
    """Tokens of the words for classes, as they stand within a sentence."""
    return [tokenizer.encode(f" {name}") for name in class_names]


def asked(tokenizer: Tokenizer, video_tokens: int, text: str) -> list[int]:
    """A question, a mark for each token of the video, up to where the model answers."""
    begin, user, video = (tokenizer.special(n) for n in ("<|begin|>", "<|user|>", "<|video|>"))
    end, assistant = (tokenizer.special(n) for n in ("<|end|>", "<|assistant|>"))
    return [begin, user, *tokenizer.encode(text), *[video] * video_tokens, end, assistant]


def question_batch(
    tokenizer: Tokenizer, video_tokens: int, questions: Sequence[Question], context: int
) -> dict[str, Tensor]:
    """`tokens` [B, T + 1] and `targets` [B, T], padded; answers alone are to be learned.

    Raises:
        ConfigError: a question with its answer is longer than the context.
    """
    end = tokenizer.special("<|end|>")
    before = [asked(tokenizer, video_tokens, q.text) for q in questions]
    answers = [[*tokenizer.encode(q.answer), end] for q in questions]
    length = max(len(b) + len(a) for b, a in zip(before, answers, strict=True))
    if length > context + 1:
        raise ConfigError(
            "a question and its answer are longer than the context",
            where="question",
            expected=f"at most {context + 1} tokens with {video_tokens} of the video",
            got=str(length),
        )
    tokens = torch.full((len(questions), length), tokenizer.special("<|pad|>"))
    targets = torch.full((len(questions), length - 1), IGNORED)
    for row, (asking, said) in enumerate(zip(before, answers, strict=True)):
        tokens[row, : len(asking) + len(said)] = torch.tensor([*asking, *said])
        targets[row, len(asking) - 1 : len(asking) + len(said) - 1] = torch.tensor(said)
    return {"tokens": tokens, "targets": targets}


@torch.inference_mode()
def answered(model: SceneModel, seen: Tensor, batch: Mapping[str, Tensor]) -> Bool[Tensor, "b"]:
    """Whether the most probable token is the right one all along each answer, as greedy decoding needs it."""
    guesses = model.logits(seen, batch["tokens"][:, :-1]).argmax(-1)
    return ((guesses == batch["targets"]) | (batch["targets"] == IGNORED)).all(dim=1)
