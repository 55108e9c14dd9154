"""What a codec's directory holds, in words and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.files import read_json
from vla_data.report import Block, Section, Table, Text
from vla_data.runs import verify
from vla_data.types import ActionSpec
from vla_ts.codecs import CODECS, load_codec
from vla_ts.storage import CONFIG, codec_directory

STATISTICS = ("norm_stats", "stats")  # per dimension: too wide for a line
MAKERS = ("python", "vla-ts", "vla-data", "numpy", "torch")
LONGEST = 12  # numbers of a setting that are told; of longer ones only how many


@dataclass(frozen=True)
class CodecInfo:
    """A codec at a glance.

    Args:
        directory: where it lies.
        kind, about: which codec, and what it does.
        spec: what its actions mean.
        action_horizon: steps in a chunk; `seconds` of motion.
        vocab_size: codes to choose from.
        tokens_per_chunk: None where chunks differ in length.
        settings: what it was fitted with and found, long tables left out.
        files: name → bytes; each was found to match the manifest.
        versions: of the packages it was made with.
    """

    directory: str
    kind: str
    about: str
    spec: ActionSpec
    action_horizon: int
    seconds: float
    vocab_size: int
    tokens_per_chunk: int | None
    settings: dict[str, Any]
    files: dict[str, int]
    versions: dict[str, str]

    @property
    def tokens_per_second(self) -> float | None:
        return None if self.tokens_per_chunk is None else self.tokens_per_chunk / self.seconds

    def sections(self) -> list[Section]:
        """The same as a page's sections."""
        fixed = self.tokens_per_chunk is not None
        rows = (
            ("what it does", self.about),
            ("chunk", f"{self.action_horizon} steps at {self.spec.control_hz:g} Hz, {self.seconds:g} s"),
            ("codes to choose from", str(self.vocab_size)),
            ("codes per chunk", str(self.tokens_per_chunk) if fixed else "differs"),
            ("codes per second", f"{self.tokens_per_second:.4g}" if fixed else "differs"),
            ("bits per code", f"{np.log2(self.vocab_size):.4g}"),
            *((name, _told(value)) for name, value in self.settings.items() if name not in STATISTICS),
            ("files", ", ".join(f"{n} ({b:,} bytes)" for n, b in self.files.items())),
            ("manifest", "matches"),
            ("made with", ", ".join(f"{n} {self.versions[n]}" for n in MAKERS if n in self.versions)),
        )
        blocks: tuple[Block, ...] = (Table(("codec", self.kind), rows), _spec_table(self.spec))
        return [Section(f"Codec {self.directory}", (Text(_one_line(self.spec)), *blocks))]


def inspect_codec(directory: Path) -> CodecInfo:
    """Look at a codec's directory, or a run's that holds one.

    Raises:
        CheckpointError: there is no codec, or its files do not match its manifest.
    """
    codec = load_codec(directory)
    inner = codec_directory(directory)
    manifest, config = verify(inner), read_json(inner / CONFIG)
    kind = str(config.pop("codec"))
    settings = {k: v for k, v in config.items() if k not in ("spec", "action_horizon")}
    return CodecInfo(
        str(directory),
        kind,
        CODECS[kind].about,
        codec.spec,
        codec.action_horizon,
        codec.action_horizon / codec.spec.control_hz,
        codec.vocab_size,
        codec.tokens_per_chunk,
        _short(settings),
        {name: output.bytes for name, output in manifest.outputs.items()},
        manifest.versions,
    )


def _short(value: Any) -> Any:
    """Settings without what nobody reads: long tables become their shape."""
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, list) and np.size(value) > LONGEST:
        return "table of " + " × ".join(map(str, np.shape(value)))
    return value


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_told(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "[" + " ".join(_told(v) for v in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _one_line(spec: ActionSpec) -> str:
    closes = {1: "+ closes", -1: "− closes", None: "none"}[spec.gripper_closes]
    return f"{spec.dim} numbers at {spec.control_hz:g} Hz; rotation {spec.rotation}; gripper {closes}."


def _spec_table(spec: ActionSpec) -> Table:
    rows = tuple(
        (d.name, d.quantity, d.mode, d.frame, f"{d.scale:g} {d.unit}", f"{d.low:g} … {d.high:g}")
        for d in spec.dims
    )
    return Table(("dimension", "quantity", "mode", "frame", "1.0 means", "limits"), rows)
