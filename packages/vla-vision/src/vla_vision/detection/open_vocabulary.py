"""Things named in words: transformers models (OWL-ViT, OWLv2, Grounding DINO) behind the `Detector` protocol.

Slow and without training: of use to ask about anything, and as the teacher of a small detector. Weights come
from a directory; nothing is fetched unless that is allowed, and only safetensors are read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from vla_data.errors import CheckpointError, ConfigError
from vla_vision.detection.config import DetectOptions
from vla_vision.detection.decoding import MOST_CANDIDATES, select
from vla_vision.detection.network import AnySize, require_frames
from vla_vision.types import Detections, Frame

SQUARE = ("owlv2",)  # boxes are shares of the longer side: frames are padded to a square
BY_PROMPT = ("owlvit", "owlv2")  # a score per prompt
BY_TOKEN = ("grounding-dino", "mm-grounding-dino")  # a score per token of all prompts in one text
SEPARATOR = "."


class OpenVocabularyDetector:
    """A `Detector` of whatever the prompts name; the prompts are its classes.

    Args:
        model, processor: of transformers, one of the families above.
        prompts: such as "red cup"; lower case suits the models best.
        options: thresholds and limits.
    """

    def __init__(self, model: Any, processor: Any, prompts: tuple[str, ...], options: DetectOptions) -> None:
        self._model, self._processor, self.options = model.eval(), processor, options
        self._prompts = _checked(prompts)
        self.family = str(model.config.model_type)
        if self.family not in (*BY_PROMPT, *BY_TOKEN):
            raise CheckpointError(
                "a model does not find things by words",
                where=self.family,
                expected=" or ".join((*BY_PROMPT, *BY_TOKEN)),
                got=self.family,
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._prompts

    def detect(self, images: Sequence[AnySize]) -> list[Detections]:
        """One `Detections` a frame, in order; raises DataError for an image without pixels."""
        require_frames(images)
        return [self._look(image) for image in images]

    def _look(self, image: Frame) -> Detections:
        import torch

        text = (
            list(self._prompts)
            if self.family in BY_PROMPT
            else f"{SEPARATOR} ".join((*self._prompts, "")).strip()
        )
        inputs = self._processor(text=[text], images=[image], return_tensors="pt").to(self._model.device)
        groups = self._groups(inputs["input_ids"][0].tolist()) if self.family in BY_TOKEN else None
        with torch.inference_mode():
            found = self._model(**inputs)
        logits = found.logits[0].float().cpu().numpy()
        if groups is not None:  # the best token of each prompt counts
            logits = np.stack([logits[:, g].max(axis=1) for g in groups], axis=1)
        return self._decode(logits, found.pred_boxes[0].float().cpu().numpy(), image.shape[:2])

    def _groups(self, tokens: list[int]) -> list[list[int]]:
        """Positions of the tokens of each prompt."""
        tokenizer, most = self._processor.tokenizer, int(self._model.config.max_text_len)
        marks = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id}
        separator = tokenizer.convert_tokens_to_ids(SEPARATOR)
        groups: list[list[int]] = [[]]
        for position, token in enumerate(tokens):
            if token == separator:
                groups.append([])
            elif token not in marks:
                groups[-1].append(position)
        groups = [g for g in groups if g]
        if len(groups) != len(self._prompts) or len(tokens) > most:
            raise ConfigError(
                "the prompts are too long together",
                where="prompts",
                expected=f"at most {most} tokens",
                got=f"{len(self._prompts)} prompts, {len(tokens)} tokens",
                next_step="ask for fewer things at once",
            )
        return groups

    def _decode(self, logits: np.ndarray, boxes: np.ndarray, size: tuple[int, ...]) -> Detections:
        """logits [queries, prompts], boxes [queries, 4] as shares (centre, width, height)."""
        height, width = size
        scale = [max(size)] * 4 if self.family in SQUARE else [width, height] * 2
        classes = logits.argmax(axis=1).astype(np.int64)
        scores = (1 / (1 + np.exp(-logits.max(axis=1).clip(-80, 80)))).astype(np.float32)
        corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
        corners = (corners * np.array(scale)).astype(np.float32)
        sound = np.flatnonzero((scores >= self.options.score) & np.isfinite(corners).all(axis=1))
        index = sound[np.argsort(-scores[sound], kind="stable")[:MOST_CANDIDATES]]
        kept, clipped = select(
            corners[index], scores[index], classes[index], (height, width), self.options, overlapping=True
        )
        return Detections(clipped, scores[index][kept], classes[index][kept], self.class_names)


def open_vocabulary(
    weights: str,
    prompts: tuple[str, ...],
    options: DetectOptions | None = None,
    *,
    allow_download: bool = False,
) -> OpenVocabularyDetector:
    """The detector of a directory or hub id.

    Raises:
        ConfigError: there is no prompt.
        CheckpointError: nothing usable is there, or it is not here and may not be fetched.
    """
    options = options or DetectOptions()
    _checked(prompts)
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    where = {"local_files_only": not allow_download}
    try:
        with _quiet():
            processor = AutoProcessor.from_pretrained(weights, **where)
            model = AutoModelForZeroShotObjectDetection.from_pretrained(
                weights, use_safetensors=True, **where
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CheckpointError(
            "no model for an open vocabulary can be opened here",
            where=weights,
            expected="a directory with config.json, safetensors and the processor's files, or a hub id",
            got=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
            next_step=(
                "check the directory"
                if allow_download
                else "such are google/owlv2-base-patch16-ensemble, IDEA-Research/grounding-dino-tiny: give "
                "--allow-download to fetch one, or the path of a copy"
            ),
        ) from error
    return OpenVocabularyDetector(model.to(_device(options.device)), processor, prompts, options)


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no advice of transformers in a library's output."""
    from transformers.utils import logging as hub

    level, bars = hub.get_verbosity(), hub.is_progress_bar_enabled()
    hub.set_verbosity(logging.CRITICAL)
    hub.disable_progress_bar()
    try:
        yield
    finally:
        hub.set_verbosity(level)
        if bars:
            hub.enable_progress_bar()


def _device(wanted: str) -> str:
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA device", where="device", got="cuda", next_step="use device=auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def _checked(prompts: tuple[str, ...]) -> tuple[str, ...]:
    bad = [p for p in prompts if not p.strip() or SEPARATOR in p]
    if not prompts or bad or len(set(prompts)) != len(prompts):
        raise ConfigError(
            "an open vocabulary needs words to look for",
            where="prompts",
            expected=f"different texts without {SEPARATOR!r}, such as: red cup, drawer handle",
            got=", ".join(map(repr, bad or prompts)) or "none",
            next_step="give them: --classes 'red cup,drawer handle'",
        )
    return prompts
