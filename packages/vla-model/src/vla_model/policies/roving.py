"""A policy that looks through one camera and says where that is to look from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from vla_data.camera_control import CameraControl
from vla_data.types import ObservationWindow
from vla_model.policies.learned import LearnedPolicy
from vla_model.policies.shapes import Batch


@runtime_checkable
class LookingNetwork(Protocol):
    """A network that scores places to look from."""

    def looks(self, batch: Batch) -> Float[Tensor, "b places"]: ...


@dataclass(frozen=True, eq=False)
class RovingPolicy(LearnedPolicy):
    """A `LookingPolicy`: asks for another place where it scores higher than the one it looks from."""

    @torch.inference_mode()
    def look(self, windows: Sequence[ObservationWindow]) -> list[CameraControl | None]:
        """`choose` with the place to look from; None where it is looked from there."""
        if not windows:
            return []
        assert isinstance(self.network, LookingNetwork)
        batch = self._batch(windows)
        best, now = self.network.looks(batch).argmax(-1).tolist(), batch["view"].tolist()
        names = self.input_spec.places
        return [
            None if new == old else CameraControl("choose", names[new])
            for new, old in zip(best, now, strict=True)
        ]
