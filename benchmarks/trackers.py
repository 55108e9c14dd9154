"""Tracking on public sequences and made-up crossings: ours beside SORT, ByteTrack, BoT-SORT, C-BIoU and
ultralytics' BoT-SORT, on the same detections, scored by trackeval; frames per second of processor time.

Ours has one preset for everything. It was tuned on the first half of PETS09-S2L1, on TUD-Campus and on
crossings of seeds 0-3; the second half of PETS09-S2L1 and the crossings here (other seeds) were no part of
that. Peers run at their defaults, and again with our thresholds for scores; the better of the two counts.
Looks are colour and edge histograms, with no trained weights.
"""

from __future__ import annotations

import sys

from _crossings import make_crossing
from _frame import Check, run
from _mot import MotSequence, Score, measured, ours, peers, public
from vla_vision.tracking import HistogramEmbedder, TrackerConfig

RATE, GAIN = 1000.0, 3.0
CROSSINGS, SMOKE_CROSSINGS, FIRST_SEED = 8, 2, 100
TUNED_UNTIL = 400  # frames of PETS09-S2L1


def main(smoke: bool) -> list[Check]:
    """Public sequences, then made-up ones."""
    tud, pets = public("TUD-Campus"), public("PETS09-S2L1")
    made_up = [_crossing(FIRST_SEED + i) for i in range(SMOKE_CROSSINGS if smoke else CROSSINGS)]
    groups = {
        "TUD-Campus": [tud],
        "PETS09-S2L1": [pets],
        "PETS09-S2L1, second half": [pets.part(TUNED_UNTIL, len(pets.detections))],
        "crossings": made_up,
    }
    checks = []
    for name, sequences in groups.items():
        checks += _beside_peers(name, sequences)
    for name in ("PETS09-S2L1", "PETS09-S2L1, second half", "crossings", "TUD-Campus"):
        checks += _with_looks(name, groups[name])
    return checks


def _crossing(seed: int) -> MotSequence:
    made, embedder = make_crossing(seed), HistogramEmbedder()
    looks = [
        found.with_embeddings(embedder.embed(image, found.boxes))
        for image, found in zip(made.images, made.detections, strict=True)
    ]
    return MotSequence(f"crossing {seed}", made.detections, made.truth, looks)


def _beside_peers(name: str, sequences: list[MotSequence]) -> list[Check]:
    config = TrackerConfig()
    found = measured(ours(), sequences)
    defaults = {k: measured(r, sequences) for k, r in peers().items()}
    alike = {k: measured(r, sequences) for k, r in peers(config.high_score, config.new_score).items()}
    everyone = {**defaults, **{f"{k} (our thresholds)": v for k, v in alike.items()}}
    for peer, score in everyone.items():
        print(f"{name}: {peer}: {_words(score)}", file=sys.stderr)
    print(f"{name}: ours: {_words(found)}", file=sys.stderr)
    best = {metric: max(everyone, key=lambda k: getattr(everyone[k], metric)) for metric in ("mota", "idf1")}
    rates = ", ".join(f"{k} {v.rate:,.0f}" for k, v in defaults.items())
    return [
        *(
            Check(
                f"{name}, {metric.upper()}",
                getattr(found, metric),
                "%",
                ">= best peer",
                f"{getattr(everyone[who], metric):.1f} {who}",
                getattr(found, metric) >= getattr(everyone[who], metric),
            )
            for metric, who in best.items()
        ),
        Check(
            f"{name}, HOTA", found.hota, "%", "", f"{max(v.hota for v in everyone.values()):.1f} best", True
        ),
        Check(f"{name}, rate", found.rate, "frames/CPU-s", f">= {RATE:,.0f}", rates, found.rate >= RATE),
    ]


def _with_looks(name: str, sequences: list[MotSequence]) -> list[Check]:
    if any(s.looks is None for s in sequences):
        print(f"{name}: no pictures, so no looks (see _mot.py on build/vtest.avi)", file=sys.stderr)
        return []
    without, found = measured(ours(), sequences), measured(ours(), sequences, looks=True)
    print(f"{name}: ours with looks: {_words(found)}", file=sys.stderr)
    gain, wanted = found.idf1 - without.idf1, not name.startswith("TUD")
    goal = f">= {GAIN:g}" if wanted else ""
    peer = f"{without.idf1:.1f} without, {found.idf1:.1f} with; MOTA {without.mota:.1f}, {found.mota:.1f}"
    return [Check(f"{name}, IDF1 by looks", gain, "points", goal, peer, gain >= GAIN or not wanted)]


def _words(score: Score) -> str:
    return (
        f"MOTA {score.mota:.1f}, IDF1 {score.idf1:.1f}, HOTA {score.hota:.1f}, {score.switches} switches, "
        f"{score.rate:,.0f} frames/CPU-s"
    )


if __name__ == "__main__":
    run(main, "trackers")
