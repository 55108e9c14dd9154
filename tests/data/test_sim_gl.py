"""The choice of an OpenGL back end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vla_data.errors import MissingDependencyError, SimError
from vla_data.sim import gl


def run_module(**env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    return subprocess.run(
        [sys.executable, "-m", "vla_data.sim.gl"],
        env=clean | env,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_module_prints_a_backend_that_draws() -> None:
    done = run_module()
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in gl.BACKENDS


def test_a_named_backend_that_does_not_start_is_one_line_and_a_non_zero_status() -> None:
    done = run_module(MUJOCO_GL="egl", MUJOCO_EGL_DEVICE_ID="99")
    assert done.returncode == MissingDependencyError.exit_code
    assert len(done.stderr.strip().splitlines()) == 1
    assert "apt-get install" in done.stderr


def test_a_backend_without_off_screen_drawing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(SimError, match="off-screen"):
        gl.use_backend()


def test_an_existing_choice_is_kept_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(gl, "probe", lambda backend: pytest.fail("probed"))
    assert gl.use_backend() == "osmesa"


def test_the_second_backend_is_taken_when_the_first_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(gl, "probe", lambda backend: "no device" if backend == "egl" else None)
    assert gl.use_backend() == "osmesa"
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_without_any_backend_the_error_names_reasons_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(gl, "probe", lambda backend: f"{backend} is broken")
    with pytest.raises(MissingDependencyError) as caught:
        gl.use_backend()
    assert "egl is broken" in str(caught.value)
    assert "osmesa is broken" in str(caught.value)
    assert "apt-get install" in str(caught.value)


def test_a_crash_of_the_driver_is_a_reason_and_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, -11, "", "")

    monkeypatch.setattr(subprocess, "run", killed)
    assert gl.probe("egl") == "the process was killed by signal 11"


DRAW_THEN_TRAIN = """
import os
from vla_data.sim import make_env
from vla_data.types import Trial
env = make_env("metaworld", ["reach"])
env.reset([0], [Trial("reach", 0, "reach")])
env.observe([0])
import torch
torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
print("trained", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("backend", gl.BACKENDS)
def test_a_process_that_has_drawn_can_still_train(backend: str) -> None:
    """Torch's optimizers import triton, whose LLVM and Mesa's must not meet in the wrong order."""
    reason = gl.probe(backend)
    if reason is not None:
        pytest.skip(f"{backend} does not draw here: {reason}")
    done = subprocess.run(
        [sys.executable, "-c", DRAW_THEN_TRAIN],
        env={k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == "trained", (done.returncode, done.stderr)


def test_a_named_library_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo itself would fail on its import, by an attribute of None."""
    monkeypatch.setattr(gl, "find_library", lambda name: None)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(MissingDependencyError, match="apt-get install"):
        gl.require_named()
    monkeypatch.setenv("MUJOCO_GL", "egl")
    gl.require_named()
