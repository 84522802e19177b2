"""Damage files of every format and read them: python benchmarks/fuzz_files.py --count 2000

Maps, lists of positions, sessions, side-cars, preparations and results: each file is cut, spliced with another, has bits flipped,
numbers in its header made larger, or pieces repeated; in JSON, values are also replaced by others that do not belong there. All are
read in a process that may use 1 GiB more than it began with. Whatever the damage, there must be content or one sentence within five
seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import signal
import sys
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.evaluation.results_file import read_results
from qpi_core.maps import load_map, load_positions
from qpi_core.maps.preparation import load_preparation
from qpi_core.results.files import load_sidecar, sidecar_bytes
from qpi_core.results.session.session_archive import TEXT_NAME
from qpi_core.results.session.session_file import SavedResult, Session, load_session, session_bytes
from tests.maps.readers.faulty_files.test_damaged_files import LISTS, MAPS
from tests.results.test_files import make_estimate

SECONDS, MEMORY = 5, 2**30
HOSTILE = (
    *(None, True, -1, 10**400, 1e308, -1e308, 0.5, "", "<b>" * 900, "../../etc/passwd", "\ud800", "\0", [], {}, [[1, 2]], ["a"]),
    {"array": "arrays/0000.npy"},
    float("nan"),
)
"""Values for places in JSON where they do not belong."""

Reader = Callable[[bytes], object]


def files() -> dict[str, tuple[bytes, Reader]]:
    """Return name -> (content, reader) of sound files of every kind."""
    found: dict[str, tuple[bytes, Reader]] = {}
    for name, content in MAPS.items():
        found[name] = (content, lambda data, name=name: load_map(data, name).layer())
    for name, content in LISTS.items():
        found[name] = (content, lambda data, name=name: load_positions(data, name, pixel_size_nm=0.1, shape=(100, 100)))
    estimate = make_estimate(uncertainty=np.full((8, 8), 0.1, np.float32), latent=np.ones((4, 8, 8), np.float32))
    observation = (estimate.reconstruction + estimate.residual).astype(np.float32)
    saved = SavedResult(estimate, observation, {"channel": "dIdV"})
    session = Session(load_map(MAPS["map.npz"], "map.npz"), np.ones((3, 2)), {"controls": {"limits": [1, 99]}}, (saved,))
    found["session.zip"] = (session_bytes(session), load_session)
    found["estimate.json"] = (sidecar_bytes(estimate), load_sidecar)
    steps = [{"step": "level", "kind": "plane"}, {"step": "crop", "left": 1, "top": 2, "width": 8, "height": 8}]
    found["preparation.json"] = (json.dumps({"steps": steps}).encode(), lambda data: load_preparation(data, "preparation.json"))
    cell = {"variant": "on-grid", "noise_level": 0.2, "defects": "1-100", "method": "harmonic", "rmse": 0.1, "scenes": 3, "failures": 0}
    results = {"benchmark": {"seed": 1, "scenes": 3}, "cells": [cell]}
    found["summary.json"] = (json.dumps(results).encode(), lambda data: read_results(data, "summary.json"))
    return found


def with_hostile_value(content: bytes, rng: np.random.Generator) -> bytes:
    """Return JSON, or a session with its JSON, in which one value was replaced."""
    if content.startswith(b"PK"):
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                target.writestr(name, with_hostile_value(data, rng) if name == TEXT_NAME else data)
        return out.getvalue()
    tree = json.loads(content)
    branches = list(_branches(tree))
    branch, key = branches[rng.integers(len(branches))]
    branch[key] = HOSTILE[rng.integers(len(HOSTILE))]
    return json.dumps(tree).encode()


def _branches(tree: Any) -> Any:
    """Yield (container, key) of every value in a tree of JSON."""
    pairs = list(tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ())
    for key, value in pairs:
        yield tree, key
        yield from _branches(value)


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
    """Read the damaged files; 1 where anything but content or a sentence came back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="damaged files in all (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("error")
    sound = files()
    for content, read in sound.values():  # what is imported on first use counts for no file
        read(content)
    names, others = list(sound), [content for content, _ in sound.values()]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, too_long)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for index in range(args.count):
        name = names[index % len(names)]
        content, read = sound[name]
        rng = np.random.default_rng([args.seed, index])
        structured = name.endswith((".json", ".zip")) and rng.random() < 0.7
        data = with_hostile_value(content, rng) if structured else damaged(content, rng, others)
        started = time.perf_counter()
        outcomes[outcome_of(read, data, f"{name}, file {index}")] += 1
        seconds = time.perf_counter() - started
        if seconds >= SECONDS:  # a reader may have taken the alarm for damage
            outcomes["wrong"] += 1
            print(f"{name}, file {index}: {seconds:.1f} s")
        slowest = max(slowest, seconds)
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) + f" of {args.count} files; slowest {slowest:.2f} s")
    return 1 if outcomes["wrong"] else 0


def outcome_of(read: Reader, data: bytes, label: str) -> str:
    """Read a damaged file: "content", "sentence", or "wrong", which is printed."""
    signal.alarm(SECONDS)
    try:
        read(data)
        return "content"
    except InputError as error:
        sentence = str(error)
        if "\n" not in sentence and len(sentence) <= 500 and "more memory than there is" not in sentence:
            return "sentence"
        print(f"{label}: {sentence!r}")
    except BaseException:  # the outcome that this looks for
        print(f"{label}:\n{traceback.format_exc(limit=-3)}")
    finally:
        signal.alarm(0)
    return "wrong"


if __name__ == "__main__":
    sys.exit(main())
