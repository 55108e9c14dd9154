"""What the scripted experts of Meta-World do, phase by phase: for each task a text for every branch that
chooses where the hand goes, in the order in which the branches stand in the policy's source.

What the gripper does meanwhile is said from the actions (`vla_data.phases`). Written from the policies and
the scenes; a test holds each row against the number of branches found.
"""

from __future__ import annotations

_PRESS_TOP = "move above the button | press the button down"
_FAUCET = "move above the faucet handle | lower beside the faucet handle | turn the faucet handle"
_PUSH = "move above the puck | lower onto the puck | push the puck to the goal"
_STICK = (
    "move above the stick | lower onto the stick | move the stick in line with the thermos | "
    "bring the stick level with the thermos | insert the stick into the thermos handle"
)
_WINDOW = "move above the window handle | lower beside the window handle"

PHASES: dict[str, str] = {
    "assembly": (
        "move above the ring | lower the ring over the peg | lower onto the ring | lift the ring | "
        "carry the ring above the peg"
    ),
    "basketball": "move above the ball | lower onto the ball | lift the ball | carry the ball to the hoop",
    "bin-picking": (
        "move above the block | lower onto the block | lift the block | "
        "carry the block above the other bin | "
        "lower the block into the bin"
    ),
    "box-close": "move above the lid | lower onto the lid | lift the lid | put the lid on the box",
    "button-press-topdown": _PRESS_TOP,
    "button-press-topdown-wall": _PRESS_TOP,
    "button-press": "line up with the button | press the button in",
    "button-press-wall": (
        "rise in front of the wall | move over the wall | lower in front of the button | press the button in"
    ),
    "coffee-button": "line up with the button of the coffee machine | press the button of the coffee machine",
    "coffee-pull": "move above the mug | lower onto the mug | pull the mug away from the coffee machine",
    "coffee-push": "move above the mug | lower onto the mug | push the mug under the coffee machine",
    "dial-turn": "move above the dial | lower beside the dial | turn the dial",
    "disassemble": "move above the ring | lower onto the ring | lift the ring off the peg",
    "door-close": "rise beside the door | move behind the door | lower beside the door | push the door shut",
    "door-lock": (
        "rise away from the lock | move above the lock | lower onto the lock | turn the lock to lock the door"
    ),
    "door-open": "move above the door handle | lower behind the door handle | pull the door open",
    "door-unlock": "lower in front of the lock | move to the lock | turn the lock to unlock the door",
    "drawer-close": (
        "rise above the drawer | move in front of the drawer | lower in front of the drawer | "
        "push the drawer shut"
    ),
    "drawer-open": "move above the drawer handle | lower behind the drawer handle | pull the drawer open",
    "faucet-close": _FAUCET,
    "faucet-open": _FAUCET,
    "hammer": (
        "move above the hammer | lower onto the hammer | bring the hammer before the nail | hit the nail"
    ),
    "hand-insert": (
        "move above the block | lower onto the block | carry the block above the hole | "
        "lower the hand into the hole"
    ),
    "handle-press-side": "move above the handle | press the handle down",
    "handle-press": "move above the handle | press the handle down",
    "handle-pull": "reach for the handle | come level with the handle | pull the handle up",
    "handle-pull-side": "move above the handle | lower onto the handle | pull the handle up",
    "lever-pull": "move below the lever | rise to the lever | push the lever up",
    "peg-insert-side": (
        "move above the peg | lower onto the peg | carry the peg in front of the hole | "
        "insert the peg into the hole"
    ),
    "peg-unplug-side": "move above the peg | lower onto the peg | pull the peg out",
    "pick-out-of-hole": (
        "move above the puck | lower onto the puck | lift the puck | bring the puck to the goal"
    ),
    "pick-place": "move above the puck | lower onto the puck | hold still | carry the puck to the goal",
    "pick-place-wall": (
        "move above the puck | lower onto the puck | lift the puck above the wall | "
        "carry the puck over the wall | bring the puck level with the goal | carry the puck to the goal"
    ),
    "plate-slide": "move above the plate | lower behind the plate | push the plate into the cabinet",
    "plate-slide-back": (
        "move above the plate | lower onto the plate | pull the plate back | "
        "pull the plate out of the cabinet | "
        "move away from the plate"
    ),
    "plate-slide-back-side": (
        "move above the plate | lower onto the plate | slide the plate out of the cabinet"
    ),
    "plate-slide-side": (
        "move above the plate | lower beside the plate | slide the plate into the cabinet | "
        "push the plate further in"
    ),
    "push": _PUSH,
    "push-back": "move above the puck | lower onto the puck | pull the puck back to the goal",
    "push-wall": (
        "move above the puck | lower onto the puck | move the puck aside, around the wall | "
        "push the puck past the wall | push the puck to the goal"
    ),
    "reach": "move to the goal",
    "reach-wall": "rise over the wall | move to the goal",
    "shelf-place": (
        "move above the block | lower onto the block | move the block in line with the shelf | "
        "lift the block | "
        "move the block onto the shelf"
    ),
    "soccer": "come up to the ball and push it along | push the ball into the goal",
    "stick-pull": f"{_STICK} | pull the thermos to the goal",
    "stick-push": f"{_STICK} | push the thermos to the goal",
    "sweep": "move above the block | lower onto the block | sweep the block off the table",
    "sweep-into": "move above the block | lower onto the block | sweep the block into the hole",
    "window-close": f"{_WINDOW} | slide the window closed",
    "window-open": f"{_WINDOW} | slide the window open",
}


def phase_texts(task: str) -> tuple[str, ...]:
    """The texts of a task's phases."""
    return tuple(PHASES[task].split(" | "))
