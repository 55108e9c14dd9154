"""Asking an aligned model about what a camera of an episode sees."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from vla_data.errors import ConfigError
from vla_data.types import Episode
from vla_data.usable import require_step
from vla_model.align.checkpoint import load_scene_model
from vla_model.align.network import SceneModel, asked
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder.extractor import FeatureExtractor
from vla_vision.encoder.stream import TokenStream
from vla_vision.encoder.tokens import Tokens
from vla_vision.perception.sight import Sight

LONGEST = 64  # tokens of an answer


@dataclass(frozen=True, eq=False)
class Asker:
    """A model that sees, loaded with all it looks through."""

    model: SceneModel
    tokenizer: Tokenizer
    sight: Sight

    @classmethod
    def load(cls, directory: Path) -> Asker:
        """Of a run of `vla model align`.

        Raises:
            CheckpointError: there is none, it is damaged, or weights that it looks through are.
        """
        model, tokenizer, record = load_scene_model(directory)
        sight = Sight(record.sight, record.encoder.features.class_names)
        return cls(model, tokenizer, sight)

    def look(self, episode: Episode, camera: str, step: int) -> Tokens:
        """What the encoder says of a camera at a step, having seen all frames up to it.

        Raises:
            ConfigError: there is no such step or camera.
        """
        require_step(episode, step)
        extractor = FeatureExtractor(self.model.encoder.config.features)
        stream = TokenStream(self.model.encoder)
        frames = self.sight.look(self.sight.source(episode, camera))
        tokens = None
        for percept in islice(frames, step + 1):
            tokens = stream.update(extractor.update(percept))
        assert tokens is not None
        return tokens

    @torch.inference_mode()
    def ask(self, tokens: Tokens, question: str) -> str:
        """The most probable answer.

        Raises:
            ConfigError: the question is longer than the context.
        """
        count, context = self.model.video_tokens, self.model.gpt.config.context
        said = asked(self.tokenizer, count, question)
        end = self.tokenizer.special("<|end|>")
        if len(said) >= context:
            raise ConfigError(
                "a question is longer than the context",
                where="question",
                expected=f"fewer than {context} tokens with {count} of the video",
                got=str(len(said)),
            )
        seen, start = self.model.given(tokens), len(said)
        while len(said) < min(context, start + LONGEST):
            token = int(self.model.logits(seen, torch.tensor([said]))[0, -1].argmax())
            if token == end:
                break
            said.append(token)
        return self.tokenizer.decode(said[start:])
