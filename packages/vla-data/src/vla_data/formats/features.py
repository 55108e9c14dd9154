"""`features.json` of TFDS as a typed tree, and the flat keys under which records hold its leaves.

TFDS flattens nested dictionaries with slashes and makes one column of a sequence of dictionaries:
`steps` (a Dataset) of `observation` of `image` becomes the key `steps/observation/image`, whose value
lists one element per step. Two nested sequences become `…/ragged_flat_values` and
`…/ragged_row_lengths_0`. A leaf knows its shape inside the sequences, its dtype and its encoding.

The tree is read here without any dependency. It is written through the feature classes of
tensorflow-datasets, so that it is right by construction; those do not import TensorFlow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vla_data.errors import DataError
from vla_data.files import read_json

Shape = tuple[int | None, ...]
Encoding = Literal["none", "bytes", "zlib", "png", "jpeg", "undeclared"]
FILE_NAME = "features.json"
MAX_NUMBERS = 1 << 32  # in one value of one step


@dataclass(frozen=True)
class Leaf:
    """A value in the tree.

    Args:
        kind: "text" is a tensor of strings, "unknown" a class this reader does not know.
        shape: inside all sequences; None for a free axis.
        dtype: numpy's name of it.
        encoding: how one element is stored; an image without a declared one is sniffed by its first bytes.
        description: what the data set says about it.
        rank: sequences around it.
    """

    kind: Literal["tensor", "image", "text", "unknown"]
    shape: Shape = ()
    dtype: str = "float32"
    encoding: Encoding = "none"
    description: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Branch:
    """A dictionary of features."""

    features: Mapping[str, Feature]
    description: str = ""


@dataclass(frozen=True)
class Sequence:
    """Any number of `feature`, or `length` of them. A `dataset` is a sequence that TFDS streams."""

    feature: Feature
    dataset: bool = False
    length: int | None = None
    description: str = ""


Feature = Leaf | Branch | Sequence


def read_features(directory: Path) -> Branch:
    """The tree of a data set.

    Raises:
        DataError: the file is missing, is not JSON, or is not a tree of features.
    """
    path = directory / FILE_NAME
    if not path.is_file():
        raise DataError(
            "a data set lacks its features.json",
            where=str(path),
            expected="the file that says what the records hold",
            got="no file",
            next_step="fetch the data set again, or run the command that generated it: it is written last",
        )
    tree = parse_feature(read_json(path), str(path))
    if not isinstance(tree, Branch):
        raise DataError("features.json is not a dictionary of features", where=str(path), got=str(tree)[:80])
    return tree


def parse_feature(node: Any, where: str) -> Feature:
    """A tree from the JSON that tensorflow-datasets writes."""
    try:
        return _parse(node)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(
            "features.json is not a tree of features",
            where=where,
            expected="pythonClassName and content at every node, as tensorflow-datasets 4.4 or newer writes",
            got=f"{type(error).__name__}: {error}",
        ) from error


def _parse(node: Mapping[str, Any]) -> Feature:
    name, doc = node["pythonClassName"].rsplit(".", 1)[-1], node.get("description", "")
    if "featuresDict" in node:
        children = node["featuresDict"].get("features", {})
        return Branch({key: _parse(child) for key, child in children.items()}, doc)
    if "sequence" in node:
        length = int(node["sequence"].get("length", -1))
        inner = _parse(node["sequence"]["feature"])
        return Sequence(inner, name == "Dataset", None if length < 0 else length, doc)
    if "image" in node:
        content = node["image"]
        encoding = content.get("encodingFormat") or "undeclared"
        return Leaf("image", _shape(content), _dtype(content.get("dtype") or "uint8"), encoding, doc)
    if "tensor" in node:
        content = node["tensor"]
        dtype = _dtype(content["dtype"])
        kind = "text" if dtype in ("string", "object") else "tensor"
        return Leaf(kind, _shape(content), dtype, content.get("encoding", "none"), doc)
    if "text" in node:
        return Leaf("text", (), "string", description=doc)
    if "classLabel" in node:
        return Leaf("tensor", (), "int64", description=doc)
    return Leaf("unknown", (), "object", description=f"{name} {doc}".strip())


def _shape(content: Mapping[str, Any]) -> Shape:
    sizes = tuple(int(d) for d in content.get("shape", {}).get("dimensions", ()))
    if math.prod(max(d, 1) for d in sizes) > MAX_NUMBERS:
        raise ValueError(f"a shape of {sizes}, which no machine holds")
    return tuple(None if d < 0 else d for d in sizes)


def _dtype(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a dtype {name!r} that is no name")
    if name not in ("string", "object"):
        np.dtype(name)  # raises TypeError for what numpy does not know
    return name


def leaves(tree: Feature, prefix: str = "", rank: int = 0) -> Iterator[tuple[str, Leaf]]:
    """(flat key, leaf) of every leaf, `rank` filled in."""
    if isinstance(tree, Branch):
        for name, child in tree.features.items():
            yield from leaves(child, f"{prefix}/{name}" if prefix else name, rank)
    elif isinstance(tree, Sequence):
        yield from leaves(tree.feature, prefix, rank + 1)
    else:
        yield prefix, replace(tree, rank=rank)


def to_json(tree: Feature) -> dict[str, Any]:
    """The tree as tensorflow-datasets itself writes it, keys in order: the maps of a message have none."""
    from google.protobuf import json_format

    tree_json = json_format.MessageToDict(_to_tfds(tree).to_proto())
    return json.loads(json.dumps(tree_json, sort_keys=True))


def _to_tfds(tree: Feature) -> Any:
    from tensorflow_datasets.core import features as tfds

    if isinstance(tree, Branch):
        return tfds.FeaturesDict({k: _to_tfds(v) for k, v in tree.features.items()}, doc=tree.description)
    if isinstance(tree, Sequence):
        kind = tfds.Dataset if tree.dataset else tfds.Sequence
        inner = tree.feature
        given = {k: _to_tfds(v) for k, v in inner.features.items()} if isinstance(inner, Branch) else None
        return kind(given or _to_tfds(inner), length=tree.length, doc=tree.description)
    if tree.kind == "text":
        return tfds.Text(doc=tree.description)
    dtype = np.dtype(tree.dtype).type
    if tree.kind == "image":
        declared = None if tree.encoding == "undeclared" else tree.encoding
        return tfds.Image(shape=tree.shape, dtype=dtype, encoding_format=declared, doc=tree.description)
    if not tree.shape and tree.encoding == "none":
        return tfds.Scalar(dtype, doc=tree.description)
    return tfds.Tensor(shape=tree.shape, dtype=dtype, encoding=tree.encoding, doc=tree.description)
