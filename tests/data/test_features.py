"""features.json: read as tensorflow-datasets writes it, written as it would; leaves there and back."""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow_datasets.core import features as tfds

from vla_data.errors import DataError
from vla_data.formats.example import Example, serialise
from vla_data.formats.features import Branch, Leaf, Sequence, leaves, parse_feature, read_features, to_json
from vla_data.formats.leaves import decode_leaf, encode_leaf, first_text

PEER = tfds.FeaturesDict(
    {
        "steps": tfds.Dataset(
            {
                "observation": tfds.FeaturesDict(
                    {
                        "image": tfds.Image(shape=(8, 6, 3), encoding_format="jpeg", doc="main camera"),
                        "any": tfds.Image(shape=(None, None, 3)),
                        "depth": tfds.Image(shape=(8, 6, 1), dtype=np.uint16, encoding_format="png"),
                        "state": tfds.Tensor(shape=(3,), dtype=np.float32),
                        "packed": tfds.Tensor(shape=(2, 2), dtype=np.float64, encoding="zlib"),
                    }
                ),
                "is_first": tfds.Scalar(np.bool_),
                "words": tfds.Text(),
            }
        ),
        "tags": tfds.Sequence(tfds.Text()),
        "three": tfds.Sequence(tfds.Scalar(np.int64), length=3),
        "label": tfds.ClassLabel(num_classes=4),
        "box": tfds.BBoxFeature(),
    }
)


def peer_json(feature: tfds.FeaturesDict) -> dict:
    return json_format.MessageToDict(feature.to_proto())


def test_every_kind_of_feature_is_read():
    tree = dict(leaves(parse_feature(peer_json(PEER), "here")))
    assert tree == {
        "steps/observation/image": Leaf("image", (8, 6, 3), "uint8", "jpeg", "main camera", 1),
        "steps/observation/any": Leaf("image", (None, None, 3), "uint8", "undeclared", "", 1),
        "steps/observation/depth": Leaf("image", (8, 6, 1), "uint16", "png", "", 1),
        "steps/observation/state": Leaf("tensor", (3,), "float32", rank=1),
        "steps/observation/packed": Leaf("tensor", (2, 2), "float64", "zlib", rank=1),
        "steps/is_first": Leaf("tensor", (), "bool", rank=1),
        "steps/words": Leaf("text", (), "string", rank=1),
        "tags": Leaf("text", (), "string", rank=1),
        "three": Leaf("tensor", (), "int64", rank=1),
        "label": Leaf("tensor", (), "int64"),
        "box": tree["box"],
    }


def test_keys_are_those_under_which_the_peer_stores():
    def flatten(info, prefix=""):
        if not isinstance(info, dict):
            return {prefix}
        return {key for k, v in info.items() for key in flatten(v, f"{prefix}/{k}" if prefix else k)}

    tree = parse_feature(peer_json(PEER), "here")
    assert {key for key, _ in leaves(tree)} == flatten(PEER.get_serialized_info())


def test_what_is_written_is_what_the_peer_writes():
    known = {
        k: v for k, v in peer_json(PEER)["featuresDict"]["features"].items() if k not in ("label", "box")
    }
    node = peer_json(PEER) | {"featuresDict": {"features": known}}
    tree = parse_feature(node, "here")
    assert to_json(tree) == node
    assert parse_feature(to_json(tree), "here") == tree
    assert json.dumps(to_json(tree)) == json.dumps(to_json(tree), sort_keys=True)  # the same in every process


def test_the_real_data_sets_tree_is_read(shared: Path):
    tree = dict(leaves(read_features(shared / "data/rlds/bridge_dataset/1.0.0")))
    assert len(tree) == 20
    assert tree["steps/observation/image_0"].encoding == "jpeg"
    assert tree["steps/action"].shape == (7,)
    assert tree["episode_metadata/file_path"].rank == 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"pythonClassName": "x.Text", "text": {}}',
        '{"pythonClassName": "x.F", "featuresDict": 3}',
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, content: str):
    path = tmp_path / "features.json"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_features(tmp_path)
    assert caught.value.where == str(path)


def test_a_missing_file_is_refused_with_a_next_step(tmp_path: Path):
    with pytest.raises(DataError, match=r"lacks its features\.json") as caught:
        read_features(tmp_path)
    assert caught.value.next_step


DTYPES = st.sampled_from(["float32", "int64", "int32", "uint8", "bool", "float64", "uint64"])


@given(data=st.data(), dtype=DTYPES, inner=st.lists(st.integers(1, 3), max_size=2), encoding=st.booleans())
def test_a_tensor_comes_back(data: st.DataObject, dtype: str, inner: list[int], encoding: bool):
    exact = dtype in ("float64", "uint64")
    stored: Any = data.draw(st.sampled_from(["bytes", "zlib"])) if encoding or exact else "none"
    steps = data.draw(st.integers(0, 4))
    values = data.draw(hnp.arrays(dtype, (steps, *inner)))
    leaf = Leaf("tensor", tuple(inner), dtype, stored, rank=1)
    example = Example(serialise({"k": encode_leaf(values, leaf)}))
    np.testing.assert_array_equal(decode_leaf(example, "k", leaf), values, strict=True)


@given(st.lists(st.text(), max_size=4))
def test_texts_come_back(texts: list[str]):
    leaf = Leaf("text", rank=1)
    example = Example(serialise({"k": encode_leaf(texts, leaf)}))
    assert decode_leaf(example, "k", leaf) == texts
    assert first_text(example, "k") == (texts[0] if texts else "")


@pytest.mark.parametrize(
    ("values", "leaf", "message"),
    [
        (np.zeros(5, np.float32), Leaf("tensor", (2,), rank=1), "do not fill its shape"),
        ([b"ab"], Leaf("tensor", (2,), rank=1), "do not fill its shape"),
        (np.zeros(2, np.float32), Leaf("text", rank=1), "do not fill its shape"),
        ([b"a", b"b"], Leaf("text"), "do not fill its shape"),
        ([b"not zlib"], Leaf("tensor", (2,), "float32", "zlib", rank=1), "cannot be decoded"),
        ([zlib.compress(bytes(7))], Leaf("tensor", (2,), "float32", "zlib", rank=1), "cannot be decoded"),
        ([bytes(4)], Leaf("tensor", (2,), "float32", "bytes", rank=1), "do not fill its shape"),
        ([b"x"], Leaf("unknown", description="Video"), "of this kind"),
        ([b"x"], Leaf("text", rank=2), "of this kind"),
    ],
)
def test_values_that_are_not_what_was_declared_are_refused(values, leaf: Leaf, message: str):
    with pytest.raises(DataError, match=message) as caught:
        decode_leaf(Example(serialise({"k": values}), "shard, record 2"), "k", leaf)
    assert caught.value.where == "shard, record 2, key 'k'"


def test_the_peer_reads_our_records_and_we_read_what_it_does():
    """Without TensorFlow: the peer's numpy parser, which reads every sequence of numbers and bytes."""
    tree = Branch(
        {
            "steps": Sequence(
                Branch({"a": Leaf("tensor", (2,)), "n": Leaf("tensor", (), "int64"), "t": Leaf("text")}), True
            )
        }
    )
    values = {
        "steps/a": np.arange(6, dtype=np.float32).reshape(3, 2),
        "steps/n": np.array([-1, 2, 300]),
        "steps/t": ["x", "", "é"],
    }
    flat = dict(leaves(tree))
    data = serialise({k: encode_leaf(v, flat[k]) for k, v in values.items()})
    peer: Any = tfds.FeaturesDict.from_json(json.loads(json.dumps(to_json(tree))))
    theirs = peer.deserialize_example_np(data)["steps"]
    ours = Example(data)
    for i, step in enumerate(theirs):
        np.testing.assert_array_equal(step["a"], decode_leaf(ours, "steps/a", flat["steps/a"])[i])
        assert step["n"] == values["steps/n"][i]
        assert step["t"] == values["steps/t"][i].encode()
    assert "tensorflow" not in sys.modules  # it must never share a process with a renderer
