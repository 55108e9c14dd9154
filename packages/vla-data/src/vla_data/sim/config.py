"""What to look at in a simulator, and how carefully it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vla_data.errors import ConfigError

RenderMode = Literal["fast", "reference"]


@dataclass(frozen=True)
class CameraView:
    """A picture taken at every observation.

    Args:
        name: what the camera is called in observations and data sets.
        source: what the simulator calls it.
        height, width: pixels.
    """

    name: str
    source: str
    height: int = 64
    width: int = 64

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ConfigError(
                "a camera has no pixels",
                where=f"camera {self.name}",
                expected="height and width of at least 1",
                got=f"{self.height} × {self.width}",
            )


@dataclass(frozen=True)
class SimConfig:
    """How a simulator is looked at.

    Args:
        cameras: the views of every observation; None stands for the simulator's usual two.
        render: "fast" leaves out shadows, multi-sampling, reflections and sky, and thins out dense meshes
            of robots; "reference" draws what the simulator's authors set up.
        settle_steps: no-op steps after a reset, where a simulator's protocol has them (LIBERO: 10).
        world_seed: seed of a simulator's own fixtures, where they vary apart from the placement (LIBERO).
    """

    cameras: tuple[CameraView, ...] | None = None
    render: RenderMode = "fast"
    settle_steps: int = 10
    world_seed: int = 0

    def __post_init__(self) -> None:
        names = [view.name for view in self.cameras or ()]
        if len(set(names)) < len(names):
            raise ConfigError(
                "two cameras have one name", where="SimConfig.cameras", got=", ".join(sorted(names))
            )
