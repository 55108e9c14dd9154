"""Downloads from a server that misbehaves, beside a plain loop over `urllib.request.urlretrieve`.

Every case of `tests/data/download_faults.py` is set up twice on a local server that speaks the storage API:
once for our download, once for the loop that scripts in the wild consist of. A fault ended well when the
files are byte for byte the published ones, or when an error says what is wrong; it ended silently wrong when
nobody complained and the files are others. Then downloads are killed with SIGKILL at random moments and
resumed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from _frame import Check, run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.data.download_faults import CASES, NAME, PREFIX, VERSION, Case, write_source
from tests.data.download_kills import Kill, kills
from tests.data.storage_server import API, BUCKET, Storage, serve

KILLS, SMOKE_KILLS = 20, 3
FILES = 9  # of the data set that is killed: 6 shards, labels, 2 of facts
PAGES = 50  # of a listing, after which the loop counts as caught in it


def main(smoke: bool) -> list[Check]:
    """Set up every fault for both, then kill and resume."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["XDG_DATA_HOME"] = str(root / "xdg")
        write_source(root / "source")
        write_source(root / "larger", shard_bytes=100_000, shards=6)
        ours, loop = Counter[str](), Counter[str]()
        for i, case in enumerate(CASES):
            ours[_end(case, _ours, root, root / "ours" / str(i))] += 1
            loop[_end(case, _loop, root, root / "loop" / str(i))] += 1
        count = SMOKE_KILLS if smoke else KILLS
        with serve(root / "larger") as storage:
            os.environ["STORAGE_EMULATOR_HOST"] = storage.url
            found = list(kills(storage, root / "killed", count))
    return [*_fault_checks(ours, loop), *_kill_checks(found)]


def _fault_checks(ours: Counter[str], loop: Counter[str]) -> list[Check]:
    total, well = len(CASES), ours["repaired"] + ours["named"]
    said = f"urlretrieve: {loop['repaired']} whole, {loop['named']} named, {loop['wrong']} silently wrong"
    wrong, its = ours["wrong"], f"urlretrieve {loop['wrong']}"
    return [
        Check("faults repaired or named", 100 * well / total, f"% of {total}", "100", said, well == total),
        Check("of these repaired", ours["repaired"], "", "", f"urlretrieve {loop['repaired']}", True),
        Check("silently wrong", wrong, "", "0", its, wrong == 0),
    ]


def _kill_checks(found: list[Kill]) -> list[Check]:
    count, same = len(found), sum(k.identical for k in found)
    half = sum(k.readable for k in found if k.whole < FILES)
    hit = f"{sum(k.parts > 0 for k in found)} hit inside a file"
    return [
        Check("identical after kill -9", same, f"of {count}", f"{count}", hit, same == count),
        Check("left as a data set, half", half, "", "0", "", half == 0),
    ]


def _end(case: Case, fetch: Callable[[Storage, Path], str | None], root: Path, directory: Path) -> str:
    """`repaired`, `named`, `misnamed` (with another reason than the fault's) or, silently, `wrong`."""
    with serve(root / "source") as storage:
        os.environ["STORAGE_EMULATOR_HOST"] = storage.url
        expected = {name.removeprefix(PREFIX): s.data for name, s in storage.objects.items()}
        case.arrange(storage)
        complaint = fetch(storage, directory)
    if complaint is not None:
        right = not case.says or fetch is _loop or re.search(case.says, complaint)
        if not right:
            print(f"{case.name}: expected {case.says!r}, got {complaint}", file=sys.stderr)
        return "named" if right else "misnamed"
    here = {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    here = {n.removeprefix(PREFIX): d for n, d in here.items() if "download.json" not in n and "/." not in n}
    here = {n.removeprefix(f"{NAME}/{VERSION}/"): d for n, d in here.items()}
    right = here == expected and not list(directory.parent.glob("*evil*"))
    if not right and fetch is _ours:
        print(f"{case.name}: not what was published", file=sys.stderr)
    return "repaired" if right else "wrong"


def _ours(storage: Storage, directory: Path) -> str | None:
    from vla_data.openx.download import download
    from vla_data.openx.faults import Patience
    from vla_data.openx.tasks import DownloadConfig

    patience = Patience(attempts=4, first_delay=0.005, timeout=1.0)
    config = DownloadConfig(f"gs://{BUCKET}/robotics", directory, copy=True, jobs=2, patience=patience)
    (outcome,) = download([f"{NAME}/{VERSION}"], config)
    return f"{outcome.error['message']}: {outcome.error['got']}" if outcome.error else None


def _loop(storage: Storage, directory: Path) -> str | None:
    """What a script does without a library: list, and `urlretrieve` each."""
    try:
        token, pages = "", 0
        while pages < PAGES:
            query = urlencode({"prefix": PREFIX, **({"pageToken": token} if token else {})})
            with urllib.request.urlopen(f"{storage.url}{API}?{query}", timeout=10) as answer:
                page = json.load(answer)
            for item in page.get("items", []):
                path = directory / item["name"]
                path.parent.mkdir(parents=True, exist_ok=True)
                urllib.request.urlretrieve(
                    f"{storage.url}{API}/{quote(item['name'], safe='')}?alt=media", path
                )
            token, pages = page.get("nextPageToken", ""), pages + 1
            if not token:
                return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "caught in the listing"


if __name__ == "__main__":
    run(main, "download_faults")
