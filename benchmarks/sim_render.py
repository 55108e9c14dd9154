"""What drawing costs: the fast settings beside the simulator's own, in the same run.

CPU time a frame (software OpenGL draws on the CPU; on a GPU the wall clock is taken instead), median over
frames with a step between them. LIBERO joins where its assets are (VLA_LIBERO_ASSETS or
../shared/libero-assets; there its pictures are "LIBERO, substituted visuals").
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from _frame import Check, run
from vla_data.protocols import SimEnv
from vla_data.sim import CameraView, SimConfig, make_env
from vla_data.types import Trial

SHARED_ASSETS = Path(__file__).resolve().parents[1] / ".." / "shared" / "libero-assets"
SOUP = "libero_object/pick_up_the_alphabet_soup_and_place_it_in_the_basket"
# name → simulator, task, camera, pixels, what is drawn, how many times faster it must at least be
CASES: dict[str, tuple[str, str, str, int, dict[str, bool], float]] = {
    "metaworld rgb 128": ("metaworld", "drawer-open", "corner4", 128, {"images": True}, 4.0),
    "metaworld rgb 64": ("metaworld", "drawer-open", "corner4", 64, {"images": True}, 4.0),
    "metaworld wrist rgb 64": ("metaworld", "drawer-open", "gripperPOV", 64, {"images": True}, 4.0),
    "metaworld depth 128": ("metaworld", "drawer-open", "corner4", 128, {"depth": True}, 4.0),
    "metaworld segmentation 128": ("metaworld", "drawer-open", "corner4", 128, {"segmentation": True}, 1.0),
    "libero rgb 128": ("libero", SOUP, "agentview", 128, {"images": True}, 1.5),
}


def main(smoke: bool) -> list[Check]:
    """One check a case: milliseconds of the fast settings, with the reference as the peer."""
    if SHARED_ASSETS.is_dir():
        os.environ.setdefault("VLA_LIBERO_ASSETS", str(SHARED_ASSETS.resolve()))
    cases = {n: c for n, c in CASES.items() if c[0] != "libero" or "VLA_LIBERO_ASSETS" in os.environ}
    return [check(name, *case, frames=5 if smoke else 40) for name, case in cases.items()]


def check(
    name: str, sim: str, task: str, source: str, size: int, asked: dict[str, bool], goal: float, frames: int
) -> Check:
    """Draw the same moments in both ways."""
    views = (CameraView("view", source, size, size),)
    cost = {}
    for mode in ("reference", "fast"):
        env = make_env(sim, [task], SimConfig(cameras=views, render=mode), num_envs=1)
        cost[mode] = frame_ms(env, task, asked, frames)
        env.close()
    ratio = cost["reference"] / cost["fast"]
    peer = f"reference {cost['reference']:.1f} ms, {ratio:.1f}×"
    return Check(name, cost["fast"], "ms", f"≥ {goal:g}× faster", peer, ratio >= goal)


def frame_ms(env: SimEnv, task: str, asked: dict[str, bool], frames: int) -> float:
    """Median milliseconds of one picture."""
    given: Any = {"images": False} | asked
    env.reset([0], [Trial(task, 1, "")])
    env.observe([0], **given)
    still = np.zeros((1, env.robot.action.dim), np.float32)
    times = []
    for _ in range(frames):
        env.step([0], still)
        start = clock()
        env.observe([0], **given)
        times.append(clock() - start)
    return 1000 * median(times)


def clock() -> float:
    """Seconds: of this process's CPU where it draws, of the wall where a GPU does."""
    return time.perf_counter() if Path("/dev/nvidia0").exists() else time.process_time()


if __name__ == "__main__":
    run(main, "sim_render")
