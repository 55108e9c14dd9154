"""An episode put together step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from vla_data.objects import NAMES, ObjectName, ObjectTruth, names_text, truth_series
from vla_data.phases import Phase, substeps
from vla_data.types import ArrayImages, Camera, Episode, Observation, RobotSpec, StepResult, Trial

DEPTH_BITS = (
    11  # of 23 in the mantissa: off by at most 1 part in 4096, and less than half as large when packed
)


class Recorder:
    """Collects what is seen and done in one trial.

    Args:
        trial: what is tried; gives the episode its id, instruction and metadata.
        robot: whose states and actions.
        cameras: what is known of each camera.
    """

    def __init__(self, trial: Trial, robot: RobotSpec, cameras: Sequence[Camera]) -> None:
        self._trial, self._robot, self._cameras = trial, robot, cameras
        self._seen: list[Observation] = []
        self._series: dict[str, list[np.ndarray]] = {}
        self._depth: dict[str, list[np.ndarray]] = {}
        self._actions: list[np.ndarray] = []
        self._results: list[StepResult] = []
        self._phases: list[Phase] = []
        self._truths: list[ObjectTruth] = []
        self._objects: tuple[ObjectName, ...] = ()
        self._by_hand: list[bool] = []

    def see(self, observation: Observation, depth: bool = False, segmentation: bool = False) -> None:
        """Add what is seen before an action."""
        self._seen.append(observation)
        for name, pose in observation.poses.items():
            self._series.setdefault(f"pose/{name}", []).append(pose)
        if segmentation:
            for name, ids in observation.segmentation.items():
                self._series.setdefault(f"segmentation/{name}", []).append(ids)
        if depth:
            for name, metres in observation.depth.items():
                self._depth.setdefault(name, []).append(metres)

    def see_again(self, observation: Observation) -> None:
        """Replace what was seen last by the same instant through moved cameras: pictures and poses."""
        self._seen[-1] = observation
        for name, pose in observation.poses.items():
            self._series[f"pose/{name}"][-1] = pose

    def label(self, truth: ObjectTruth, names: tuple[ObjectName, ...]) -> None:
        """Add the truth about the objects in what was seen last."""
        self._truths.append(truth)
        self._objects = names

    def did(
        self,
        action: np.ndarray,
        result: StepResult,
        phase: Phase | None = None,
        by_hand: bool | None = None,
    ) -> None:
        """Add the action taken on what was seen last, and what the simulator said of it; at every step or
        at none the phase it belongs to, where the policy tells, and whether a person did it."""
        if by_hand is not None:
            self._by_hand.append(by_hand)
        self._actions.append(action)
        self._results.append(result)
        if phase is not None:
            self._phases.append(phase)

    def episode(self, success: bool) -> Episode:
        """The episode so far."""
        images = {
            name: ArrayImages(np.stack([o.images[name] for o in self._seen])) for name in self._seen[0].images
        }
        said = {
            "reward": np.array([r.reward for r in self._results], np.float32),
            "success": np.array([r.success for r in self._results], bool),
        }
        action = np.stack(self._actions).astype(np.float32)
        labels = truth_series(self._truths) if self._truths else {}
        if self._by_hand:
            said["intervention"] = np.array(self._by_hand, bool)
        if self._phases:
            said["phase"] = np.array([phase.number for phase in self._phases], np.int32)
        metadata: dict[str, str | int | float | bool] = {
            "task": self._trial.task,
            "seed": self._trial.seed,
            "success": success,
        }
        if self._truths:
            metadata[NAMES] = names_text(self._objects)
        return Episode(
            id=f"{self._trial.task}-{self._trial.seed}",
            robot=self._robot,
            action=action,
            state=np.stack([o.state for o in self._seen]),
            time=np.array([o.time for o in self._seen], np.float64),
            images=images,
            instruction=self._trial.instruction,
            depth={name: self._packable(np.stack(frames)) for name, frames in self._depth.items()},
            substeps=substeps(self._phases, action, self._robot.action),
            cameras={c.name: c for c in self._cameras if c.name in images},
            series=said | {name: np.stack(values) for name, values in self._series.items()} | labels,
            metadata=metadata,
        )

    def _packable(self, depth: np.ndarray) -> np.ndarray:
        """Depth of a labelled episode, which is kept with every frame, loses the bits nobody can use."""
        return rounded(depth) if self._truths else depth


def rounded(depth: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Depth to `DEPTH_BITS` bits of mantissa, round to nearest; NaN and Inf stay what they are."""
    drop = 23 - DEPTH_BITS
    bits = np.ascontiguousarray(depth).view(np.uint32)
    half = np.uint32(1 << (drop - 1))
    kept = (bits + half) & ~np.uint32((1 << drop) - 1)
    return np.where(np.isfinite(depth), kept.view(np.float32), depth)
