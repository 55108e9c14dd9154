"""Small made-up HDF5 files in the layouts of robomimic and LIBERO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ENV_ARGS: dict[str, Any] = {
    "env_name": "Lift",
    "type": 1,
    "env_kwargs": {
        "robots": ["Panda"],
        "control_freq": 20,
        "controller_configs": {"type": "OSC_POSE", "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5]},
    },
}


def picture(rng: np.random.Generator, steps: int, height: int, width: int) -> np.ndarray:
    """Frames whose first row is white, so that turning them shows."""
    frames = rng.integers(0, 200, (steps, height, width, 3), np.uint8)
    frames[:, 0] = 255
    return frames


def add_demo(group: h5py.Group, seed: int, steps: int, observations: dict[str, np.ndarray]) -> None:
    """A demonstration with these observations beside what every one has."""
    rng = np.random.default_rng(seed)
    demo = group.create_group(f"demo_{len(group)}")
    demo.attrs["num_samples"] = steps
    demo["actions"] = rng.uniform(-1, 1, (steps, 7))
    demo["states"] = rng.normal(size=(steps, 32))
    demo["rewards"] = rng.uniform(size=steps)
    demo["dones"] = (np.arange(steps) == steps - 1).astype(np.uint8)
    for name, values in observations.items():
        chunks = (1, *values.shape[1:]) if values.ndim == 4 else None
        demo.create_dataset(f"obs/{name}", data=values, chunks=chunks, compression="gzip" if chunks else None)


def write_robomimic(path: Path, episodes: int = 12) -> Path:
    """A file of robomimic's, without or, with at least 12 demonstrations, with the splits train and valid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(ENV_ARGS)
        for i in range(episodes):
            rng, steps = np.random.default_rng(100 + i), 3 + i
            seen = {"agentview_image": picture(rng, steps, 12, 16), "object": rng.normal(size=(steps, 10))}
            for name, width in (("robot0_eef_pos", 3), ("robot0_eef_quat", 4), ("robot0_gripper_qpos", 2)):
                seen[name] = rng.normal(size=(steps, width))
            seen["agentview_depth"] = rng.uniform(size=(steps, 12, 16, 1)).astype(np.float32)
            add_demo(data, i, steps, seen)
        if episodes >= 12:
            for split, chosen in (("train", range(episodes - 2)), ("valid", range(episodes - 2, episodes))):
                file[f"mask/{split}"] = np.array([f"demo_{i}".encode() for i in chosen])
    return path


def write_libero(directory: Path, files: int = 2, episodes: int = 2) -> Path:
    """A directory of LIBERO's, one task a file."""
    directory.mkdir(parents=True, exist_ok=True)
    for f in range(files):
        with h5py.File(directory / f"KITCHEN_SCENE{f}_open_drawer_{f}_demo.hdf5", "w") as file:
            data = file.create_group("data")
            data.attrs["env_args"] = json.dumps(ENV_ARGS)
            data.attrs["problem_info"] = json.dumps({"language_instruction": list(f"open drawer {f}")})
            data.attrs["macros_image_convention"] = "opengl"
            for i in range(episodes):
                rng, steps = np.random.default_rng(10 * f + i), 4 + i
                seen = {f"{name}_rgb": picture(rng, steps, 16, 16) for name in ("agentview", "eye_in_hand")}
                for name, width in (("ee_states", 6), ("gripper_states", 2), ("joint_states", 7)):
                    seen[name] = rng.normal(size=(steps, width))
                add_demo(data, 10 * f + i, steps, seen)
    return directory
