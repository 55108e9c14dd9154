"""Series into a language model: normalised without loss, cut into patches, encoded, spliced into text.

Also a generator of series with known attributes and of questions about them with exact answers. Importing
this is light; torch comes with the encoder, the splicing and the batches.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_ts.language.batches import SeriesBatch, collate, prepare
    from vla_ts.language.encoder import SeriesEncoder, SeriesEncoderConfig
    from vla_ts.language.generator import GeneratorConfig, SeriesExample, SeriesGenerator
    from vla_ts.language.scaling import SeriesScale
    from vla_ts.language.series import NamedSeries, SeriesPatches, cut_series, describe_series, join_series
    from vla_ts.language.splicing import SplicePositions, plan_splice, splice
    from vla_ts.language.words import WordTokenizer

_LAZY = {
    "GeneratorConfig": "vla_ts.language.generator",
    "NamedSeries": "vla_ts.language.series",
    "SeriesBatch": "vla_ts.language.batches",
    "SeriesEncoder": "vla_ts.language.encoder",
    "SeriesEncoderConfig": "vla_ts.language.encoder",
    "SeriesExample": "vla_ts.language.generator",
    "SeriesGenerator": "vla_ts.language.generator",
    "SeriesPatches": "vla_ts.language.series",
    "SeriesScale": "vla_ts.language.scaling",
    "SplicePositions": "vla_ts.language.splicing",
    "WordTokenizer": "vla_ts.language.words",
    "collate": "vla_ts.language.batches",
    "cut_series": "vla_ts.language.series",
    "describe_series": "vla_ts.language.series",
    "join_series": "vla_ts.language.series",
    "plan_splice": "vla_ts.language.splicing",
    "prepare": "vla_ts.language.batches",
    "splice": "vla_ts.language.splicing",
}

__all__ = [
    "GeneratorConfig",
    "NamedSeries",
    "SeriesBatch",
    "SeriesEncoder",
    "SeriesEncoderConfig",
    "SeriesExample",
    "SeriesGenerator",
    "SeriesPatches",
    "SeriesScale",
    "SplicePositions",
    "WordTokenizer",
    "collate",
    "cut_series",
    "describe_series",
    "join_series",
    "plan_splice",
    "prepare",
    "splice",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
