"""What every simulator that lives in this process does with its slots, said once.

A simulator adds how an environment of a task is built, placed, stepped and looked at.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Float32
from numpy import ndarray

from vla_data.camera_control import CameraControl
from vla_data.errors import ConfigError, SimError
from vla_data.objects import ObjectName, ObjectTruth
from vla_data.registry import lookup
from vla_data.sim.config import Perturbation, Place
from vla_data.sim.distractors import Distractor, scattered
from vla_data.sim.looking import Looker, Seen
from vla_data.sim.perturbing import Appearance, generator, nudges, swap_places, turned_cameras
from vla_data.sim.roving import first_places, moved
from vla_data.sim.truth import SceneObjects
from vla_data.types import Observation, RobotSpec, StepResult, Trial

UNCHANGED = Perturbation()


@dataclass
class Slot:
    """An episode under way: its environment, the task that was built for, and what it said last."""

    task: str
    trial: Trial
    env: Any
    sensed: Any
    steps: int = 0
    ended: bool = False
    went_on: bool = False  # it began in the scene that another trial left
    places: dict[str, Place] = field(default_factory=dict)  # where roving cameras look from
    turned: Mapping[str, Place] = field(
        default_factory=dict
    )  # where cameras look from that should stand still
    beside: tuple[Distractor, ...] = ()  # things that belong to no task

    @property
    def looks_from(self) -> dict[str, Place]:
        """Where views look from that do not look from their own place."""
        return {**self.turned, **self.places}


class SlotEnv(ABC):
    """`num_envs` slots over environments that are built when first needed and then kept.

    Args:
        tasks: the tasks its trials may name.
        num_envs: slots.
        looker: draws its pictures.
        object_rows: of the table of objects of every episode.
        perturbation: how scenes differ from what the simulator makes.
    """

    robot: RobotSpec

    def __init__(
        self,
        tasks: tuple[str, ...],
        num_envs: int,
        looker: Looker,
        object_rows: int,
        perturbation: Perturbation = UNCHANGED,
    ) -> None:
        self.tasks, self.num_envs, self.object_rows = tasks, num_envs, object_rows
        self._looker, self._perturbation = looker, perturbation
        self._appearances: dict[int, Appearance] = {}  # by environment, which are kept
        self._slots: dict[int, Slot] = {}
        self._spare: dict[str, list[Any]] = {}
        self._scenes: dict[str, SceneObjects] = {}

    def reset(self, slots: Sequence[int], trials: Sequence[Trial]) -> None:
        """Begin an episode in each slot.

        Raises:
            UnknownNameError: a trial's task is not among `tasks`.
        """
        for slot, trial in zip(slots, trials, strict=True):
            task = lookup("task of this environment", {t: t for t in self.tasks}, trial.task)
            old = self._slots.pop(slot, None)
            if old is not None:
                self._give_back(old.task, old.env)
            env = self._take(task)
            places = first_places(self._looker.views, trial.seed)
            self._slots[slot] = Slot(task, trial, env, self._place(env, task, trial.seed), places=places)
            if self._perturbation != UNCHANGED:
                self._perturb(self._slots[slot])

    def go_on(self, slot: int, trial: Trial) -> bool:
        """Begin another trial in a slot's scene as it stands; see `vla_data.protocols.ContinuingEnv`.

        Raises:
            UnknownNameError: the trial's task is not among `tasks`.
        """
        under_way = self._slot(slot)
        task = lookup("task of this environment", {t: t for t in self.tasks}, trial.task)
        if not self._goes_on(under_way, task):
            return False
        under_way.trial, under_way.steps, under_way.ended, under_way.went_on = trial, 0, False, True
        return True

    def step(self, slots: Sequence[int], actions: Float32[ndarray, "n action_dim"]) -> list[StepResult]:
        """Carry out one action per slot; a slot that has ended keeps still."""
        return [self._step_one(self._slot(s), a) for s, a in zip(slots, actions, strict=True)]

    def observe(
        self,
        slots: Sequence[int],
        *,
        images: bool = True,
        depth: bool = False,
        segmentation: bool = False,
        privileged: bool = False,
    ) -> list[Observation]:
        """What each slot shows now; only what is asked for is drawn."""
        return [self._observe(self._slot(s), images, depth, segmentation, privileged) for s in slots]

    def control_cameras(self, slots: Sequence[int], controls: Sequence[CameraControl]) -> None:
        """Move a roving camera in each slot; see `vla_data.camera_control.RovingEnv`."""
        for slot, control in zip(map(self._slot, slots), controls, strict=True):
            slot.places = moved(self._looker.views, slot.places, control)

    def current_task(self, slot: int) -> str:
        """The task the slot is about."""
        return self._slot(slot).trial.task

    def objects(self, slot: int) -> dict[int, str]:
        """Id in segmentation → name of the body."""
        model, _ = self._physics(self._slot(slot).env)
        return {i: model.body(i).name for i in range(model.nbody)}

    def object_names(self, slot: int) -> tuple[ObjectName, ...]:
        """What can move in the slot's scene, in the order of the rows of its truth."""
        return self._scene(self._slot(slot)).names

    def label(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[ObjectTruth]:
        """The truth about the objects of each slot, as the pictures just taken show them.

        Args:
            observations: what `observe` with `segmentation=True` gave of these slots.
        """
        found = []
        for slot, observation in zip(map(self._slot, slots), observations, strict=True):
            model, data = self._physics(slot.env)
            found.append(self._scene(slot).truth(model, data, observation))
        return found

    def close(self) -> None:
        """Free rendering contexts and environments."""
        self._looker.close()
        spare = [env for envs in self._spare.values() for env in envs]
        for env in [*(slot.env for slot in self._slots.values()), *spare]:
            self._free(env)
        self._slots.clear()
        self._spare.clear()

    def _perturb(self, slot: Slot) -> None:
        """Make a scene that was just placed differ as it is to, by the trial's seed."""
        how, seed = self._perturbation, slot.trial.seed
        model, data = self._physics(slot.env)
        mujoco = importlib.import_module("mujoco")
        self._appearances.setdefault(id(slot.env), Appearance()).change(model, how, seed)
        mujoco.mj_camlight(model, data)
        slot.turned = turned_cameras(model, self._looker.views, how.camera, seed)
        if how.swap:
            swap_places(model, data, mujoco.mj_forward, seed)
        if how.start:
            action = self.robot.action
            if [d.quantity for d in action.dims[:3]] != ["position"] * 3:
                raise ConfigError(
                    "a robot without a hand cannot begin elsewhere", where=self.robot.name, expected="start 0"
                )
            for nudge in nudges(action.dims[0].scale, how.start, action.dim, seed):
                if action.gripper_closes is not None:
                    nudge[-1] = -action.gripper_closes  # open
                self._step(slot, nudge)
            slot.steps, slot.ended = 0, False
        if how.distractors:
            bodies = self._scene(slot).bodies
            slot.beside = scattered(model, data, bodies, how.distractors, generator(seed, "distractors"))

    def _slot(self, slot: int) -> Slot:
        if slot not in self._slots:
            raise SimError(
                "a slot was used before its reset",
                where=f"slot {slot}",
                expected=f"reset() of a slot in 0…{self.num_envs - 1} first",
            )
        return self._slots[slot]

    def _take(self, task: str) -> Any:
        """An environment of a task that no slot uses."""
        spare = self._spare.get(task)
        return spare.pop() if spare else self._build(task)

    def _give_back(self, task: str, env: Any) -> None:
        self._spare.setdefault(task, []).append(env)

    def _goes_on(self, slot: Slot, task: str) -> bool:
        """Have a slot be about a task from now on, where the scene is that of the task too."""
        return slot.trial.task == task

    def _scene(self, slot: Slot) -> SceneObjects:
        """The objects of a task's model; all its environments are built from one source."""
        if slot.task not in self._scenes:
            self._scenes[slot.task] = self._find_objects(self._physics(slot.env)[0], slot.task)
        return self._scenes[slot.task]

    def _seen(self, slot: Slot, images: bool, depth: bool, segmentation: bool) -> Seen:
        """What the views show of a slot."""
        model, data = self._physics(slot.env)
        return self._looker.look(
            slot.task,
            model,
            data,
            images=images,
            depth=depth,
            segmentation=segmentation,
            places=slot.looks_from,
            beside=slot.beside,
        )

    def _step_one(self, slot: Slot, action: ndarray) -> StepResult:
        return StepResult(0.0, False, ended=True) if slot.ended else self._step(slot, action)

    @abstractmethod
    def _build(self, task: str) -> Any: ...
    @abstractmethod
    def _place(self, env: Any, task: str, seed: int) -> Any: ...
    @abstractmethod
    def _physics(self, env: Any) -> tuple[Any, Any]: ...  # MuJoCo's model and data
    @abstractmethod
    def _find_objects(self, model: Any, task: str) -> SceneObjects: ...
    @abstractmethod
    def _free(self, env: Any) -> None: ...
    @abstractmethod
    def _step(self, slot: Slot, action: ndarray) -> StepResult: ...
    @abstractmethod
    def _observe(
        self, slot: Slot, images: bool, depth: bool, segmentation: bool, privileged: bool
    ) -> Observation: ...
