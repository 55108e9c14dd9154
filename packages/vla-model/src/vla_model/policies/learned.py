"""A trained network as a `Policy`: numpy in, action chunks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_data.config import from_dict
from vla_data.errors import CheckpointError
from vla_data.fit import load_weights
from vla_data.normalize import Normalizer
from vla_data.protocols import ActionCodec
from vla_data.types import ActionChunk, InputSpec, ObservationWindow, stack_windows
from vla_model.checkpoint import CODEC, WEIGHTS, PolicyRecord, PolicyStats, read_checkpoint
from vla_model.policies.kinds import kind_named
from vla_model.policies.planes import flow_of, moved_on, observed_depth
from vla_model.policies.shapes import PolicyNetwork, PolicyShapes
from vla_model.policies.texts import Texts


@dataclass(frozen=True, eq=False)
class LearnedPolicy:
    """A network, its texts, statistics and codec. What an answer draws follows from the episode's seed."""

    network: PolicyNetwork
    input_spec: InputSpec
    texts: Texts
    stats: PolicyStats
    codec: ActionCodec | None = None
    execute: int = 8
    _draws: dict[int, np.random.Generator] = field(default_factory=dict)

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """The episodes of these slots begin anew."""
        self._draws.update(
            (slot, np.random.default_rng(seed)) for slot, seed in zip(slots, seeds, strict=True)
        )

    @torch.inference_mode()
    def infer(self, windows: Sequence[ObservationWindow]) -> list[ActionChunk]:
        """One chunk per window."""
        if not windows:
            return []
        answer = self.network(self._batch(windows))
        actions = self._actions(answer.float().cpu().numpy())
        spec = self.input_spec.robot.action
        return [ActionChunk(np.clip(a, spec.low, spec.high), spec) for a in actions]

    def _batch(self, windows: Sequence[ObservationWindow]) -> dict[str, Tensor]:
        shapes = self.network.shapes
        images = np.stack([stack_windows(windows, c.name) for c in self.input_spec.cameras], axis=2)
        states = np.stack([w.latest.state for w in windows])
        arrays = {
            "images": images.transpose(0, 1, 2, 5, 3, 4),
            "state": Normalizer(self.stats.state).normalize(states),
            "text": self.texts.encode([w.latest.instruction for w in windows]),
        }
        height, width, cameras = shapes.height, shapes.width, self.input_spec.cameras
        if shapes.depth:
            seen = [observed_depth(windows, c.name, (height, width)) for c in cameras]
            arrays["depth"] = np.stack(seen, axis=1)
        if shapes.velocity:
            arrays["flow_known"] = moved_on(windows)
            hz = self.input_spec.robot.action.control_hz
            arrays["flow"] = flow_of(arrays["images"], arrays["flow_known"], hz)
        if shapes.places:
            (camera,), names = self.input_spec.cameras, self.input_spec.places
            arrays["view"] = np.array([names.index(w.latest.places[camera.name]) for w in windows])
        if shapes.past:
            past = np.stack([w.past_actions[-shapes.past :] for w in windows])
            arrays["past"] = Normalizer(self.stats.action).normalize(past)
        if self.network.draws:
            size = (shapes.action_horizon, shapes.action_dim)
            arrays["noise"] = np.stack([self._drawn(w.slot, size) for w in windows])
        device = next(self.network.parameters()).device  # type: ignore[attr-defined]
        return {name: torch.from_numpy(np.ascontiguousarray(a)).to(device) for name, a in arrays.items()}

    def _drawn(self, slot: int, size: tuple[int, int]) -> np.ndarray:
        draws = self._draws.setdefault(slot, np.random.default_rng(0))
        return draws.standard_normal(size, np.float32)

    def _actions(self, answer: np.ndarray) -> np.ndarray:
        if self.codec is not None:
            return self.codec.decode(answer.astype(np.int64))
        return Normalizer(self.stats.action).denormalize(answer)


def load_learned(directory: Path, device: str = "cpu") -> LearnedPolicy:
    """The policy of a checkpoint directory.

    Raises:
        CheckpointError: files do not match the manifest, or the codec does not fit the network.
        UnknownNameError: a kind of policy this version does not know.
    """
    record, stats = read_checkpoint(directory)
    kind = kind_named(record.policy)
    config = from_dict(kind.config, record.network)
    shapes = from_dict(PolicyShapes, record.shapes)
    network = kind.network(config, shapes)
    load_weights(network, directory / WEIGHTS)
    texts = kind.load_texts(directory, record.vocabulary, record.input_spec)
    codec = _load_codec(directory, record, shapes) if kind.codes(config) else None
    if kind.looks(config):
        from vla_model.policies.roving import RovingPolicy as Made
    else:
        Made = LearnedPolicy
    return Made(network.to(device).eval(), record.input_spec, texts, stats, codec, record.execute)


def _load_codec(directory: Path, record: PolicyRecord, shapes: PolicyShapes) -> ActionCodec:
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
