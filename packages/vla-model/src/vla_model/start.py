"""Weights to begin with: a trained network's, for another robot or task.

start/
  network.safetensors, start.json   weights; configuration and cameras
  tokenizer.json
  manifest.json                     sha256 of every file above
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from vla_data.errors import ConfigError
from vla_data.files import atomic_directory
from vla_data.fit import save_weights
from vla_data.fit.weights import read_tensors
from vla_model.lm.tokenizer import Tokenizer
from vla_model.policies.vla import VlaConfig, VlaNetwork
from vla_model.records import finish, opened

SUBDIRECTORY, RECORD, WEIGHTS = "start", "start.json", "network.safetensors"
# What a network that begins with these weights has to share; how it answers and what it is told is its own.
SIZES = ("depth", "width", "heads", "video_tokens", "channels", "layers", "text_tokens", "vocab_size")


@dataclass(frozen=True)
class _Record:
    policy: VlaConfig
    cameras: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Start:
    """What a training can begin with.

    Args:
        cameras: whose eyes they are, in order.
    """

    policy: VlaConfig
    cameras: tuple[str, ...]
    tensors: dict[str, Tensor]
    tokenizer: Tokenizer

    def sized(self, config: object) -> VlaConfig:
        """A configuration with the sizes of the weights.

        Raises:
            ConfigError: it is of another kind of policy, or its head speaks codes, which the tokenizer has
                no words for.
        """
        if not isinstance(config, VlaConfig) or config.head == "codes":
            raise ConfigError(
                "a policy cannot begin with these weights",
                where="--start",
                expected="--preset vla --head continuous, flow or parallel",
                got=f"head {config.head}" if isinstance(config, VlaConfig) else type(config).__name__,
            )
        return replace(config, **{name: getattr(self.policy, name) for name in SIZES})

    def put(self, network: VlaNetwork) -> tuple[str, ...]:
        """Give a network all weights that fit it; the names of those that stay new."""
        own = network.state_dict()
        taken = {n: t for n, t in self.tensors.items() if n in own and own[n].shape == t.shape}
        network.load_state_dict(own | taken)
        return tuple(n for n in own if n not in taken)


def save_start(directory: Path, network: VlaNetwork, tokenizer: Tokenizer, cameras: tuple[str, ...]) -> None:
    """Write weights to begin with; the directory appears when it is whole."""
    record = _Record(network.config, cameras)
    with atomic_directory(directory) as part:
        save_weights(network, part / WEIGHTS)
        tokenizer.save(part)
        finish(part, "start", RECORD, record)


def load_start(directory: Path) -> Start:
    """Of a run of `vla model midtrain`, or its `start`.

    Raises:
        CheckpointError: there is none, it is damaged, or of another layout.
    """
    made_by = "vla model midtrain MIX --out DIR"
    directory, record = opened(directory, SUBDIRECTORY, RECORD, _Record, "start", made_by)
    tensors, _ = read_tensors(directory / WEIGHTS)
    return Start(record.policy, record.cameras, tensors, Tokenizer.load(directory))
