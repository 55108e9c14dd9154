"""Which OpenGL draws without a screen: chosen once, before MuJoCo is imported.

Notable features:
- an existing MUJOCO_GL is respected; else EGL (a GPU, or Mesa's llvmpipe) where it draws, else OSMesa
- a back end is tried in a process of its own: a broken driver can abort instead of raising
- "it draws" means that a lit scene was rendered and its pixels looked at
- training and drawing live in one process, in either order (`load_triton_first`)

`python -m vla_data.sim.gl` prints the back end and exits 0, or says in one line why nothing works.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from vla_data.errors import MissingDependencyError, SimError

BACKENDS = ("egl", "osmesa")
PACKAGES = "libosmesa6 libegl1 libgl1 libglib2.0-0"
INSTALL = f"sudo apt-get install --yes --no-install-recommends {PACKAGES}"
PROBE_SECONDS = 60.0

_SCENE = """
<mujoco><worldbody><light pos="0 0 3"/><geom type="plane" size="1 1 .1" rgba=".2 .4 .8 1"/>
<geom type="box" size=".2 .2 .2" pos="0 0 .2" rgba=".9 .2 .1 1"/>
<camera name="look" pos="0 -1.5 1.2" xyaxes="1 0 0 0 .6 .8"/></worldbody></mujoco>
"""


def use_backend() -> str:
    """Choose the back end, write it to MUJOCO_GL (children inherit it) and return its name.

    Raises:
        SimError: MUJOCO_GL names a back end that cannot draw off-screen.
        MissingDependencyError: no back end draws on this machine.
    """
    load_triton_first()
    named = os.environ.get("MUJOCO_GL", "").strip().lower()
    if named:
        if named not in BACKENDS:
            raise SimError(
                "MUJOCO_GL names a back end that does not draw off-screen",
                where="environment variable MUJOCO_GL",
                expected=" or ".join(BACKENDS),
                got=named,
                next_step="unset MUJOCO_GL, or set it to egl or osmesa",
            )
        return named
    reasons = []
    for backend in BACKENDS:
        reason = probe(backend)
        if reason is None:
            os.environ["MUJOCO_GL"] = backend
            return backend
        reasons.append(f"{backend}: {reason}")
    raise MissingDependencyError(
        "no OpenGL draws off-screen on this machine",
        where="; ".join(reasons),
        next_step=INSTALL,
    )


def require_named() -> None:
    """MuJoCo loads OSMesa as it is imported where MUJOCO_GL says so, and fails obscurely without it.

    Raises:
        MissingDependencyError: MUJOCO_GL names OSMesa, and its library is not on this machine.
    """
    if os.environ.get("MUJOCO_GL", "").strip().lower() == "osmesa" and find_library("OSMesa") is None:
        raise MissingDependencyError(
            "MUJOCO_GL names a back end that is not on this machine",
            where="environment variable MUJOCO_GL",
            expected="the library OSMesa",
            got="none",
            next_step=f"unset MUJOCO_GL, or {INSTALL}",
        )


def load_triton_first() -> None:
    """Load the library of triton, where it is installed, before Mesa brings its LLVM into the process.

    Both hold an LLVM. Whichever is loaded second binds to the first one's symbols; Mesa bears that, triton
    does not: importing it (as torch's optimizers do) after a picture was drawn is a segmentation fault.
    Loading the library alone takes about 30 ms. To be called before MuJoCo is imported, which with OSMesa
    loads Mesa at once; where Mesa is loaded already this does nothing, since it would crash.
    """
    maps = Path("/proc/self/maps")
    if not maps.is_file() or "libLLVM" in maps.read_text():
        return
    spec = importlib.util.find_spec("triton")
    for folder in (spec and spec.submodule_search_locations) or ():
        library = os.path.join(folder, "_C", "libtriton.so")
        if os.path.isfile(library):
            ctypes.CDLL(library)


def probe(backend: str) -> str | None:
    """Draw a small scene with `backend` in a process of its own; why that failed, None when it worked."""
    code = "import sys; from vla_data.sim.gl import try_draw; try_draw(sys.argv[1])"
    env = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": backend}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, backend],
            env=env,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no picture after {PROBE_SECONDS:g} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"the process was killed by signal {-done.returncode}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"


def gl_context(backend: str, width: int, height: int) -> Any:
    """A GL context of `backend`, made by MuJoCo's own classes.

    Raises:
        MissingDependencyError: its library is not installed or refuses.
    """
    try:
        return importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
    except Exception as error:  # PyOpenGL raises ImportError, AttributeError, OSError or its own classes
        raise MissingDependencyError(
            f"the OpenGL back end {backend} does not start",
            where=f"MUJOCO_GL={backend}",
            got=f"{type(error).__name__}: {error}",
            next_step=INSTALL,
        ) from error


def draw(backend: str) -> None:
    """Draw the scene in this process and look at its pixels.

    Raises:
        MissingDependencyError: the back end does not start.
        SimError: the picture is of one colour.
    """
    import numpy as np

    mujoco: Any = importlib.import_module("mujoco")
    model = mujoco.MjModel.from_xml_string(_SCENE)
    data = mujoco.MjData(model)
    context = gl_context(backend, 64, 64)
    context.make_current()
    mujoco.mj_forward(model, data)
    pixels = _render(mujoco, model, data)
    if np.ptp(pixels) < 64 or len(np.unique(pixels.reshape(-1, 3), axis=0)) < 16:
        raise SimError("the picture drawn is of one colour", where=f"MUJOCO_GL={backend}", next_step=INSTALL)


def try_draw(backend: str) -> None:
    """`draw`, then end this process at once: status 1 with the reason as its last line when it failed.

    Half-made contexts print noise when Python tears them down; leaving by `os._exit` spares the reason.
    """
    try:
        draw(backend)
    except (SimError, MissingDependencyError, ImportError) as error:
        reason = getattr(error, "got", None) or str(error)
        sys.stderr.write(reason.splitlines()[0] + "\n")
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _render(mujoco: Any, model: Any, data: Any) -> Any:
    import numpy as np

    context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    scene = mujoco.MjvScene(model, maxgeom=100)
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
    everything = mujoco.mjtCatBit.mjCAT_ALL
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, everything, scene)
    pixels = np.zeros((64, 64, 3), np.uint8)
    rect = mujoco.MjrRect(0, 0, 64, 64)
    mujoco.mjr_render(rect, scene, context)
    mujoco.mjr_readPixels(pixels, None, rect, context)
    context.free()
    return pixels


def main() -> int:
    """Print the back end that draws; the exit status is 0, or that of the error printed in one line."""
    try:
        named = os.environ.get("MUJOCO_GL")
        backend = use_backend()
        reason = probe(backend) if named else None
        if reason is not None:
            raise MissingDependencyError(f"{backend} does not draw: {reason}", next_step=INSTALL)
    except (SimError, MissingDependencyError) as error:
        sys.stderr.write(" | ".join(line.strip() for line in str(error).splitlines()) + "\n")
        return error.exit_code
    sys.stdout.write(backend + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
