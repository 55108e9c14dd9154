"""Off-screen pictures of MuJoCo models: colour, metric depth and object ids.

Notable features:
- one OpenGL context a process, shared by a MuJoCo rendering context per kind of model: a second OpenGL
  context in one process gives garbage under OSMesa
- "fast" leaves out shadow maps, multi-sampling, reflections, sky, fog and haze, does not send to OpenGL
  what a camera cannot see (the picture stays the same to the bit), and thins out dense robot meshes
- colour and depth come from one pass; depth is metres along the viewing axis

A process draws from one thread.
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vla_data.sim import gl
from vla_data.sim.cameras import is_rolled, out_of_view
from vla_data.sim.config import RenderMode
from vla_data.sim.distractors import Distractor
from vla_data.sim.meshes import thinned_meshes
from vla_data.types import Depth, Image

HIDDEN_GROUP = 5
MAX_GEOMS = 2000
CELLS_PER_PIXEL = 3 / 8
DROPPED = ("SHADOW", "REFLECTION", "SKYBOX", "FOG", "HAZE")
NO_BODY = -1

_shared: dict[int, Any] = {}


class Picture(NamedTuple):
    """What one camera sees: uint8 [h, w, 3], metres float32 [h, w], body ids int32 [h, w] (-1: nothing)."""

    image: Image | None
    depth: Depth | None
    segmentation: np.ndarray | None


def shared_context() -> Any:
    """This process's one OpenGL context, made on first use and current on return."""
    if os.getpid() not in _shared:
        _shared[os.getpid()] = gl.gl_context(gl.use_backend(), 16, 16)
        atexit.register(_shared.clear)  # freed before Python takes the OpenGL modules apart
    context = _shared[os.getpid()]
    context.make_current()
    return context


class Renderer:
    """Draws one kind of model: any `MjData` whose `MjModel` was compiled from the same source.

    Args:
        model: an `mujoco.MjModel`; left as it was found.
        height, width: of its pictures. They alone set how far meshes are thinned, so that a picture does not
            depend on which others are drawn beside it.
        mode: see `SimConfig.render`.
        hidden_groups: groups of geoms that are not drawn.
    """

    def __init__(
        self,
        model: Any,
        height: int,
        width: int,
        mode: RenderMode = "fast",
        hidden_groups: tuple[int, ...] = (),
    ) -> None:
        gl.use_backend()
        self._mujoco: Any = importlib.import_module("mujoco")
        self._fast = mode == "fast"
        shared_context()
        self._rect = self._mujoco.MjrRect(0, 0, width, height)
        self._context = self._make_context(model, height, width)
        self._scene = self._mujoco.MjvScene(model, maxgeom=MAX_GEOMS)
        self._option, self._solid = self._mujoco.MjvOption(), self._mujoco.MjvOption()
        for group in (HIDDEN_GROUP, *hidden_groups):
            self._option.geomgroup[group] = self._solid.geomgroup[group] = 0
        self._solid.sitegroup[:] = 0  # markers are no objects, and hidden ones would show as such
        if self._fast:
            for flag in DROPPED:
                self._scene.flags[getattr(self._mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0

    def picture(
        self,
        model: Any,
        data: Any,
        source: str,
        *,
        image: bool = True,
        depth: bool = False,
        segmentation: bool = False,
        beside: Sequence[Distractor] = (),
    ) -> Picture:
        """What the camera called `source` in the model sees now, upright.

        Args:
            beside: drawn as well, though the model knows nothing of it.
        """
        shared_context()
        self._mujoco.mjr_setBuffer(self._mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        camera = model.camera(source).id
        turned = is_rolled(model, camera)
        colour = metres = bodies = None
        if image or depth:
            self._update(model, data, camera, self._option, beside)
            colour, raw = self._pass(depth)
            metres = _upright(_metres(raw, model), turned) if depth else None
        if segmentation:
            self._update(model, data, camera, self._solid, beside)
            bodies = _upright(self._body_ids(model), turned)
        return Picture(_upright(colour, turned) if image and colour is not None else None, metres, bodies)

    def close(self) -> None:
        """Free the rendering context; the process's OpenGL context stays."""
        if self._context is not None:
            shared_context()
            self._context.free()
            self._context = None

    def _make_context(self, model: Any, height: int, width: int) -> Any:
        """A rendering context of that size; settings of the model are put back afterwards."""
        quality, size = model.vis.quality, model.vis.global_
        before = (quality.shadowsize, quality.offsamples, size.offheight, size.offwidth)
        size.offheight, size.offwidth = height, width
        cells = None
        if self._fast:
            quality.shadowsize = quality.offsamples = 0
            cells = max(8, int(CELLS_PER_PIXEL * max(height, width)))
        try:
            with thinned_meshes(model, cells):
                context = self._mujoco.MjrContext(model, self._mujoco.mjtFontScale.mjFONTSCALE_100)
        finally:
            quality.shadowsize, quality.offsamples, size.offheight, size.offwidth = before
        context.readDepthMap = self._mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        return context

    def _update(self, model: Any, data: Any, camera: int, option: Any, beside: Sequence[Distractor]) -> None:
        """Fill the scene; in fast mode geoms outside the view are hidden while it is filled."""
        view = self._mujoco.MjvCamera()
        view.type, view.fixedcamid = self._mujoco.mjtCamera.mjCAMERA_FIXED, camera
        everything = self._mujoco.mjtCatBit.mjCAT_ALL
        groups = model.geom_group.copy()
        if self._fast:
            hidden = out_of_view(model, data, camera, self._rect.width / self._rect.height)
            model.geom_group[:] = np.where(hidden, HIDDEN_GROUP, groups)
        try:
            self._mujoco.mjv_updateScene(model, data, option, None, view, everything, self._scene)
        finally:
            model.geom_group[:] = groups
        for thing in beside:
            thing.draw(self._scene)

    def _pass(self, depth: bool) -> tuple[np.ndarray, np.ndarray | None]:
        height, width = self._rect.height, self._rect.width
        colour = np.empty((height, width, 3), np.uint8)
        raw = np.empty((height, width), np.float32) if depth else None
        self._mujoco.mjr_render(self._rect, self._scene, self._context)
        self._mujoco.mjr_readPixels(colour, raw, self._rect, self._context)
        return colour, raw

    def _body_ids(self, model: Any) -> np.ndarray:
        flags = [self._mujoco.mjtRndFlag.mjRND_SEGMENT, self._mujoco.mjtRndFlag.mjRND_IDCOLOR]
        for flag in flags:
            self._scene.flags[flag] = 1
        coded = self._pass(depth=False)[0].astype(np.int32)
        for flag in flags:
            self._scene.flags[flag] = 0
        bodies = np.full(self._scene.ngeom + 1, NO_BODY, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == self._mujoco.mjtObj.mjOBJ_GEOM:
                bodies[geom.segid + 1] = model.geom_bodyid[geom.objid]
        return bodies[coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]]


def _upright(pixels: np.ndarray, turned: bool) -> np.ndarray:
    """OpenGL's rows start at the bottom; a picture turned by 180° then only swaps left and right."""
    return np.ascontiguousarray(pixels[:, ::-1] if turned else pixels[::-1])


def _metres(raw: np.ndarray | None, model: Any) -> np.ndarray:
    """Metres from a depth buffer that is 1 at the near plane and 0 at the far plane, hyperbolic between."""
    assert raw is not None
    near = float(model.vis.map.znear * model.stat.extent)
    far = float(model.vis.map.zfar * model.stat.extent)
    return (near * far / (near + raw.astype(np.float64) * (far - near))).astype(np.float32)
