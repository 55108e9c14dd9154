"""Mixtures of Open X data sets that others trained on, by the weights they published.

Weights are relative to size: a data set's share is weight × steps (`weighting = "size"`). Its robots differ,
so columns are aligned left and masked (`embedding = "pad"`), to be normalised by each data set's own
statistics (`mixture_norms`), as these models were. Sources: Octo (Octo Model Team 2024, arXiv:2405.12213)
and OpenVLA (Kim et al. 2024, arXiv:2406.09246), whose public code lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from vla_data.mixture.config import DatasetShare, MixtureConfig, WindowConfig

SUFFIX = "_converted_externally_to_rlds"
_MAGIC_SOUP = {
    "fractal20220817_data": 0.54087122203,
    "kuka": 0.8341046294,
    "bridge_orig": 1.0,
    "taco_play": 2.0,
    "jaco_play": 1.0,
    "berkeley_cable_routing": 1.0,
    "roboturk": 2.0,
    "viola": 2.0,
    "berkeley_autolab_ur5": 2.0,
    "toto": 1.0,
    "language_table": 0.1,
    f"stanford_hydra_dataset{SUFFIX}": 2.0,
    f"austin_buds_dataset{SUFFIX}": 1.0,
    f"nyu_franka_play_dataset{SUFFIX}": 3.0,
    f"furniture_bench_dataset{SUFFIX}": 0.1,
    f"ucsd_kitchen_dataset{SUFFIX}": 2.0,
    f"austin_sailor_dataset{SUFFIX}": 1.0,
    f"austin_sirius_dataset{SUFFIX}": 1.0,
    f"dlr_edan_shared_control{SUFFIX}": 1.0,
    f"iamlab_cmu_pickup_insert{SUFFIX}": 1.0,
    "utaustin_mutex": 1.0,
    "berkeley_fanuc_manipulation": 2.0,
    "cmu_stretch": 1.0,
}
_RT_X = {
    "fractal20220817_data": 0.54087122203,
    "kuka": 0.8341046294,
    "bridge_orig": 1.0,
    "taco_play": 2.0,
    "jaco_play": 2.0,
    "berkeley_cable_routing": 3.0,
    "roboturk": 1.0,
    "viola": 2.0,
    "berkeley_autolab_ur5": 1.0,
    "toto": 1.0,
}


def _open_x(weights: Mapping[str, float]) -> MixtureConfig:
    return MixtureConfig(
        dataset=tuple(DatasetShare(name, weight) for name, weight in weights.items()),
        window=WindowConfig(cameras=("primary", "wrist"), image_size=(224, 224)),
        weighting="size",
        embedding="pad",
    )


PRESETS: dict[str, Callable[[], MixtureConfig]] = {
    "rtx": partial(_open_x, _RT_X),
    "oxe_magic_soup": partial(_open_x, _MAGIC_SOUP),
    "oxe_magic_soup_plus": partial(
        _open_x, {**_MAGIC_SOUP, "bc_z": 0.2, "fmb_dataset": 1.0, "dobbe": 0.2, "droid": 0.06}
    ),
}
