"""What a policy and an environment must agree on before they run, and what a policy's answer must be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_data.camera_control import LookingPolicy, RovingEnv
from vla_data.errors import ConfigError, SpecMismatchError, VlaError
from vla_data.objects import LabelledEnv
from vla_data.protocols import Policy, SimEnv
from vla_data.types import ActionChunk, Camera, InputSpec, RobotSpec, Trial


class BadActionError(VlaError):
    """A policy answered with something that is not a chunk of finite actions of the robot."""


def require_match(robot: RobotSpec, cameras: Sequence[Camera], spec: InputSpec) -> None:
    """Compare what an environment, or a robot, gives with what the policy needs.

    Args:
        robot, cameras: of the environment, or the robot's own.

    Raises:
        SpecMismatchError: they disagree on actions, on the state, or on a camera or its size.
    """
    spec.robot.action.require_same(robot.action, "the policy's actions against the environment's")
    if spec.robot.state != robot.state:
        raise SpecMismatchError(
            "policy and environment disagree on the state",
            where="rollout",
            expected=", ".join(d.name for d in spec.robot.state) or "no state",
            got=", ".join(d.name for d in robot.state) or "no state",
            next_step="run the policy on the robot it was trained for",
        )
    sizes = {camera.name: (camera.height, camera.width) for camera in cameras}
    for camera in spec.cameras:
        if sizes.get(camera.name) != (camera.height, camera.width):
            raise SpecMismatchError(
                "the environment does not show what the policy looks at",
                where=f"camera {camera.name}",
                expected=f"{camera.height} × {camera.width} pixels",
                got=f"cameras {sizes}",
                next_step="give SimConfig a CameraView of that name and size",
            )


def require_labels(env: SimEnv) -> None:
    """Raise ConfigError unless the environment knows the truth about its objects."""
    if not isinstance(env, LabelledEnv):
        raise ConfigError(
            "the environment does not know where its objects are",
            where=f"RolloutConfig.labels, {type(env).__name__}",
            expected="a simulator with label() and object_names()",
            next_step="record without labels",
        )


def require_roving(env: SimEnv, policy: Policy, only_colour: bool) -> None:
    """Raise ConfigError if the policy looks around and the environment's cameras cannot be moved, or if more
    than colour is to be recorded of what it sees."""
    if not isinstance(policy, LookingPolicy):
        return
    if not isinstance(env, RovingEnv) or not only_colour:
        raise ConfigError(
            "a policy that moves cameras cannot be run like this",
            where=f"{type(policy).__name__}, {type(env).__name__}",
            expected="an environment with control_cameras(), and pictures as all that is recorded",
            got="depth, masks or labels to record" if isinstance(env, RovingEnv) else "no such environment",
        )


def checked_chunks(
    policy: str, chunks: Sequence[ActionChunk], spec: InputSpec, trials: Sequence[Trial]
) -> list[np.ndarray]:
    """The actions of each trial's chunk, float32 [action_horizon, action_dim].

    Raises:
        BadActionError: too few or too many chunks, a wrong shape, or a number that is not finite.
    """
    if len(chunks) != len(trials):
        raise BadActionError(
            "a policy gave another number of chunks than it was given windows",
            where=policy,
            expected=str(len(trials)),
            got=str(len(chunks)),
        )
    return [_checked(policy, c.actions, spec, t) for c, t in zip(chunks, trials, strict=True)]


def _checked(policy: str, answer: np.ndarray, spec: InputSpec, trial: Trial) -> np.ndarray:
    actions = np.asarray(answer)
    expected = (spec.action_horizon, spec.robot.action.dim)
    if actions.shape != expected or not np.issubdtype(actions.dtype, np.floating):
        problem, got = "a chunk of the wrong shape", f"{actions.shape} of {actions.dtype}"
    elif not np.isfinite(actions).all():
        row, column = np.argwhere(~np.isfinite(actions))[0]
        problem, got = "an action that is not finite", f"{actions[row, column]} at [{row}, {column}]"
    else:
        return actions.astype(np.float32)
    raise BadActionError(
        f"a policy gave {problem}",
        where=f"{policy}, task {trial.task}, seed {trial.seed}",
        expected=f"finite floats {expected}",
        got=got,
    )
