"""A language model as a directory: weights, tokenizer, configuration, and the sha256 of each."""

from __future__ import annotations

from pathlib import Path

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError
from vla_data.files import atomic_directory, read_json, sha256_file, write_json
from vla_data.fit import load_weights, save_weights
from vla_model.lm.config import GPTConfig
from vla_model.lm.gpt import GPT
from vla_model.lm.tokenizer import FILE as TOKENIZER
from vla_model.lm.tokenizer import Tokenizer

SUBDIRECTORY, RECORD, WEIGHTS = "model", "lm.json", "model.safetensors"


def save_lm(directory: Path, model: GPT, tokenizer: Tokenizer, stage: str) -> None:
    """Write the model; the directory appears when it is whole.

    Args:
        stage: what it was last trained for: "pretrain", "chat".
    """
    with atomic_directory(directory) as part:
        save_weights(model, part / WEIGHTS)
        tokenizer.save(part)
        files = {name: sha256_file(part / name) for name in (WEIGHTS, TOKENIZER)}
        record = {"format": 1, "stage": stage, "config": to_dict(model.config), "files": files}
        write_json(part / RECORD, record)


def load_lm(directory: Path) -> tuple[GPT, Tokenizer, str]:
    """The model in evaluation mode, its tokenizer and its stage; of a run its `model`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    inner = directory / SUBDIRECTORY
    directory = inner if (inner / RECORD).is_file() else directory
    if not (directory / RECORD).is_file():
        raise CheckpointError(
            "there is no language model",
            where=str(directory),
            expected=f"{RECORD}, {WEIGHTS} and {TOKENIZER}",
            next_step="train one: vla model pretrain --text PATH --out DIR",
        )
    try:
        record = read_json(directory / RECORD)
        for name, digest in record["files"].items():
            _require_same(directory / name, digest)
        model = GPT(from_dict(GPTConfig, record["config"]))
        stage = str(record["stage"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "a language model cannot be read", where=str(directory / RECORD), got=repr(error)
        ) from error
    load_weights(model, directory / WEIGHTS)
    tokenizer = Tokenizer.load(directory)
    if tokenizer.vocab_size > model.config.vocab_size:
        raise CheckpointError(
            "tokenizer and model do not belong together",
            where=str(directory),
            expected=f"at most {model.config.vocab_size} tokens",
            got=str(tokenizer.vocab_size),
        )
    return model.eval(), tokenizer, stage


def _require_same(path: Path, digest: str) -> None:
    got = sha256_file(path) if path.is_file() else "no file"
    if got != digest:
        raise CheckpointError(
            "a file of a language model is not the one that was written",
            where=str(path),
            expected=f"sha256 {digest}",
            got=got,
            next_step="copy the directory again, or train again",
        )
