"""Thinner meshes while a rendering context is made: small pictures do not show what millimetres add."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

DENSE_FACES = 2000


@contextmanager
def thinned_meshes(model: Any, cells: int | None) -> Iterator[None]:
    """Inside, meshes of `model` with many faces have fewer; afterwards they are as before.

    Vertices that fall in one cell of a grid (`cells` along the mesh's longest side; None: leave the meshes
    alone) become one, and faces that lose their area go (Rossignac and Borrel 1993, "Multi-resolution 3D
    approximations for rendering complex scenes"). Contact geometry is the convex hull made at compile time
    and is not touched.
    """
    names = ("mesh_face", "mesh_facenormal", "mesh_facetexcoord", "mesh_facenum")
    before = {name: getattr(model, name).copy() for name in names}
    try:
        if cells is not None:
            for mesh in np.flatnonzero(model.mesh_facenum > DENSE_FACES):
                _thin(model, int(mesh), cells)
        yield
    finally:
        for name, values in before.items():
            getattr(model, name)[:] = values


def _thin(model: Any, mesh: int, cells: int) -> None:
    start, count = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    first = int(model.mesh_vertadr[mesh])
    vertices = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])]
    cell = np.ptp(vertices, axis=0).max() / cells
    grid = np.floor((vertices - vertices.min(axis=0)) / cell).astype(np.int64)
    keys = (grid[:, 0] * (cells + 1) + grid[:, 1]) * (cells + 1) + grid[:, 2]
    _, chosen, cell_of = np.unique(keys, return_index=True, return_inverse=True)
    faces = chosen[cell_of][model.mesh_face[start : start + count]]
    a, b, c = faces.T
    kept = (a != b) & (b != c) & (a != c)
    left = int(kept.sum())
    model.mesh_face[start : start + left] = faces[kept]
    for name in ("mesh_facenormal", "mesh_facetexcoord"):
        values = getattr(model, name)
        values[start : start + left] = values[start : start + count][kept]
    model.mesh_facenum[mesh] = left
