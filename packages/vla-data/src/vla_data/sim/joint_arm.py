"""An arm alone, loaded from MJCF or URDF, whose joints are told where to be; time passes as on a clock.

The physics are not run by a thread: whoever reads the arm or tells it something first lets it catch up with
the clock, in steps of 2 ms. What is read is therefore what the arm would do in continuous time, however late
the reader comes.

Joints follow their targets under computed torque (Siciliano et al. 2009, "Robotics: Modelling, Planning and
Control", 8.5.2): M(q)·(kp·e + kd·ė) with the bias forces added, within the torques of the actuators where the
file has any. A target is approached evenly over one control step, as arms' own interpolators do.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from vla_data.errors import DataError, MissingDependencyError
from vla_data.types import Camera, Image, Joint

STEP = 0.002  # seconds
MOST_BEHIND = 1.0  # seconds that are caught up with at most: by then an arm stands still
STIFFNESS, DAMPING = 900.0, 60.0  # 1/s², 1/s: critically damped, 30 rad/s
SPEED = 2.0  # rad/s (m/s), where the file says no limit, as MJCF has no word for one
PANDA_HOME = (0.0, 0.2, 0.0, -2.2, 0.0, 2.6, 0.79)
CAMERA = "front"
COLLISION_GROUP = 0  # in robosuite's files


class JointArm:
    """The physics of an arm.

    Args:
        file: MJCF or URDF; "panda" for robosuite's Franka Emika Panda.
        clock: seconds.
        control_step: seconds over which a target is approached.
        home: angles at the beginning; the middle of each range where None.

    Raises:
        MissingDependencyError: MuJoCo, or robosuite for "panda", is absent.
        DataError: the file is no arm: it cannot be read, or has no hinge or slide joint.
    """

    def __init__(
        self,
        file: str,
        clock: Callable[[], float],
        control_step: float,
        home: tuple[float, ...] | None = None,
    ) -> None:
        self._mujoco: Any = _mujoco()
        self._panda = file == "panda"
        self._clock, self._control_step = clock, control_step
        self.model = self._model(file)
        self.data = self._mujoco.MjData(self.model)
        self._addresses = np.array([self.model.jnt_qposadr[j] for j in self._hinges()])
        if self._panda:
            home = home or PANDA_HOME
        low, high = self.limits.T
        self.data.qpos[self._addresses] = (low + high) / 2 if home is None else home
        self._mujoco.mj_forward(self.model, self.data)
        self._from = self._to = self.angles
        self._began = self._now = clock()
        self._renderer: Any = None

    @property
    def joints(self) -> tuple[Joint, ...]:
        """Its joints, with their limits."""
        names = [self.model.joint(j).name for j in self._hinges()]
        kinds = {self._mujoco.mjtJoint.mjJNT_SLIDE: "m"}
        units = [kinds.get(self.model.jnt_type[j], "rad") for j in self._hinges()]
        rows = zip(names, self.limits, units, strict=True)
        return tuple(Joint(n, float(lo), float(hi), SPEED, unit) for n, (lo, hi), unit in rows)

    @property
    def limits(self) -> Float64[np.ndarray, "joints 2"]:
        """Low and high of each joint; a joint without limits may turn once either way."""
        hinges = self._hinges()
        limited = self.model.jnt_limited[hinges].astype(bool)
        return np.where(limited[:, None], self.model.jnt_range[hinges], (-np.pi, np.pi))

    @property
    def angles(self) -> Float64[np.ndarray, "joints"]:
        """Where the joints are, as of the last catching up."""
        return self.data.qpos[self._addresses].copy()

    @property
    def speeds(self) -> Float64[np.ndarray, "joints"]:
        """Radians (metres) a second."""
        return self.data.qvel[self._dofs()].copy()

    @property
    def hand(self) -> Float64[np.ndarray, "3"]:
        """Where the last body is, metres, world."""
        return self.data.xpos[-1].copy()

    @property
    def camera(self) -> Camera:
        """That looks at the arm from the front."""
        return Camera(CAMERA, 256, 256)

    def go_to(self, angles: Float64[np.ndarray, "joints"]) -> None:
        """A new target, approached over the control step that begins now."""
        self.catch_up()
        self._from, self._to, self._began = self._target(self._now), np.array(angles, float), self._now

    def hold(self) -> None:
        """Stay where the target is now."""
        self.catch_up()
        self._from = self._to = self._target(self._now)

    def catch_up(self) -> None:
        """Let it move until now."""
        now = self._clock()
        self._now = max(self._now, now - MOST_BEHIND)
        while self._now + STEP <= now:
            self._drive(self._target(self._now), self._target(self._now + STEP))
            self._mujoco.mj_step(self.model, self.data)
            self._now += STEP

    def picture(self) -> Image:
        """What the camera sees, 256²."""
        from vla_data.sim.render import Renderer

        if self._renderer is None:
            hidden = (COLLISION_GROUP,) if self._panda else ()  # they lie in what is to be seen
            self._renderer = Renderer(self.model, 256, 256, hidden_groups=hidden)
        image = self._renderer.picture(self.model, self.data, CAMERA).image
        assert image is not None
        return image

    def close(self) -> None:
        """Free what draws."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _target(self, now: float) -> np.ndarray:
        share = min(max((now - self._began) / self._control_step, 0.0), 1.0)
        return self._from + share * (self._to - self._from)

    def _drive(self, target: np.ndarray, following: np.ndarray) -> None:
        dofs = self._dofs()
        wanted = np.zeros(self.model.nv)
        behind = target - self.data.qpos[self._addresses]
        wanted[dofs] = STIFFNESS * behind + DAMPING * ((following - target) / STEP - self.data.qvel[dofs])
        torque = np.zeros(self.model.nv)
        self._mujoco.mj_mulM(self.model, self.data, torque, wanted)
        torque += self.data.qfrc_bias - self.data.qfrc_passive
        self.data.qfrc_applied[:] = np.clip(torque, -self._strength, self._strength)

    def _hinges(self) -> np.ndarray:
        kinds = self._mujoco.mjtJoint
        return np.flatnonzero(np.isin(self.model.jnt_type, (kinds.mjJNT_HINGE, kinds.mjJNT_SLIDE)))

    def _dofs(self) -> np.ndarray:
        return self.model.jnt_dofadr[self._hinges()]

    def _model(self, file: str) -> Any:
        path = _panda() if self._panda else Path(file)
        try:
            spec = self._mujoco.MjSpec.from_file(str(path))
            if self._panda:
                spec.compiler.degree = False  # as the files say that include it
            _furnish(spec, self._mujoco)
            model = spec.compile()
        except (ValueError, OSError) as error:
            raise DataError(
                "an arm cannot be read", where=str(path), expected="MJCF or URDF", got=str(error)[:200]
            ) from error
        model.opt.timestep = STEP
        model.opt.disableflags |= self._mujoco.mjtDisableBit.mjDSBL_CONTACT  # nothing else is there
        self.model = model
        if not len(self._hinges()):
            raise DataError("this is no arm", where=str(path), expected="hinge or slide joints", got="none")
        self._strength = np.full(model.nv, np.inf)
        model.opt.disableflags |= self._mujoco.mjtDisableBit.mjDSBL_ACTUATION  # torques are applied to joints
        for actuator in np.flatnonzero(model.actuator_ctrllimited):
            told = model.actuator(actuator)
            motor = told.gaintype[0] == self._mujoco.mjtGain.mjGAIN_FIXED
            motor = motor and told.biastype[0] == self._mujoco.mjtBias.mjBIAS_NONE
            if motor and told.trntype[0] == self._mujoco.mjtTrn.mjTRN_JOINT:
                joint = model.actuator_trnid[actuator, 0]
                strength = told.gainprm[0] * model.actuator_ctrlrange[actuator, 1]
                self._strength[model.jnt_dofadr[joint]] = strength
        return model


def _furnish(spec: Any, mujoco: Any) -> None:
    """A floor, a light and a camera, where the file has none."""
    world = spec.worldbody
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    world.add_geom(type=plane, size=[1.5, 1.5, 0.1], rgba=[0.55, 0.6, 0.65, 1], group=1)
    world.add_light(pos=[1, -1, 3], dir=[-0.3, 0.3, -1], diffuse=[0.8, 0.8, 0.8], ambient=[0.3, 0.3, 0.3])
    camera = world.add_camera(name=CAMERA, pos=[1.5, -1.1, 1.1], fovy=42)
    forward = np.array([0.2, 0.0, 0.45]) - np.array([1.5, -1.1, 1.1])
    right = np.cross(forward, (0.0, 0.0, 1.0))
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = [*right, *np.cross(right, forward)]


def _mujoco() -> Any:
    try:
        return importlib.import_module("mujoco")
    except ImportError as error:
        raise MissingDependencyError(
            "MuJoCo is not installed", got=str(error), next_step="install vla-data[sim]"
        ) from error


def _panda() -> Path:
    found = importlib.util.find_spec("robosuite")
    if found is None or found.origin is None:
        raise MissingDependencyError("robosuite is not installed", next_step="install vla-data[libero]")
    return Path(found.origin).parent / "models/assets/robots/panda/robot.xml"
