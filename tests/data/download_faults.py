"""Every way a source may misbehave, as cases: what goes wrong, and whether a download mends or names it.

Shared by `test_download_faults.py` and `benchmarks/download_faults.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.storage_server import Fault, Storage, Stored

from vla_data.formats.tfrecord import RecordWriter

NAME, VERSION, SHARDS, RECORDS = "made_up", "1.0.0", 4, 5
PREFIX = f"robotics/{NAME}/{VERSION}/"
SHARD = f"{PREFIX}{NAME}-train.tfrecord-00001-of-00004"
LAST = f"{PREFIX}{NAME}-train.tfrecord-00003-of-00004"
INFO, FEATURES = f"{PREFIX}dataset_info.json", f"{PREFIX}features.json"
ITSELF = f"/storage/v1/b/bucket/o/{SHARD.replace('/', '%2F')}?alt=media"
LENGTHS = ["5", "4", "6", "5"]
CLIMBING = "../../{SHARD_X_OF_Y}"
FIXED = "tensorflow_datasets.core.features"


@dataclass(frozen=True)
class Case:
    """A fault: how to bring it about, and what the reason says if it cannot be mended ("" if it can)."""

    name: str
    arrange: Callable[[Storage], Any]
    says: str = ""


def write_source(directory: Path, shard_bytes: int = 20_000, shards: int = SHARDS) -> Path:
    """A data set of noise in TFDS layout below `directory`, with a file of labels beside it."""
    path = directory / NAME / VERSION
    rng = np.random.default_rng(0)
    lengths, size = [RECORDS] * shards, shard_bytes // RECORDS
    for i in range(shards):
        with RecordWriter(path / f"{NAME}-train.tfrecord-{i:05d}-of-{shards:05d}") as writer:
            for _ in range(RECORDS):
                writer.write(rng.bytes(size))
    split = {"name": "train", "shardLengths": [str(n) for n in lengths], "numBytes": str(size * sum(lengths))}
    split["filepathTemplate"] = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    info = {"name": NAME, "version": VERSION, "fileFormat": "tfrecord", "splits": [split]}
    (path / "dataset_info.json").write_text(json.dumps(info, indent=2))
    text = {"pythonClassName": f"{FIXED}.text_feature.Text", "text": {}}
    tree = {
        "pythonClassName": f"{FIXED}.features_dict.FeaturesDict",
        "featuresDict": {"features": {"a": text}},
    }
    (path / "features.json").write_text(json.dumps(tree))
    (path / "a.labels.txt").write_text("one\ntwo\n")
    return path


def _put(*faults: Fault, on: str = SHARD) -> Callable[[Storage], Any]:
    return lambda storage: storage.faults[on].extend(faults)


def _lasting(kind: str, value: Any = None, on: str = SHARD) -> Callable[[Storage], Any]:
    return _put(Fault(kind, value, lasting=True), on=on)


def _stored(name: str, data: bytes | None) -> Callable[[Storage], Any]:
    def arrange(storage: Storage) -> None:
        storage.objects.pop(name)
        if data is not None:
            storage.objects[name] = Stored(data)

    return arrange


def _listed(name: str) -> Callable[[Storage], Any]:
    """One more object with a name it should not have."""

    def arrange(storage: Storage) -> None:
        storage.tamper = lambda items: [*items, {**items[0], "name": name}]

    return arrange


def _listed_as(**fields: str) -> Callable[[Storage], Any]:
    """The listing is wrong about a shard."""

    def arrange(storage: Storage) -> None:
        storage.tamper = lambda items: [i | fields if i["name"] == SHARD else i for i in items]

    return arrange


def _replace(data: Callable[[bytes], bytes]) -> Callable[[Storage], Any]:
    """The shard is replaced by other content while it is sent."""

    def arrange(storage: Storage) -> None:
        storage.replacement[SHARD] = data(storage.objects[SHARD].data)
        storage.faults[SHARD].append(Fault("change", 3000))

    return arrange


def _edit_info(change: Callable[[dict[str, Any]], Any]) -> Callable[[Storage], Any]:
    def arrange(storage: Storage) -> None:
        info = json.loads(storage.objects[INFO].data)
        change(info["splits"][0])
        storage.objects[INFO] = Stored(json.dumps(info).encode())

    return arrange


CASES = (
    Case("connection cut at once", _put(Fault("cut", 0))),
    Case("connection cut in the middle", _put(Fault("cut", 7000))),
    Case("connection cut again and again", _put(*(Fault("cut", 6000) for _ in range(3)))),
    Case("connection cut always", _lasting("cut", 1000), "ended early|connection broke"),
    Case("connection cut before any byte, always", _lasting("cut", 0), "ended early|connection broke"),
    Case("503 twice", _put(Fault("status", 503), Fault("status", 503))),
    Case("503 with Retry-After", _put(Fault("status", (503, 0)), Fault("status", (429, 0)))),
    Case("503 with a date to retry after", _put(Fault("status", (503, "Wed, 21 Oct 2015 07:28:00 GMT")))),
    Case("503 always", _lasting("status", 503), "cannot answer now"),
    Case("503 while listing", _put(Fault("status", 503), Fault("status", 500), on="list")),
    Case("503 for every listing", _lasting("status", 503, on="list"), "cannot answer now"),
    Case("500 for the facts", _put(Fault("status", 500), on=INFO)),
    Case("403", _lasting("status", 403), "asks for credentials"),
    Case("400", _lasting("status", 400), "refuses"),
    Case("short body, announced", _put(Fault("short", 100))),
    Case("short body, announced, always", _lasting("short", 100), "another length"),
    Case("short facts", _put(Fault("short", 20), on=INFO)),
    Case("empty body", _put(Fault("empty"))),
    Case("empty body, always", _lasting("empty"), "another length"),
    Case("silence in the middle", _put(Fault("stall", 2.5))),
    Case("wrong byte", _put(Fault("flip", 5000))),
    Case("wrong byte behind a cut", _put(Fault("cut", 4000), Fault("flip", 9000))),
    Case("wrong byte always", _lasting("flip", 5000), "do not fit the published checksum"),
    Case("wrong byte in the facts", _put(Fault("flip", 30), on=FEATURES)),
    Case("wrong bytes in the facts, always", _lasting("flip", 30, on=INFO), "published checksum"),
    Case("ranges not known", _put(Fault("cut", 5000), Fault("norange"))),
    Case("new generation, same content", _put(Fault("change", 3000))),
    Case("new generation, other records", _replace(lambda d: d[:-9] + b"\0" * 9), "does not fit"),
    Case("new generation, shorter", _replace(lambda d: d[: len(d) // RECORDS]), "another number of records"),
    Case("new generation, empty", _replace(lambda d: b""), "another number of records"),
    Case("new generation each time", _lasting("change", 3000), "changed at the source"),
    Case("compressed unasked", _put(Fault("gzip"))),
    Case("compressed unasked, always", _lasting("gzip"), "encoded"),
    Case("bomb", _lasting("bomb", 5_000_000), "encoded"),
    Case("far too long, announced", _lasting("huge", 1 << 50), "another length"),
    Case("too long, unannounced", _lasting("endless", 100_000)),
    Case("redirect to a file", _lasting("redirect", "file:///etc/passwd"), "redirect was refused"),
    Case("redirect to ftp", _lasting("redirect", "ftp://127.0.0.1/x"), "redirect was refused"),
    Case("redirect in a circle", _lasting("redirect", ITSELF), "redirect was refused"),
    Case("stub of zero bytes", _stored(SHARD, b""), "stubs"),
    Case("last shard missing", _stored(LAST, None), "lacks shards"),
    Case("features.json missing", _stored(FEATURES, None), "lacks features.json"),
    Case("dataset_info.json missing", _stored(INFO, None), "lacks dataset_info.json"),
    Case("dataset_info.json no JSON", _stored(INFO, b"<html>not found</html>"), "JSON"),
    Case("dataset_info.json empty", _stored(INFO, b""), "no file of facts"),
    Case("dataset_info.json without splits", _stored(INFO, b'{"name": "made_up"}'), "no split"),
    Case("sizes that do not add up", _edit_info(lambda s: s.update(numBytes="99")), "do not add up"),
    Case("another count of records", _edit_info(lambda s: s.update(shardLengths=LENGTHS)), "another number"),
    Case("template that climbs", _edit_info(lambda s: s.update(filepathTemplate=CLIMBING)), "leads out"),
    Case("listing climbs", _listed(PREFIX + "../../../evil"), "leads out"),
    Case("listing names an absolute path", _listed(PREFIX + "/etc/evil"), "leads out"),
    Case("listing names a drive", _listed(PREFIX + "C:evil"), "leads out"),
    Case("listing with backslashes", _listed(PREFIX + "..\\..\\evil"), "leads out"),
    Case("listing with a line break", _listed(PREFIX + "evil\n"), "leads out"),
    Case("listing of somebody else's", _listed("robotics/other/1.0.0/evil"), "not asked for"),
    Case("listing goes round", _lasting("circle", on="list"), "circles"),
    Case("listed size is wrong", _listed_as(size="12345"), "do not add up"),
    Case("listed size is no number", _listed_as(size="many"), "lacks name, size"),
    Case("listed checksum is wrong", _listed_as(crc32c="AAAAAA=="), "published checksum"),
    Case("listed generation is old", _listed_as(generation="7")),
)  # fmt: skip
