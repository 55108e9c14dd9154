"""What the tasks are called in words: for each, ways to say the doing and ways to name the thing.

A row is (templates, things); `instructions.py` combines them. The keys are the tasks of the simulator.
The first template with the first thing is the canonical wording. Descriptions were written from the
scenes themselves.
"""

from __future__ import annotations

Row = tuple[tuple[str, ...], tuple[str, ...]]


def _say(templates: str) -> tuple[str, ...]:
    return tuple(templates.split(" | "))


_NUT = ("the ring", "the round nut", "the ring with the handle")
_BALL = ("the basketball", "the ball", "the round ball")
_CUBE = ("the block", "the cube", "the small block")
_BUTTON = ("the button", "the round button", "the button on the box")
_MUG = ("the mug", "the cup", "the coffee mug")
_SAFE = ("the door", "the safe door", "the door of the safe")
_DRAWER = ("the drawer", "the drawer of the cabinet", "the cabinet drawer")
_FAUCET = ("the faucet", "the tap", "the water faucet")
_HANDLE = ("the handle", "the handle of the box", "the bar handle")
_LEVER = ("the lever", "the long lever", "the lever on the stand")
_PUCK = ("the puck", "the cylinder", "the object")
_PLATE = ("the plate", "the round plate", "the disc")
_GOAL = ("the goal", "the target", "the marker")
_JUG = ("the thermos", "the container", "the jug")
_WINDOW = ("the window", "the sliding window", "the window pane")

METAWORLD: dict[str, Row] = {
    "assembly": (
        _say(
            "put {} over the peg | place {} onto the peg | fit {} on the peg | "
            "pick up {} and drop it over the peg"
        ),
        _NUT,
    ),
    "basketball": (
        _say(
            "dunk {} in the basket | put {} through the hoop | drop {} into the hoop | "
            "pick up {} and place it in the basket"
        ),
        _BALL,
    ),
    "bin-picking": (
        _say(
            "move {} from one bin to the other | "
            "pick {} out of its bin and put it in the other bin | transfer {} into the other bin | "
            "carry {} over to the second bin"
        ),
        _CUBE,
    ),
    "box-close": (
        _say("close {} | put the lid on {} | cover {} with its lid | pick up the lid and place it on {}"),
        ("the box", "the open box", "the box on the table"),
    ),
    "button-press-topdown": (
        _say(
            "press {} from above | push {} down | press down on {} | lower the hand and press {} from the top"
        ),
        _BUTTON,
    ),
    "button-press-topdown-wall": (
        _say(
            "reach over the wall and press {} from above | go over the wall and push {} down | "
            "press down on {} behind the wall | cross the wall and press {} from the top"
        ),
        _BUTTON,
    ),
    "button-press": (
        _say("press {} from the front | push {} in | move forward and press {} | press {} into the box"),
        ("the button", "the round button", "the front button"),
    ),
    "button-press-wall": (
        _say(
            "reach over the wall and press {} from the front | go over the wall and push {} in | "
            "move past the wall and press {} | press in {} behind the wall"
        ),
        ("the button", "the round button", "the front button"),
    ),
    "coffee-button": (
        _say("press {} | push {} | make coffee by pressing {} | reach out and press {}"),
        ("the button of the coffee machine", "the coffee machine's button", "the coffee button"),
    ),
    "coffee-pull": (
        _say(
            "pull {} away from the coffee machine | take {} from the coffee machine | "
            "drag {} out from under the coffee machine | move {} away from the machine"
        ),
        _MUG,
    ),
    "coffee-push": (
        _say(
            "push {} under the coffee machine | place {} under the coffee machine | "
            "slide {} to the coffee machine | move {} below the spout of the machine"
        ),
        _MUG,
    ),
    "dial-turn": (
        _say("turn {} | rotate {} | twist {} | turn {} around"),
        ("the dial", "the knob", "the round dial"),
    ),
    "disassemble": (
        _say(
            "take {} off the peg | lift {} from the peg | remove {} from the peg | pull {} up and off the peg"
        ),
        _NUT,
    ),
    "door-close": (_say("close {} | push {} shut | shut {} | swing {} closed"), _SAFE),
    "door-lock": (
        _say(
            "lock {} | turn the lock of {} until it locks | secure {} with its lock | "
            "rotate the lock clockwise to lock {}"
        ),
        _SAFE,
    ),
    "door-open": (_say("open {} | pull {} open | swing {} open | grab the handle and open {}"), _SAFE),
    "door-unlock": (
        _say(
            "unlock {} | turn the lock of {} until it unlocks | release the lock of {} | "
            "rotate the lock counterclockwise to unlock {}"
        ),
        _SAFE,
    ),
    "hand-insert": (
        _say(
            "insert {} into the hole | put {} in the hole | lower {} into the hole in the table | "
            "reach down into the hole with {}"
        ),
        ("the hand", "the gripper", "the robot hand"),
    ),
    "drawer-close": (_say("close {} | push {} shut | push {} in | shut {}"), _DRAWER),
    "drawer-open": (_say("open {} | pull {} open | pull {} out by its handle | slide {} open"), _DRAWER),
    "faucet-open": (_say("turn on {} | open {} | turn {} on | rotate the handle of {} to open it"), _FAUCET),
    "faucet-close": (
        _say("turn off {} | close {} | shut off {} | rotate the handle of {} to close it"),
        _FAUCET,
    ),
    "hammer": (
        _say(
            "hit {} with the hammer | hammer in {} | pick up the hammer and drive in {} | "
            "use the hammer to strike {}"
        ),
        ("the nail", "the nail in the block", "the nail on the box"),
    ),
    "handle-press-side": (
        _say(
            "press {} down from the side | push down on {} from the side | lower {} from the side | "
            "go to the side and press {} down"
        ),
        _HANDLE,
    ),
    "handle-press": (
        _say("press {} down | push down on {} | lower {} | reach out and press {} down"),
        _HANDLE,
    ),
    "handle-pull-side": (
        _say(
            "pull {} up from the side | lift {} from the side | raise {} from the side | "
            "go to the side and pull {} up"
        ),
        _HANDLE,
    ),
    "handle-pull": (_say("pull {} up | lift {} | raise {} | reach out and pull {} up"), _HANDLE),
    "lever-pull": (_say("pull {} up | raise {} | swing {} up | rotate {} upward"), _LEVER),
    "pick-place-wall": (
        _say(
            "pick up {} and place it at the goal behind the wall | "
            "lift {} over the wall to the target | carry {} over the wall | "
            "bring {} over the wall to the goal"
        ),
        _PUCK,
    ),
    "pick-out-of-hole": (
        _say(
            "pick {} out of the hole | lift {} out of the hole | take {} from the hole | "
            "grab {} in the hole and bring it to the goal"
        ),
        _PUCK,
    ),
    "pick-place": (
        _say(
            "pick up {} and place it at the goal | pick {} and place it at the target | "
            "lift {} to the goal | carry {} through the air to the target"
        ),
        _PUCK,
    ),
    "plate-slide": (
        _say(
            "slide {} into the cabinet | push {} into the cabinet | "
            "move {} forward into the cabinet | put {} away in the cabinet"
        ),
        _PLATE,
    ),
    "plate-slide-side": (
        _say(
            "slide {} sideways into the cabinet | push {} sideways into the cabinet | "
            "move {} to the side into the cabinet | put {} away in the cabinet from the side"
        ),
        _PLATE,
    ),
    "plate-slide-back": (
        _say(
            "slide {} back out of the cabinet | get {} out of the cabinet | "
            "pull {} from the cabinet | take {} back from the cabinet"
        ),
        _PLATE,
    ),
    "plate-slide-back-side": (
        _say(
            "slide {} sideways out of the cabinet | get {} out of the cabinet sideways | "
            "pull {} from the cabinet to the side | take {} from the cabinet sideways"
        ),
        _PLATE,
    ),
    "peg-insert-side": (
        _say(
            "insert {} into the side of the block | push {} sideways into the hole | "
            "pick up {} and insert it sideways | slide {} into the hole in the side"
        ),
        ("the peg", "the long peg", "the peg on the table"),
    ),
    "peg-unplug-side": (
        _say(
            "unplug {} sideways | pull {} out of the side | take {} out of the block | "
            "remove {} from its socket"
        ),
        ("the peg", "the plug", "the plugged peg"),
    ),
    "soccer": (
        _say("kick {} into the goal | push {} into the net | roll {} into the goal | score a goal with {}"),
        ("the soccer ball", "the ball", "the football"),
    ),
    "stick-push": (
        _say(
            "push {} with the stick | use the stick to push {} | "
            "grab the stick and push {} forward | pick up the stick and shove {} to the goal"
        ),
        _JUG,
    ),
    "stick-pull": (
        _say(
            "pull {} with the stick | use the stick to pull {} | grab the stick and pull {} back | "
            "hook {} with the stick and drag it to the goal"
        ),
        _JUG,
    ),
    "push": (
        _say(
            "push {} to the goal | slide {} to the target | push {} along the table to the goal | "
            "move {} across the table to the target"
        ),
        _PUCK,
    ),
    "push-wall": (
        _say(
            "push {} around the wall to the goal | slide {} past the wall to the target | "
            "move {} around the wall | push {} along the wall to the target"
        ),
        _PUCK,
    ),
    "push-back": (
        _say(
            "push {} back to the goal | pull {} back to the target | drag {} backward to the goal | "
            "bring {} back toward the robot"
        ),
        _PUCK,
    ),
    "reach": (_say("reach {} | move the hand to {} | reach for {} | bring the gripper to {}"), _GOAL),
    "reach-wall": (
        _say(
            "reach {} behind the wall | move the hand around the wall to {} | "
            "go past the wall and reach {} | bring the gripper over the wall to {}"
        ),
        _GOAL,
    ),
    "shelf-place": (
        _say(
            "put {} on the shelf | place {} on the shelf | pick up {} and set it on the shelf | "
            "lift {} onto the shelf"
        ),
        _CUBE,
    ),
    "sweep-into": (
        _say(
            "sweep {} into the hole | push {} into the hole in the table | brush {} into the hole | "
            "sweep {} across the table into the hole"
        ),
        _CUBE,
    ),
    "sweep": (
        _say(
            "sweep {} off the table | push {} off the table | brush {} over the edge of the table | "
            "sweep {} to the side and off the table"
        ),
        _CUBE,
    ),
    "window-open": (_say("open {} | slide {} open | push {} open | move {} to the open position"), _WINDOW),
    "window-close": (
        _say("close {} | slide {} closed | push {} shut | move {} to the closed position"),
        _WINDOW,
    ),
}
