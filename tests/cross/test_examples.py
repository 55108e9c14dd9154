"""Every example runs as its docstring says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vla_data.formats.rlds import RldsWriter, finish_dataset
from vla_data.types import ActionDim, ActionSpec, ArrayImages, Camera, Episode, RobotSpec, StateDim

STEPS = 40


def smooth_episode(index: int, robot: RobotSpec) -> Episode:
    phase = np.linspace(0, 2 * np.pi, STEPS) + index
    rng = np.random.default_rng(index)
    return Episode(
        id=str(index),
        robot=robot,
        action=np.stack([np.sin(phase), np.cos(phase), np.sin(2 * phase)], axis=1).astype(np.float32),
        state=rng.normal(size=(STEPS, 1)).astype(np.float32),
        time=np.arange(STEPS) / robot.action.control_hz,
        images={"front": ArrayImages(rng.integers(0, 256, (STEPS, 12, 16, 3)).astype(np.uint8))},
        instruction="draw a circle",
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data") / "circles" / "1.0.0"
    dims = tuple(ActionDim(name, "position", "delta", "world", "m") for name in "xyz")
    robot = RobotSpec("pen", ActionSpec(dims, control_hz=10.0), (StateDim("x", "m"),))
    with RldsWriter(directory, "circles", robot, {"front": Camera("front", 16, 12)}) as writer:
        for index in range(6):
            writer.write(smooth_episode(index, robot))
    finish_dataset(directory)
    return directory


def run(root: Path, example: str, *arguments: str) -> str:
    command = [sys.executable, str(root / "examples" / example), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tried_here(root: Path):
    source = Path(__file__).read_text()
    examples = [path.name for path in (root / "examples").glob("*.py")]
    assert examples
    assert [name for name in examples if f'"{name}"' not in source] == []


def test_read_rlds(root: Path, dataset: Path):
    text = run(root, "read_rlds.py", str(dataset))
    assert "circles: 6 episodes of pen at 10 Hz" in text
    assert f"{STEPS} steps, 'draw a circle'" in text
    assert "front: (12, 16, 3)" in text
    assert f"actions of {6 * STEPS} steps" in text


def test_compress_actions(root: Path, dataset: Path, tmp_path: Path):
    text = run(root, "compress_actions.py", str(dataset), str(tmp_path / "codec"), "debug")
    assert "a chunk of " in text
    assert "z: mean error " in text


def test_bridge_codecs(root: Path, dataset: Path, tmp_path: Path):
    page = tmp_path / "codecs.html"
    text = run(root, "bridge_codecs.py", str(dataset), str(page))
    assert "circles: 6 episodes" in text
    assert "vqvae" in text
    assert "first 1: RMSE x " in text
    assert "Rate and distortion" in page.read_text()
