"""Every codec on the same held-out motion: codes, bits, error, distance to theory, robustness, speed.

Data: the real Bridge actions of ../shared (25 episodes, every one measured on by codecs fitted to the other
folds) and demonstrations of five Meta-World tasks made for it without cameras (a fifth held out). Each codec
is fitted at several settings; its figures at a given error are read off between the two nearest (logarithmic
in the error), so that codecs are compared at equal error. One core.

    .venv/bin/python benchmarks/codecs.py

prints every point to standard error and the comparisons at equal error as checks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from _frame import Check, one_core, run
from vla_data import open_episodes
from vla_data.sim.generate import GenerateConfig, generate
from vla_ts import CODECS, Trajectories, fit_codec, read_trajectories
from vla_ts.points import Point, Unit, measure_point
from vla_ts.sweep import Sweep, combinations

BRIDGE = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "rlds" / "bridge_dataset"
LARGEST_VOCABULARY = 2048
BINS, DCT, LEARNT = "uniform_bins", "dct_bpe", "vqvae"
# A codec joins by one line.
SWEEPS = (
    Sweep(BINS, {"bins": (4, 8, 16, 32, 64, 256)}),
    Sweep("quantile_bins", {"bins": (4, 8, 16, 32, 64, 256)}),
    Sweep(
        DCT,
        {"scale": (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0), "vocab_size": (512, LARGEST_VOCABULARY)},
    ),
    Sweep("spline", {"coefficients": (2, 3, 4, 6, 8, 12), "bins": (8, 16, 32, 64, 256)}),
)
# The learnt codec: codebooks where there are many chunks to learn them from; where there are forty, a grid
# over shrunk principal axes, of which nothing is learnt by steps.
GRID = {
    "quantizer": "fsq",
    "codebook_size": LARGEST_VOCABULARY,
    "decoder_hidden": (),
    "padded": False,
    "fit.steps": 1,
    "fit.warmup_steps": 0,
    "fit.threads": 1,
}
BOOKS = {
    "codebook_size": LARGEST_VOCABULARY,
    "decoder_hidden": (512, 512),
    "padded": False,
    "rescale": 0.25,
    "fit.weight_decay": 1e-2,
}
SHORT = {"fit.warmup_steps": 10, "fit.threads": 1}
SPEED = Sweep(LEARNT, {"levels": (3,)}, {**BOOKS, **SHORT, "fit.steps": 20})  # speed asks for no training
ON_BRIDGE = Sweep(LEARNT, {"levels": (1, 2, 3, 4, 5, 6, 8, 12, 16)}, GRID)
ON_METAWORLD = Sweep(LEARNT, {"levels": (1, 2, 3, 4)}, {**BOOKS, **SHORT, "fit.steps": 3000})
QUICK = (Sweep(BINS, {"bins": (8, 64)}), Sweep(DCT, {"scale": (1.0, 4.0)}, {"vocab_size": 512}))
FEWER_CODES, FEWER_THAN_BINS, OF_REFERENCE = 2.0, 10.0, 1.5
VALUES_PER_SECOND, CHUNKS_PER_SECOND, LEARNT_PER_SECOND, ONE_MS = 1e6, 5_000, 10_000, 1.0
TIMED = 8192


@dataclass(frozen=True)
class Case:
    """A data set: how it is divided, and the errors (NMSE) at which codecs are compared."""

    name: str
    read: Callable[[bool], Trajectories]
    horizon: int
    folds: int
    errors: tuple[float, ...]
    learnt: Sweep


def main(smoke: bool) -> list[Check]:
    """Measure every codec on every data set; compare at equal error; time."""
    cases = [c for c in CASES if c.name != "bridge" or BRIDGE.is_dir()]
    checks, data = [], {}
    for case in cases:
        data[case.name] = case.read(smoke)
        points = _measure(data[case.name], case, QUICK if smoke else (*SWEEPS, case.learnt))
        _show(case, points)
        checks += _compare(case, points, smoke)
    fastest = cases[-1]
    with one_core():
        return checks + _speeds(data[fastest.name], fastest.horizon)


def _bridge(smoke: bool) -> Trajectories:
    """One split alone: the other holds the same episodes."""
    return read_trajectories(open_episodes(BRIDGE, "train"))


def _metaworld(smoke: bool) -> Trajectories:
    with tempfile.TemporaryDirectory() as root:
        config = GenerateConfig(
            cameras=(), episodes=4 if smoke else 40, episodes_per_shard=4 if smoke else 10
        )
        tasks = config.tasks[:2] if smoke else config.tasks
        made = generate(replace(config, tasks=tasks), Path(root))
        return read_trajectories(open_episodes(made["directory"]))


CASES = (
    Case("bridge", _bridge, 8, 5, (0.4, 0.3, 0.15, 0.08, 0.025), ON_BRIDGE),
    Case("metaworld", _metaworld, 16, 1, (0.007, 0.003, 0.001), ON_METAWORLD),
)


def _measure(data: Trajectories, case: Case, sweeps: Sequence[Sweep]) -> list[Point]:
    points = []
    for codec, settings in (c for sweep in sweeps for c in combinations(sweep)):
        division = (0.2, case.folds, 0)
        point = measure_point(data, Unit("", case.horizon, codec, settings, division, "dct", 20_000, ""))
        points += [point] if point.quality else []
    return points


@dataclass(frozen=True)
class At:
    """A codec at one error: codes and bits per chunk, those of the reference."""

    codes: float
    bits: float
    reference: float


def _at(points: Sequence[Point], codec: str, nmse: float) -> At | None:
    """What a codec needs for this error, between its points around it; None where it has none around it.

    Bits and codes are read off the points no other of the codec beats in them.
    """
    own = [p for p in points if p.codec == codec and p.quality]
    read = [_between(own, nmse, by) for by in ("tokens", "bits")]
    if read[0] is None or read[1] is None:
        return None
    reference = sorted((_nmse(p), p.reference_bits) for p in points)
    known = np.interp(np.log(nmse), np.log([n for n, _ in reference]), [b for _, b in reference])
    return At(read[0], read[1], float(known))


def _between(points: Sequence[Point], nmse: float, by: str) -> float | None:
    best: list[tuple[float, float]] = []  # cost, error: falling error at rising cost
    for cost, error in sorted((getattr(p.quality.rate, by), _nmse(p)) for p in points if p.quality):
        if not best or error < best[-1][1]:
            best.append((cost, error))
    if best and best[0][1] <= nmse:
        return best[0][0]  # it cannot do worse for less
    if not best or best[-1][1] > nmse:
        return None
    errors = np.log([e for _, e in reversed(best)])
    return float(np.interp(np.log(nmse), errors, [c for c, _ in reversed(best)]))


def _nmse(point: Point) -> float:
    assert point.quality is not None
    return point.quality.error.nmse


def _compare(case: Case, points: Sequence[Point], smoke: bool) -> list[Check]:
    kinds = list(dict.fromkeys(p.codec for p in points))
    checks, ratios = [], {}
    for nmse in case.errors:
        at = {kind: found for kind in kinds if (found := _at(points, kind, nmse)) is not None}
        name = f"{case.name} at NMSE {nmse:g}"
        for kind, a in at.items():
            text = f"{a.codes:.2f} codes, gap {a.bits - a.reference:+.1f} bits to {a.reference:.1f}"
            checks.append(Check(f"{name}: {kind}", a.bits, "bits/chunk", "", text, True))
            ratios[f"{kind} at {nmse:g}"] = a.bits / a.reference
        checks += _learnt(name, at)
    best = min(ratios, key=ratios.__getitem__, default=None)
    if best is not None:
        goal, ok = f"<= {OF_REFERENCE}", ratios[best] <= OF_REFERENCE or smoke
        checks.append(Check(f"{case.name}: bits over reference", ratios[best], "×", goal, best, ok))
    return checks + _decodable(case, points)


def _learnt(name: str, at: dict[str, At]) -> list[Check]:
    """The learnt codec against the others at one error."""
    if not {LEARNT, DCT, BINS} <= at.keys():
        return []
    own, dct, bins = at[LEARNT], at[DCT], at[BINS]
    fewer, than_bins = dct.codes / own.codes, bins.codes / own.codes
    peer = f"{DCT} {dct.codes:.2f} codes, {dct.bits:.1f} bits"
    return [
        Check(f"{name}: fewer codes", fewer, "×", f">= {FEWER_CODES}", peer, fewer >= FEWER_CODES),
        Check(
            f"{name}: fewer than bins",
            than_bins,
            "×",
            f">= {FEWER_THAN_BINS}",
            f"bins {bins.codes:.0f}",
            than_bins >= FEWER_THAN_BINS,
        ),
        Check(f"{name}: bits", own.bits, "bits", "no more than DCT+BPE", peer, own.bits <= dct.bits),
    ]


def _decodable(case: Case, points: Sequence[Point]) -> list[Check]:
    """Chunks that decode with wrong codes, of each codec at its point nearest to the middle error."""
    checks = []
    for kind in dict.fromkeys(p.codec for p in points):
        own = [p for p in points if p.codec == kind]
        point = min(own, key=lambda p: abs(np.log(_nmse(p) / case.errors[1])))
        assert point.quality is not None
        robust = point.quality.robust
        one, five = robust.decodable
        worse = ", ".join(f"{v:.2g}" for v in robust.nmse)
        text = f"5% {five:.1%}, all random {robust.random:.1%}; NMSE then {worse}"
        whole = kind != LEARNT or min(*robust.decodable, robust.random) == 1
        goal = "100%" if kind == LEARNT else ""
        checks.append(Check(f"{case.name}: decodable, 1% wrong, {kind}", 100 * one, "%", goal, text, whole))
    return checks


def _speeds(data: Trajectories, horizon: int) -> list[Check]:
    """Distinct chunks: the byte-pair encoder remembers what it has seen."""
    every = data.chunks(horizon)
    chunks = every[: min(TIMED, len(every))]
    goals = {
        BINS: VALUES_PER_SECOND / (horizon * data.spec.dim),
        "quantile_bins": VALUES_PER_SECOND / (horizon * data.spec.dim),
        DCT: CHUNKS_PER_SECOND,
        LEARNT: LEARNT_PER_SECOND,
    }
    checks = []
    for kind in dict.fromkeys(s.codec for s in (*SWEEPS, SPEED)):
        codec = fit_codec(kind, data, horizon, combinations(SPEED)[0][1] if kind == LEARNT else None)
        codes = codec.encode(chunks[:1])  # the first call imports
        began = time.process_time()  # CPU seconds of every thread: a busy machine does not slow them
        codes = codec.encode(chunks)
        middle = time.process_time()
        codec.decode(codes)
        ended = time.process_time()
        one = min(_alone(codec.decode, codes[i : i + 1]) for i in range(20))
        goal = goals.get(kind, 0.0)
        spent = {"encode": middle - began, "decode": ended - middle}
        rates = {what: len(chunks) / max(seconds, 1e-6) for what, seconds in spent.items()}
        wanted = f">= {goal:,.0f}" if goal else ""
        values = f"{horizon * data.spec.dim} values a chunk, {CODECS[kind].about}"
        for what, rate in rates.items():
            checks.append(Check(f"{kind} {what}", rate, "chunks/CPU-s", wanted, values, rate >= goal))
        checks.append(Check(f"{kind} decode one", one, "ms", f"<= {ONE_MS:g}", "", one <= ONE_MS))
    return checks


def _alone(work: Callable[[np.ndarray], object], codes: np.ndarray) -> float:
    began = time.perf_counter()
    work(codes)
    return 1e3 * (time.perf_counter() - began)


def _show(case: Case, points: Sequence[Point]) -> None:
    """Every point, as a table on standard error."""
    rows = [("codec", "settings", "NMSE", "codes", "bits", "reference", "gap", "1% wrong", "5% wrong")]
    for p in points:
        assert p.quality is not None
        rate, one, five = p.quality.rate, *p.quality.robust.decodable
        figures = (f"{rate.tokens:.2f}", f"{rate.bits:.1f}", f"{p.reference_bits:.1f}", f"{p.gap:+.1f}")
        rows.append((p.codec, p.label, f"{_nmse(p):.5f}", *figures, f"{one:.1%}", f"{five:.1%}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"{case.name}: {points[0].chunks} chunks of {case.horizon} steps", file=sys.stderr)
    for row in rows:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip(), file=sys.stderr)


if __name__ == "__main__":
    run(main, "codecs")
