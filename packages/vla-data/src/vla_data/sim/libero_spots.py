"""Where things shall stand in LIBERO: on others, in regions, in drawers."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float64

from vla_data.sim.libero_fixtures import Drawer
from vla_data.sim.libero_skills import Skills

IN_DRAWER = re.compile(r"cabinet_\d+_(top|middle|bottom)_region$")
CONTAINS = re.compile(r"_([a-z]+_)?contain_region$")
ABOVE_DISH = 0.012  # metres above the lowest point of a dish
IN_BASKET = 0.04  # metres below its edge: where the fingers still clear it
ABOVE_WALLS = 0.055  # metres: what stands in a compartment is let go with its top this far above the walls
BESIDE_REGION = 0.02  # metres beside a region where its walls are
ABOVE_FLOOR = 0.025  # metres above the lowest point of a drawer
FRONT = 0.045  # metres from what stands out most of a drawer to the inside of its front
NARROW = 1.5  # a region is narrow in one direction that is so much shorter than the other

Spot = Float64[np.ndarray, "3"]


def words(name: str) -> str:
    """`akita_black_bowl_1` → akita black bowl."""
    return " ".join(w for w in name.removesuffix("_region").split("_") if not w.isdigit())


def spot_of(skills: Skills, thing: str, place: str) -> tuple[Spot, str]:
    """Where the middle of a thing's underside shall be, world frame, metres; and the same in words."""
    called = words(place)
    site = site_of(skills, place)
    if site is None:
        low = skills.points(place)[:, 2].min()
        return np.array([*skills.centre(place)[:2], low + ABOVE_DISH]), f"over the {called}"
    centre = skills.arm.data.site_xpos[site].copy()
    if not CONTAINS.search(place):
        return centre, f"over the {called}"
    walls = skills.points(CONTAINS.sub("", place))
    if place.startswith("basket"):
        return np.array([*centre[:2], walls[:, 2].max() - IN_BASKET]), "over the basket"
    room = skills.arm.model.site_size[site][:2] + BESIDE_REGION
    near = walls[(np.abs(walls - centre)[:, :2] < room).all(axis=1), 2]
    tall = float(np.ptp(skills.points(thing)[:, 2]))
    return np.array([*centre[:2], near.max() - tall + ABOVE_WALLS]), f"into the {called.split(' contain')[0]}"


def in_drawer(skills: Skills, region: str, drawer: Drawer) -> tuple[Spot, str]:
    """The middle of what is open of a drawer, on its floor; and the same in words."""
    cabinet = region.removesuffix("_region").rpartition("_")[0]
    points, middle = skills.points(drawer.body), skills.centre(drawer.body)
    roof = float((skills.points(f"{cabinet}_base") @ drawer.out).max())
    front = float((points @ drawer.out).max()) - FRONT
    spot = middle + drawer.out * ((roof + front) / 2 - middle @ drawer.out)
    return np.array([*spot[:2], points[:, 2].min() + ABOVE_FLOOR]), "into the drawer"


def narrow_side(skills: Skills, place: str) -> Spot | None:
    """The direction in which a compartment is clearly narrower than in the other, world frame."""
    site = site_of(skills, place)
    if site is None or not CONTAINS.search(place):
        return None
    x, y = skills.arm.model.site_size[site][:2]
    if max(x, y) < NARROW * min(x, y):
        return None
    return skills.arm.data.site_xmat[site].reshape(3, 3)[:, 0 if x < y else 1].copy()


def site_of(skills: Skills, place: str) -> int | None:
    """The number of a region; None for a thing."""
    model = skills.arm.model
    return next((i for i in range(model.nsite) if model.site(i).name == place), None)
