"""How far a scan's distortion takes a true kernel: python benchmarks/measured/distortion.py SEED VARIANT...

The benchmark compares with the kernel of the sample without distortion (docs/benchmarks.md). Printed for each scene: the RMSE, on the
kernel's own [0, 1] scale, between that and the same kernel as the scan shows it, with the distortion at the middle of the map.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.ndimage import map_coordinates

from qpi_core.synthesis.simulated_maps.measured_defects import SceneStreams, draw_defects, draw_frame
from qpi_core.synthesis.simulated_maps.measured_scene import compose_scene
from qpi_core.synthesis.simulated_maps.measured_variants import parse_variant
from qpi_core.synthesis.simulated_maps.scenes import BENCHMARK_SHAPE

CENTRE = 32


def main() -> None:
    """Print one line a scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--scenes", type=int, default=5)
    asked = parser.parse_args()
    for variant in asked.variants:
        found = [distortion_error(variant, asked.seed, index) for index in range(asked.scenes)]
        print(variant, " ".join(f"{one:.4f}" for one in found), f"mean {np.mean(found):.4f}")


def distortion_error(variant: str, seed: int, index: int) -> float:
    """Return the error of one scene; of the distortion only its change of shape counts, not of scale."""
    recipe, streams = parse_variant(variant), SceneStreams(seed, index)
    frame = draw_frame(recipe, streams, BENCHMARK_SHAPE)
    kernel = compose_scene(recipe, streams, frame, draw_defects(recipe, streams, frame)).kernel.astype(np.float64)
    x, y = frame.geometry.place(CENTRE + np.array([0.0, 1.0, 0.0]), CENTRE + np.array([0.0, 0.0, 1.0]))
    local = np.array([[x[1] - x[0], x[2] - x[0]], [y[1] - y[0], y[2] - y[0]]])
    local /= np.sqrt(abs(np.linalg.det(local)))
    rows, columns = np.indices(kernel.shape) - CENTRE
    across, down = np.tensordot(local, np.stack([columns, rows]), axes=1) + CENTRE
    shown = map_coordinates(kernel, [down, across], order=5, mode="nearest")
    return float(np.sqrt(np.mean((shown - kernel) ** 2)) / np.ptp(kernel))


if __name__ == "__main__":
    main()
