"""How others name what a robot sees: the keys, sizes and turns of a policy server's observations.

openpi (github.com/Physical-Intelligence/openpi) sends one flat observation and leaves its names to each
robot: `CONVENTIONS` holds those that are public. `plain` is the same form with the names of a policy of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_data.registry import lookup
from vla_data.robots.messages import numbers, picture, text
from vla_data.types import CameraInput, InputSpec, Observation, RobotSpec

ACTIONS = "actions"


@dataclass(frozen=True)
class Convention:
    """One observation as a flat mapping.

    Args:
        robot: what an action and a state mean.
        cameras: the key of each camera's picture, and the camera at the size that is sent.
        mirrored: pictures are sent with left and right exchanged.
        state, instruction: keys.
    """

    robot: RobotSpec
    cameras: tuple[tuple[str, CameraInput], ...]
    mirrored: bool = False
    state: str = "observation/state"
    instruction: str = "prompt"

    def spec(self, action_horizon: int) -> InputSpec:
        """What a policy that speaks like this takes and gives."""
        return InputSpec(self.robot, tuple(camera for _, camera in self.cameras), action_horizon)

    def tell(self, observation: Observation) -> dict[str, Any]:
        """An observation, as it is sent."""
        told: dict[str, Any] = {
            self.state: np.asarray(observation.state, np.float32),
            self.instruction: observation.instruction,
        }
        for key, camera in self.cameras:
            told[key] = self._turned(observation.images[camera.name])
        return told

    def read(self, told: Mapping[str, Any]) -> Observation:
        """The observation that was sent.

        Raises:
            MessageError: a part is missing, of another shape or type, or a number is not finite.
        """
        images = {
            camera.name: self._turned(picture(told.get(key), key, (camera.height, camera.width)))
            for key, camera in self.cameras
        }
        return Observation(
            time=0.0,
            images=images,
            state=numbers(told.get(self.state), self.state, (len(self.robot.state),)),
            instruction=text(told.get(self.instruction, ""), self.instruction),
        )

    def _turned(self, image: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(image[:, ::-1]) if self.mirrored else image


def plain(spec: InputSpec) -> Convention:
    """`observation/<camera>`, `observation/state` and `prompt`, at the policy's own sizes."""
    return Convention(spec.robot, tuple((f"observation/{c.name}", c) for c in spec.cameras))


def find_convention(name: str) -> Convention:
    """A public convention.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return lookup("convention", CONVENTIONS, name)()


def _openpi_libero() -> Convention:
    """openpi's LIBERO client: two pictures of 224², turned by 180° from MuJoCo's rows, which mirrors them."""
    from vla_data.sim.libero import ROBOT

    views = {"observation/image": "agentview", "observation/wrist_image": "robot0_eye_in_hand"}
    return Convention(
        ROBOT, tuple((key, CameraInput(name, 224, 224)) for key, name in views.items()), mirrored=True
    )


CONVENTIONS: dict[str, Callable[[], Convention]] = {"openpi-libero": _openpi_libero}
