"""What a policy's network takes and gives, the same for every kind of network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

# A batch of B observations, by name:
#   images  uint8 [B, history, cameras, 3, height, width], the latest last
#   depth   float16 [B, cameras, height, width], metres of the latest image; 0 where unknown
#   flow    float16 [B, cameras, height, width, 2], what moved since the image before, image widths
#           and heights a second; flow_known bool [B], whether there was one
#   state   float32 [B, state_dim], normalised
#   text    int64 [B, text_length], 0 or the padding token behind the end
#   past    float32 [B, past, action_dim], normalised, the latest last
#   view    int64 [B], the place that is looked from, for a camera that roves
#   noise   float32 [B, action_horizon, action_dim], standard normal; for heads that draw (`draws`)
# and in training the answer as well:
#   target  int64 [B, levels], codes; or float32 [B, action_horizon, action_dim], normalised actions
#   mask    bool [B, action_horizon, action_dim], actions that are there, for data sets that lack some
#   look    int64 [B], the place to look from; acts bool [B], whether the action can be told from what is seen
Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class PolicyShapes:
    """What data, codec and texts fix: the shapes of the inputs and of the answer.

    `levels` and `codebook_size` are those of the codec; 0 without one. `vocabulary` counts what a text is
    made of, padding among it.
    """

    cameras: int
    height: int
    width: int
    state_dim: int
    vocabulary: int
    action_horizon: int
    action_dim: int
    levels: int = 0
    codebook_size: int = 0
    history: int = 1
    past: int = 0
    text_length: int = 24
    places: int = 0
    depth: bool = False
    velocity: bool = False


@runtime_checkable
class PolicyNetwork(Protocol):
    """A network behind `LearnedPolicy`. `draws` says that its answer needs `noise`."""

    shapes: PolicyShapes
    draws: bool

    def __call__(self, batch: Batch) -> Tensor:
        """Codes [B, levels], or normalised actions [B, action_horizon, action_dim]."""
        ...

    def training_loss(self, batch: Batch) -> dict[str, Tensor]: ...
