"""The verdict on scenes whose right verdict is known."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from qpi_core import load_extractor
from qpi_core.diagnostics.verdict import RULES, Remedy, Trust, verdict_of
from qpi_core.diagnostics.window import LARGEST_WINDOW
from qpi_core.estimates.caution import Caution, CautionKind, caution_records, cautions_again, kind_of
from qpi_core.results.files import sidecar_bytes
from qpi_core.synthesis.simulated_maps.scenes import draw_scene, simulate_observation
from qpi_core.workflows.map_sentences import verdict_sentences

EXTRACTOR = load_extractor(device="cpu")
SCENE = draw_scene(5000, 5, 0.2)
RIGHT = SCENE.positions


def extract(observation=SCENE.observation, positions=RIGHT, method=None, kernel_size=64, **more):
    estimate = EXTRACTOR.extract(observation, positions, method, kernel_size, pixel_size_nm=SCENE.pixel_size_nm, with_latent=False, **more)
    assert all(isinstance(sentence, Caution) for sentence in estimate.warnings), "every sentence knows its kind"
    return estimate


def background():
    y, x = np.mgrid[:64, :64]
    return (2 * SCENE.observation.std() * np.sin(x / 20) * np.cos(y / 25)).astype(np.float32)


@pytest.mark.slow
def test_a_right_list_is_trusted_and_a_movement_of_a_fraction_of_a_pixel_is_no_reason_against_it():
    moved = extract(positions=RIGHT + np.random.default_rng(1).normal(0, 0.02, RIGHT.shape), refine_positions=True)
    assert any(kind_of(sentence) is CautionKind.MOVED for sentence in moved.warnings)
    for estimate in (extract(), moved):
        verdict = verdict_of(estimate)
        assert (verdict.trust, verdict.remedy) == (Trust.TRUST, None) and "31 defects" in verdict.reason and "noise" in verdict.reason


def test_noise_is_not_to_be_used():
    noise = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    for method in ("refined", "tikhonov"):
        verdict = verdict_of(extract(noise, method=method))
        assert (verdict.trust, verdict.remedy) == (Trust.DO_NOT_USE, Remedy.FIND_DEFECTS)


def test_a_constant_map_is_not_to_be_used():
    verdict = verdict_of(extract(np.ones((64, 64))))
    assert (verdict.trust, verdict.kind, verdict.remedy) == (Trust.DO_NOT_USE, CautionKind.CONSTANT_MAP, None)


def test_a_window_that_cuts_is_mended_by_the_window_that_it_names():
    verdict = verdict_of(extract(kernel_size=16))
    assert (verdict.trust, verdict.remedy) == (Trust.DOUBT, Remedy.ENLARGE_WINDOW) and 16 < verdict.value <= 64
    assert verdict_of(extract(kernel_size=int(verdict.value))).trust is Trust.TRUST


def test_no_window_is_proposed_that_cannot_be_chosen():
    estimate = extract(kernel_size=16)
    cut = Caution("The kernel window cuts the pattern.", CautionKind.WINDOW_CUTS, 512)
    large = np.zeros((600, 600), dtype=np.float32)
    verdict = verdict_of(replace(estimate, warnings=(cut,), reconstruction=large, residual=large))
    assert (verdict.remedy, verdict.value) == (Remedy.ENLARGE_WINDOW, LARGEST_WINDOW)


@pytest.mark.slow
def test_missing_defects_are_mended_by_the_list_that_it_names():
    estimate = extract(positions=RIGHT[4:])
    verdict = verdict_of(estimate)
    assert (verdict.trust, verdict.remedy) == (Trust.DOUBT, Remedy.ADOPT_LIST)
    assert verdict_of(extract(positions=estimate.provenance["list_repair"]["positions_px"])).trust is Trust.TRUST


@pytest.mark.slow
def test_defects_that_a_noise_model_took_for_background_are_told_and_looked_for():
    """Two of five are listed; what the other three leave passes for coloured noise, beside which the residual is white."""
    pattern = {"symmetry_order": 6, "orientation": 0.3, "wavenumber": 3.0, "phase": 0.5, "decay": 0.2}
    places = np.array([[12.0, 20.0], [40.0, 15.0], [30.0, 44.0], [52.0, 50.0], [8.0, 55.0]])
    observation = simulate_observation(pattern, places, (64, 64), noise_sigma=0.05, rng=3)
    verdict = verdict_of(extract(observation, places[:2], kernel_size=32))
    assert (verdict.trust, verdict.kind, verdict.remedy) == (Trust.DOUBT, CautionKind.UNLISTED_PATTERNS, Remedy.FIND_MISSING)
    # Three are enough for a kernel that finds the others by itself.
    mended = extract(observation, places[:3], kernel_size=32)
    assert verdict_of(mended).remedy is Remedy.ADOPT_LIST and mended.provenance["list_repair"]["added"] == 2
    assert verdict_of(extract(observation, places, kernel_size=32)).trust is Trust.TRUST


@pytest.mark.slow
def test_a_background_is_mended_by_modelling_it():
    observation = SCENE.observation + background()
    verdict = verdict_of(extract(observation, noise_model="white"))
    assert verdict.trust is not Trust.TRUST and verdict.remedy is Remedy.MODEL_NOISE
    modelled = verdict_of(extract(observation))
    assert modelled.trust is Trust.TRUST and any(kind_of(one) is CautionKind.MODELLED for one in modelled.others)


def test_a_mark_set_twice_is_told():
    verdict = verdict_of(extract(positions=np.concatenate([RIGHT, RIGHT[:1]]), method="tikhonov"))
    assert (verdict.trust, verdict.remedy) == (Trust.DOUBT, Remedy.MERGE_DUPLICATES)


def test_one_defect_and_an_average_of_crops_are_doubtful():
    alone = draw_scene(5000, 5, 0.2, count=1)
    assert verdict_of(extract(alone.observation, alone.positions)).trust is Trust.DOUBT
    uneven = alone.observation + np.float32(0.2) * background()
    told = verdict_of(extract(uneven, alone.positions, "tikhonov", noise_model="white"))
    assert told.remedy is not Remedy.MODEL_NOISE, "its rings would go into the background"
    apart = draw_scene(5000, 2, 0.2, count=3)
    average = verdict_of(extract(apart.observation, apart.positions, "defect_average"))
    assert average.trust is not Trust.TRUST and average.remedy is Remedy.USE_REFINED


def test_side_car_and_command_line_carry_it():
    estimate = extract(method="defect_average")
    written = json.loads(sidecar_bytes(estimate))
    assert written["verdict"]["trust"] == "do not use" and written["verdict"]["about"] == CautionKind.WORSE_THAN_NOTHING.value
    kinds = [record["kind"] for record in written["warning_kinds"]]
    assert written["verdict"]["reason"] == written["warnings"][kinds.index("worse than nothing")]
    assert verdict_sentences(estimate)[0].startswith("Verdict: do not use. The residual")


def test_a_sentence_keeps_its_kind_through_files_and_processes():
    caution = Caution("The window cuts.", CautionKind.WINDOW_CUTS, 31)
    again = pickle.loads(pickle.dumps(caution))
    assert (again, again.kind, again.value) == ("The window cuts.", CautionKind.WINDOW_CUTS, 31)
    (kept,) = cautions_again(["The window cuts."], json.loads(json.dumps(caution_records([caution]))))
    assert isinstance(kept, Caution) and (kept, kept.kind, kept.value) == (caution, caution.kind, caution.value)
    assert kind_of(cautions_again(["older"], [])[0]) is CautionKind.OTHER is kind_of("plain")


def test_every_kind_has_its_rule():
    assert set(RULES) == set(CautionKind)
