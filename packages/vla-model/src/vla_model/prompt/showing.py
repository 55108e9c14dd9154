"""A prompt for people: its text, what goes with it, and how many tokens it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.files import read_json
from vla_data.images import encode
from vla_data.protocols import EpisodeSource
from vla_data.report import Block, Code, Gallery, Media, Section, Table
from vla_data.types import Episode
from vla_data.usable import episode_at, require_step
from vla_model.lm.tokenizer import Tokenizer
from vla_model.prompt.episodes import PromptParts, prompt_at
from vla_model.prompt.render import as_text, prompt_pieces
from vla_model.prompt.tokens import as_tokens, fitted, text_length
from vla_model.prompt.types import Prompt


@dataclass(frozen=True, eq=False)
class Shown:
    """A prompt and what goes with it.

    Args:
        prompt: as it is told, within the budget.
        tokens: its tokens, each picture and series one of them; None without a tokenizer.
        left_out: for the budget.
        pictures: camera → the frame that is given, uint8 [height, width, 3].
        series: name → the numbers that are given, [steps, dims].
    """

    prompt: Prompt
    tokens: tuple[int, ...] | None
    left_out: tuple[str, ...]
    pictures: dict[str, np.ndarray]
    series: dict[str, np.ndarray]

    @property
    def text(self) -> str:
        return as_text(prompt_pieces(self.prompt))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `prompt` is what `vla prompt render` reads."""
        return {
            "text": self.text,
            "prompt": to_dict(self.prompt),
            "tokens": None if self.tokens is None else len(self.tokens),
            "left_out": list(self.left_out),
            "pictures": {name: list(p.shape) for name, p in self.pictures.items()},
            "series": {name: s.tolist() for name, s in self.series.items()},
        }

    def sections(self, media: Path | None = None) -> list[Section]:
        """For a page, pictures written to `media`; without it, the text and a table."""
        rows = [(name, "×".join(map(str, p.shape[:2])) + " pixels") for name, p in self.pictures.items()]
        rows += [(name, _numbers(s)) for name, s in self.series.items()]
        if self.tokens is not None:
            rows.append(("tokens", f"{len(self.tokens):,}, a picture or series counted as one"))
        rows += [("left out", name) for name in self.left_out]
        blocks: list[Block] = [Code(self.text), Table(("goes with it", ""), tuple(rows))]
        if media is not None and self.pictures:
            blocks.append(Gallery(tuple(_saved(media, n, p) for n, p in self.pictures.items()), 320))
        return [Section("Prompt", tuple(blocks))]


def show(
    source: EpisodeSource,
    episode: int,
    step: int,
    parts: PromptParts,
    *,
    horizon: int = 16,
    tokenizer: Path | None = None,
    budget: int | None = None,
) -> Shown:
    """The prompt of an episode of a source at a step.

    Args:
        tokenizer: run of `vla model tokenizer`, or a model's directory.
        budget: tokens it is to fit, with that tokenizer.

    Raises:
        ConfigError: there is no such episode or step; a budget is given without a tokenizer, or is too small.
    """
    chosen = episode_at(source, episode)
    require_step(chosen, step)
    prompt, tokens, left_out = _told(prompt_at(chosen, step, parts, horizon), tokenizer, budget)
    return Shown(prompt, tokens, left_out, *_beside(chosen, step, prompt))


def render(path: Path, tokenizer: Path | None = None) -> tuple[str, list[int] | None]:
    """Text and tokens of a prompt in a JSON file: a prompt, or the document of `vla prompt show --json`.

    Raises:
        DataError: the file cannot be read.
        ConfigError: it is no prompt.
    """
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            "a prompt cannot be read", where=str(path), expected="a JSON file", got=str(error)
        ) from error
    inner = document.get("prompt") if isinstance(document, dict) else None
    prompt = from_dict(Prompt, document if inner is None else inner, where=str(path))
    pieces = prompt_pieces(prompt)
    return as_text(pieces), None if tokenizer is None else as_tokens(pieces, Tokenizer.load(tokenizer))


def _told(
    prompt: Prompt, tokenizer: Path | None, budget: int | None
) -> tuple[Prompt, tuple[int, ...] | None, tuple[str, ...]]:
    if tokenizer is None:
        if budget is not None:
            raise ConfigError(
                "a budget of tokens needs a tokenizer",
                where="budget",
                next_step="train one: vla model tokenizer --text PATH --out DIR, and give --tokenizer DIR",
            )
        return prompt, None, ()
    known = Tokenizer.load(tokenizer)
    left_out: tuple[str, ...] = ()
    if budget is not None:
        prompt, left_out = fitted(prompt, budget, text_length(known))
    return prompt, tuple(as_tokens(prompt_pieces(prompt), known)), left_out


def _beside(
    episode: Episode, step: int, prompt: Prompt
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    pictures = {v.camera: episode.images[v.camera][step] for v in prompt.videos}
    series = {}
    if prompt.state:
        series["state"] = episode.state[step][None]
    if prompt.past_steps:
        series["past actions"] = episode.action[max(0, step - prompt.past_steps) : step]
    return pictures, series


def _numbers(series: np.ndarray) -> str:
    steps, dims = series.shape
    values = np.array2string(series[-1], precision=3, separator=", ", suppress_small=True) if steps else ""
    return f"{steps} step{'s' * (steps != 1)} of {dims}, the latest {values}" if steps else "none yet"


def _saved(media: Path, name: str, picture: np.ndarray) -> Media:
    path = media / f"{name}.png"
    path.write_bytes(encode(picture, "png"))
    return Media(str(path), name)
