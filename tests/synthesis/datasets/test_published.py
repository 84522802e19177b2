"""The published CSV layout: files written here from the formula come back with the right axes, centre and parameters."""

import csv

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.synthesis.datasets.dataset_files import OUT_OF_DOMAIN
from qpi_core.synthesis.datasets.dataset_reader import KernelDataset
from qpi_core.synthesis.datasets.published import convert_file, import_published, read_published

SIDE, MOST, HALF_FIELD = 32, 6, 40.0
AXIS = np.linspace(-HALF_FIELD, HALF_FIELD, SIDE)
PITCH = 2 * HALF_FIELD / (SIDE - 1)


def formula(dx, dy, order, turn=0.4, wavenumber=0.25, phase=0.6, decay=0.004):
    """Eq. 7 in Angstrom."""
    r, theta = np.hypot(dx, dy), np.arctan2(dy, dx)
    return 3.0 * np.sin(order / 2 * theta + turn) ** 2 * np.sin(wavenumber * r + phase) ** 2 * np.exp(-decay * r**2)


def one_sided(dx, dy, order):
    """A kernel that Eq. 7 does not describe."""
    return formula(dx, dy, order) + np.exp(-((dx - 12) ** 2 + dy**2) / 80)


def write_csv(path, order, pattern=formula, x_first=True, observations=8, seed=0):
    """Write a file as the documentation of the data set describes it; returns the positions in Angstrom."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(AXIS, AXIS, indexing="ij")
    flat = (lambda image: image.T.ravel()) if x_first else np.ravel
    rows = [[SIDE, MOST], list(AXIS), [*flat(pattern(x, y, order)), 0, 0, *[1000] * (2 * MOST - 2)]]
    positions = []
    for _ in range(observations):
        points = rng.uniform(-0.6 * HALF_FIELD, 0.6 * HALF_FIELD, (int(rng.integers(1, MOST + 1)), 2))
        image = sum(pattern(x - px, y - py, order) for px, py in points)
        rows.append([*flat(image), *points.ravel(), *[1000] * (2 * (MOST - len(points)))])
        positions.append(points)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return positions


@pytest.mark.parametrize("x_first", [True, False])
@pytest.mark.parametrize("order", [0, 3, 4])
def test_conversion_against_the_formula(tmp_path, x_first, order):
    written = write_csv(tmp_path / "a.csv", order, x_first=x_first)
    shard = convert_file(tmp_path / "a.csv", OUT_OF_DOMAIN)
    assert shard.symmetry_order == order
    assert shard.parameters.wavenumber == pytest.approx(2.5, rel=1e-6)
    assert shard.parameters.decay == pytest.approx(0.4, rel=1e-6)
    # Centre on the pixel SIDE // 2, although r = 0 lies between two pixels of the file.
    offsets = (np.arange(SIDE) - SIDE // 2) * PITCH
    expected = formula(offsets[None, :], offsets[:, None], order)
    away = np.hypot(offsets[None, :], offsets[:, None]) > 0.1
    np.testing.assert_allclose(shard.kernel[away], expected[away], atol=1e-4)
    for points, positions, image in zip(written, shard.positions, shard.observations, strict=True):
        np.testing.assert_allclose(positions, (points + HALF_FIELD) / PITCH, atol=1e-9)
        rows, columns = np.mgrid[:SIDE, :SIDE]
        again = sum(formula((columns - x) * PITCH, (rows - y) * PITCH, order) for x, y in positions)
        np.testing.assert_allclose(image, again, atol=1e-4)


def test_kernels_outside_the_formula_are_moved_by_splines(tmp_path):
    write_csv(tmp_path / "a.csv", 2, pattern=one_sided, x_first=True)
    shard = convert_file(tmp_path / "a.csv", OUT_OF_DOMAIN)
    assert shard.parameters is None and shard.symmetry_order is None
    offsets = (np.arange(SIDE) - SIDE // 2) * PITCH
    x, y = np.meshgrid(offsets, offsets)
    expected = one_sided(x, y, 2)
    # Not at the cusp of Eq. 7, where no interpolation is exact, nor at the border, where the file ends.
    inner = (np.hypot(x, y) > 3 * PITCH) & (np.abs(x) < 35) & (np.abs(y) < 35)
    np.testing.assert_allclose(shard.kernel[inner], expected[inner], atol=0.05)
    assert np.sqrt(np.mean((shard.kernel - expected.T)[inner] ** 2)) > 0.1


@pytest.mark.slow
def test_a_folder_becomes_a_data_set(tmp_path):
    source = tmp_path / "csv"
    source.mkdir()
    for number in range(1, 6):
        write_csv(source / f"Kernel number{number} x.csv", [0, 2][number % 2], seed=number, observations=5)
    import_published(source, tmp_path / "out", progress=False)
    dataset = KernelDataset(tmp_path / "out")
    assert len(dataset) == 25
    assert dataset.manifest["plan"]["files"][1] == "Kernel number2 x.csv"
    assert dataset.pixel_size_nm == pytest.approx(PITCH / 10)
    tested = dataset.kernels(test=True)
    assert len(tested) == 1 and tested[0].symmetry_order in (0, 2)
    before = (tmp_path / "out" / "kernel-0004.npz").stat().st_mtime_ns
    import_published(source, tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "kernel-0004.npz").stat().st_mtime_ns == before


def test_rows_are_read_one_at_a_time(tmp_path):
    write_csv(tmp_path / "a.csv", 4)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("1,2,3\n")
    header, rows = read_published(tmp_path / "a.csv")
    assert (header.resolution, header.most_scatterers, header.origin_px) == (SIDE, MOST, pytest.approx(15.5))
    assert next(rows).positions == pytest.approx(np.array([[15.5, 15.5]]))
    for _ in range(8):
        next(rows)
    with pytest.raises(InputError, match="a.csv, row 12: 3 values"):
        next(rows)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "row 1"),
        ("64\n", "row 1"),
        ("1e12,100\n", "row 1"),
        ("64,100\n1,2,3\n", "row 2"),
        ("8,1\n" + ",".join("11111111") + "\n", "row 2"),
        ("8,1\n0,1,2,3,4,5,6,7\n", "row 3"),
        ("8,1\n0,1,2,3,4,5,6,seven\n", "row 2: a cell is not a number"),
        ("8,1\n0,1,2,3,4,5,6,7\n" + ",".join(["nan"] * 66), "row 3: a value is not finite"),
        ("8,1\n0,1,2,3,4,5,6,7\n" + ",".join(["1"] * 66), "row 4"),
    ],
)
def test_wrong_files_get_a_sentence(tmp_path, text, word):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=word):
        convert_file(tmp_path / "bad.csv", OUT_OF_DOMAIN)


def test_observations_that_do_not_belong_to_the_kernel_are_refused(tmp_path):
    write_csv(tmp_path / "a.csv", 4)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    noise = np.random.default_rng(0).standard_normal(SIDE * SIDE)
    lines[2] = ",".join([*map(str, noise), *lines[2].split(",")[SIDE * SIDE :]])
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="does not give the observations"):
        convert_file(tmp_path / "a.csv", OUT_OF_DOMAIN)


def test_wrong_folders_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        import_published(tmp_path / "none", tmp_path / "out")
    with pytest.raises(InputError, match="no .csv file"):
        import_published(tmp_path, tmp_path / "out")
