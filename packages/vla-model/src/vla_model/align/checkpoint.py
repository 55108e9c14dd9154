"""A language model that sees, on disk: the language model, the encoder, and the projector between them.

scene/
  model/      as `vla_model.lm.checkpoint` writes it
  encoder/    as `vla_vision.encoder.checkpoint` writes it
  projector.safetensors, scene.json
  manifest.json   sha256 of every file above
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.files import atomic_directory, read_json, write_json
from vla_data.fit import load_weights, save_weights
from vla_data.runs import make_manifest, verify
from vla_model.align.network import SceneModel
from vla_model.lm.checkpoint import load_lm, save_lm
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder.checkpoint import EncoderRecord, load_encoder, save_encoder

Record = TypeVar("Record")
SUBDIRECTORY, RECORD, PROJECTOR = "scene", "scene.json", "projector.safetensors"


def save_scene_model(
    directory: Path, model: SceneModel, tokenizer: Tokenizer, encoder: EncoderRecord
) -> None:
    """Write the model; the directory appears when it is whole."""
    hidden = model.project.hidden.out_features
    with atomic_directory(directory) as part:
        save_lm(part / "model", model.gpt, tokenizer, "align")
        save_encoder(part / "encoder", model.encoder, encoder)
        save_weights(model.project, part / PROJECTOR)
        finish(part, RECORD, _Record(hidden, model.blind))


def load_scene_model(directory: Path) -> tuple[SceneModel, Tokenizer, EncoderRecord]:
    """The model in evaluation mode, its tokenizer, and what its encoder needs to see; of a run its `scene`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    directory, record = opened(directory, SUBDIRECTORY, RECORD, _Record, "--data URI --encoder DIR")
    gpt, tokenizer, _ = load_lm(directory / "model")
    encoder, seen = load_encoder(directory / "encoder")
    model = SceneModel(encoder, gpt, record.hidden, record.blind)
    load_weights(model.project, directory / PROJECTOR)
    return model.eval(), tokenizer, seen


@dataclass(frozen=True)
class _Record:
    hidden: int
    blind: bool


def finish(directory: Path, name: str, record: Any) -> None:
    """Write the record of an aligned model, and the manifest over all its files."""
    write_json(directory / name, to_dict(record))
    make_manifest(directory, "align", record).save(directory)


def opened(
    directory: Path, subdirectory: str, name: str, kind: type[Record], options: str
) -> tuple[Path, Record]:
    """The directory of an aligned model (of a run its `subdirectory`) and its record, once all files match.

    Args:
        name: of the record's file; `kind`: what it is.
        options: of `vla model align`, to make one.

    Raises:
        CheckpointError: there is none, it is damaged, or of another layout.
    """
    inner = directory / subdirectory
    directory = inner if (inner / name).is_file() else directory
    if not (directory / name).is_file():
        raise CheckpointError(
            "there is no aligned model",
            where=str(directory),
            expected=name,
            next_step=f"train one: vla model align {options} --start DIR --out DIR",
        )
    verify(directory)
    try:
        return directory, from_dict(kind, read_json(directory / name), where=name)
    except ConfigError as error:
        raise CheckpointError(
            "an aligned model of another layout", where=str(directory / name), got=str(error)
        ) from error
