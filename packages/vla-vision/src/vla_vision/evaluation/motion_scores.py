"""How right 3-D velocities are, beside a difference of positions and beside saying that nothing moves.

A track and a true object are the same where their boxes overlap by half. Only objects that move count. The
difference takes the same boxes and depths as the filter: the point of a track now, less that five frames ago,
over the time between. An object is scored where both are known, so that all stand on the same frames.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from vla_vision.labels.truth import FrameLabels, Motion
from vla_vision.perception.percept import Percept
from vla_vision.tracking.association import assign, overlaps
from vla_vision.velocity.config import VelocityConfig
from vla_vision.velocity.filter import Velocities, radial_and_lateral
from vla_vision.velocity.lifting import centres, lift, require_intrinsics

SLOWEST = 0.05  # m/s; slower things are not scored
FRAMES_BACK = 5
SAME = 0.5  # least overlap


@dataclass(frozen=True)
class MotionScores:
    """Errors over all objects and frames that are scored, means unless said.

    Args:
        velocity, radial, lateral: m/s; along the line of sight and across it.
        difference: of the difference over five frames, m/s.
        zero: of saying that nothing moves: the mean speed, m/s.
        median_velocity, median_difference, median_zero: medians of the same.
        position: metres, median: of the filter's point, which lies on the side that is seen, to the centre.
        scored: objects in frames.
        moving: true objects in frames that move and are in sight; more than `scored` where they were not
            found, or not long enough.
    """

    velocity: float
    radial: float
    lateral: float
    difference: float
    zero: float
    median_velocity: float
    median_difference: float
    median_zero: float
    position: float
    scored: int
    moving: int


@dataclass
class MotionJudge:
    """Is shown the frames of one video after the other, in order, and keeps errors.

    Args:
        config: how a point is taken from a box: as the filter takes it.
    """

    config: VelocityConfig
    _errors: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _moving: int = 0

    def start(self, intrinsics: object | None) -> None:
        """Another video, of a camera with these intrinsics (pixels count from the centre of the first)."""
        self._intrinsics = None if intrinsics is None else require_intrinsics(intrinsics).copy()
        if self._intrinsics is not None:
            self._intrinsics[:2, 2] += 0.5
        self._points: deque[tuple[float, dict[int, np.ndarray]]] = deque(maxlen=FRAMES_BACK + 1)

    def add(self, percept: Percept, labels: FrameLabels) -> None:
        """A frame and its truth; one without velocities only counts what moves."""
        motion = labels.motion
        if motion is None:
            return
        self._moving += int((_speeds(motion) > SLOWEST).sum())
        if percept.velocities is None or self._intrinsics is None:
            return
        self._points.append((percept.time, self._measured(percept)))
        rows, truths = _pairs(percept, labels)
        differences = self._differences()
        known = {ident: row for row, ident in enumerate(percept.velocities.ids.tolist())}
        picked = [
            (known[i], t, differences[i])
            for i, t in zip(percept.tracks.ids[rows].tolist(), truths.tolist(), strict=True)
            if i in known and i in differences and _speeds(motion)[t] > SLOWEST
        ]
        if picked:
            said, true, difference = (np.array(v) for v in zip(*picked, strict=True))
            self._keep(percept.velocities, said, difference, motion, true, percept.pose)

    def scores(self) -> MotionScores | None:
        """Of all that was shown; None where nothing could be scored."""
        if not self._errors:
            return None
        found = {name: np.concatenate(values) for name, values in self._errors.items()}
        means = {n: float(found[n].mean()) for n in ("velocity", "radial", "lateral", "difference", "zero")}
        medians = {f"median_{n}": float(np.median(found[n])) for n in ("velocity", "difference", "zero")}
        position = float(np.median(found["position"]))
        return MotionScores(
            **means, **medians, position=position, scored=len(found["zero"]), moving=self._moving
        )

    def _measured(self, percept: Percept) -> dict[int, np.ndarray]:
        """Where each track that was seen now is, by its box and depth."""
        tracks, depths = percept.tracks, percept.depths
        if depths is None or self._intrinsics is None:
            return {}
        points, _ = lift(centres(tracks.boxes, None), depths, self._intrinsics, self.config)
        if percept.pose is not None:
            points = points @ percept.pose[:3, :3].T + percept.pose[:3, 3]
        good = np.isfinite(depths) & (tracks.detections >= 0)
        return dict(zip(tracks.ids[good].tolist(), points[good], strict=True))

    def _differences(self) -> dict[int, np.ndarray]:
        """Velocity of each track by the difference over `FRAMES_BACK` frames, where both ends are known."""
        if len(self._points) <= FRAMES_BACK:
            return {}
        (before, old), (now, new) = self._points[0], self._points[-1]
        return {ident: (new[ident] - old[ident]) / (now - before) for ident in new.keys() & old.keys()}

    def _keep(
        self,
        found: Velocities,
        said: np.ndarray,
        difference: np.ndarray,
        motion: Motion,
        true: np.ndarray,
        pose: np.ndarray | None,
    ) -> None:
        world = found.frame == "world"
        velocity = (motion.velocity if world else motion.camera_velocity)[true].astype(np.float64)
        position = (motion.position if world else motion.camera_position)[true].astype(np.float64)
        camera = np.zeros(3) if pose is None or not world else np.asarray(pose, np.float64)[:3, 3]
        off = found.velocities[said] - velocity
        radial, lateral = radial_and_lateral(off, position, camera)
        errors = {
            "velocity": np.linalg.norm(off, axis=1),
            "radial": abs(radial),
            "lateral": lateral,
            "difference": np.linalg.norm(difference - velocity, axis=1),
            "zero": np.linalg.norm(velocity, axis=1),
            "position": np.linalg.norm(found.positions[said] - position, axis=1),
        }
        for name, values in errors.items():
            self._errors.setdefault(name, []).append(values)


def _speeds(motion: Motion) -> np.ndarray:
    return np.linalg.norm(motion.velocity, axis=1)


def _pairs(percept: Percept, labels: FrameLabels) -> tuple[np.ndarray, np.ndarray]:
    """Rows of tracks and of true objects that are the same."""
    return assign(1 - overlaps(percept.tracks.boxes, labels.objects.boxes).astype(np.float64), 1 - SAME)
