"""What trust is judged by, against sums that are written out."""

import numpy as np
import pytest

from qpi_core.solvers.blind.finish import on_grid
from qpi_core.solvers.blind.lattice_check import far_correlations, repeats_itself
from qpi_core.solvers.blind.layers import noise_in_corners, prepare_layers
from qpi_core.solvers.blind.polishing.kernel_step import KernelStep
from qpi_core.solvers.blind.polishing.score import scored
from qpi_core.solvers.blind.start.filter_bank import BankShape, FilterBank
from qpi_core.solvers.blind.trust.verdict import Evidence, doubt_about_number, doubt_about_rest, residual_correlation

GOOD = Evidence(gain=500.0, defects=20, unexplained=0.001, correlated=1.1, noise=0.03)


def test_the_correlation_of_a_residual_is_its_written_out_sum():
    rng = np.random.default_rng(0)
    measured = rng.random((12, 15)) > 0.2
    layer = rng.standard_normal((12, 15)) * measured
    variance, total, lags = layer[measured].var() + layer[measured].mean() ** 2, 0.0, 0
    for down in range(-4, 5):
        for across in range(-4, 5):
            if down <= 0:
                continue
            products = [
                layer[y, x] * layer[y + down, x + across]
                for y in range(12)
                for x in range(15)
                if 0 <= y + down < 12 and 0 <= x + across < 15 and measured[y, x] and measured[y + down, x + across]
            ]
            total += (np.mean(products) / variance) ** 2 * len(products)
            lags += 1
    assert residual_correlation(layer[None].astype(np.float32), measured) == pytest.approx(total / lags, rel=1e-4)


def test_white_noise_is_white_and_a_blurred_one_is_not():
    noise = np.random.default_rng(1).standard_normal((1, 96, 96)).astype(np.float32)
    everywhere = np.ones((96, 96), dtype=bool)
    assert 0.5 < residual_correlation(noise, everywhere) < 1.6
    assert residual_correlation(noise + np.roll(noise, 1, axis=1) * 0.3, everywhere) > 5
    # Along a scan line noise may be alike.
    assert residual_correlation(noise + np.roll(noise, 1, axis=2) * 0.3, everywhere) < 2.5


def test_the_noise_is_read_off_the_corners_of_the_spectrum():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:96, :96]
    layer = (np.cos(0.5 * x + 0.3 * y) + 0.2 * rng.standard_normal((96, 96))).astype(np.float32)
    assert noise_in_corners(layer, np.ones((96, 96), dtype=bool)) == pytest.approx(0.04, rel=0.15)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"gain": 5.0}, "noise"),
        ({"defects": 1}, "one defect"),
        ({"defects": 2}, "2 defects"),
        ({"unexplained": 0.13}, "13.0 %"),
        ({"correlated": 9.0, "unexplained": 0.01}, "not white"),
    ],
)
def test_each_doubt_is_said_in_words(change, words):
    assert GOOD.doubt() is None and GOOD.doubt_about_rest() is None
    changed = Evidence(**{**vars(GOOD), **change})
    assert words in (changed.doubt() or changed.doubt_about_rest() or "")


def test_a_doubt_says_whose_kernel_leaves_so_much():
    assert "search's simpler kernel" in (Evidence(**{**vars(GOOD), "unexplained": 0.13}).doubt_about_rest() or "")
    assert "explained by the kernel at the defects" in (doubt_about_rest(0.13, 1.0, 0.03) or "")


def test_what_is_almost_nothing_need_not_be_white():
    assert Evidence(500.0, 20, 0.0005, 300.0, noise=0.0).doubt_about_rest() is None
    assert Evidence(500.0, 20, 0.0005, 300.0, noise=0.5).doubt_about_rest() is not None


def test_a_lattice_is_one_and_scattered_defects_are_none():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:64, :64].astype(float)
    lattice = np.cos(2 * np.pi * x / 7.3) + np.cos(2 * np.pi * (0.8 * y + 0.3 * x) / 7.1) + 0.3 * rng.standard_normal((64, 64))
    scattered = sum(
        np.cos(0.9 * np.hypot(x - px, y - py)) * np.exp(-np.hypot(x - px, y - py) / 8) for px, py in rng.uniform(0, 63, (25, 2))
    )
    assert "lattice" in (repeats_itself(prepare_layers(lattice[None].astype(np.float32))) or "")
    assert repeats_itself(prepare_layers(scattered[None].astype(np.float32))) is None


def test_the_far_correlation_of_a_doubled_map_is_one():
    tile = np.random.default_rng(4).standard_normal((20, 32))
    tile -= tile.mean(axis=1, keepdims=True)
    layers = prepare_layers(np.vstack([tile, tile])[None].astype(np.float32))
    correlations, inside = far_correlations(layers)
    assert inside[20, 0] and correlations[20, 0] == pytest.approx(1, abs=0.02)
    # One translation is what two groups of defects share by chance; a lattice has many.
    assert repeats_itself(layers) is None


def test_noise_is_no_lattice():
    noise = np.random.default_rng(6).standard_normal((1, 64, 64)).astype(np.float32)
    assert repeats_itself(prepare_layers(noise)) is None


@pytest.mark.parametrize("count, words", [(1, "One defect explains"), (6, None)])
def test_a_list_is_doubted_where_one_of_its_defects_explains_the_map(count, words):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:48, :48].astype(float)
    places = np.array([[20.0, 24.0], [8.0, 35.0], [37.0, 9.0], [30.0, 40.0], [12.0, 10.0], [42.0, 27.0]])
    clean = sum(np.cos(0.9 * np.hypot(x - px, y - py)) * np.exp(-np.hypot(x - px, y - py) / 6) for px, py in places[:count])
    layers = prepare_layers((clean + 0.02 * rng.standard_normal((48, 48)))[None].astype(np.float32))
    step = KernelStep(FilterBank(BankShape(0, 30.0, 1.0, 1, spot=True), layers.shape), layers)
    activation = np.zeros((48, 48), dtype=np.float32)
    columns, rows = places.astype(int).T
    activation[rows, columns] = 1
    doubt = doubt_about_number(on_grid(scored(step, activation)))
    assert doubt is None if words is None else words in doubt
