"""How the loop is run, and named settings. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from vla_data.errors import ConfigError
from vla_vision.depth.smoothing import SmoothingConfig
from vla_vision.tracking.config import PRESETS as TRACKERS
from vla_vision.tracking.config import TrackerConfig
from vla_vision.velocity.config import VelocityConfig
from vla_vision.velocity.flow import FlowConfig


@dataclass(frozen=True)
class PerceiveConfig:
    """How frames are perceived.

    Args:
        tracker, velocity: of the tracks, and of their motion in space.
        flow: dense optical flow of every frame; None computes none.
        smoothing: of depth over time; None leaves it as the model says it.
        depth_every: a frame in so many has its depth looked at.
        depth_async: a thread of its own looks at depth and the loop does not wait for it: after the first
            frame, depth is of an earlier one (`Percept.depth_age`), and while one is looked at no other is
            begun. What comes out then depends on how fast the machine is.
    """

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    velocity: VelocityConfig = field(default_factory=VelocityConfig)
    flow: FlowConfig | None = None
    smoothing: SmoothingConfig | None = field(default_factory=SmoothingConfig)
    depth_every: int = 1
    depth_async: bool = False

    def __post_init__(self) -> None:
        if self.depth_every < 1:
            raise ConfigError(
                "a setting of the loop is out of range",
                where="depth_every",
                expected="at least 1",
                got=str(self.depth_every),
            )


def _default() -> PerceiveConfig:
    return PerceiveConfig(flow=FlowConfig())


def _realtime() -> PerceiveConfig:
    """For a loop that acts on what it sees: nothing waits for depth, flow is coarse, tracks start sooner."""
    return PerceiveConfig(
        tracker=TRACKERS["responsive"](),
        flow=FlowConfig("ultrafast", 320),
        depth_every=2,
        depth_async=True,
    )


def _manipulation() -> PerceiveConfig:
    """For a hand and things on a table: it starts and stops fast, and an unsure detection begins a track too,
    whose score says how sure it is."""
    tracker = replace(TrackerConfig(), high_score=0.25, new_score=0.25, confirm_hits=2)
    moving = VelocityConfig(0.02, 0.6, pixel_noise=0.7, acceleration=2.0, quantile=0.1)
    return PerceiveConfig(tracker, moving, FlowConfig())


def _fixed_camera() -> PerceiveConfig:
    return PerceiveConfig(tracker=TRACKERS["fixed-camera"](), flow=FlowConfig())


PRESETS: dict[str, Callable[[], PerceiveConfig]] = {
    "default": _default,
    "realtime": _realtime,
    "fixed-camera": _fixed_camera,
    "manipulation": _manipulation,
}
