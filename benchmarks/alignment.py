"""Questions about scenes, answered by a language model from tokens of pixels.

A table with up to six plain things, some gliding. A detector is trained from nothing on labelled scenes (`vla
vision train`), an encoder on what it finds and tracks (`vla vision train-encoder`: object tokens; no depth is
given), a small language model is pre-trained (`vla model pretrain`), and both are aligned
(`vla model align`: projector first, then all). Held-out scenes are asked how many, where, which is nearer and
which is faster. Controls: the pictures of another scene, the best guess from the words of a question, and a
model trained alike without pictures.

`--out DIR` keeps every stage; an interrupted call goes on.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from _frame import Check, run_in
from _weights import CACHE
from vla_data.runs import Manifest
from vla_model.align.questions import KINDS

VLA = Path(sys.executable).with_name("vla")
TEXT = Path(__file__).resolve().parents[1] / "docs"
SCENES, SMOKE_SCENES = 2500, 6
GOAL, FLOOR = 0.85, 0.1  # right answers; how far controls may be above the guess
DETECTOR = (
    "--imgsz",
    "160",
    "--epochs",
    "6",
    "--every",
    "4",
    "--set",
    "fit.threads=1",
    "--set",
    "suppress=true",
)
ENCODER = ("--depth", "none", "--parts", "objects", "--set", "fit.steps=800")
LM = ("--depth", "4", "--set", "vocab_size=1024", "--procedures", "3000", "--tokens", "1500000")
SMOKE_DETECTOR, SMOKE_ENCODER = ("--preset", "debug"), ("--preset", "debug", "--parts", "objects")
SMOKE_LM = ("--preset", "debug", "--tokens", "3000", "--set", "context=160")


def main(smoke: bool, directory: Path) -> list[Check]:
    """Make what is not there yet, then compare."""
    scenes, detector, encoder, lm = (directory / name for name in ("scenes", "detector", "encoder", "lm"))
    _do(scenes, "data", "generate", "tabletop", "--episodes", str(SMOKE_SCENES if smoke else SCENES))
    _do(detector, "vision", "train", "--data", scenes, *(SMOKE_DETECTOR if smoke else DETECTOR))
    seen = ("--data", scenes, "--detector", detector)
    _do(encoder, "vision", "train-encoder", *seen, *(SMOKE_ENCODER if smoke else ENCODER))
    _do(lm, "model", "pretrain", "--text", TEXT, *(SMOKE_LM if smoke else LM))
    found = {}
    for name, options in {"aligned": (), "blind": ("--blind",)}.items():
        parts = ("--data", scenes, "--encoder", encoder, "--start", lm)
        preset = ("--preset", "debug") if smoke else ()
        _do(directory / name, "model", "align", *parts, *preset, *options)
        found[name] = Manifest.load(directory / name).summary
    sees, blind = found["aligned"], found["blind"]
    checks = [_check(kind, sees[kind], blind[kind], smoke) for kind in KINDS]
    floors = [_control(kind, sees[kind], blind[kind], smoke) for kind in KINDS]
    return [*checks, *floors]


def _do(out: Path, *words: object) -> None:
    """A command of `vla`, unless it was done."""
    if not (out / "manifest.json").is_file():
        say: Sequence[str] = [str(VLA), *map(str, words), "--out", str(out)]
        subprocess.run(say, check=True, stdout=sys.stderr)


def _check(kind: str, sees: dict, blind: dict, smoke: bool) -> Check:
    low, high = sees["interval"]
    said = (
        f"95% {low:.3f}–{high:.3f}, n {sees['of']}; pictures of another scene "
        f"{sees['pictures_of_another_scene']:.3f}, without pictures {blind['right']:.3f}, "
        f"guessed from the words {sees['guessed_from_words']:.3f}"
    )
    return Check(
        f"{kind}: right answers", sees["right"], "", f">= {GOAL:g}", said, smoke or sees["right"] >= GOAL
    )


def _control(kind: str, sees: dict, blind: dict, smoke: bool) -> Check:
    """The better of the controls, above the best guess from words."""
    best = max(sees["pictures_of_another_scene"], blind["right"]) - sees["guessed_from_words"]
    return Check(f"{kind}: controls above the guess", best, "", f"<= {FLOOR:g}", "", smoke or best <= FLOOR)


if __name__ == "__main__":
    run_in(main, "alignment", CACHE / "alignment")
