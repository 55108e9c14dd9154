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
from typing import TypeVar

from vla_data.files import atomic_directory
from vla_data.fit import load_weights, save_weights
from vla_model.align.network import SceneModel, names_of
from vla_model.lm.checkpoint import load_lm, save_lm
from vla_model.lm.tokenizer import Tokenizer
from vla_model.records import finish, opened
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
        finish(part, "align", RECORD, _Record(hidden, model.blind))


def load_scene_model(directory: Path) -> tuple[SceneModel, Tokenizer, EncoderRecord]:
    """The model in evaluation mode, its tokenizer, and what its encoder needs to see; of a run its `scene`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    made_by = "vla model align --data URI --encoder DIR --start DIR --out DIR"
    directory, record = opened(directory, SUBDIRECTORY, RECORD, _Record, "aligned model", made_by)
    gpt, tokenizer, _ = load_lm(directory / "model")
    encoder, seen = load_encoder(directory / "encoder")
    names = names_of(tokenizer, seen.encoder.features.class_names)
    model = SceneModel(encoder, gpt, record.hidden, names, record.blind)
    load_weights(model.project, directory / PROJECTOR)
    return model.eval(), tokenizer, seen


@dataclass(frozen=True)
class _Record:
    hidden: int
    blind: bool
