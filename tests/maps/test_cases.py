"""Small files that failed in a trial, with the right values that stand beside them in EXPECTED.txt."""

import numpy as np
import pytest

from qpi_core.maps import load_map
from tests.maps.written_files import DATA

CASES = DATA / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the folder shared/data/cases is not beside the project")


@pytest.mark.parametrize("name", ["linear_leftover_same_points.3ds", "linear_leftover_other_points.3ds"])
def test_energies_of_a_linear_sweep(name):
    scan = load_map(CASES / name)
    np.testing.assert_allclose(scan.bias_mv, np.linspace(200, -100, 64), atol=1e-4)
    assert any("-1000 to 1000 mV" in warning for warning in scan.warnings)
