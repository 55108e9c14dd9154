"""Who may move a camera, and how: a policy asks, an environment with a camera that roves carries it out.

Looking elsewhere takes no time of the episode: the policy is shown the same instant again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from vla_data.errors import ConfigError
from vla_data.types import ObservationWindow

Look = Literal["choose", "pan", "tilt", "zoom"]


@dataclass(frozen=True)
class CameraControl:
    """Where to look: `choose` a camera, `pan` or `tilt` it by degrees (left and up positive), `zoom` by a
    factor.

    Raises:
        ConfigError: the amount is not finite.
    """

    look: Look
    camera: str
    amount: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.amount):
            raise ConfigError(
                "a camera cannot be moved so", where=self.camera, expected="a number", got=str(self.amount)
            )


@runtime_checkable
class LookingPolicy(Protocol):
    """A policy that may look elsewhere before it acts."""

    def look(self, windows: Sequence[ObservationWindow]) -> list[CameraControl | None]:
        """Where each wants to look; None where it has seen enough."""
        ...


@runtime_checkable
class RovingEnv(Protocol):
    """An environment whose cameras may be moved."""

    def control_cameras(self, slots: Sequence[int], controls: Sequence[CameraControl]) -> None:
        """Move a camera in each slot; the next observation shows what it sees.

        Raises:
            SimError: the camera or the place is not known, or the camera does not rove.
        """
        ...
