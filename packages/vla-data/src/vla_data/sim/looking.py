"""Pictures of several kinds of model through the same views."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vla_data.sim.borrowing import placed
from vla_data.sim.cameras import intrinsics, is_still, pose, to_matrix, zoomed
from vla_data.sim.config import CameraView, Place, RenderMode
from vla_data.sim.distractors import Distractor
from vla_data.sim.render import Renderer
from vla_data.types import Camera, Depth, Image

KEPT_RENDERERS = 8  # each holds some 90 MB of textures and meshes in software OpenGL


@dataclass(frozen=True, eq=False)
class Seen:
    """What the views show, by camera name."""

    images: Mapping[str, Image] = field(default_factory=dict)
    depth: Mapping[str, Depth] = field(default_factory=dict)
    segmentation: Mapping[str, np.ndarray] = field(default_factory=dict)
    poses: Mapping[str, np.ndarray] = field(default_factory=dict)


def at_place(view: CameraView, place: Place | None) -> CameraView:
    """A view from one of its places."""
    return view if place is None else replace(view, source=place.source, aim=place.aim)


def describe(model: Any, data: Any, view: CameraView, frame_rate: float) -> Camera:
    """The `Camera` of a view; its pose is None when it moves or hangs on something that moves.

    The intrinsics of a view that roves are those of its first place.
    """
    view = at_place(view, view.places[0] if view.places else None)
    camera = model.camera(view.source).id
    fovy = zoomed(float(model.cam_fovy[camera]), view.aim.zoom)
    seen_from = None
    if is_still(model, camera) and not view.moves:
        with placed(model, data, view):
            seen_from = to_matrix(pose(model, data, camera))
    return Camera(
        name=view.name,
        width=view.width,
        height=view.height,
        intrinsics=intrinsics(fovy if view.wander is None else view.wander.fovy, view.width, view.height),
        pose=seen_from,
        frame_rate=frame_rate,
    )


class Looker:
    """Draws `views` of models, keeping a renderer for each kind of model and size (those not used go).

    Args:
        views: what every look shows.
        mode: see `SimConfig.render`.
        hidden_groups: groups of geoms that are not drawn (collision shapes).
        all_poses: tell the poses of cameras that stand still as well.
    """

    def __init__(
        self,
        views: tuple[CameraView, ...],
        mode: RenderMode,
        hidden_groups: tuple[int, ...] = (),
        all_poses: bool = False,
    ) -> None:
        self.views = views
        self._mode: RenderMode = mode
        self._hidden_groups, self._all_poses = hidden_groups, all_poses
        self._renderers: OrderedDict[tuple[str, int, int], Renderer] = OrderedDict()

    def look(
        self,
        kind: str,
        model: Any,
        data: Any,
        *,
        images: bool = True,
        depth: bool = False,
        segmentation: bool = False,
        places: Mapping[str, Place] | None = None,
        beside: Sequence[Distractor] = (),
    ) -> Seen:
        """What each view shows; nothing is drawn, and no OpenGL needed, when nothing is asked for.

        Args:
            places: where views that rove look from now, by name.
            beside: drawn as well, though the model knows nothing of it.
        """
        if not self.views or not (images or depth or segmentation):
            return Seen()
        pictures, poses = {}, {}
        for view in (at_place(v, (places or {}).get(v.name)) for v in self.views):
            with placed(model, data, view):
                pictures[view.name] = self._renderer(kind, model, view).picture(
                    model,
                    data,
                    view.source,
                    image=images,
                    depth=depth,
                    segmentation=segmentation,
                    beside=beside,
                )
                camera = model.camera(view.source).id
                if self._all_poses or view.moves or not is_still(model, camera):
                    poses[view.name] = pose(model, data, camera)
        return Seen(
            {name: p.image for name, p in pictures.items() if p.image is not None},
            {name: p.depth for name, p in pictures.items() if p.depth is not None},
            {name: p.segmentation for name, p in pictures.items() if p.segmentation is not None},
            poses,
        )

    def close(self) -> None:
        """Free every renderer."""
        while self._renderers:
            self._renderers.popitem()[1].close()

    def _renderer(self, kind: str, model: Any, view: CameraView) -> Renderer:
        key = (kind, view.height, view.width)
        if key not in self._renderers:
            self._renderers[key] = Renderer(model, view.height, view.width, self._mode, self._hidden_groups)
        self._renderers.move_to_end(key)
        while len(self._renderers) > KEPT_RENDERERS:
            self._renderers.popitem(last=False)[1].close()
        return self._renderers[key]
