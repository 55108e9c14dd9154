"""What a script can do in LIBERO: pick up, put down, open, close, turn on. Skills are generators of actions
(`vla_data.sim.libero_arm`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from vla_data.sim.libero_arm import Arm, Moves, half_turn, turned, up
from vla_data.sim.libero_grasps import Grasp, around, by_rim, closing

HOVER = 0.10  # metres above a grasp
CLEAR = 0.05  # metres between what is carried and what is passed
LIFT = 0.12  # metres that are lifted at least
LIFTED = 0.03  # metres: less is a failed grasp
TRIES = 4  # the last ones are not tried again
APART = 0.5  # radians between the yaws of two tries
PASSED = 0.13  # metres beside the way that must be cleared
REACH, FAR_COST = 0.65, 0.15  # metres from the arm's foot, and what one farther costs: it has to stretch
NARROW = 0.05  # metres that fingers cost where there will be no room for them
# Panda's measures in metres (Franka's Denavit-Hartenberg parameters): shoulder above the foot, finger tips
# below the wrist and beside it, where the hand points down. Upper arm and forearm together are 0.70.
SHOULDER, WRIST_ABOVE, WRIST_ASIDE = 0.333, 0.21, 0.088
BENT = 0.64  # metres from shoulder to wrist: farther the elbow is nearly straight
MOST_LEANING = 0.45  # radians
ROUND = ("bowl", "ramekin", "plate", "mug")


class Skills:
    """Skills of one environment; `called` and `where` are words for what is done.

    Args:
        arm: its hand.
    """

    def __init__(self, arm: Arm) -> None:
        self.arm = arm

    def points(self, name: str) -> Float64[np.ndarray, "_ 3"]:
        """Points of a thing, world frame, metres."""
        return self.arm.shapes.points(self.arm.data, name)

    def centre(self, name: str) -> Float64[np.ndarray, "3"]:
        """The middle of the box around a thing."""
        points = self.points(name)
        return (points.min(axis=0) + points.max(axis=0)) / 2

    def grasps(self, name: str, between: np.ndarray | None = None) -> list[Grasp]:
        """How to take hold of a thing, the best first.

        Args:
            between: a direction in which there will be no room for fingers.
        """
        ways = by_rim if any(word in name for word in ROUND) else around
        found = ways(self.points(name), self.arm.shapes.others(self.arm.data, name))
        base = self.arm.base[:2]

        def cost(grasp: Grasp) -> float:
            far = max(0.0, float(np.linalg.norm(grasp.position[:2] - base)) - REACH)
            tight = 0.0 if between is None else abs(float(closing(grasp.yaw) @ between[:2]))
            return grasp.cost + FAR_COST * far + NARROW * tight

        return sorted(found, key=cost)

    def leave(self) -> Moves:
        """Let go of whatever something else left in the hand; out the way it points, up, and point down."""
        arm, back = self.arm, self.arm.rotation @ np.array([0.0, 0.0, -LIFT])
        arm.doing = "leave what was done before"
        yield from arm.open()
        yield from arm.go(arm.position + back, near=0.02, limit=20)
        yield from arm.go(arm.position + up(LIFT), near=0.03, limit=20)
        yield from arm.go(arm.position, arm.down, near=0.03, limit=20)

    def pick(self, name: str, called: str, between: np.ndarray | None = None) -> Moves:
        """Take hold of a thing and lift it; tries again elsewhere where it slips."""
        arm, tried = self.arm, []
        while True:
            grasp = _other(self.grasps(name, between), tried)
            tried = [*tried, grasp][-TRIES:]
            turn = leaning(grasp.position + up(HOVER), arm.base) @ turned(grasp.yaw) @ arm.down
            arm.doing = f"move above the {called}"
            yield from arm.open_first()
            yield from arm.go(grasp.position + up(HOVER), turn, near=0.015)
            yield from arm.go(grasp.position + up(HOVER), turn, near=0.003, limit=8)
            arm.doing = f"lower onto the {called}"
            yield from arm.go(grasp.position, turn, near=0.006, limit=40)
            arm.doing = f"take the {called}"
            before = self.centre(name)[2]
            yield from arm.close()
            arm.doing = f"lift the {called}"
            yield from arm.go(grasp.position + up(LIFT), turn, near=0.02, limit=30)
            if self.centre(name)[2] - before > LIFTED:
                return

    def put(
        self, name: str, spot: np.ndarray, called: str, where: str, along: np.ndarray | None = None
    ) -> Moves:
        """Put what is held down: the middle of its underside at `spot`, then let go and rise.

        Args:
            along: how the line on which fingers close shall lie; None leaves it.
        """
        arm = self.arm
        turn, goal = arm.rotation, np.asarray(spot, float)
        high = self._passing(name, goal) + CLEAR
        arm.doing = f"carry the {called} {where}"
        yield from arm.go(np.array([*arm.position[:2], high + self._above_underside(name)]), turn, 0.03, 40)
        if along is not None:
            turn = aligned(turn, along)
        for near, limit in ((0.02, 60), (0.008, 12)):
            over = np.array([*goal[:2], high])
            yield from arm.go(over + self._held(name), turn, near, limit)
        arm.doing = f"lower the {called} {where}"
        yield from arm.go(goal + self._held(name), turn, 0.008, 40, slow=0.6)
        arm.doing = f"let go of the {called}"
        yield from arm.open()
        yield from arm.go(arm.position + up(HOVER), turn, 0.03, 20)

    def _held(self, name: str) -> Float64[np.ndarray, "3"]:
        """From the middle of the underside of what is held to the hand."""
        points = self.points(name)
        low, high = points.min(axis=0), points.max(axis=0)
        return self.arm.position - [*((low + high) / 2)[:2], low[2]]

    def _above_underside(self, name: str) -> float:
        return float(self._held(name)[2])

    def _passing(self, name: str, goal: np.ndarray) -> float:
        """The highest point of what stands along the way."""
        others = self.arm.shapes.others(self.arm.data, name)
        start, end = self.centre(name)[:2], goal[:2]
        way = end - start
        share = np.clip((others[:, :2] - start) @ way / max(float(way @ way), 1e-9), 0, 1)
        beside = np.linalg.norm(others[:, :2] - (start + share[:, None] * way), axis=1) < PASSED
        return float(max(others[beside, 2].max(initial=goal[2]), goal[2]))


def _other(grasps: Sequence[Grasp], tried: Sequence[Grasp]) -> Grasp:
    """The best that is unlike what was tried."""

    def unlike(grasp: Grasp, one: Grasp) -> bool:
        far = float(np.linalg.norm(grasp.position[:2] - one.position[:2]))
        return abs(grasp.yaw - one.yaw) >= APART or far > 0.03

    return next((g for g in grasps if all(unlike(g, t) for t in tried)), grasps[0])


def leaning(hand: np.ndarray, base: np.ndarray) -> Float64[np.ndarray, "3 3"]:
    """How a hand leans away from the foot of the arm where it would have to stretch to point down: its tips
    are then farther out than its wrist."""
    way = hand - base
    far = float(np.linalg.norm(way[:2]))
    wrist = np.array([far - WRIST_ASIDE, way[2] + WRIST_ABOVE - SHOULDER])
    angle = float(np.clip((np.linalg.norm(wrist) - BENT) / WRIST_ABOVE, 0.0, MOST_LEANING))
    x, y = way[:2] / max(far, 1e-9)
    outwards = np.array([[x, -y, 0.0], [y, x, 0.0], [0.0, 0.0, 1.0]])
    c, s = np.cos(angle), np.sin(angle)
    return outwards @ np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]) @ outwards.T


def aligned(rotation: np.ndarray, along: np.ndarray) -> Float64[np.ndarray, "3 3"]:
    """A hand turned about the vertical, as little as it takes, so that its fingers close along a line."""
    closes = rotation[:2, 0]
    angle = float(np.arctan2(along[1], along[0]) - np.arctan2(closes[1], closes[0]))
    return turned(half_turn(angle)) @ rotation
