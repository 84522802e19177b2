"""Damage files of every format and read them: python benchmarks/fuzz_files.py --count 2000

Each file is cut, spliced with another, has bits flipped, numbers in its header made larger, or pieces repeated, and is read in a process
that may use 1 GiB more than it began with. Whatever the damage, there must be a map or one sentence within five seconds.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402

from qpi_core.errors import InputError  # noqa: E402
from qpi_core.maps import load_map  # noqa: E402
from tests.maps.test_damaged_files import MAPS  # noqa: E402

SECONDS, MEMORY = 5, 2**30


def damaged(content: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """Return a file with one kind of damage out of five."""
    data = bytearray(content)
    kind = rng.integers(5)
    reach = min(len(data), 800) if rng.random() < 0.7 else len(data)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    if kind == 1:
        for _ in range(rng.integers(1, 12)):
            data[rng.integers(reach)] ^= 1 << int(rng.integers(8))
    elif kind == 2:  # a size that lies: digits of the header, or a binary number
        digits = [place for place in range(reach) if 48 <= data[place] <= 57]
        if digits and rng.random() < 0.7:
            place = int(rng.choice(digits))
            data[place:place] = b"9" * int(rng.integers(1, 10))
        else:
            place = int(rng.integers(reach))
            data[place : place + 4] = bytes(rng.integers(0, 256, 4, dtype=np.uint8))
    elif kind == 3:
        other = others[rng.integers(len(others))]
        data[int(rng.integers(reach)) :] = other[int(rng.integers(len(other))) :]
    else:
        start = int(rng.integers(reach))
        piece = bytes(data[start : start + int(rng.integers(1, 200))])
        data[start:start] = piece * int(rng.integers(1, 30))
    return bytes(data)


def too_long(*_):
    raise TimeoutError(f"reading took more than {SECONDS} s")


def main() -> int:
    """Read the damaged files; 1 where anything but a map or a sentence came back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="damaged files in all (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("error")
    others = list(MAPS.values())
    for name, content in MAPS.items():  # what is imported on first use counts for no file
        load_map(content, name)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, too_long)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for index in range(args.count):
        name = list(MAPS)[index % len(MAPS)]
        content = damaged(MAPS[name], np.random.default_rng([args.seed, index]), others)
        started = time.perf_counter()
        signal.alarm(SECONDS)
        try:
            scan = load_map(content, name)
            outcomes["map" if scan.layer().ndim == 2 else "wrong"] += 1
        except InputError as error:
            sentence = str(error)
            good = "\n" not in sentence and len(sentence) < 500 and "more memory than there is" not in sentence
            outcomes["sentence" if good else "wrong"] += 1
            if not good:
                print(f"{name}, file {index}: {sentence!r}")
        except BaseException:  # the outcome that this looks for
            outcomes["wrong"] += 1
            print(f"{name}, file {index}:\n{traceback.format_exc(limit=-3)}")
        finally:
            signal.alarm(0)
        seconds = time.perf_counter() - started
        if seconds >= SECONDS:  # a reader may have taken the alarm for damage
            outcomes["wrong"] += 1
            print(f"{name}, file {index}: {seconds:.1f} s")
        slowest = max(slowest, seconds)
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) + f" of {args.count} files; slowest {slowest:.2f} s")
    return 1 if outcomes["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
