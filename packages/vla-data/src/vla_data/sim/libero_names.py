"""LIBERO's tasks, where its files lie and its fixed initial states, read without importing LIBERO.

Importing `libero` waits for an answer on the terminal unless its configuration file exists; a list of
tasks should not need that.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from vla_data.errors import DataError, MissingDependencyError, UnknownNameError
from vla_data.sim.libero_assets import remembered

ASSETS_VARIABLE = "VLA_LIBERO_ASSETS"
# Steps that the published protocol allows, by suite.
HORIZONS = {
    "libero_spatial": 220,
    "libero_object": 280,
    "libero_goal": 300,
    "libero_10": 520,
    "libero_90": 400,
}
_SCENE = re.compile(r"^[A-Z0-9_]*SCENE\d+_")
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"): ("numpy", "ndarray"),
    ("numpy", "dtype"): ("numpy", "dtype"),
    ("_codecs", "encode"): ("_codecs", "encode"),
}


def package_folder() -> Path:
    """Where LIBERO's task files lie.

    Raises:
        MissingDependencyError: it is not installed.
    """
    spec = importlib.util.find_spec("libero")
    for place in spec.submodule_search_locations or () if spec else ():
        folder = Path(place) / "libero"
        if (folder / "bddl_files").is_dir():
            return folder
    raise MissingDependencyError(
        "LIBERO is not installed", where="package libero", next_step="install vla-data[libero]"
    )


def assets_folder() -> Path:
    """Meshes and textures: `$VLA_LIBERO_ASSETS`, else what was set up, else what the package holds.

    Raises:
        MissingDependencyError: neither is there.
    """
    named = os.environ.get(ASSETS_VARIABLE)
    folder = Path(named) if named else remembered() or package_folder() / "assets"
    if not (folder / "scenes").is_dir():
        raise MissingDependencyError(
            "the assets of LIBERO are missing",
            where=str(folder),
            expected="its folders scenes, articulated_objects, stable_scanned_objects, …",
            next_step=f"vla sim setup libero (fetches them; or --assets DIR), or set {ASSETS_VARIABLE}",
        )
    return folder.resolve()


def task_names() -> tuple[str, ...]:
    """All tasks as `suite/task`."""
    folder = package_folder() / "bddl_files"
    return tuple(
        f"{suite}/{path.stem}" for suite in HORIZONS for path in sorted((folder / suite).glob("*.bddl"))
    )


def visuals() -> str:
    """What the pictures are called on results: substitutes are named where the assets' README names them."""
    readme = assets_folder() / "README.md"
    said = readme.read_text() if readme.is_file() else ""
    return "LIBERO, substituted visuals" if "substituted visuals" in said else "LIBERO"


def task_file(task: str) -> Path:
    """The description of a task.

    Raises:
        UnknownNameError: no such task.
    """
    path = package_folder() / "bddl_files" / f"{task}.bddl"
    if task.count("/") != 1 or task.partition("/")[0] not in HORIZONS or not path.is_file():
        raise UnknownNameError("LIBERO task", task, task_names())
    return path


def language(task: str) -> str:
    """The task in words, as its name says them."""
    return _SCENE.sub("", task_file(task).stem).replace("_", " ")


def initial_states(task: str) -> Float64[np.ndarray, "states values"]:
    """The fixed initial states of the evaluation protocol.

    Raises:
        DataError: the file is not what LIBERO ships.
    """
    task_file(task)
    path = package_folder() / "init_files" / f"{task}.pruned_init"
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            with archive.open(name) as content:
                states = _ArrayUnpickler(content).load()
    except (OSError, zipfile.BadZipFile, StopIteration, pickle.UnpicklingError) as error:
        raise DataError(
            "initial states cannot be read",
            where=str(path),
            expected="a zip archive that holds one pickled array",
            got=f"{type(error).__name__}: {error}",
            next_step="install libero again",
        ) from error
    return np.asarray(states, np.float64)


class _ArrayUnpickler(pickle.Unpickler):
    """Lets in what a plain array needs and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")
        home, attribute = _ALLOWED[module, name]
        return getattr(importlib.import_module(home), attribute)
