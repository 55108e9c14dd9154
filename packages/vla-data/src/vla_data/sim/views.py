"""Views beyond a simulator's own cameras, by name: usable wherever a camera's name is.

Meta-World: `table-left` and `table-right` each show about half of the table from the front, close enough that
what stands in the other half is not seen; `roving` is a camera that looks at one or the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vla_data.sim.config import Aim, CameraView, Place

_FRONT = {"stand": (0.0, 1.75, 0.9), "at": (0.0, 0.72, 0.05), "zoom": 3.0}
_HALF = 8.5  # degrees
_PLACES = (
    Place("table-left", "corner3", Aim(pan=_HALF, **_FRONT)),
    Place("table-right", "corner3", Aim(pan=-_HALF, **_FRONT)),
)
METAWORLD_VIEWS: Mapping[str, CameraView] = {
    **{p.name: CameraView(p.name, p.source, aim=p.aim) for p in _PLACES},
    "roving": CameraView("roving", "corner3", places=_PLACES),
}


def resolved(view: CameraView, known: Mapping[str, CameraView]) -> CameraView:
    """A view whose source is one of `known`, as that looks; any other one as it is."""
    named = known.get(view.source)
    return view if named is None else replace(view, source=named.source, aim=named.aim, places=named.places)
