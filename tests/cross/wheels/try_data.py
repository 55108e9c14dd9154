"""vla-data without any extra: the ground, on numpy alone."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
from _wheel import check_absent, check_wheel

from vla_data.normalize import Normalizer, NormStats
from vla_data.report import Section, Text, write_page
from vla_data.runs import Stage, run_stage
from vla_data.types import ActionDim, ActionSpec, CameraInput, InputSpec, RobotSpec

GROUND = "types protocols errors config registry normalize files runs pool report charts chunks"

check_wheel("vla-data", "report.css")
check_absent("torch", "tensorflow", "lightning", "tensorflow_datasets", "mujoco", "vla_ts", "vla_cli")
for name in GROUND.split():
    import_module(f"vla_data.{name}")

x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
normalizer = Normalizer(NormStats.of([x]))
np.testing.assert_allclose(normalizer.denormalize(normalizer.normalize(x)), x, atol=1e-5)

robot = RobotSpec("arm", ActionSpec((ActionDim("x", "position", "delta", "world"),), 10.0))
assert InputSpec(robot, (CameraInput("front", 4, 5),), 8).fake_window().latest.images["front"].shape == (
    4,
    5,
    3,
)

with tempfile.TemporaryDirectory() as folder:
    sections = [Section("Part", (Text("hello"),))]
    stage = Stage("make", Path(folder) / "stage", {"seed": 0}, (), lambda: ({}, sections))
    assert [run_stage(stage).skipped, run_stage(stage).skipped] == [False, True]
    write_page(Path(folder) / "report.html", "A run", sections)
    assert "hello" in (Path(folder) / "report.html").read_text()
