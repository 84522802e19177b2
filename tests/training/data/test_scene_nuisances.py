"""Training scenes with what measured maps add: off by default, levels within their ranges, lists and kernels that belong together."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.cli.train import _require_same_run
from qpi_core.synthesis.nuisances.row_noise import Streaks
from qpi_core.synthesis.nuisances.second_kind import SecondKind
from qpi_core.synthesis.nuisances.strengths import FlippedSigns, UnequalStrengths
from qpi_core.synthesis.simulated_maps.measured_recipe import MeasuredRecipe
from qpi_core.training.data.scene_nuisances import draw_nuisances, measured_map
from qpi_core.training.data.scene_stream import draw_training_scene
from qpi_core.training.data.streams import KernelShares, draw_pattern
from qpi_core.training.recipes import PRESETS

MIXED = KernelShares(equation_7=0.6, splines=0.2)


def test_other_scenes_are_those_of_the_stream_without_nuisances():
    changed = 0
    for index in range(16):
        plain, some = draw_training_scene(3, index, (48, 56), MIXED), draw_training_scene(3, index, (48, 56), MIXED, nuisance_share=0.5)
        again = draw_training_scene(3, index, (48, 56), MIXED, nuisance_share=0.5)
        np.testing.assert_array_equal(some.observation, again.observation)
        if np.array_equal(plain.observation, some.observation):
            np.testing.assert_array_equal(plain.positions, some.positions)
        else:
            changed += 1
            np.testing.assert_allclose(np.abs(plain.kernel), np.abs(some.kernel))
        assert np.isfinite(some.observation).all() and len(some.positions) >= 1
        assert (some.positions >= -0.5).all() and (some.positions <= [55.5, 47.5]).all()
    assert 3 <= changed <= 13


def test_drawn_nuisances_fill_their_ranges_and_make_recipes():
    drawn = [draw_nuisances(np.random.default_rng(seed), 40) for seed in range(800)]
    for nuisances in drawn:
        MeasuredRecipe(nuisances)
        assert nuisances and not {FlippedSigns, UnequalStrengths} <= {type(item) for item in nuisances}
    levels = [item.level for nuisances in drawn for item in nuisances if isinstance(item, Streaks)]
    assert 0.3 < len(levels) / len(drawn) < 0.5
    assert 0.05 <= min(levels) < 0.08 and 0.7 < max(levels) <= 1.0
    # Log-uniform: the median is the geometric mean of the ends.
    assert np.median(levels) == pytest.approx(np.sqrt(0.05), rel=0.2)
    few = [type(item) for seed in range(300) for item in draw_nuisances(np.random.default_rng(seed), 5)]
    assert not {FlippedSigns, SecondKind} & set(few)


def test_lists_leave_out_a_second_kind_and_signs_are_told():
    rng, white = np.random.default_rng(1), np.zeros((64, 64))
    drawn = draw_pattern(rng, KernelShares(1.0))
    positions = rng.uniform(5, 58, (30, 2))
    found = [measured_map((5, index), drawn, positions, white, 0.0, KernelShares(1.0)) for index in range(60)]
    assert {len(item.positions) for item in found} != {30}, "some lists leave out a second kind"
    assert all(item.sign == 1.0 for item in found)
    assert len({item.observation.tobytes() for item in found}) == 60


def test_the_share_belongs_to_a_run(tmp_path):
    recipe = PRESETS["smoke"]
    assert recipe.nuisance_share == 0
    with pytest.raises(InputError, match="nuisance_share"):
        replace(recipe, nuisance_share=1.5)
    (tmp_path / "kernel-vae").mkdir()
    (tmp_path / "kernel-vae" / "state.safetensors").write_bytes(b"")
    held = {"seed": 7, "recipe": asdict(recipe), "dataset": None}
    older = {**held, "recipe": {key: value for key, value in held["recipe"].items() if key != "nuisance_share"}}
    asked = {**held, "recipe": asdict(replace(recipe, nuisance_share=0.3))}
    for before in (held, older):
        (tmp_path / "run.json").write_text(json.dumps(before))
        _require_same_run(tmp_path, held)
        with pytest.raises(InputError, match="--nuisance-share 0.0, not 0.3"):
            _require_same_run(tmp_path, asked)
