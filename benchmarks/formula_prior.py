"""Where does `refined` take Eq. 7 as its prior mean, and what does that change? RMSE beside `harmonic`, the prior mean that it replaces.

python benchmarks/formula_prior.py [--variants on-grid band ...] [--seed 41] [--scenes 5] [--noise 0.2 0.5 1]
"""

from __future__ import annotations

import argparse

import numpy as np

import qpi_core
from qpi_core.evaluation.benchmark.scenes import VARIANTS, BenchmarkScene, draw_benchmark_scene
from qpi_core.evaluation.metrics import coverage, kernel_errors
from qpi_core.extraction.extractor import Extractor


def extract(extractor: Extractor, scene: BenchmarkScene, method: str) -> qpi_core.KernelEstimate:
    return extractor.extract(scene.observation, scene.positions, method, len(scene.kernel), pixel_size_nm=scene.pixel_size_nm)


def main() -> None:
    """Print a line a scene and the means of those where the formula was taken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=["on-grid", "off-grid", "band", "one-sided", "strained"], choices=list(VARIANTS))
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.2, 0.5, 1.0])
    args = parser.parse_args()
    extractor = qpi_core.load_extractor(device="cpu")
    for variant in args.variants:
        for level in args.noise:
            pairs: list[tuple[float, float]] = []
            for index in range(args.scenes):
                scene = draw_benchmark_scene(args.seed, index, variant, level)
                found = extract(extractor, scene, "refined")
                error = kernel_errors(found.kernel, scene.kernel).rmse
                line = f"{variant} {level} {index}: {len(scene.positions)} defects, refined {error:.5f}"
                if found.provenance["solver"].get("prior") == "formula":
                    without = extract(extractor, scene, "harmonic")
                    pairs.append((error, kernel_errors(without.kernel, scene.kernel).rmse))
                    within = [
                        f"{100 * coverage(one.kernel, one.uncertainty, scene.kernel, 1.96):.0f}"
                        for one in (found, without)
                        if one.uncertainty is not None
                    ]
                    line += f" (Eq. 7), harmonic {pairs[-1][1]:.5f}; within 1.96 deviations {' / '.join(within)} %"
                print(line, flush=True)
            means = np.mean(pairs, axis=0) if pairs else (np.nan, np.nan)
            print(f"{variant} {level}: Eq. 7 in {len(pairs)} of {args.scenes}, there {means[0]:.5f} instead of {means[1]:.5f}", flush=True)


if __name__ == "__main__":
    main()
