"""What torch computes with: threads, whether bfloat16 is of use, and how fast it could go at best."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

# Dense bfloat16 of the makers' data sheets, FLOP/s; the longer name first.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "RTX 4090": 165e12}
SIDE, TIMES = 1536, 3  # of the matrices that are multiplied where no data sheet is known


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many threads of this process inside, as many as before after; None changes nothing.

    Small networks on single frames are fastest with one: more threads wait for each other.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def knows_bfloat16(device: Literal["auto", "cpu", "cuda"]) -> bool:
    """Whether the device has instructions for bfloat16.

    Where a CPU has none torch imitates them: a step of the depth network then takes 15 times as long as in
    float32 (an AVX2 machine), and with them 0.6 times.
    """
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # of torch.cpu, private there
    return any(getattr(torch.cpu, name, lambda: False)() for name in asked)


def peak_flops(
    device: Literal["auto", "cpu", "cuda"] = "auto", threads: int | None = None
) -> tuple[float, str]:
    """FLOP/s that a device could do at best, and where the figure is from: the data sheet of a known GPU
    (bfloat16), else the product of two large float32 matrices, measured here (the best of a few).
    """
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        name = torch.cuda.get_device_name()
        for known, peak in PEAKS.items():
            if known in name:
                return peak, f"data sheet, {known}"
    where = "cuda" if on_gpu else "cpu"
    matrix = torch.randn(SIDE, SIDE, device=where)
    best = float("inf")
    with torch_threads(threads), torch.no_grad():
        for _ in range(TIMES):
            began = time.perf_counter()
            total = (matrix @ matrix)[0, 0].item()  # which waits for a GPU
            best = min(best, time.perf_counter() - began)
            del total
    return 2 * SIDE**3 / best, "product of two large matrices"
