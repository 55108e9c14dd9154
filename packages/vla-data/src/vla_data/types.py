"""The vocabulary: what an episode, an observation and an action are.

Everything is a frozen dataclass of numpy arrays and plain values, so that a value means the same in
every room of the suite. Notable features:
- `Episode` is columnar: every array leads with T, images decode only when looked at
- an action carries its meaning (`ActionSpec`), and two meanings are compared before anything runs
- a model publishes what it needs (`InputSpec`) and tests make fake observations from it

Axes: camera frames follow OpenCV (x right, y down, z forward); world frames are right-handed, z up.
Units are SI (metres, radians, seconds) unless a field says otherwise. The episode/step vocabulary is
that of RLDS (Ramos et al. 2021, arXiv:2111.02767).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from vla_data.errors import DataError, SpecMismatchError

Matrix = tuple[tuple[float, ...], ...]
Image = UInt8[np.ndarray, "height width 3"]
Depth = Float32[np.ndarray, "height width"]

Quantity = Literal["position", "rotation", "joint", "gripper", "base", "other"]
Mode = Literal["delta", "absolute", "velocity"]
Frame = Literal["world", "base", "gripper", "joint", "none"]
RotationForm = Literal["none", "euler_xyz", "axis_angle", "quaternion_xyzw", "matrix_6d"]


@dataclass(frozen=True)
class Camera:
    """A camera: `width` × `height` pixels, `intrinsics` 3×3 in pixels, `pose` 4×4 camera → world.

    `pose` is None for a camera that moves; its poses are then the episode's series `pose/<name>` [T, 4, 4].
    """

    name: str
    width: int
    height: int
    intrinsics: Matrix | None = None
    pose: Matrix | None = None
    frame_rate: float | None = None
    kind: Literal["colour", "depth", "segmentation"] = "colour"


@dataclass(frozen=True)
class ActionDim:
    """What one number of an action means: 1.0 stands for `scale` `unit`s; values lie in [low, high]."""

    name: str
    quantity: Quantity
    mode: Mode
    frame: Frame
    unit: str = "1"
    scale: float = 1.0
    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True)
class ActionSpec:
    """What an action means, dimension by dimension, and how often one is sent.

    `gripper_closes` is the sign of a gripper command that closes (None without a gripper).
    """

    dims: tuple[ActionDim, ...]
    control_hz: float
    rotation: RotationForm = "none"
    gripper_closes: Literal[1, -1] | None = None

    @property
    def dim(self) -> int:
        """Numbers in one action."""
        return len(self.dims)

    @property
    def low(self) -> Float32[np.ndarray, "action_dim"]:
        return np.array([d.low for d in self.dims], np.float32)

    @property
    def high(self) -> Float32[np.ndarray, "action_dim"]:
        return np.array([d.high for d in self.dims], np.float32)

    def differences(self, other: ActionSpec) -> list[str]:
        """Where two specs disagree, in words; empty when they mean the same."""
        found = [
            f"{name}: {getattr(self, name)} != {getattr(other, name)}"
            for name in ("control_hz", "rotation", "gripper_closes")
            if getattr(self, name) != getattr(other, name)
        ]
        if self.dim != other.dim:
            return [*found, f"action_dim: {self.dim} != {other.dim}"]
        found += [
            f"dim {i}: {a} != {b}"
            for i, (a, b) in enumerate(zip(self.dims, other.dims, strict=True))
            if a != b
        ]
        return found

    def require_same(self, other: ActionSpec, where: str) -> None:
        """Raise SpecMismatchError unless both specs mean the same."""
        found = self.differences(other)
        if found:
            raise SpecMismatchError(
                "two action specs disagree",
                where=where,
                expected=f"{self.dim} dims at {self.control_hz:g} Hz",
                got="; ".join(found[:4]),
                next_step="use data, codec and policy of the same robot and action convention",
            )


@dataclass(frozen=True)
class StateDim:
    """What one number of the proprioceptive state means."""

    name: str
    unit: str = "1"


@dataclass(frozen=True)
class Joint:
    """A joint: position limits in `unit`, velocity limit in `unit`/s."""

    name: str
    low: float
    high: float
    velocity: float
    unit: str = "rad"


@dataclass(frozen=True)
class RobotSpec:
    """A robot as the suite sees it: its action, its state, its joints and limits.

    `workspace` is where its hand may be: low and high along x, y and z, metres, world; empty where unknown.
    """

    name: str
    action: ActionSpec
    state: tuple[StateDim, ...] = ()
    joints: tuple[Joint, ...] = ()
    urdf: str | None = None
    workspace: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class SubStep:
    """Steps [start, stop) of an episode that do one thing, said in `text`."""

    start: int
    stop: int
    text: str


@runtime_checkable
class ImageSequence(Protocol):
    """T frames uint8 [height, width, 3], decoded when indexed."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Image: ...


@runtime_checkable
class DepthSequence(Protocol):
    """T frames float32 [height, width] in metres: an array, or pictures decoded when indexed."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __array__(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """An `ImageSequence` over frames already in memory, uint8 [T, height, width, 3]."""

    frames: UInt8[np.ndarray, "time height width 3"]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Image:
        return self.frames[index]


@dataclass(frozen=True, eq=False)
class Observation:
    """What is seen at one instant.

    Args:
        time: seconds since the episode began.
        images: camera name → uint8 [height, width, 3].
        state: proprioception, float32 [state_dim], as `RobotSpec.state` names it.
        instruction: what to do, in words.
        depth: camera name → metres, float32 [height, width].
        segmentation: camera name → object ids, int32 [height, width].
        poses: camera name → 4×4 camera → world now, float32, for cameras that move.
        places: camera name → the place it looks from, for cameras that rove.
        privileged: simulator state that no camera or encoder of the robot gives; only scripted experts
            ask for it (`InputSpec.privileged`), every other policy is never handed any.
    """

    time: float
    images: Mapping[str, Image]
    state: Float32[np.ndarray, "state_dim"]
    instruction: str = ""
    depth: Mapping[str, Depth] = field(default_factory=dict)
    segmentation: Mapping[str, np.ndarray] = field(default_factory=dict)
    poses: Mapping[str, np.ndarray] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    privileged: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Step:
    """An observation and the action taken on it, float32 [action_dim]."""

    observation: Observation
    action: Float32[np.ndarray, "action_dim"]
    is_last: bool = False


@dataclass(frozen=True, eq=False)
class ObservationWindow:
    """The last K observations, oldest first, and the latest actions (`InputSpec.past` of them), those taken
    between the observations at least; actions from before the episode began are 0.

    `slot` says which of several environments run side by side this window belongs to.
    """

    observations: tuple[Observation, ...]
    past_actions: Float32[np.ndarray, "past action_dim"]
    slot: int = 0

    @property
    def latest(self) -> Observation:
        return self.observations[-1]


@dataclass(frozen=True, eq=False)
class ActionChunk:
    """The next `action_horizon` actions, float32 [action_horizon, action_dim], and what they mean."""

    actions: Float32[np.ndarray, "action_horizon action_dim"]
    spec: ActionSpec


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode of T steps, columnar.

    Args:
        id: unique within its data set.
        robot: whose action and state the arrays are.
        action: float32 [T, action_dim].
        state: float32 [T, state_dim].
        time: seconds since the episode began, float64 [T].
        images: camera name → T frames.
        instruction: what was asked for.
        paraphrases: other wordings of the same instruction.
        depth: camera name → float32 [T, height, width] metres.
        substeps: what happened when, in order, without overlap.
        cameras: what is known of each camera.
        series: every other array that leads with T (reward, phase, `pose/<camera>`, …).
        metadata: plain values about the whole episode (task, seed, success, source file, …).

    Raises:
        DataError: an array does not lead with T.
    """

    id: str
    robot: RobotSpec
    action: Float32[np.ndarray, "time action_dim"]
    state: Float32[np.ndarray, "time state_dim"]
    time: np.ndarray
    images: Mapping[str, ImageSequence] = field(default_factory=dict)
    instruction: str = ""
    paraphrases: tuple[str, ...] = ()
    depth: Mapping[str, DepthSequence] = field(default_factory=dict)
    substeps: tuple[SubStep, ...] = ()
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    series: Mapping[str, np.ndarray] = field(default_factory=dict)
    metadata: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {"action": len(self.action), "state": len(self.state), "time": len(self.time)}
        lengths |= {f"images/{k}": len(v) for k, v in self.images.items()}
        lengths |= {f"depth/{k}": len(v) for k, v in self.depth.items()}
        lengths |= {f"series/{k}": len(v) for k, v in self.series.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                "arrays of one episode differ in length",
                where=f"episode {self.id}",
                expected="every array to lead with the same T",
                got=", ".join(f"{k} {n}" for k, n in lengths.items()),
            )

    def __len__(self) -> int:
        return len(self.action)

    def observation(self, index: int) -> Observation:
        """The observation at step `index`, images decoded."""
        return Observation(
            time=float(self.time[index]),
            images={name: frames[index] for name, frames in self.images.items()},
            state=self.state[index],
            instruction=self.instruction,
            depth={name: frames[index] for name, frames in self.depth.items()},
        )

    def steps(self) -> Iterator[Step]:
        """The steps in order, images decoded one at a time."""
        for i in range(len(self)):
            yield Step(self.observation(i), self.action[i], is_last=i == len(self) - 1)


@dataclass(frozen=True)
class CameraInput:
    """A camera a model looks through, at the size it wants."""

    name: str
    height: int
    width: int
    depth: bool = False


@dataclass(frozen=True)
class InputSpec:
    """What a policy needs to see and what it answers; published by the model, consumed by data.

    `history` observations are shown, and the latest `past` actions given: those between the observations, and
    `past_actions` of them where that is more (no picture is drawn for an action alone). `places` are those
    that it may ask its one camera, which roves, to look from.
    """

    robot: RobotSpec
    cameras: tuple[CameraInput, ...]
    action_horizon: int
    history: int = 1
    instruction: bool = True
    privileged: bool = False
    past_actions: int = 0
    places: tuple[str, ...] = ()

    @property
    def past(self) -> int:
        """Past actions in a window."""
        return max(self.history - 1, self.past_actions)

    @property
    def state_dim(self) -> int:
        return len(self.robot.state)

    def fake_window(self, seed: int = 0, slot: int = 0) -> ObservationWindow:
        """A window of the right shapes and random content, for tests and warm-up."""
        rng = np.random.default_rng(seed)

        def one(i: int) -> Observation:
            return Observation(
                time=i / self.robot.action.control_hz,
                images={c.name: rng.integers(0, 256, (c.height, c.width, 3), np.uint8) for c in self.cameras},
                state=rng.normal(size=self.state_dim).astype(np.float32),
                instruction="pick up the cube" if self.instruction else "",
                depth={
                    c.name: rng.uniform(0.1, 2.0, (c.height, c.width)).astype(np.float32)
                    for c in self.cameras
                    if c.depth
                },
                places={c.name: self.places[0] for c in self.cameras} if self.places else {},
            )

        past = rng.uniform(-1, 1, (self.past, self.robot.action.dim)).astype(np.float32)
        return ObservationWindow(tuple(one(i) for i in range(self.history)), past, slot)


@dataclass(frozen=True)
class Trial:
    """One thing to try in an environment: a task, where things stand, and what is said.

    `seed` fixes the placement. Seeds come from `vla_data.sim.placements`, which keeps those for training,
    validation and evaluation apart.
    """

    task: str
    seed: int
    instruction: str


@dataclass(frozen=True)
class StepResult:
    """What a simulator says after one step of one environment."""

    reward: float
    success: bool
    ended: bool = False


def stack_windows(windows: Sequence[ObservationWindow], camera: str) -> UInt8[np.ndarray, "batch k h w 3"]:
    """Images of one camera over a batch of windows, uint8 [B, K, height, width, 3]."""
    return np.stack([np.stack([o.images[camera] for o in w.observations]) for w in windows])
