"""A trained compact network as a `Policy`: numpy in, action chunks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vla_data.config import from_dict
from vla_data.errors import CheckpointError
from vla_data.fit import load_weights
from vla_data.normalize import Normalizer
from vla_data.protocols import ActionCodec
from vla_data.types import ActionChunk, InputSpec, ObservationWindow, stack_windows
from vla_model.checkpoint import CODEC, WEIGHTS, PolicyRecord, PolicyStats, read_checkpoint
from vla_model.policies.compact import CompactConfig, CompactNetwork, CompactShapes
from vla_model.words import WordVocabulary

INSTRUCTION_LENGTH = 24  # known words of an instruction that are read; the rest is cut


@dataclass(frozen=True, eq=False)
class CompactPolicy:
    """The compact policy. Stateless between calls, so `reset` has nothing to forget."""

    network: CompactNetwork
    input_spec: InputSpec
    vocabulary: WordVocabulary
    stats: PolicyStats
    codec: ActionCodec | None = None
    execute: int = 8

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Nothing: an answer depends on the window alone."""

    @torch.inference_mode()
    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """One chunk per window."""
        if not windows:
            return []
        device = next(self.network.parameters()).device
        images = np.stack([stack_windows(windows, c.name)[:, -1] for c in self.input_spec.cameras], axis=1)
        state = Normalizer(self.stats.state).normalize(np.stack([w.latest.state for w in windows]))
        words = self.vocabulary.encode([w.latest.instruction for w in windows], INSTRUCTION_LENGTH)
        answer = self.network(
            torch.from_numpy(images.transpose(0, 1, 4, 2, 3).copy()).to(device),
            torch.from_numpy(state).to(device),
            torch.from_numpy(words).to(device),
        )
        actions = self._actions(answer.cpu().numpy())
        spec = self.input_spec.robot.action
        return [ActionChunk(np.clip(a, spec.low, spec.high), spec) for a in actions]

    def _actions(self, answer: np.ndarray) -> np.ndarray:
        if self.codec is not None:
            return self.codec.decode(answer.astype(np.int64))
        return Normalizer(self.stats.action).denormalize(answer)


def load_compact(directory: Path, device: str = "cpu") -> CompactPolicy:
    """The policy of a checkpoint directory.

    Raises:
        CheckpointError: files do not match the manifest, or the codec does not fit the network.
    """
    record, stats = read_checkpoint(directory)
    config = from_dict(CompactConfig, record.network)
    shapes = from_dict(CompactShapes, record.shapes)
    network = CompactNetwork(config, shapes)
    load_weights(network, directory / WEIGHTS)
    codec = _load_codec(directory, record, shapes) if config.head == "codes" else None
    return CompactPolicy(
        network.to(device).eval(),
        record.input_spec,
        WordVocabulary(record.vocabulary),
        stats,
        codec,
        record.execute,
    )


def _load_codec(directory: Path, record: PolicyRecord, shapes: CompactShapes) -> ActionCodec:
    from vla_ts import load_codec

    codec = load_codec(directory / CODEC, record.input_spec.robot.action, where=f"codec of {directory}")
    expected = (shapes.levels, shapes.codebook_size, shapes.action_horizon)
    got = (codec.tokens_per_chunk, codec.vocab_size, codec.action_horizon)
    if expected != got:
        raise CheckpointError(
            "the codec is not the one the policy was trained on",
            where=str(directory / CODEC),
            expected=f"levels, codebook, horizon {expected}",
            got=str(got),
        )
    return codec
