"""benchmarks/training/train_on_gpu.sh to its end with tiny networks on the CPU: what it does on a GPU differs in sizes alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qpi_core.networks.checkpoints import load_models

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "training" / "train_on_gpu.sh"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_script_leaves_a_model_that_loads_and_the_papers_tables(tmp_path):
    environment = {**os.environ, "PYTHON": sys.executable, "WORK": str(tmp_path / "work"), "OMP_NUM_THREADS": "1"}
    # The runs of small/ are the command of paper/ with another preset, once a row.
    environment["PARTS"] = "base paper"
    subprocess.run([SCRIPT, tmp_path / "out", "smoke"], env=environment, check=True, capture_output=True, timeout=900)
    out = tmp_path / "out"
    assert load_models(out / "base").one_step is not None
    found = json.loads((out / "paper" / "results.json").read_text())
    assert {row["method"] for row in found["measured"]} >= {"one_step", "two_step", "decoder_ceiling", "harmonic"}
    assert set(found["curves"]) == {f"with-symmetry/{stage}" for stage in ("kernel-vae", "observation-encoder", "one-step")}
    assert all((out / "base-losses" / f"{stage}.jsonl").stat().st_size for stage in ("kernel-vae", "observation-encoder", "one-step"))
    assert {line.split()[0] for line in (out / "seconds.txt").read_text().splitlines()} >= {"base-codec", "base-encoder", "base", "paper"}
