"""How a parallel gripper takes hold of a thing from above: around it, or by its rim."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

OPENING = 0.074  # metres between open fingers, with room to spare
YAWS = np.deg2rad(np.arange(-90, 90, 5))
TURN_COST = 0.006  # metres of width that a radian of turning is worth
TOO_WIDE, IN_THE_WAY = 1.0, 0.05  # metres that these cost
FINGER_REACH, FINGER_HALF, FINGER_TIP = (0.030, 0.056), 0.014, 0.012  # metres: where open fingers come down
ABOVE, BELOW_TOP, DEEPEST = 0.012, 0.010, 0.045  # metres
PALM_ALONG, PALM_ACROSS = 0.105, 0.035  # metres: half sizes of a hand
PALM_ABOVE = 0.065  # metres above its tips
SHIFT, SHIFT_COST, MARGIN = 0.015, 1.0, 0.012  # metres along a thing, what one costs, and from its end
RIM_HIGH = 0.012  # metres below the top: what is a rim
RIM_INSIDE, RIM_DEPTH = (0.006, 0.014, 0.022), 0.018  # metres inside of a rim, and below it
INSIDE_COST = 0.3  # of a metre further inside: what is taken is pushed that far

Points = Float64[np.ndarray, "_ 3"]


@dataclass(frozen=True, eq=False)
class Grasp:
    """Where fingers close.

    Args:
        position: between the finger tips, world frame, metres.
        yaw: turn about the vertical from how the hand begins, radians; at 0 fingers close along y.
        cost: the lower the better.
    """

    position: Float64[np.ndarray, "3"]
    yaw: float
    cost: float


def closing(yaw: float) -> Float64[np.ndarray, "2"]:
    """The direction along which fingers close."""
    return np.array([-np.sin(yaw), np.cos(yaw)])


def around(points: Points, others: Points) -> list[Grasp]:
    """Grasps around a thing, anywhere along it where it is narrow enough, the best first."""
    low, high = points.min(axis=0), points.max(axis=0)
    found = []
    for yaw in YAWS:
        axes = np.stack([closing(yaw), closing(yaw + np.pi / 2)])
        along, across = (points[:, :2] @ axis for axis in axes)
        middle = (across.min() + across.max()) / 2
        reach = float(np.ptp(across)) / 2 - MARGIN
        for shift in SHIFT * np.arange(-int(reach // SHIFT), int(reach // SHIFT) + 1):
            held = np.abs(across - middle - shift) < FINGER_HALF
            if not held.any():
                continue
            top, width = float(points[held, 2].max()), float(np.ptp(along[held]))
            place = np.array([(along[held].min() + along[held].max()) / 2, middle + shift]) @ axes
            z = max(low[2] + ABOVE, min((low[2] + high[2]) / 2, top - BELOW_TOP), top - DEEPEST)
            position = np.array([*place, z])
            cost = width + TURN_COST * abs(yaw) + TOO_WIDE * (width > OPENING) + SHIFT_COST * abs(shift)
            cost += IN_THE_WAY * _blocked(position, yaw, others, low[2])
            found.append(Grasp(position, float(yaw), cost))
    return sorted(found, key=lambda g: g.cost)


def by_rim(points: Points, others: Points) -> list[Grasp]:
    """Grasps of a round, hollow thing's rim, one finger inside, the best first."""
    low, high = points.min(axis=0), points.max(axis=0)
    rim = points[points[:, 2] > high[2] - RIM_HIGH]  # a handle lies lower
    size = np.ptp(rim[:, :2], axis=0)
    centre, radius = (rim.min(axis=0) + rim.max(axis=0)) / 2, float(size.mean()) / 2
    found = []
    for yaw in YAWS:
        for inside, side in itertools.product(RIM_INSIDE, (1, -1)):
            away = side * closing(yaw)
            position = np.array(
                [*(centre[:2] + away * (radius - inside)), max(high[2] - RIM_DEPTH, low[2] + ABOVE)]
            )
            cost = TURN_COST * abs(yaw) + INSIDE_COST * (inside - RIM_INSIDE[0])
            cost += IN_THE_WAY * _blocked(position, yaw, others, low[2])
            found.append(Grasp(position, float(yaw), cost))
    return sorted(found, key=lambda g: g.cost)


def _blocked(position: np.ndarray, yaw: float, others: Points, floor: float) -> int:
    """What stands where open fingers come down, and where the hand does: 0, 1 or 2 of them."""
    near = others[others[:, 2] > max(floor + 0.005, position[2] - FINGER_TIP)] - position
    along, across = np.abs(near[:, :2] @ closing(yaw)), np.abs(near[:, :2] @ closing(yaw + np.pi / 2))
    low, high = FINGER_REACH
    fingers = (along > low) & (along < high) & (across < FINGER_HALF)
    palm = (along < PALM_ALONG) & (across < PALM_ACROSS) & (near[:, 2] > PALM_ABOVE)
    return int(fingers.any()) + int(palm.any())
