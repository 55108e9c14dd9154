"""The objects of a MuJoCo model: which bodies make them up, where they are, how fast they move.

An object is a body and all that hangs on it, other objects excepted. Its point is the centre of the box
around its visible shapes, in the body's axes and with every joint at its zero, so that it moves with the
body: a door's hinge stands still, the middle of the door does not.

Everything is read from the kinematics that the pictures are drawn from. After a step these are those of the
last of its sub-steps, before that moved on (Meta-World: 2.5 ms), for positions and velocities alike.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from vla_data.errors import SimError
from vla_data.objects import ObjectName, ObjectTruth
from vla_data.sim.render import HIDDEN_GROUP, NO_BODY
from vla_data.types import Observation

DRAWN_GROUPS = 3  # MuJoCo draws groups 0 to 2 unless told otherwise


class SceneObjects:
    """The objects of one kind of model.

    Args:
        model: an `mujoco.MjModel`.
        named: body id → the object it carries, in the order of rows.
        rows: of the table; those beyond the objects stay zero.
        hidden_groups: groups of geoms that are not drawn.

    Raises:
        SimError: there are more objects than rows.
    """

    def __init__(
        self, model: Any, named: Mapping[int, ObjectName], rows: int, hidden_groups: tuple[int, ...] = ()
    ) -> None:
        if len(named) > rows:
            raise SimError(
                "a scene has more objects than a table has rows",
                where=f"objects {', '.join(n.name for n in named.values())}",
                expected=f"at most {rows}",
                got=str(len(named)),
            )
        self._mujoco: Any = importlib.import_module("mujoco")
        self.names = tuple(named.values())
        self.bodies, self._rows = tuple(named), rows
        self._row_of = _rows_of_bodies(model, self.bodies)
        self._centres = self._local_centres(model, hidden_groups)

    def truth(self, model: Any, data: Any, observation: Observation) -> ObjectTruth:
        """The table now; masks of the cameras whose segmentation the observation holds."""
        position, velocity = np.zeros((2, self._rows, 3), np.float32)
        twist = np.zeros(6)
        for row, body in enumerate(self.bodies):
            turn = data.xmat[body].reshape(3, 3)
            offset = turn @ self._centres[row]
            kind = self._mujoco.mjtObj.mjOBJ_XBODY
            self._mujoco.mj_objectVelocity(model, data, kind, body, twist, 0)
            position[row] = data.xpos[body] + offset
            velocity[row] = twist[3:] + np.cross(twist[:3], offset)
        masks = {n: self._row_of[ids] for n, ids in observation.segmentation.items()}
        return ObjectTruth(position, velocity, masks)

    def _local_centres(self, model: Any, hidden_groups: tuple[int, ...]) -> np.ndarray:
        """Centre of each object in the axes of its body, from data of its own with every joint at zero."""
        data = self._mujoco.MjData(model)
        self._mujoco.mj_kinematics(model, data)
        group = model.geom_group
        drawn = (group < DRAWN_GROUPS) & (group != HIDDEN_GROUP) & ~np.isin(group, hidden_groups)
        rows = self._row_of[model.geom_bodyid].astype(int) - 1
        centres = np.zeros((len(self.bodies), 3))
        for row, body in enumerate(self.bodies):
            mine = rows == row
            chosen = np.flatnonzero(mine & drawn) if (mine & drawn).any() else np.flatnonzero(mine)
            corners = [_corners(model, data, int(geom)) for geom in chosen]
            if corners:
                local = (np.concatenate(corners) - data.xpos[body]) @ data.xmat[body].reshape(3, 3)
                centres[row] = (local.min(axis=0) + local.max(axis=0)) / 2
        return centres


def jointed_bodies(model: Any) -> dict[int, str]:
    """Bodies that can move by a joint of their own → the name of each, or of what it hangs on."""
    return {b: called(model, b) for b in range(1, model.nbody) if model.body_jntnum[b]}


def called(model: Any, body: int) -> str:
    """The name of a body; that of the nearest named one above where it has none."""
    while body and not model.body(body).name:
        body = int(model.body_parentid[body])
    return model.body(body).name


def below(model: Any, body: int, roots: frozenset[int]) -> bool:
    """Whether a body is one of `roots` or hangs on one."""
    while body:
        if body in roots:
            return True
        body = int(model.body_parentid[body])
    return False


def _rows_of_bodies(model: Any, bodies: tuple[int, ...]) -> np.ndarray:
    """Row + 1 of the object each body belongs to, uint8 [nbody + 1]; the last entry is that of NO_BODY."""
    rows = np.zeros(model.nbody + 1, np.uint8)
    for body in range(1, model.nbody):  # a parent has a smaller number than its children
        known = bodies.index(body) + 1 if body in bodies else rows[model.body_parentid[body]]
        rows[body] = known
    assert NO_BODY == -1
    return rows


def _corners(model: Any, data: Any, geom: int) -> np.ndarray:
    """The corners of the box around a geom, world frame [8, 3]."""
    centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    return data.geom_xpos[geom] + (centre + signs * half) @ data.geom_xmat[geom].reshape(3, 3).T
