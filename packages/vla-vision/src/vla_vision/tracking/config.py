"""What a tracker can be told, and named settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vla_data.errors import ConfigError
from vla_vision.tracking.camera_motion import CameraConfig
from vla_vision.tracking.gallery import AppearanceConfig
from vla_vision.tracking.motion import MotionConfig


@dataclass(frozen=True)
class TrackerConfig:
    """A tracker's settings; lengths of time are in frames.

    The defaults were tuned by random search on the first half of PETS09-S2L1, on TUD-Campus and on four
    made-up sequences of crossings (`benchmarks/trackers.py` also reports sequences not used for that).

    Args:
        high_score: detections of at least this score are matched first and may begin a track.
        low_score: between this and `high_score` a detection can only continue a track.
        new_score: a new track needs a detection of at least this score.
        confirm_hits: detections that make a tentative track a confirmed one (one is enough in frame 1).
        tentative_misses: frames a tentative track may go without one.
        max_lost: frames a confirmed track may go without one.
        coast: frames a lost track is still reported for, where it is expected.
        buffer: share of a box added on each side before overlaps with good detections are taken.
        min_overlap, low_overlap, tentative_overlap: smallest (widened) overlap of a pair times the score;
            plain overlap with a detection of low score; the first again, of a tentative track.
        gate: largest squared Mahalanobis distance of a pair that overlaps (4 degrees of freedom).
        rejoin_gate: the same of a pair that does not: a thing met again away from where it was expected.
        class_penalty: added to the cost of a pair whose classes differ.
        duplicate_overlap: a detection that covers a tracked one this much begins no track.
        sure_overlap: matched pairs that overlap this much teach how alike a thing is to itself.
        max_detections: of one frame; the best are kept, the rest counted.
        use_appearance: whether embeddings are looked at.

    Raises:
        ConfigError: scores are not in order or a limit is not positive.
    """

    high_score: float = 0.6
    low_score: float = 0.1
    new_score: float = 0.7
    confirm_hits: int = 3
    tentative_misses: int = 0
    max_lost: int = 45
    coast: int = 2
    buffer: float = 0.2
    min_overlap: float = 0.15
    low_overlap: float = 0.5
    tentative_overlap: float = 0.3
    gate: float = 100.0
    rejoin_gate: float = 3.0
    class_penalty: float = 0.2
    duplicate_overlap: float = 0.5
    sure_overlap: float = 0.7
    max_detections: int = 1000
    use_appearance: bool = True
    motion: MotionConfig = field(default_factory=MotionConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)

    def __post_init__(self) -> None:
        in_order = 0 <= self.low_score <= self.high_score <= self.new_score <= 1
        if not in_order or min(self.confirm_hits, self.max_detections, self.appearance.views) < 1:
            raise ConfigError(
                "settings of a tracker contradict each other",
                where="TrackerConfig",
                expected="0 ≤ low_score ≤ high_score ≤ new_score ≤ 1; hits, views and detections at least 1",
                got=f"scores {self.low_score:g}, {self.high_score:g}, {self.new_score:g}; "
                f"confirm_hits {self.confirm_hits}, max_detections {self.max_detections}",
            )


def _responsive() -> TrackerConfig:
    """For a loop that acts on what it sees: confirmed a frame sooner, nothing reported that is not seen."""
    return TrackerConfig(confirm_hits=2, coast=0)


def _fixed_camera() -> TrackerConfig:
    """For a camera that stands still: its motion is not looked for."""
    return TrackerConfig(camera=CameraConfig(enabled=False))


PRESETS: dict[str, Callable[[], TrackerConfig]] = {
    "default": TrackerConfig,
    "responsive": _responsive,
    "fixed-camera": _fixed_camera,
}
