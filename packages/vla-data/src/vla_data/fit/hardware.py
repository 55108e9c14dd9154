"""What torch computes with: threads, and whether bfloat16 is of use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


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
