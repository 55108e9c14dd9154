"""The released lerobot package, in an environment of its own: each reads what the other writes."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image as Pillow
from tests.data import lerobot_peer
from tests.data.episodes import CAMERAS, ROBOT, make_episode

from vla_data import open_episodes
from vla_data.conversion import ConvertConfig, convert
from vla_data.formats.lerobot import LeRobotWriter
from vla_data.images import EncodedImages
from vla_data.types import Episode, ImageSequence

pytestmark = [pytest.mark.slow, pytest.mark.network]

LEROBOT = "lerobot==0.4.4"
# What loading a data set imports, within lerobot's bounds; torch comes from the workspace's own environment.
NEEDED = ["datasets>=4,<5", "huggingface-hub<0.36", "draccus==0.10.0", "einops", "jsonlines", "av>=15,<16"]
NEEDED += ["deepdiff", "termcolor", "packaging<26", "numpy>=2,<2.3"]
ALONE = [LEROBOT, "accelerate", "psutil", "torchcodec"]  # without what they require: mostly another torch
NAMED = re.compile(r"(lib(?:av|sw)\w+)-[0-9a-f]+(\.so\.\d+)\..*")
MINUTES = 20


def run(*command: object, **env: str) -> subprocess.CompletedProcess[str]:
    said = {"env": os.environ | env, "capture_output": True, "text": True, "timeout": 60 * MINUTES}
    return subprocess.run([str(c) for c in command], **said)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def interpreter(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the released package; the tests are skipped where it cannot be fetched."""
    uv = shutil.which("uv") or next((str(p) for p in (root / ".uv/bin/uv",) if p.is_file()), None)
    if uv is None:
        pytest.skip("no uv to make an environment with")
    home = tmp_path_factory.mktemp("lerobot")
    python, version = home / "bin/python", f"{sys.version_info.major}.{sys.version_info.minor}"
    assert run(uv, "venv", "-q", "--python", sys.executable, "--allow-existing", home).returncode == 0
    for arguments in (["--no-deps", *ALONE], NEEDED):
        done = run(uv, "pip", "install", "-q", "--python", python, *arguments)
        if done.returncode:
            pytest.skip(f"the released lerobot package cannot be installed here: {done.stderr[-300:]}")
    packages = home / f"lib/python{version}/site-packages"
    workspace = Path(sys.prefix) / f"lib/python{version}/site-packages"
    (packages / "zz_workspace.pth").write_text(f"{workspace}\n")  # last: its own packages come first
    for library in (packages / "av.libs").iterdir():  # torchcodec looks for FFmpeg by its usual names
        if match := NAMED.fullmatch(library.name):
            library.with_name("".join(match.groups())).symlink_to(library.name)
    return python


def peer(interpreter: Path, *arguments: object) -> None:
    """Run `lerobot_peer.py` there."""
    home = interpreter.parents[1]
    libraries = next(home.glob("lib/python*/site-packages/av.libs"))
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "cache"), "LD_LIBRARY_PATH": str(libraries)}
    env |= {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""}
    done = run(interpreter, lerobot_peer.__file__, *arguments, **env)
    assert done.returncode == 0, done.stderr[-3000:]


def load(interpreter: Path, root: Path, out: Path) -> dict[str, np.ndarray]:
    """What the package gives: key → values of every step of the data set."""
    peer(interpreter, "load", root, out)
    return dict(np.load(out))


def frames(images: ImageSequence, pillow: bool) -> np.ndarray:
    """All frames; JPEG decoded by Pillow, as the package does."""
    if pillow and isinstance(images, EncodedImages):
        return np.stack([np.asarray(Pillow.open(io.BytesIO(f)).convert("RGB")) for f in images.frames])
    return np.stack([images[i] for i in range(len(images))])


def assert_loads(theirs: dict[str, np.ndarray], episodes: list[Episode], exact: bool) -> None:
    """Every column of every episode, in the package's own types: it hands out float64 as float32."""
    stop = 0
    for number, episode in enumerate(episodes):
        start, stop = stop, stop + len(episode)
        named = {"action": episode.action, "observation.state": episode.state, "time": episode.time}
        named |= {f"depth.{k}": v for k, v in episode.depth.items()}
        shared = {"reward": "next.reward", "success": "next.success"}
        for name, values in episode.series.items():
            named[shared.get(name, "series." + name.replace("/", "."))] = values
        for key, given in named.items():
            values = np.asarray(given)
            expected = values.astype(np.float32) if values.dtype == np.float64 else values
            np.testing.assert_array_equal(theirs[key][start:stop], expected, key)
        for name, images in episode.images.items():
            got, expected = theirs[f"observation.images.{name}"][start:stop], frames(images, exact)
            if exact:
                np.testing.assert_array_equal(got, expected, name)
            else:
                assert np.abs(got.astype(int) - expected).mean() < 10, name
        assert set(theirs["text/task"][start:stop].tolist()) == {episode.instruction}
        assert (theirs["episode_index"][start:stop] == number).all()
        hz = episode.robot.action.control_hz
        np.testing.assert_allclose(theirs["timestamp"][start:stop], np.arange(len(episode)) / hz, atol=1e-6)
    assert stop == len(theirs["action"])
    assert (int(theirs["episodes"]), float(theirs["fps"])) == (
        len(episodes),
        episodes[0].robot.action.control_hz,
    )


@pytest.mark.parametrize("images", ["png", "jpeg", "video"])
def test_the_package_loads_made_up_episodes(
    interpreter: Path, tmp_path: Path, images: Literal["png", "jpeg", "video"]
):
    with LeRobotWriter(tmp_path / "set", "made_up", ROBOT, CAMERAS, images=images) as writer:
        for i in range(1, 5):
            writer.write(make_episode(i, 3 + i))
    reader = open_episodes(tmp_path / "set")
    theirs = load(interpreter, tmp_path / "set", tmp_path / "out.npz")
    assert_loads(theirs, [reader[i] for i in range(4)], exact=images != "video")
    action = np.concatenate([reader[i].action for i in range(4)]).astype(np.float64)
    np.testing.assert_allclose(theirs["stats/action/q99"], np.quantile(action, 0.99, axis=0))
    texts = [s.text for i in range(4) for s in reader[i].substeps]
    assert set(texts) <= set(theirs["text/subtask"].tolist())


@pytest.mark.parametrize("images", ["keep", "video"])
def test_the_package_loads_the_real_episodes(
    interpreter: Path, tmp_path: Path, shared: Path, images: Literal["keep", "video"]
):
    source = shared / "data/rlds/bridge_dataset/1.0.0"
    done = convert(source, tmp_path / "set", ConvertConfig(images=images, splits=("train",)))
    theirs = load(interpreter, tmp_path / "set", tmp_path / "out.npz")
    reader = open_episodes(source)
    assert_loads(theirs, [reader[i] for i in range(25)], exact=images == "keep")
    assert len(theirs["action"]) == done.steps


def test_what_the_package_writes_is_read(interpreter: Path, tmp_path: Path):
    peer(interpreter, "write", tmp_path / "theirs")
    theirs = load(interpreter, tmp_path / "theirs", tmp_path / "out.npz")
    reader = open_episodes(tmp_path / "theirs")
    assert (reader.robot.name, reader.robot.action.control_hz, len(reader)) == ("so100", 12.0, 3)
    assert [d.name for d in reader.robot.action.dims] == ["pan", "lift", "jaw"]
    for number in (2, 0, 1):
        episode, columns = reader[number], lerobot_peer.made(number)
        np.testing.assert_array_equal(episode.action, columns["action"], strict=True)
        np.testing.assert_array_equal(episode.state, columns["observation.state"], strict=True)
        np.testing.assert_array_equal(episode.series["reward"], columns["next.reward"][:, 0])
        np.testing.assert_array_equal(
            frames(episode.images["hand"], False), columns["observation.images.hand"]
        )
        assert episode.instruction == f"task {number % 2}"
        start = sum(lerobot_peer.LENGTHS[:number])
        decoded = theirs["observation.images.top"][start : start + len(episode)]
        ours = frames(episode.images["top"], False)
        assert np.abs(ours.astype(int) - decoded).mean() < 1.5
        assert np.abs(ours.astype(int) - columns["observation.images.top"]).mean() < 4
    done = convert(tmp_path / "theirs", tmp_path / "rlds", ConvertConfig("rlds"), workers=1)
    assert done.splits == {"train": 3}
