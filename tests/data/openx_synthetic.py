"""Made-up episodes with the published features of Open X-Embodiment's data sets (`openx_features.txt`)."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from vla_data.files import write_json
from vla_data.formats.example import serialise
from vla_data.formats.features import Branch, Leaf, Sequence, to_json
from vla_data.formats.leaves import encode_leaf
from vla_data.formats.rlds.layout import shard_path
from vla_data.formats.tfrecord import RecordWriter
from vla_data.images import encode

STEPS = 4
SAID = "put the red cup into the sink"
LEFT, RIGHT = (220, 40, 30), (20, 60, 200)  # colours of the halves of every frame
FLAGS = ["is_first bool", "is_last bool", "is_terminal bool"]
GROUPS = {
    "@flags": FLAGS,
    "@demo": [*FLAGS, "reward f32", "discount f32"],
    "@said": ["language_instruction text", "language_embedding f32 512"],
    "@path": ["/episode_metadata/file_path text"],
    "@google": [
        *FLAGS,
        "reward f32",
        "observation/natural_language_instruction text",
        "observation/natural_language_embedding f32 512",
    ],
}
NUMBERS = {
    "f16": "float16", "f32": "float32", "f64": "float64", "u8": "uint8", "i32": "int32", "i64": "int64",
    "bool": "bool",
}  # fmt: skip
Change = Callable[[dict[str, Any]], None]


@cache
def published() -> dict[str, dict[str, Leaf]]:
    """Data set → flat key → leaf."""
    found: dict[str, dict[str, Leaf]] = {}
    name = ""
    for line in Path(__file__).with_name("openx_features.txt").read_text().splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0].startswith("["):
            name = words[0][1:-1]
            found[name] = {}
        elif words[0] == "=":
            found[name] = found[words[1]]
        else:
            rows = [row for w in words for row in GROUPS[w]] if words[0] in GROUPS else [line]
            found[name] |= dict(_leaf(row) for row in rows)
    return found


def _leaf(row: str) -> tuple[str, Leaf]:
    key, kind, *shape = row.split()
    sizes = tuple(int(n) for n in shape[0].split("x")) if shape else ()
    rank = 0 if key.startswith("/") else 1
    key = key[1:] if key.startswith("/") else f"steps/{key}"
    if kind in ("text", "seq_text"):
        return key, Leaf("text", (), "string", rank=rank + (kind == "seq_text"))
    if kind in ("png", "jpeg", "image", "png_u16", "image_f32"):
        encoding = {"png_u16": "png", "png": "png", "jpeg": "jpeg"}.get(kind, "undeclared")
        dtype = {"png_u16": "uint16", "image_f32": "float32"}.get(kind, "uint8")
        return key, Leaf("image", sizes, dtype, encoding, rank=rank)  # type: ignore[arg-type]
    zipped = kind.startswith("zlib_")
    dtype = NUMBERS[kind.removeprefix("zlib_")]
    return key, Leaf("tensor", sizes, dtype, "zlib" if zipped else "none", rank=rank)


def write_synthetic(
    root: Path, name: str, change: Change = lambda values: None, swapped: tuple[str, ...] = ()
) -> tuple[Path, dict[str, Any]]:
    """A data set of one episode; gives its directory and the values it holds, by flat key.

    Args:
        change: may set values before they are written.
        swapped: keys of cameras whose frames are stored with red and blue swapped.
    """
    leaves = published()[name]
    values = {key: make_values(key, leaf, f"{name}/{key}") for key, leaf in leaves.items()}
    change(values)
    columns: dict[str, Any] = {}
    for key, leaf in leaves.items():
        if leaf.rank == 2:
            columns[f"{key}/ragged_flat_values"] = [b"one", b"two"] * STEPS
            columns[f"{key}/ragged_row_lengths_0"] = np.full(STEPS, 2)
        elif leaf.kind == "image":
            columns[key] = [_encoded(v, leaf, key, key in swapped) for v in values[key]]
        else:
            columns[key] = encode_leaf(values[key], leaf)
    return _write(root / name / "0.1.0", name, leaves, serialise(columns)), values


def make_values(key: str, leaf: Leaf, seed: str) -> Any:
    """Values of a leaf: [T, *shape] below `steps`; frames are halves of two colours, or ramps of depth."""
    rng = np.random.default_rng(list(seed.encode()))
    lead = (STEPS,) * min(leaf.rank, 1)
    sizes = tuple(n or 0 for n in leaf.shape)
    if leaf.kind == "text":
        return [SAID] * STEPS if leaf.rank else SAID
    if leaf.kind == "image" and sizes[-1] == 3:
        return [halves(sizes[0], sizes[1])] * STEPS
    if leaf.dtype == "uint8" and len(sizes) == 3:  # frames stored as plain numbers
        return np.stack([halves(sizes[0], sizes[1])] * STEPS)
    if leaf.kind == "image":
        ramp = np.arange(math.prod(sizes)).reshape(sizes[:2]) % 200 + 500
        return [
            (ramp / 1000).astype("float32") if leaf.dtype == "float32" else ramp.astype(leaf.dtype)
        ] * STEPS
    if leaf.dtype == "int32" and leaf.shape == (512,):
        points = [ord(c) for c in SAID]
        return np.tile(np.array(points + [0] * (512 - len(points)), "int32"), (STEPS, 1))
    kind = np.dtype(leaf.dtype).kind
    if kind == "f":
        return rng.uniform(-1, 1, (*lead, *sizes)).astype(leaf.dtype)
    return rng.integers(0, 2 if kind == "b" else 100, (*lead, *sizes)).astype(leaf.dtype)


def halves(height: int, width: int) -> np.ndarray:
    """A frame whose left half has one colour and whose right half another."""
    frame = np.empty((height, width, 3), np.uint8)
    frame[:, : width // 2], frame[:, width // 2 :] = LEFT, RIGHT
    return frame


def _encoded(frame: np.ndarray, leaf: Leaf, key: str, swapped: bool) -> bytes:
    if leaf.shape[-1] == 3:
        encoding = leaf.encoding if leaf.encoding != "undeclared" else ("png", "jpeg")[len(key) % 2]
        return _encode_once(frame.tobytes(), frame.shape, encoding, swapped)
    if leaf.dtype == "float32":  # as TFDS: the four bytes of each number are the channels of a PNG
        picture = Pillow.fromarray(
            np.ascontiguousarray(frame).view(np.uint8).reshape(*frame.shape, 4), "RGBA"
        )
    else:
        picture = Pillow.fromarray(frame)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG" if leaf.encoding == "jpeg" else "PNG")
    return buffer.getvalue()


@cache
def _encode_once(data: bytes, shape: tuple[int, ...], encoding: str, swapped: bool) -> bytes:
    frame = np.frombuffer(data, np.uint8).reshape(shape)
    return encode(frame[..., ::-1] if swapped else frame, encoding)


def _write(directory: Path, name: str, leaves: Mapping[str, Leaf], record: bytes) -> Path:
    directory.mkdir(parents=True)
    with RecordWriter(shard_path(directory, name, "train", 0, 1)) as writer:
        writer.write(record)
    write_json(directory / "features.json", to_json(_tree(leaves)))
    split = {"name": "train", "shardLengths": ["1"], "numBytes": str(len(record))}
    info = {"name": name, "version": "0.1.0", "fileFormat": "tfrecord", "splits": [split]}
    write_json(directory / "dataset_info.json", info)
    return directory


def _tree(leaves: Mapping[str, Leaf]) -> Branch:
    root: dict[str, Any] = {}
    for key, leaf in leaves.items():
        *parents, last = key.split("/")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = Sequence(leaf) if leaf.rank == 2 else leaf
    branches = {k: _branch(v) for k, v in root.items()}
    return Branch(branches | {"steps": Sequence(branches["steps"], dataset=True)})


def _branch(node: Any) -> Any:
    return Branch({k: _branch(v) for k, v in node.items()}) if isinstance(node, dict) else node
