"""A language model that sees, on disk: the language model, the encoder, and the projector between them.

scene/
  model/      as `vla_model.lm.checkpoint` writes it
  encoder/    as `vla_vision.encoder.checkpoint` writes it
  projector.safetensors, scene.json
"""

from __future__ import annotations

from pathlib import Path

from vla_data.errors import CheckpointError
from vla_data.files import atomic_directory, read_json, sha256_file, write_json
from vla_data.fit import load_weights, save_weights
from vla_model.align.network import SceneModel
from vla_model.lm.checkpoint import load_lm, save_lm
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder.checkpoint import EncoderRecord, load_encoder, save_encoder

SUBDIRECTORY, RECORD, PROJECTOR = "scene", "scene.json", "projector.safetensors"


def save_scene_model(
    directory: Path, model: SceneModel, tokenizer: Tokenizer, encoder: EncoderRecord
) -> None:
    """Write the model; the directory appears when it is whole."""
    with atomic_directory(directory) as part:
        save_lm(part / "model", model.gpt, tokenizer, "align")
        save_encoder(part / "encoder", model.encoder, encoder)
        save_weights(model.project, part / PROJECTOR)
        hidden = model.project[0].out_features
        digest = sha256_file(part / PROJECTOR)
        write_json(part / RECORD, {"format": 1, "hidden": hidden, "blind": model.blind, "projector": digest})


def load_scene_model(directory: Path) -> tuple[SceneModel, Tokenizer, EncoderRecord]:
    """The model in evaluation mode, its tokenizer, and what its encoder needs to see; of a run its `scene`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    inner = directory / SUBDIRECTORY
    directory = inner if (inner / RECORD).is_file() else directory
    if not (directory / RECORD).is_file():
        raise CheckpointError(
            "there is no aligned model",
            where=str(directory),
            expected=RECORD,
            next_step="train one: vla model align --data URI --encoder DIR --start DIR --out DIR",
        )
    try:
        record = read_json(directory / RECORD)
        hidden, blind, digest = int(record["hidden"]), bool(record["blind"]), record["projector"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "an aligned model cannot be read", where=str(directory / RECORD), got=repr(error)
        ) from error
    if sha256_file(directory / PROJECTOR) != digest:
        raise CheckpointError(
            "a file of an aligned model is not the one that was written",
            where=str(directory / PROJECTOR),
            expected=f"sha256 {digest}",
        )
    gpt, tokenizer, _ = load_lm(directory / "model")
    encoder, seen = load_encoder(directory / "encoder")
    model = SceneModel(encoder, gpt, hidden, blind)
    load_weights(model.project, directory / PROJECTOR)
    return model.eval(), tokenizer, seen
