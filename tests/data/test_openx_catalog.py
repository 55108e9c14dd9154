"""The catalogue: complete, consistent with the entries, filtered, found by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from vla_data.config import to_dict
from vla_data.errors import ConfigError, UnknownNameError
from vla_data.openx.catalog import HAS, catalog, find_entry, full_name, parse_size, select
from vla_data.openx.entries import ENTRIES, find_standard


def test_every_data_set_is_there_and_has_an_entry():
    entries = catalog()
    assert (len(entries), sum(e.derived for e in entries.values())) == (86, 17)
    assert set(entries) == set(ENTRIES)
    assert list(entries) == sorted(entries)


def test_the_catalogue_holds_the_inventory(shared: Path):
    with (shared / "data/openx/catalog.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {r["name"] for r in rows} == set(catalog())
    for row in rows:
        entry = catalog()[row["name"]]
        assert (entry.version, entry.derived) == (row["version"], not row["version"])
        found = (entry.size_gib, entry.episodes, entry.shards)
        assert found == tuple(float(row[k]) if row[k] else None for k in ("size_gib", "episodes", "shards"))
        if row["control_hz"]:
            assert entry.control_hz == float(row["control_hz"])


def test_facts_and_entries_agree():
    for name, entry in catalog().items():
        standard = find_standard(name)
        assert standard is not None
        assert (entry.control_hz is None) == standard.rate_assumed
        if entry.control_hz:
            assert standard.robot.action.control_hz == entry.control_hz
        assert (entry.action_encoding == "NONE") == (not entry.action)
        assert (entry.state_encoding == "NONE") == (not entry.state_keys)
        assert any("BGR" in q for q in entry.quirks) == any(p.bgr for p in standard.cameras.values())
        assert any("first action" in q for q in entry.quirks) == standard.drop_still_start
        relative = any("relative" in p.convert for p in standard.action)
        assert any("stored as changes" in q for q in entry.quirks) == relative
        if not entry.derived:
            assert sum(entry.splits.values()) == entry.episodes
            assert entry.sources


def test_stored_encodings_are_those_of_the_inventory():
    counts = dict.fromkeys(("png", "jpeg", "undeclared"), 0)
    for entry in catalog().values():
        if not entry.derived and entry.image_encoding in counts:
            counts[entry.image_encoding] += 1
    assert counts == {"png": 38, "jpeg": 18, "undeclared": 10}


def test_a_name_is_found_with_and_without_its_suffix_and_a_wrong_one_names_the_nearest():
    assert find_entry("austin_buds_dataset").name == "austin_buds_dataset_converted_externally_to_rlds"
    assert find_entry("droid").short_name == "droid"
    assert full_name("viola") == "viola"
    assert full_name("toy/1.0.0") == "toy/1.0.0"
    assert full_name("dlr_sara_pour/0.1.0") == "dlr_sara_pour_converted_externally_to_rlds/0.1.0"
    with pytest.raises(UnknownNameError, match="'austin_buds_dataset'"):
        find_entry("austin_bud_dataset")


def test_filters_hold_together():
    small = select(robot="franka", camera="wrist", max_bytes=parse_size("5GB"))
    assert {e.short_name for e in small} == {"austin_buds_dataset", "plex_robosuite"}
    assert "aloha_mobile" in {e.name for e in select(camera="wrist")}  # it has one on each arm
    assert {e.short_name for e in select(has=("depth", "wrist"))} == {
        "berkeley_autolab_ur5", "fmb", "fmb_dataset", "maniskill_dataset", "taco_play"
    }  # fmt: skip
    assert len(select(status="unverified")) == 12
    assert all(e.bytes for e in select(max_bytes=10**12))
    assert len(select()) == 86
    for name in HAS:
        assert 0 < len(select(has=(name,))) < 86


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ({"robot": "frankka"}, "'Franka'"),
        ({"camera": "rist"}, "'wrist'"),
        ({"has": ("dept",)}, "'depth'"),
        ({"status": "reel"}, "'real'"),
    ],
)
def test_a_filter_that_nothing_can_pass_names_the_nearest(given: dict, nearest: str):
    with pytest.raises(UnknownNameError, match=nearest):
        select(**given)


def test_sizes_are_read():
    sizes = {"5GB": 5 * 10**9, "500 MB": 5 * 10**8, "2TiB": 2 << 40, "12": 12, "1.5k": 1500, "3g": 3 * 10**9}
    assert {text: parse_size(text) for text in sizes} == sizes
    for text in ("", "much", "5XB", "1.2.3G", "-3GB"):
        with pytest.raises(ConfigError, match="size cannot be read"):
            parse_size(text)


def test_an_entry_goes_through_json():
    data = json.loads(json.dumps(to_dict(find_entry("viola"))))
    assert data["cameras"]["wrist"] == "observation/eye_in_hand_rgb"
    assert data["status"] == "synthetic"
