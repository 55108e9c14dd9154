"""Importing LIBERO and robosuite so that they ask nothing, write nowhere lasting and find their assets."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.errors import MissingDependencyError
from vla_data.sim import gl
from vla_data.sim.libero_names import assets_folder, package_folder


def libero_envs() -> Any:
    """LIBERO's module of environments, imported and pointed at the assets.

    Raises:
        MissingDependencyError: the package or the assets are missing.
    """
    assets = assets_folder()
    gl.use_backend()  # robosuite sets MUJOCO_GL itself where it is not set
    _quiet_robosuite()
    try:
        with _private_config(assets):
            package: Any = importlib.import_module("libero.libero")
        package._assets_path_cache = str(assets)
        return importlib.import_module("libero.libero.envs.env_wrapper")
    except ImportError as error:
        raise MissingDependencyError(
            "LIBERO cannot be imported", got=str(error), next_step="install vla-data[libero]"
        ) from error


def read_problem(path: Path) -> dict[str, Any]:
    """A task file as LIBERO reads it, once `libero_envs` was asked."""
    parser: Any = importlib.import_module("libero.libero.envs.bddl_utils")
    return parser.robosuite_parse_problem(str(path))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """NumPy's global generator, which LIBERO draws placements from, seeded inside and put back after."""
    before = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)


@contextmanager
def _private_config(assets: Path) -> Iterator[None]:
    """A configuration file of our own where the user has none; without one the import asks for input."""
    named = os.environ.get("LIBERO_CONFIG_PATH")
    home = Path(named) if named else Path.home() / ".libero"
    if (home / "config.yaml").is_file() or "libero.libero" in sys.modules:
        yield
        return
    folder, root = Path(tempfile.mkdtemp(prefix="vla-libero-")), package_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    paths = {
        "benchmark_root": str(root),
        "bddl_files": str(root / "bddl_files"),
        "init_states": str(root / "init_files"),
        "datasets": str(folder / "datasets"),
        "assets": str(assets),
    }
    (folder / "config.yaml").write_text(json.dumps(paths))
    os.environ["LIBERO_CONFIG_PATH"] = str(folder)
    try:
        yield
    finally:
        if named is None:
            del os.environ["LIBERO_CONFIG_PATH"]
        else:
            os.environ["LIBERO_CONFIG_PATH"] = named


def _quiet_robosuite() -> None:
    """Load the settings of robosuite before it: no log file at a fixed place, no advice, no choice of GL."""
    spec = importlib.util.find_spec("robosuite") if "robosuite" not in sys.modules else None
    for folder in spec.submodule_search_locations or () if spec else ():
        found = importlib.util.spec_from_file_location("robosuite.macros", Path(folder) / "macros.py")
        if found is None or found.loader is None:
            continue
        settings: Any = importlib.util.module_from_spec(found)
        found.loader.exec_module(settings)
        settings.CONSOLE_LOGGING_LEVEL, settings.FILE_LOGGING_LEVEL = "ERROR", None
        settings.MUJOCO_GPU_RENDERING = False
        sys.modules["robosuite.macros"] = settings
