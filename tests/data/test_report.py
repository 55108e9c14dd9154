"""The page: well-formed, self-contained, escaped, and media only from where they belong."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.charts import BarChart, Bars, Histogram, Line, LineChart
from vla_data.errors import DataError
from vla_data.files import write_json
from vla_data.report import (
    Block,
    Code,
    Gallery,
    Media,
    Section,
    Table,
    Text,
    load_sections,
    save_sections,
    write_page,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CHARTS = (
    LineChart("loss", (Line("train", (0, 1, 2), (3.0, 2.0, 1.0)), Line("val", (0, 2), (3.0, 2.0))), "step"),
    BarChart("success", ("reach", "push"), (Bars("ours", (0.5, 1.0), (0.4, 0.9), (0.6, 1.0)),), y_max=1.0),
    Histogram("lengths", (0.0, 1.0, 2.0), (3, 4), "steps"),
)


class Page(HTMLParser):
    """Every tag closed in turn; texts, addresses and tags collected."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "data", "poster", "xlink:href")]
        assert not [k for k, _ in attrs if k.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(tmp_path: Path, *blocks: Block, title: str = "A run", section: str = "Part") -> tuple[str, Page]:
    write_page(tmp_path / "report.html", title, [Section(section, tuple(blocks))], subtitle=title)
    text = (tmp_path / "report.html").read_text()
    return text, Page(text)


@pytest.fixture
def media(tmp_path: Path) -> Gallery:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.mp4").write_bytes(b"not really a film")
    return Gallery((Media(str(tmp_path / "a.png"), "still"), Media(str(tmp_path / "b.mp4"), "moving")))


def test_a_page_of_everything_is_well_formed_and_needs_no_network(tmp_path: Path, media: Gallery):
    table = Table(("task", "rate"), (("reach", "93%"), ("push", "−1")), "success")
    text, parsed = page(tmp_path, Text("hello"), Code("a\n  b"), table, media, *CHARTS)
    assert text.startswith("<!doctype html>")
    assert parsed.tags.count("svg") == len(CHARTS)
    assert not {"script", "iframe", "object", "embed", "base"} & set(parsed.tags)
    assert all(a.startswith(("data:", "#")) for a in parsed.addresses)
    assert not re.search(r"https?:|@import|url\(", text)
    for word in ("hello", "a\n  b", "reach", "93%", "still", "moving", "loss", "success", "lengths"):
        assert word in parsed.text


def test_media_are_embedded_byte_for_byte(tmp_path: Path, media: Gallery):
    _, parsed = page(tmp_path, media)
    embedded = [a.split(",", 1) for a in parsed.addresses if a.startswith("data:")]
    assert [kind for kind, _ in embedded] == ["data:image/png;base64", "data:video/mp4;base64"]
    assert base64.b64decode(embedded[0][1]) == PNG
    assert base64.b64decode(embedded[1][1]) == b"not really a film"


def test_the_page_outlives_its_media(tmp_path: Path, media: Gallery):
    text, _ = page(tmp_path, media)
    assert str(tmp_path) not in text


PLAIN = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=30)
HOSTILE = st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=y>', "</style>", "&amp;", "a & b < c"]
)


def test_every_text_is_escaped(tmp_path: Path, media: Gallery):
    @given(PLAIN | HOSTILE)
    def check(text: str):
        gallery = Gallery(tuple(Media(m.path, text) for m in media.items))
        charts = (
            LineChart(text, (Line(text, (0, 1), (1, 2)), Line(text, (0,), (1,))), text, text),
            BarChart(text, (text,), (Bars(text, (1,)), Bars(text, (2,))), text),
            Histogram(text, (0, 1), (1,), text),
        )
        table = Table((text,), ((text,),), text)
        _, parsed = page(tmp_path, Text(text), Code(text), table, gallery, *charts, title=text, section=text)
        expected = 4 + 2 + 3 + len(media.items) + 5 + 5 + 2
        assert parsed.text.count(text) >= expected
        assert "script" not in parsed.tags
        assert parsed.tags.count("img") == 1

    check()


def test_numbers_are_flush_right(tmp_path: Path):
    text, _ = page(tmp_path, Table(("a",), (("93%",), ("−1",), (".5",), ("reach",), ("",))))
    assert text.count('<td class="n">') == 3


@pytest.mark.parametrize("name", ["absent.png", "a.exe", "a.svg"])
def test_media_that_cannot_be_shown_are_refused(tmp_path: Path, name: str):
    if not name.startswith("absent"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="cannot be shown") as caught:
        page(tmp_path, Gallery((Media(str(tmp_path / name)),)))
    assert caught.value.where == str(tmp_path / name)
    assert not (tmp_path / "report.html").exists()


def test_sections_survive_their_file_and_media_follow_the_directory(tmp_path: Path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.png").write_bytes(PNG)
    blocks = (Text("t"), Code("c"), Table(("a",), (("1",),)), Gallery((Media("clips/a.png", "x"),)), *CHARTS)
    save_sections(tmp_path, [Section("Part", blocks)])
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    (loaded,) = load_sections(moved)
    expected = Gallery((Media(str((moved / "clips" / "a.png").resolve()), "x"),))
    assert loaded == Section("Part", (*blocks[:3], expected, *CHARTS))
    write_page(moved / "report.html", "A run", [loaded])


def test_a_stage_without_sections_has_none(tmp_path: Path):
    assert load_sections(tmp_path) == []


@pytest.mark.parametrize("path", ["../outside.png", "/etc/hostname.png", "a/../../outside.png"])
def test_media_outside_the_stage_are_refused(tmp_path: Path, path: str):
    directory = tmp_path / "stage"
    directory.mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    save_sections(directory, [Section("Part", (Gallery((Media(path),)),))])
    with pytest.raises(DataError, match="outside its directory"):
        load_sections(directory)


def test_a_link_out_of_the_stage_is_refused(tmp_path: Path):
    directory = tmp_path / "stage"
    directory.mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    (directory / "a.png").symlink_to(tmp_path / "outside.png")
    save_sections(directory, [Section("Part", (Gallery((Media("a.png"),)),))])
    with pytest.raises(DataError, match="outside its directory"):
        load_sections(directory)


@pytest.mark.parametrize(
    "content", [{"title": "x"}, [3], [{"title": "x", "blocks": [{"kind": "video", "text": "x"}]}], [{}]]
)
def test_a_broken_section_file_is_a_data_error_that_names_it(tmp_path: Path, content: object):
    write_json(tmp_path / "sections.json", content)
    with pytest.raises(DataError) as caught:
        load_sections(tmp_path)
    assert "sections.json" in str(caught.value)
