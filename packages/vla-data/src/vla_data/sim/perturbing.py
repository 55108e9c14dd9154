"""Scenes that differ from those of training, one axis at a time: does a policy know its task, or its table?

What differs, and by how much, follows from the trial's seed alone, so that every policy meets the same. A
model is put back before it is used again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vla_data.sim.cameras import is_still
from vla_data.sim.config import Aim, CameraView, Perturbation, Place

STREAM = 11
BRIGHTEST = 1.3  # times what it was
TOUCHED = ("light_diffuse", "light_dir", "mat_rgba", "geom_rgba")
HEADLIGHT = ("ambient", "diffuse")  # of the light at every camera
NEAR = 0.05  # metres: things within that height of each other may change places


AXES: dict[str, Perturbation] = {
    "camera": Perturbation(camera=8.0),
    "light": Perturbation(light=0.7),
    "colour": Perturbation(colour=0.5),
    "start": Perturbation(start=0.08),
    "swap": Perturbation(swap=True),
    "distractors": Perturbation(distractors=4),
}


IN_WORDS = {
    "camera": "fixed cameras turned by up to 8° each way",
    "light": "lights darker by up to 70% or brighter by up to 21%, from elsewhere",
    "colour": "half of every surface's colour replaced",
    "start": "the hand begins up to 8 cm elsewhere",
    "swap": "two loose things have changed places, where there are two",
    "distractors": "up to four plain things stand beside those of the task; they are seen, and never touched",
}


def generator(seed: int, axis: str) -> np.random.Generator:
    """Chance for one axis of one trial."""
    return np.random.default_rng([seed, STREAM, list(AXES).index(axis)])


class Appearance:
    """Lights and colours of one environment, changed for a trial and put back for the next.

    A simulator may make a model anew at every reset (robosuite does): of the one before nothing is kept.
    """

    def __init__(self) -> None:
        self._model: Any = None
        self._before: dict[str, np.ndarray] = {}

    def change(self, model: Any, perturbation: Perturbation, seed: int) -> None:
        """Make a model look as it does in a trial."""
        if model is not self._model:
            self._model = model
            self._before = {n: _place_of(model, n).copy() for n in (*TOUCHED, *HEADLIGHT)}
        for name, values in self._before.items():
            _place_of(model, name)[:] = values
        if perturbation.light:
            _relight(model, perturbation.light, generator(seed, "light"))
        if perturbation.colour:
            _recolour(model, perturbation.colour, generator(seed, "colour"))


def _place_of(model: Any, name: str) -> np.ndarray:
    return getattr(model.vis.headlight if name in HEADLIGHT else model, name)


def _relight(model: Any, share: float, rng: np.random.Generator) -> None:
    factor = 1 + share * rng.uniform(-1, BRIGHTEST - 1)
    for name in HEADLIGHT:
        getattr(model.vis.headlight, name)[:] = np.clip(getattr(model.vis.headlight, name) * factor, 0, 1)
    for i in range(model.nlight):
        model.light_diffuse[i] = np.clip(model.light_diffuse[i] * factor, 0, 1)
        turned = model.light_dir[i] + share * rng.normal(scale=0.5, size=3)
        model.light_dir[i] = turned / max(float(np.linalg.norm(turned)), 1e-6)


def _recolour(model: Any, share: float, rng: np.random.Generator) -> None:
    for colours in (model.mat_rgba, model.geom_rgba):
        other = rng.uniform(0, 1, (len(colours), 3))
        colours[:, :3] = (1 - share) * colours[:, :3] + share * other


def turned_cameras(model: Any, views: Sequence[CameraView], degrees: float, seed: int) -> Mapping[str, Place]:
    """Where views that stand still look from in a trial; views that move are left alone."""
    rng = generator(seed, "camera")
    found = {}
    for view in views:
        pan, tilt = rng.uniform(-degrees, degrees, 2)
        if degrees and not view.moves and is_still(model, model.camera(view.source).id):
            aim = view.aim
            turned = Aim(aim.pan + pan, aim.tilt + tilt, aim.zoom, aim.stand, aim.at)
            found[view.name] = Place(view.name, view.source, turned)
    return found


def nudges(scale: float, metres: float, dims: int, seed: int) -> np.ndarray:
    """Actions [n, dims] whose first three numbers move a hand to another start, `scale` metres each at most.

    It goes up or aside, never down into what lies there.
    """
    rng = generator(seed, "start")
    way = rng.normal(size=3)
    way[2] = abs(way[2])
    way *= rng.uniform(0.5, 1.0) * metres / np.linalg.norm(way)
    count = max(1, int(np.ceil(np.abs(way).max() / scale)))
    actions = np.zeros((count, dims), np.float32)
    actions[:, :3] = way / scale / count
    return actions


def swap_places(model: Any, data: Any, forward: Callable[[Any, Any], None], seed: int) -> bool:
    """Let two loose things at about one height change places; whether there were two."""
    free = [j for j in range(model.njnt) if model.jnt_type[j] == 0]
    start = [int(model.jnt_qposadr[j]) for j in free]
    rng = generator(seed, "swap")
    pairs = [
        (a, b)
        for i, a in enumerate(start)
        for b in start[i + 1 :]
        if abs(data.qpos[a + 2] - data.qpos[b + 2]) < NEAR
    ]
    if not pairs:
        return False
    a, b = pairs[int(rng.integers(len(pairs)))]
    data.qpos[[a, a + 1, b, b + 1]] = data.qpos[[b, b + 1, a, a + 1]]
    forward(model, data)
    return True
