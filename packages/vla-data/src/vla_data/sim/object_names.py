"""Which bodies of the simulators' scenes are objects, and of what class.

An object is what can move: a loose body, a part on a joint, and the hand of the robot. Classes are shared
across tasks.
"""

from __future__ import annotations

import re
from typing import Any

from vla_data.errors import SimError
from vla_data.objects import ObjectName
from vla_data.sim.truth import below, jointed_bodies

GRIPPER = "gripper"
METAWORLD_ROWS = 4
LIBERO_ROWS = 16

# Meta-World: body (for a nameless one, what it hangs on) → class; `task/body` where tasks reuse a name.
METAWORLD_CLASSES = {
    "RoundNut": "nut",
    "bsktball": "ball",
    "soccer_ball": "ball",
    "obj": "puck",
    "bin-picking/obj": "block",
    "push-back/obj": "block",
    "sweep/obj": "block",
    "sweep-into/obj": "block",
    "hand-insert/obj": "block",
    "shelf-place/obj": "block",
    "coffee-button/obj": "mug",
    "coffee-pull/obj": "mug",
    "coffee-push/obj": "mug",
    "boxbodytop": "lid",
    "button": "button",
    "cmbutton": "button",
    "dial": "dial",
    "door_link": "door",
    "lock_link": "lock",
    "drawer_link": "drawer",
    "faucet_link2": "faucet",
    "hammerbody": "hammer",
    "nail_link": "nail",
    "handle_link": "handle",
    "lever_link1": "lever",
    "puck_channel": "plate",
    "peg": "peg",
    "plug1": "peg",
    "stick": "stick",
    "object": "thermos",
    "windowb_a": "window",
}
_METAWORLD_ROBOT, _METAWORLD_HAND = "base", "hand"

# LIBERO: its own names carry the class, `akita_black_bowl_1_main`; parts of fixtures are called by these.
_LIBERO_PARTS = (("cabinet_", "drawer"), ("door", "door"), ("button", "button"))
_LIBERO_ROBOT, _LIBERO_HAND = ("robot0_", "gripper0_", "mount0_"), "gripper0_right_gripper"


def metaworld_objects(model: Any, task: str) -> dict[int, ObjectName]:
    """Body → object, the hand first."""
    robot = frozenset({model.body(_METAWORLD_ROBOT).id})
    found = {model.body(_METAWORLD_HAND).id: ObjectName(GRIPPER, GRIPPER)}
    for body, name in jointed_bodies(model).items():
        if not below(model, body, robot):
            kind = METAWORLD_CLASSES.get(f"{task}/{name}") or METAWORLD_CLASSES.get(name)
            if kind is None:
                raise SimError("a body that can move has no class", where=f"task {task}", got=name)
            found[body] = ObjectName(name, kind)
    return found


def libero_objects(model: Any) -> dict[int, ObjectName]:
    """Body → object, the hand first."""
    found = {model.body(_LIBERO_HAND).id: ObjectName(GRIPPER, GRIPPER)}
    for body, name in jointed_bodies(model).items():
        if not name.startswith(_LIBERO_ROBOT):
            found[body] = ObjectName(name.removesuffix("_main"), _libero_class(name))
    return found


def _libero_class(name: str) -> str:
    whole = re.fullmatch(r"(.+)_\d+_main", name)
    if whole:
        return whole[1]
    return next((kind for word, kind in _LIBERO_PARTS if word in name), name)
