"""Made-up movements of a hand, with known parts, for the tests of labels and augmentation."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from vla_data.types import ActionDim, ActionSpec, Episode, RobotSpec, StateDim, SubStep

HZ = 20.0
GRIPPER = ActionDim("gripper", "gripper", "absolute", "none")
DELTA = ActionSpec(
    (*(ActionDim(a, "position", "delta", "base", "m") for a in "xyz"), GRIPPER), HZ, gripper_closes=1
)
STATE = (*(StateDim(a, "m") for a in "xyz"), StateDim("opening"))

# (steps, velocity in m a step, gripper command) of each part: over, down, grasp, up, aside, let go.
PICK = (
    (12, (0.02, 0.0, 0.0), -1.0),
    (10, (0.0, 0.0, -0.02), -1.0),
    (8, (0.0, 0.0, 0.0), 1.0),
    (10, (0.0, 0.0, 0.02), 1.0),
    (14, (0.0, 0.02, 0.0), 1.0),
    (8, (0.0, 0.0, 0.0), -1.0),
)
PICK_TEXTS = (
    "move forward towards the cup",
    "lower the hand towards the cup",
    "close the gripper on the cup",
    "lift the cup",
    "carry the cup left towards the sink",
    "open the gripper and let go of the cup",
)


def movement(
    parts: tuple = PICK, spec: ActionSpec = DELTA, noise: float = 0.0, seed: int = 0, instruction: str = ""
) -> Episode:
    """An episode of these parts; its sub-steps say where they lie."""
    rng = np.random.default_rng(seed)
    action = np.concatenate([np.tile([*velocity, grip], (n, 1)) for n, velocity, grip in parts])
    action[:, :3] += rng.normal(0, noise * 0.02, action[:, :3].shape)
    edges = np.cumsum([0, *(n for n, _, _ in parts)])
    position = np.cumsum(action[:, :3], axis=0) - action[:, :3]
    state = np.concatenate([position, (1 - action[:, 3:]) / 2], axis=1)
    return Episode(
        id=f"movement-{seed}",
        robot=RobotSpec("arm", spec, STATE),
        action=action.astype(np.float32),
        state=state.astype(np.float32),
        time=np.arange(len(action)) / HZ,
        instruction=instruction,
        substeps=tuple(
            SubStep(int(a), int(b), f"part {i}") for i, (a, b) in enumerate(itertools.pairwise(edges))
        ),
    )


def as_targets(episode: Episode) -> Episode:
    """The same movement, with where to be after each step as its action."""
    spec = episode.robot.action
    dims = (*(replace(d, mode="absolute") for d in spec.dims[:3]), spec.dims[3])
    action = episode.action.copy()
    action[:, :3] = episode.state[:, :3]
    return replace(episode, action=action, robot=replace(episode.robot, action=replace(spec, dims=dims)))


def with_opposite_gripper(episode: Episode) -> Episode:
    """The same movement by a robot whose gripper closes at −1."""
    action = episode.action * np.array([1, 1, 1, -1], np.float32)
    spec = replace(episode.robot.action, gripper_closes=-1)
    return replace(episode, action=action, robot=replace(episode.robot, action=spec))
