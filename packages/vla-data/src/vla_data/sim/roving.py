"""Cameras that rove: where a trial begins to look, and where it looks after a control."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from vla_data.camera_control import CameraControl
from vla_data.errors import SimError
from vla_data.sim.config import MOST_TURN, ZOOM, CameraView, Place

PLACE_STREAM = 3


def first_places(views: Iterable[CameraView], seed: int) -> dict[str, Place]:
    """Where the roving ones of `views` look from when a trial begins, which follows from its seed alone."""
    rng = np.random.default_rng([seed, PLACE_STREAM])
    return {v.name: v.places[int(rng.integers(len(v.places)))] for v in views if v.places}


def moved(
    views: Iterable[CameraView], places: Mapping[str, Place], control: CameraControl
) -> dict[str, Place]:
    """Places after a control. Turns add up and end at the limits of `Aim`.

    `choose` names a place, and moves the view that has it; the others name the view.

    Raises:
        SimError: no roving view or place has that name, or the zoom is not a positive factor.
    """
    roving = {v.name: v for v in views if v.places}
    if control.look == "choose":
        found = [(name, p) for name, v in roving.items() for p in v.places if p.name == control.camera]
        known = [p.name for v in roving.values() for p in v.places]
    else:
        found = [(n, _turned(places[n], control)) for n in roving if n == control.camera]
        known = list(roving)
    if not found:
        raise SimError(
            "a camera was to be moved that is not there or does not rove",
            where=f"{control.look} {control.camera}",
            expected=", ".join(known) or "a CameraView with places",
            got=control.camera,
        )
    return {**places, found[0][0]: found[0][1]}


def _turned(place: Place, control: CameraControl) -> Place:
    aim, by = place.aim, control.amount
    if control.look == "zoom":
        if by <= 0:
            raise SimError(
                "a camera cannot zoom so", where=place.name, expected="a factor above 0", got=f"{by:g}"
            )
        return replace(place, aim=replace(aim, zoom=float(np.clip(aim.zoom * by, 1 / ZOOM, ZOOM))))
    angle = float(np.clip(getattr(aim, control.look) + by, -MOST_TURN, MOST_TURN))
    return replace(place, aim=replace(aim, **{control.look: angle}))
