"""What a script can do with what stands fast in LIBERO: drawers, doors, knobs; and pushing over a table."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vla_data.sim.libero_arm import Arm, Moves, half_turn, turned, up
from vla_data.sim.libero_grasps import Grasp
from vla_data.sim.libero_skills import Skills

BEFORE = 0.10  # metres before a handle
FRONT = 0.022  # metres from a drawer's front: what is farther out is its handle
ASLANT = np.pi / 4  # how far a hand leans from pointing down
LEANS = (0.42 * np.pi, np.pi / 2)  # the same to take a handle: the lower side of a level hand wants room
NEARLY = 0.02  # metres: a drawer that can be opened no farther is open
BEYOND = 0.01  # metres that are pulled or pushed farther than a joint goes
BEHIND = 0.04  # metres of cost that it is worth to push from behind
CLOSE_BY = 0.015  # metres from where a thing shall be
KNOB_TURN = 1.2  # radians
KNOB_DEPTH = 0.014  # metres below the top of a knob


@dataclass(frozen=True, eq=False)
class Drawer:
    """A part that slides.

    Args:
        body: its name.
        out: the direction in which it opens, world frame, level.
        left: metres that it can still be opened.
        shut: metres that it can still be closed.
    """

    body: str
    out: Float64[np.ndarray, "3"]
    left: float
    shut: float


def drawer_of(arm: Arm, region: str) -> Drawer:
    """The drawer of a region such as `wooden_cabinet_1_top_region`."""
    cabinet, _, level = region.removesuffix("_region").rpartition("_")
    model, data = arm.model, arm.data
    joint = model.joint(f"{cabinet}_{level}_level")
    low, high = joint.range
    far = low if abs(low) > abs(high) else high
    value = float(data.qpos[model.jnt_qposadr[joint.id]])
    out = data.xaxis[joint.id] * np.sign(far)
    return Drawer(model.body(int(joint.bodyid[0])).name, out, abs(far - value), abs(value))


def open_drawer(skills: Skills, region: str, called: str) -> Moves:
    """Take the handle from the front and pull; again from higher up where something was in the way."""
    arm = skills.arm
    for lean in itertools.cycle(LEANS):
        drawer = drawer_of(arm, region)
        if drawer.left < NEARLY:
            return
        handle, out = handle_of(skills, drawer), drawer.out
        turn = facing(arm, out, lean)
        back = -turn @ np.array([0.0, 0.0, 1.0])  # from where it comes to the handle
        arm.doing = f"move before the handle of the {called}"
        yield from arm.open_first()
        yield from arm.go(handle + back * (BEFORE + 0.05), turn, near=0.02)
        yield from arm.go(handle + back * BEFORE, turn, near=0.01, limit=30)
        arm.doing = f"reach for the handle of the {called}"
        yield from arm.go(handle, turn, near=0.008, limit=40)
        yield from arm.close()
        arm.doing = f"pull the {called} open"
        yield from arm.go(handle + out * (drawer.left + BEYOND), turn, near=0.01, limit=40)
        arm.doing = f"let go of the {called}"
        yield from arm.open()
        yield from arm.go(arm.position + back * BEFORE, turn, near=0.02, limit=20)
        yield from arm.go(arm.position + up(0.15), turn, near=0.03, limit=20)


def close_drawer(skills: Skills, region: str, called: str) -> Moves:
    """Push its front shut."""
    arm, drawer = skills.arm, drawer_of(skills.arm, region)
    handle, out = handle_of(skills, drawer), drawer.out
    turn, before = facing(arm, out, ASLANT, across=True), handle + out * BEFORE
    arm.doing = f"move before the {called}"
    yield from arm.close_first()
    yield from arm.go(np.array([*before[:2], max(arm.position[2], handle[2] + 0.2)]), turn, near=0.03)
    yield from arm.go(before, turn, near=0.015, limit=40)
    arm.doing = f"push the {called} shut"
    yield from arm.go(handle - out * (drawer.shut + BEYOND), turn, near=0.01, limit=50)


def turn_knob(skills: Skills, thing: str, called: str, on: bool = True) -> Moves:
    """Take the ridge of a knob from above and turn it."""
    arm = skills.arm
    name = f"{thing}_button"
    points = skills.points(name)
    ridge = points[points[:, 2] > points[:, 2].max() - 0.03]
    spread = np.cov(ridge[:, :2].T)
    along = np.linalg.eigh(spread)[1][:, 1]  # the ridge's own direction
    yaw = half_turn(np.arctan2(along[1], along[0]))  # fingers close across it, with the least turning
    joint = arm.model.joint(name)
    centre = arm.data.xanchor[joint.id]
    goal = np.array([*centre[:2], points[:, 2].max() - KNOB_DEPTH])
    sign = 1.0 if on else -1.0
    arm.doing = f"move above the knob of the {called}"
    yield from arm.open_first()
    yield from arm.go(goal + up(0.1), turned(yaw) @ arm.down, near=0.01)
    arm.doing = f"lower onto the knob of the {called}"
    yield from arm.go(goal, turned(yaw) @ arm.down, near=0.008, limit=30)
    yield from arm.close()
    arm.doing = f"turn the knob of the {called}"
    for share in np.linspace(0.1, 1, 12):
        turn = turned(yaw + sign * share * KNOB_TURN) @ arm.down
        yield from arm.go(goal, turn, near=0.01, limit=4)
    arm.doing = f"let go of the knob of the {called}"
    yield from arm.open()
    yield from arm.go(goal + up(0.12), near=0.03, limit=20)


def slide(skills: Skills, thing: str, spot: np.ndarray, called: str) -> Moves:
    """Push a dish over the table by the rim that is farther from where it shall be; again where it slips."""
    arm, spot = skills.arm, np.asarray(spot, float)
    while True:
        left = (spot - skills.centre(thing)) * [1, 1, 0]
        if np.linalg.norm(left) < CLOSE_BY:
            return
        grasp = _behind(skills, thing, left / np.linalg.norm(left))
        turn = turned(grasp.yaw) @ arm.down
        arm.doing = f"move above the rim of the {called}"
        yield from arm.open_first()
        yield from arm.go(grasp.position + up(BEFORE), turn, near=0.01)
        arm.doing = f"lower onto the rim of the {called}"
        yield from arm.go(grasp.position, turn, near=0.006, limit=25)
        yield from arm.close()
        arm.doing = f"push the {called}"
        left = (spot - skills.centre(thing)) * [1, 1, 0]
        yield from arm.go(arm.position + left, turn, near=0.01, limit=60, slow=0.6)
        yield from arm.open()
        yield from arm.go(arm.position + up(BEFORE), turn, near=0.03, limit=15)


def _behind(skills: Skills, thing: str, ahead: np.ndarray) -> Grasp:
    """A grasp of the rim on the side that lies behind."""
    middle = skills.centre(thing)

    def cost(grasp: Grasp) -> float:
        away = (middle - grasp.position)[:2]
        return grasp.cost - BEHIND * float(away @ ahead[:2] / np.linalg.norm(away))

    return min(skills.grasps(thing), key=cost)


def handle_of(skills: Skills, drawer: Drawer) -> Float64[np.ndarray, "3"]:
    """The middle of what stands out most of a drawer."""
    points = skills.points(drawer.body)
    far = points @ drawer.out
    bar = points[far > far.max() - FRONT]
    return (bar.min(axis=0) + bar.max(axis=0)) / 2


def facing(arm: Arm, out: np.ndarray, lean: float, across: bool = False) -> Float64[np.ndarray, "3 3"]:
    """The hand turned from pointing down towards pointing against `out`.

    Args:
        lean: by how much, radians.
        across: whether fingers close level, across `out`; else up and down once it is level.
    """
    yaw = half_turn(np.arctan2(-out[0], out[1]) + (np.pi / 2 if across else 0.0))
    return _about(np.cross([0, 0, 1.0], out), lean) @ turned(yaw) @ arm.down


def _about(axis: np.ndarray, angle: float) -> Float64[np.ndarray, "3 3"]:
    """Rodrigues' rotation."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
