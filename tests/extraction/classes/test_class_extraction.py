"""Several classes of defects through the public interface: parts, refusals, warnings, and the same again from the side-car."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.extraction.classes import class_methods
from qpi_core.extraction.classes.class_methods import CLASS_METHODS
from qpi_core.extraction.extractor import Extractor
from qpi_core.extraction.methods import METHODS
from qpi_core.operators.reconstruction import reconstruct
from qpi_core.results.script import python_snippet
from qpi_core.solvers.harmonic.joint.start import DefectClass
from qpi_core.solvers.positions.catalogue.repaired_positions import RepairedList
from qpi_core.synthesis.simulated_maps.scenes import simulate_observation

SIZE = 11


def pattern(dx, dy, turn):
    return np.exp(-(dx**2 + dy**2) / 12.0) * np.cos(0.9 * (np.cos(turn) * dx + np.sin(turn) * dy) + turn)


def scene(counts=(8, 6), noise=0.05, shape=(30, 33), seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    positions = np.stack([rng.integers(0, shape[1], sum(counts)), rng.integers(0, shape[0], sum(counts))], axis=1).astype(float)
    classes = ["up" if k < counts[0] else "down" for k in range(sum(counts))]
    clean = sum(pattern(x - px, y - py, 0.4 if c == "up" else 1.9) for c, (px, py) in zip(classes, positions, strict=True))
    return (7.0 + clean + noise * clean.std() * rng.standard_normal(shape)).astype(np.float32), positions, classes


def truth(turn):
    return pattern(*np.meshgrid(np.arange(SIZE) - SIZE // 2, np.arange(SIZE) - SIZE // 2), turn)


@pytest.fixture(scope="module")
def extractor():
    return Extractor("no-such-model", device="cpu")


@pytest.fixture(scope="module")
def tikhonov(extractor):
    image, positions, classes = scene(noise=0.02)
    return image, positions, classes, extractor.extract_classes(image, positions, classes, "tikhonov", SIZE)


def test_every_class_has_its_kernel_and_all_share_the_rest(extractor, tikhonov):
    image, positions, classes, found = tikhonov
    assert found.names == ("up", "down") and found.classes == tuple(classes)
    for name, turn in (("up", 0.4), ("down", 1.9)):
        expected, alone = truth(turn), extractor.extract(image, found[name].positions, "tikhonov", SIZE)
        error, ignoring = (np.sqrt(np.mean((one.kernel - expected) ** 2)) for one in (found[name], alone))
        assert error < 0.5 * ignoring
        np.testing.assert_array_equal(found[name].positions, positions[np.array(classes) == name])
        assert found[name].reconstruction is found.reconstruction and found[name].noise_sigma == found.noise_sigma
    parts = [reconstruct(e.wide_kernel, 0.0, e.positions, e.weights, image.shape) for e in found.estimates.values()]
    np.testing.assert_allclose(found.reconstruction, parts[0] + parts[1] + found.background, atol=1e-5)
    np.testing.assert_allclose(found.reconstruction + found.residual, image, atol=1e-5)


def test_the_side_car_of_one_class_makes_all_of_them_again(tikhonov, tmp_path, monkeypatch):
    image, _, _, found = tikhonov
    np.save(tmp_path / "map.npy", image)
    monkeypatch.chdir(tmp_path)
    again = {}
    exec(python_snippet(found["down"].with_source({"name": "map.npy"})), again)  # noqa: S102
    np.testing.assert_array_equal(again["estimate"].kernel, found["down"].kernel)


def test_averages_are_those_of_the_single_classes_on_a_common_background(extractor):
    image, positions, classes = scene()
    found = extractor.extract_classes(image, positions, classes, "defect_average", SIZE)
    for name in found.names:
        own = extractor.extract(image, positions[np.array(classes) == name], "defect_average", SIZE)
        np.testing.assert_array_equal(found[name].kernel, own.kernel)
    assert abs(float(np.nanmean(found.residual))) < 1e-4 and found.noise_sigma == pytest.approx(float(found.residual.std()), rel=1e-4)


def test_one_class_is_the_plain_extraction_to_the_last_byte(extractor):
    image, positions, _ = scene()
    found = extractor.extract_classes(image, positions, [1] * len(positions), "tikhonov", SIZE)
    plain = extractor.extract(image, positions, "tikhonov", SIZE)
    assert isinstance(found, ClassEstimates) and found["1"].provenance == plain.provenance
    np.testing.assert_array_equal(found["1"].kernel, plain.kernel)


def test_a_constant_map_has_no_kernels(extractor):
    _, positions, classes = scene()
    found = extractor.extract_classes(np.full((30, 33), 2.0), positions, classes, "harmonic", SIZE)
    assert not found["up"].kernel.any() and not found["down"].kernel.any() and found.background == 2.0


def test_warnings_name_what_the_map_cannot_tell(extractor):
    image, positions, _ = scene(counts=(8, 1))
    positions[8] = positions[0] + 0.2
    found = extractor.extract_classes(image, positions, ["a"] * 8 + ["b"], "defect_average", SIZE)
    assert any("1 of the 8 defects of the class a are within" in sentence for sentence in found.warnings)
    assert any("class b has only 1 defect" in sentence for sentence in found.warnings)


def test_every_method_knows_several_classes():
    assert set(CLASS_METHODS) == set(METHODS)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"classes": ["a"] * 3}, "3 entries for 14"),
        ({"classes": "ab"}, "list"),
        ({"classes": ["a"] * 13 + [" "]}, "empty"),
        ({"classes": list(range(14))}, "at most 12"),
        ({"weights": [1.0] * 8 + [0.0] * 6}, "'down'"),
        ({"method": "two_step"}, "model"),
    ],
)
def test_bad_input_is_one_sentence(extractor, changed, word):
    image, positions, classes = scene()
    values = {"classes": classes, "method": "tikhonov", "kernel_size": SIZE, **changed}
    with pytest.raises(InputError, match=word):
        extractor.extract_classes(image, positions, **values)


@pytest.mark.slow
def test_the_map_moves_the_defects_of_every_class_by_its_own_kernel(extractor, monkeypatch):
    monkeypatch.setattr("qpi_core.extraction.classes.class_extraction._REFINEMENT_SWEEPS", 1)
    rng, classes = np.random.default_rng(4), ["up"] * 5 + ["down"] * 4
    positions = np.array([[5, 6], [30, 8], [18, 20], [7, 31], [33, 30], [17, 5], [6, 18], [31, 19], [20, 33.0]]) + rng.uniform(
        -0.5, 0.5, (9, 2)
    )
    kernels = {"up": {"symmetry_order": 4, "wavenumber": 3.0}, "down": {"symmetry_order": 3, "wavenumber": 4.4}}
    image = sum(
        simulate_observation({"decay": 0.5, **kernels[name]}, positions[np.array(classes) == name], (38, 40), 10 / 64) for name in kernels
    )
    image += 0.02 * image.std() * rng.standard_normal(image.shape)
    clicked = positions + rng.normal(0, 0.4, positions.shape)
    found = extractor.extract_classes(image, clicked, classes, "defect_average", SIZE, refine_positions=True)
    before, after = (np.median(np.hypot(*(one - positions).T)) for one in (clicked, found.positions))
    assert after < 0.5 * before
    for name in found.names:
        given = found[name].provenance["refinement"]["given_positions_px"]
        np.testing.assert_array_equal(given, clicked[np.array(classes) == name])
        np.testing.assert_array_equal(found[name].positions, found.positions[np.array(classes) == name])


@pytest.mark.slow
def test_a_job_can_stop_between_the_rounds_that_move_the_defects():
    class Enough(Exception):
        pass

    seen: list[tuple[float, str]] = []

    def report(share: float, words: str) -> None:
        seen.append((share, words))
        if "moving class 2 of 2" in words:
            raise Enough

    rng = np.random.default_rng(0)
    observation = rng.standard_normal((40, 40)).astype(np.float32)
    with pytest.raises(Enough):
        Extractor("there is no such model", device="cpu").extract_classes(
            observation, [[8, 8], [20, 30], [30, 10], [12, 25]], list("AABB"), "harmonic", 16, True, report=report
        )
    assert [share for share, _ in seen] == sorted(share for share, _ in seen) and seen[-1][0] < 0.6


@pytest.mark.parametrize("value", [7.3, -1e-9])
@pytest.mark.parametrize("method", ["defect_average", "tikhonov", "harmonic", "refined"])
def test_a_map_that_is_constant_to_rounding_has_no_kernel_with_or_without_classes(extractor, value, method):
    _, positions, classes = scene()
    image = (value * (1 + 1e-7 * np.random.default_rng(5).standard_normal((30, 33)))).astype(np.float32)
    assert len(np.unique(image)) > 1
    found = extractor.extract_classes(image, positions, classes, method, SIZE)
    for estimate in (*found.estimates.values(), extractor.extract(image, positions, method, SIZE)):
        assert not estimate.kernel.any() and any("constant" in warning for warning in estimate.warnings)
        assert estimate.background == pytest.approx(value, rel=1e-6)


@pytest.mark.slow
def test_one_class_reports_and_stops_as_the_plain_extraction_does(extractor):
    image, positions, _ = scene()
    said, plain = [], []
    arguments = ("harmonic", SIZE, True)
    extractor.extract_classes(image, positions, ["A"] * len(positions), *arguments, report=lambda *step: said.append(step))
    extractor.extract(image, positions, *arguments, report=lambda *step: plain.append(step))
    assert said == plain and len(said) > 2

    class StopError(Exception):
        pass

    def stop(share, words):
        raise StopError

    with pytest.raises(StopError):
        extractor.extract_classes(image, positions, ["A"] * len(positions), *arguments, report=stop)


def waves(dx, dy, wave):
    radii = np.hypot(dx, dy)
    return np.exp(-((radii / 6) ** 2)) * np.cos(wave * radii)


@pytest.mark.slow
def test_a_list_with_classes_that_the_map_contradicts_is_repaired(extractor):
    """One defect of the second class is missing, and one of the first is not there."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:56, :60]
    positions = rng.uniform([3, 3], [56, 52], (16, 2))
    kinds = ["A", "B"] * 8
    clean = sum(waves(x - px, y - py, 0.5 if k == "A" else 1.0) for (px, py), k in zip(positions, kinds, strict=True))
    image = (clean + 0.3 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)
    listed, labels = np.vstack([positions[:-1], [[30.0, 27.0]]]), [*kinds[:-1], "A"]
    found = extractor.extract_classes(image, listed, labels, "refined", 21, noise_model="white")
    first, second = (found[name].provenance["list_repair"] for name in "AB")
    assert first["absent"] == [8] and first["added"] == 0 and second["added"] == 1 and not second["absent"]
    assert np.hypot(*(np.array(second["positions_px"])[-1] - positions[-1])) < 0.2
    np.testing.assert_array_equal(found.positions, listed)
    assert all(any("contradicts the list" in said for said in found[name].warnings) for name in "AB")
    offsets = np.arange(21) - 10
    for name, wave in (("A", 0.5), ("B", 1.0)):
        assert np.sqrt(np.mean((found[name].kernel - waves(offsets[None], offsets[:, None], wave)) ** 2)) < 0.02
    # The reconstruction is that of the list as given, and shows its errors.
    near = np.hypot(x - positions[-1, 0], y - positions[-1, 1]) < 3
    assert np.std(found.residual[near]) > 1.5 * np.std(found.residual[~near & (np.hypot(x - 30, y - 27) > 12)])


@pytest.mark.slow
def test_places_of_all_classes_are_found_along_with_a_background():
    rng, side = np.random.default_rng(12), 44
    places = rng.uniform(2, side - 3, (24, 2))
    names = ["A", "B"] * 12
    y, x = np.mgrid[:side, :side].astype(float)

    def kernel(name, dx, dy):
        radius = np.hypot(dx, dy)
        wave = np.cos(0.9 * radius + 0.3) if name == "A" else np.sin(1.4 * radius) * (1 + np.cos(4 * np.arctan2(dy, dx)))
        return wave * np.exp(-((radius / 7) ** 2))

    clean = sum(kernel(name, x - px, y - py) for (px, py), name in zip(places, names, strict=True))
    waves = clean.std() * 1.4 * np.sin(2 * np.pi * (x + 0.6 * y) / 40 + 1)
    image = (clean + waves + 0.15 * clean.std() * rng.standard_normal(clean.shape)).astype(np.float32)
    clicks = places + 0.5 * rng.standard_normal(places.shape)
    found = Extractor("none", device="cpu").extract_classes(image, clicks, names, "harmonic", 25, refine_positions=True)
    apart = np.hypot(*(found.positions - places).T)
    assert np.median(apart) < 0.2 < np.median(np.hypot(*(clicks - places).T))
    for name in "AB":
        record = found[name].provenance["refinement"]
        own = [k for k, label in enumerate(names) if label == name]
        np.testing.assert_allclose(record["given_positions_px"], clicks[own])
        np.testing.assert_allclose(record["moved_px"], np.hypot(*(found.positions - clicks)[own].T))
        assert np.all(np.array(record["deviation_px"]) > 0)
    assert "background_sigma" in found.noise_model


def test_strengths_that_belong_to_a_repaired_list_are_not_given_to_the_listed_defects(monkeypatch):
    def repair(requests):
        one, other = requests
        places = np.vstack([one.positions, [[20.0, 25.0]]])
        found = RepairedList(places, np.ones(4), 1, (), np.zeros(3), np.zeros(4), 50.0, 10.0)
        listed = DefectClass(places, np.ones(4)), DefectClass(other.positions, other.weights)
        return SimpleNamespace(repairs=(found, None), classes=listed, begun={})

    def corrected(requests, *_):
        answers = class_methods._tikhonov(None, requests)
        return [replace(answer, weights=2 * request.weights) for answer, request in zip(answers, requests, strict=True)]

    monkeypatch.setattr(class_methods, "_repair", repair)
    monkeypatch.setattr(class_methods, "_corrected", corrected)
    image = np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32)
    places = [[8, 8], [20, 30], [30, 10], [12, 25], [30, 30], [6, 20]]
    found = Extractor("none", device="cpu").extract_classes(image, places, list("AAABBB"), "refined", 16)
    np.testing.assert_array_equal(found.weights, np.ones(6))
    assert found.reconstruction.shape == image.shape and len(found["A"].provenance["list_repair"]["positions_px"]) == 4
