"""The kinds of policy: for each its config, its network, how it reads instructions, how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_data.registry import lookup
from vla_data.types import Camera, InputSpec
from vla_model.policies.compact import CompactConfig, CompactNetwork
from vla_model.policies.hf import HfConfig, HfNetwork, HfTexts, with_digest
from vla_model.policies.hf import texts_of as hf_texts
from vla_model.policies.rt1 import RT1Config, RT1Network
from vla_model.policies.shapes import PolicyShapes
from vla_model.policies.texts import PromptTexts, Texts, WordTexts
from vla_model.policies.vla import VlaConfig, VlaNetwork
from vla_model.words import WordVocabulary

PolicyConfig = CompactConfig | RT1Config | VlaConfig | HfConfig
CODE_HEADS = ("codes", "parallel")
MakeTexts = Callable[[Any, Sequence[str], InputSpec, tuple[Camera, ...], int], Texts]


@dataclass(frozen=True)
class Kind:
    """One kind of policy.

    Args:
        config: its config's class.
        network: config and shapes → network.
        texts: config, training instructions, what is seen, cameras, number of action codes → its texts.
        load_texts: a checkpoint's directory, its words, what is seen → the same.
        shares_wording: samples of one task in a batch are told the same words (a prompt is then read once).
        prepare: completes a config before training.
        codes: config → whether answers are codes of an action codec.
        history: config → moments that are looked at; past: past actions that are given.
        depth: config → whether depth is looked at; velocity: whether what moved since the moment before is.
        checklists: config → whether sub-tasks below an instruction are read.
        looks: config → places that it may look from, through one camera; empty for a camera that stands.
    """

    config: type
    network: Callable[[Any, PolicyShapes], Any]
    texts: MakeTexts
    load_texts: Callable[[Path, tuple[str, ...], InputSpec], Texts]
    shares_wording: bool = False
    prepare: Callable[[Any], Any] = lambda config: config
    codes: Callable[[Any], bool] = lambda config: config.head in CODE_HEADS
    history: Callable[[Any], int] = lambda config: 1
    past: Callable[[Any], int] = lambda config: 0
    depth: Callable[[Any], bool] = lambda config: False
    velocity: Callable[[Any], bool] = lambda config: False
    checklists: Callable[[Any], bool] = lambda config: False
    looks: Callable[[Any], tuple[str, ...]] = lambda config: ()


def _words(
    config: Any, said: Sequence[str], spec: InputSpec, cameras: tuple[Camera, ...], codes: int
) -> Texts:
    return WordTexts(WordVocabulary.of(said))


def _prompts(
    config: VlaConfig, said: Sequence[str], spec: InputSpec, cameras: tuple[Camera, ...], codes: int
) -> Texts:
    known = tuple(c for c in cameras if c.name in {i.name for i in spec.cameras})
    spoken = codes if config.head == "codes" else 0
    return PromptTexts.train(said, spec, config.parts, config.text_tokens, config.vocab_size, spoken, known)


def _hf(
    config: HfConfig, said: Sequence[str], spec: InputSpec, cameras: tuple[Camera, ...], codes: int
) -> Texts:
    return hf_texts(config, spec, tuple(c for c in cameras if c.name in {i.name for i in spec.cameras}))


def _load_hf(directory: Path, words: tuple[str, ...], spec: InputSpec) -> Texts:
    return HfTexts.load(directory, spec)


def _load_words(directory: Path, words: tuple[str, ...], spec: InputSpec) -> Texts:
    return WordTexts(WordVocabulary(words))


def _load_prompts(directory: Path, words: tuple[str, ...], spec: InputSpec) -> Texts:
    return PromptTexts.load(directory, spec)


KINDS: dict[str, Kind] = {
    "compact": Kind(CompactConfig, CompactNetwork, _words, _load_words),
    "rt1": Kind(
        RT1Config,
        RT1Network,
        _words,
        _load_words,
        codes=lambda config: True,
        history=lambda config: config.history,
    ),
    "vla": Kind(
        VlaConfig,
        VlaNetwork,
        _prompts,
        _load_prompts,
        shares_wording=True,
        history=lambda config: 1 + config.parts.velocity,
        past=lambda config: config.parts.past_steps,
        depth=lambda config: config.parts.depth,
        velocity=lambda config: config.parts.velocity,
        checklists=lambda config: config.parts.checklist,
        looks=lambda config: config.looks,
    ),
    "hf": Kind(
        HfConfig,
        HfNetwork,
        _hf,
        _load_hf,
        shares_wording=True,
        prepare=with_digest,
        checklists=lambda config: config.parts.checklist,
    ),
}


def kind_named(name: str) -> Kind:
    """A kind by the name that checkpoints carry.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return lookup("policy", KINDS, name)


def name_of(config: PolicyConfig) -> str:
    """The name of the kind that a config is for."""
    return next(name for name, kind in KINDS.items() if isinstance(config, kind.config))


def kind_of(config: PolicyConfig) -> Kind:
    """The kind that a config is for."""
    return KINDS[name_of(config)]
