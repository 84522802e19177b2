"""Lists of one point a line as maps on their grid, and tables that are none."""

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.maps import load_map
from tests.maps.written import written_files as written

HEIGHT, WIDTH = 8, 10
Z = written.asymmetric(HEIGHT, WIDTH, seed=1).astype(float)
DIDV = written.asymmetric(HEIGHT, WIDTH, seed=2).astype(float)


def points(dx=0.5, dy=0.25, origin=(3.0, -2.0), order=None, turn=0.0):
    """Rows x, y, z, dI/dV; the first row of the maps is that of the largest y."""
    row, column = np.divmod(np.arange(HEIGHT * WIDTH), WIDTH)
    u, v = column * dx, (HEIGHT - 1 - row) * dy
    x, y = u * np.cos(turn) - v * np.sin(turn) + origin[0], u * np.sin(turn) + v * np.cos(turn) + origin[1]
    table = np.stack([x, y, Z.ravel(), DIDV.ravel()], axis=1)
    return table if order is None else table[order]


def text(table, heading, delimiter=" ", decimal="."):
    lines = [delimiter.join(f"{value:.9g}".replace(".", decimal) for value in row) for row in table]
    return "\n".join([*([heading] if heading else []), *lines]).encode()


@pytest.mark.parametrize(
    ("heading", "delimiter", "decimal"),
    [
        ("# x(nm) y(nm) z(pm) dIdV(S)", " ", "."),
        ("x_nm,y_nm,z_pm,dIdV (S)", ",", "."),
        ("X [nm]\tY [nm]\tz [pm]\tdIdV [S]", "\t", "."),
        ("% x/nm;y/nm;z (pm);dIdV (S)", ";", ","),
    ],
)
@pytest.mark.parametrize("order", ["rows", "columns", "from below", "any"])
def test_a_list_of_points_in_any_order_and_dress(heading, delimiter, decimal, order):
    indices = np.arange(HEIGHT * WIDTH)
    chosen = {
        "rows": indices,
        "columns": indices.reshape(HEIGHT, WIDTH).T.ravel(),
        "from below": indices.reshape(HEIGHT, WIDTH)[::-1].ravel(),
        "any": np.random.default_rng(0).permutation(indices),
    }[order]
    scan = load_map(text(points(order=chosen), heading, delimiter, decimal), "list.txt")
    assert scan.channels == ("z (pm)", "dIdV (S)") and scan.default_channel == "dIdV (S)" and scan.unit() == "S"
    np.testing.assert_allclose(scan.layer("z (pm)"), Z, rtol=1e-6)
    np.testing.assert_allclose(scan.layer(), DIDV, rtol=1e-6)
    assert scan.pixel_size_nm == pytest.approx((0.25, 0.5)) and any("y upwards" in note for note in scan.notes)


def test_metres_a_turned_frame_missing_points_and_repeats():
    table = points(dx=1e-9, dy=1e-9, origin=(0, 0))
    scan = load_map(text(table, "# x (m) y (m) z (m) dIdV (S)"), "list.xyz")
    assert scan.pixel_size_nm == pytest.approx((1.0, 1.0))
    turned = points(turn=0.4).reshape(HEIGHT, WIDTH, 4)[::-1].reshape(-1, 4)
    np.testing.assert_allclose(load_map(text(turned, "x_nm,y_nm,z,didv", ","), "list.csv").layer("z"), Z, rtol=1e-6)
    twice = np.concatenate([table[:-7], table[:20] * [1, 1, 3, 1]])
    holed = load_map(text(twice, "# x (m) y (m) z (m) dIdV (S)"), "list.xyz").layer("z (m)")
    expected = Z.copy().ravel()
    expected[-7:], expected[:20] = np.nan, 2 * expected[:20]
    np.testing.assert_allclose(holed.ravel(), expected, rtol=1e-6)


def test_without_names_the_grid_itself_tells():
    scan = load_map(text(points(), ""), "list.txt")
    assert scan.shape == (HEIGHT, WIDTH) and scan.channels == ("column 3", "column 4") and not scan.pixel_size_known
    np.testing.assert_allclose(scan.layer("column 4"), DIDV, rtol=1e-6)
    metres = load_map(text(points(1e-9, 2e-9, (0, 0)), ""), "list.txt")
    assert metres.pixel_size_nm == pytest.approx((2.0, 1.0)) and any("read as metres" in note for note in metres.notes)
    noise = np.random.default_rng(3).normal(size=(80, 4))
    np.testing.assert_allclose(load_map(text(noise, ""), "map.txt").layer(), noise, rtol=1e-6)
    np.testing.assert_allclose(load_map(text(noise, "# made by hand today once"), "map.txt").layer(), noise, rtol=1e-6)


def test_a_column_of_the_bias_makes_a_stack():
    table = points()
    rows = [[x, y, bias, z * bias] for x, y, z, _ in table for bias in (-0.2, 0.1, 0.3)]
    scan = load_map(text(rows, "# x(nm) y(nm) Bias(V) I(nA)"), "list.txt")
    assert scan.channels == ("I (nA)",) and scan.bias_mv == pytest.approx([-200, 100, 300])
    for bias in (-0.2, 0.1, 0.3):
        np.testing.assert_allclose(scan.layer(bias_mv=1e3 * bias), Z * bias, rtol=1e-6)


@pytest.mark.parametrize(
    ("heading", "factor"),
    [
        ("# x(nm) y(nm) V_bias(V) I(nA)", 1e3),
        ("x_nm y_nm bias_mV I", 1),
        ("x_nm y_nm E_meV I", 1),
        ("x_nm y_nm Energy(eV) I", 1e3),
        ("x(nm) y(nm) U(V) I", 1e3),
        ("x(nm) y(nm) V I", None),
        ("x(nm) y(nm) s I", None),
        ("", None),
    ],
)
def test_energies_are_never_averaged(heading, factor):
    """A column that runs through the same values at every point makes layers, whatever it is called."""
    rows = np.array([[x, y, bias, z * bias] for x, y, z, _ in points() for bias in (-0.2, 0.1, 0.3)])
    order = np.random.default_rng(5).permutation(len(rows)) if heading else slice(None)
    scan = load_map(text(rows[order], heading), "list.txt")
    for layer, bias in zip(scan.stack(), (-0.2, 0.1, 0.3), strict=True):
        np.testing.assert_allclose(layer, Z * bias, rtol=1e-6)
    if factor is None:
        assert np.isnan(scan.bias_mv).all() and any("runs from -0.2 to 0.3" in warning for warning in scan.warnings)
    else:
        assert scan.bias_mv == pytest.approx(factor * np.array([-0.2, 0.1, 0.3])) and not scan.warnings


def test_columns_in_another_order_and_repeats_that_nothing_tells_apart():
    table = points()
    turned = load_map(text(table[:, [2, 1, 3, 0]], "z_pm,y_nm,dIdV,x_nm", ","), "list.csv")
    np.testing.assert_allclose(turned.layer("dIdV"), DIDV, rtol=1e-6)
    assert turned.pixel_size_nm == pytest.approx((0.25, 0.5)) and not turned.warnings
    twice = load_map(text(np.concatenate([table, table + [0, 0, 2, 2]]), "x_nm,y_nm,z,dIdV", ","), "list.csv")
    np.testing.assert_allclose(twice.layer("dIdV"), DIDV + 1, rtol=1e-5)
    assert any("up to 2 times" in warning and "averaged" in warning for warning in twice.warnings)
    ratio = load_map(text(table, "x_nm,y_nm,I/V,dI/dV", ","), "list.csv")
    assert ratio.channels == ("I/V", "dI/dV")


def test_named_points_on_no_grid_are_refused():
    table = np.random.default_rng(4).uniform(size=(80, 4))
    with pytest.raises(InputError, match="no regular grid"):
        load_map(text(table, "# x(m) y(m) z(m) dIdV(S)"), "list.txt")
