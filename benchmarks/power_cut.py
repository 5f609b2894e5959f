"""What a power cut costs: a disk is copied while processes append to a ledger on it, and the copy is looked at.

The disk is an ext4 image, mounted through a loop device. Writers append at a steady rate and say elsewhere what was
acknowledged; they are stopped for as long as the image is copied, which is what a disk holds that loses power then:
what was never flushed is not in it. The copy is mounted, its journal replayed, its spools drained into its ledger.
Needs root. Run: `sudo python benchmarks/power_cut.py`.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

from recording import Writer, found

_MODES = ("bounded", "strict")
_UNDER_WAY = 20


@dataclass(frozen=True, slots=True)
class Cut:
    """What one power cut cost.

    Attributes:
        acknowledged: How many records were, by all writers.
        lost: How many of them are gone.
        oldest: How long before the cut the oldest of those was acknowledged, in milliseconds.
        flush: How long the device took for a flush, at most, in milliseconds.
        in_order: Whether of each writer only the last ones are gone.
    """

    mode: str
    acknowledged: int
    lost: int
    oldest: float
    flush: float
    in_order: bool


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("only root can mount a disk", file=sys.stderr)
        return 2
    cuts = [_cut(mode, options, seed) for mode in options.modes for seed in range(options.trials)]
    for cut in cuts if options.json else ():
        print(json.dumps(asdict(cut)))
    for mode in () if options.json else options.modes:
        print(_line(mode, [cut for cut in cuts if cut.mode == mode]))
    return int(any(cut.lost for cut in cuts if cut.mode == "strict"))


def _line(mode: str, cuts: list[Cut]) -> str:
    acknowledged, lost = sum(c.acknowledged for c in cuts), sum(c.lost for c in cuts)
    worst = max(cuts, key=lambda cut: cut.oldest)
    ages = statistics.median(cut.oldest for cut in cuts)
    return (
        f"{mode}: {len(cuts)} power cuts, {acknowledged} records acknowledged, {lost} lost"
        f" ({100 * lost / acknowledged:.2f} %) in {sum(c.lost > 0 for c in cuts)} of them; the oldest was"
        f" acknowledged {ages:.0f} ms before (median), {worst.oldest:.0f} ms at most, where a flush took up to"
        f" {worst.flush:.0f} ms; only the last of each writer: {all(c.in_order for c in cuts)}"
    )


def _cut(mode: str, options: argparse.Namespace, seed: int) -> Cut:
    folder = Path(tempfile.mkdtemp(prefix="power-cut-", dir=options.folder))
    writers: list[Writer] = []
    try:
        image = _disk(folder / "disk.img", options.megabytes)
        with _mounted(image, folder / "disk") as disk:
            for number in range(options.writers):
                place = folder / "acknowledged" / str(number)
                strict = mode == "strict"
                writers.append(Writer.start(disk / "home", place, rate=options.rate, strict=strict))
            at = _stop(writers, options, seed)
            shutil.copyfile(image, folder / "cut.img")
            acknowledged = {
                name: times for w in writers for name, times in w.acknowledged().items()
            }
            for writer in writers:
                writer.process.kill()
                writer.process.join()
        with _mounted(folder / "cut.img", folder / "cut") as disk:
            after = found(disk / "home", acknowledged)
        oldest = min((times[0] for times in after.missing.values()), default=at)
        in_order = all(acknowledged[w][-len(lost) :] == lost for w, lost in after.missing.items())
        flush = max(writer.longest_flush(at) for writer in writers)
        exposed = round(1000 * (at - oldest), 1)
        return Cut(mode, after.acknowledged, after.lost, exposed, round(1000 * flush, 1), in_order)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(writers: list[Writer], options: argparse.Namespace, seed: int) -> float:
    """Let them work for a while, then stop them all at once; returns when that was."""
    rng = random.Random(seed)  # noqa: S311  # moments, no secret
    while not all(
        len(times) > _UNDER_WAY for w in writers for times in w.acknowledged().values() or [[]]
    ):
        time.sleep(0.05)
    time.sleep(rng.uniform(*options.seconds))
    at = time.monotonic()
    for writer in writers:
        os.kill(writer.process.pid or 0, signal.SIGSTOP)
    return at


def _disk(image: Path, megabytes: int) -> Path:
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", str(image))
    return image


@contextlib.contextmanager
def _mounted(image: Path, place: Path) -> Generator[Path]:
    place.mkdir()
    _run("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--modes", nargs="+", choices=_MODES, default=_MODES)
    parser.add_argument("--trials", type=int, default=12, help="power cuts of each mode")
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=200, help="of each writer, a second")
    parser.add_argument("--seconds", type=float, nargs=2, default=(0.5, 8.0), help="until the cut")
    parser.add_argument("--megabytes", type=int, default=192)
    parser.add_argument("--folder", type=Path, help="where; on the disk that is to be used")
    parser.add_argument("--json", action="store_true", help="one line for each power cut")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
