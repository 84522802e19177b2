"""The stack command as a user runs it: files, going on after a stop, and sentences instead of tracebacks."""

import csv
import json

import numpy as np
import pytest
from scipy.special import hankel1

from qpi_core.__main__ import main
from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.results.band_files import BAND_FILES
from qpi_core.results.stacks.layer_folder import LayerFolder
from qpi_core.results.stacks.stack_files import STACK_FILES
from qpi_core.synthesis.simulated_maps.scenes import superpose

PITCH, SIZE, SHAPE = 0.3, 24, (34, 36)
ENERGIES = np.array([60.0, 120.0, 180.0, 240.0, 300.0])


def wavenumber(energy):
    """Return k of a band from -65 meV with 0.4 electron masses."""
    return np.sqrt((energy + 65.0) * 0.4 / HBAR2_OVER_2M_MEV_NM2)


def pattern(energy):
    """Return the isotropic pattern of one defect in that band."""

    def values(dx, dy):
        r = np.hypot(np.hypot(dx, dy), 0.15)
        return -np.imag(np.exp(-1.2j) * hankel1(0, wavenumber(energy) * r) ** 2) * np.exp(-r / 8.0)

    return values


@pytest.fixture
def inputs(tmp_path):
    """Four layers and one that was not measured, with their defects."""
    positions = np.random.default_rng(3).uniform([0, 0], [SHAPE[1] - 1, SHAPE[0] - 1], (10, 2))
    layers = [superpose(pattern(energy), positions, SHAPE, PITCH) for energy in ENERGIES[:4]]
    stack = np.stack([*layers, np.full(SHAPE, np.nan)])
    np.save(tmp_path / "stack.npy", stack)
    np.savez(tmp_path / "energies.npz", didv=stack, bias_mv=ENERGIES)
    np.savetxt(tmp_path / "p.csv", positions, delimiter=",", header="x_px,y_px", comments="")
    return tmp_path


def stack(folder, *options, out="out", name="stack.npy"):
    arguments = [str(folder / name), "--positions", str(folder / "p.csv"), "--out", str(folder / out)]
    return main(["stack", *arguments, "--kernel-size", str(SIZE), "--pixel-size-nm", str(PITCH), "--quiet", *options])


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_kernels_uncertainty_dispersion_and_side_car(inputs, capsys):
    assert stack(inputs, "--method", "harmonic", "--level", "plane", name="energies.npz") == 0
    kernels = np.load(inputs / "out" / "kernels.npy")
    offsets = (np.arange(SIZE) - SIZE // 2) * PITCH
    for kernel, energy in zip(kernels[:4], ENERGIES[:4], strict=True):
        truth = pattern(energy)(offsets[None, :], offsets[:, None])
        assert np.corrcoef(kernel.ravel(), truth.ravel())[0, 1] > 0.99
    assert kernels.shape == (5, SIZE, SIZE) and np.isnan(kernels[4]).all()
    assert np.load(inputs / "out" / "uncertainty.npy").shape == kernels.shape
    with (inputs / "out" / "dispersion.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["bias_mv"]) for row in rows] == ENERGIES.tolist() and rows[4]["q_rad_per_nm"] == ""
    np.testing.assert_allclose([float(row["q_rad_per_nm"]) for row in rows[:4]], 2 * wavenumber(ENERGIES[:4]), rtol=0.05)
    values = json.loads((inputs / "out" / "stack.json").read_text(encoding="utf-8"))
    assert values["settings"]["kernel_size"] == SIZE and values["pixel_size_nm"] == [PITCH, PITCH]
    assert values["settings"]["steps"] == [{"step": "level", "kind": "plane"}]
    assert values["provenance"]["input"]["name"] == "energies.npz" and len(values["symmetry_order"]) == 5
    # Four rings are too few to tell a band from chance: what they say is kept, and none is claimed.
    assert values["dispersion"]["evidence"]["rings"] == 4 and not values["dispersion"]["evidence"]["decisive"]
    assert values["dispersion"]["problem"] and "parabola" not in values["dispersion"]
    others = {"gap-sign.csv", "energy-map.svg", "energy-map.pdf", "background.npy", *BAND_FILES}
    # Levelling takes a plane off the patterns, too: a layer may have a background of its own after that, or just not.
    assert sorted(set(contents(inputs / "out")) - {"background.npy"}) == sorted(set(STACK_FILES) - others)
    printed = capsys.readouterr().out
    assert "4 of 5 layers have a kernel" in printed and values["dispersion"]["problem"] in printed


def test_without_energies_there_is_no_dispersion(inputs, capsys):
    assert stack(inputs, "--method", "tikhonov") == 0
    assert sorted(contents(inputs / "out")) == ["energy-map.png", "kernels.npy", "report.html", "reproduce.py", "stack.json"]
    assert "energies of the layers are not known" in capsys.readouterr().out


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_same_bytes(inputs, monkeypatch, capsys):
    method = "tikhonov"
    assert stack(inputs, "--method", method, out="whole") == 0
    add, added = LayerFolder.add, []

    def stop_after_two(self, index, layer):
        add(self, index, layer)
        added.append(index)
        if len(added) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(LayerFolder, "add", stop_after_two)
    assert stack(inputs, "--method", method) == 130
    assert "goes on from there" in capsys.readouterr().out
    kept = inputs / "out" / "layers"
    assert sorted(int(path.stem) for path in kept.glob("*.npz")) == sorted(added)
    (kept / "000003.npz").write_bytes(b"half")
    assert stack(inputs, "--method", method) == 0
    assert len(added) == 5 and len(set(added)) == 5
    assert contents(inputs / "out") == contents(inputs / "whole")
    assert stack(inputs, "--method", method) == 0 and "already" in capsys.readouterr().out


@pytest.mark.slow
def test_stopped_before_the_last_files_solves_nothing_again(inputs, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    assert stack(inputs, "--method", "tikhonov", out="whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(LayerFolder, "finish", stop)
        assert stack(inputs, "--method", "tikhonov") == 130
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.extract", stop)
    assert stack(inputs, "--method", "tikhonov") == 0
    assert contents(inputs / "out") == contents(inputs / "whole")


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--method", "magic"], "tikhonov"), (["--channel", "no"], "no"), (["--kernel-size", "999"], "kernel_size")],
)
def test_bad_arguments_get_a_sentence(inputs, capsys, options, words):
    assert stack(inputs, *options) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_one_layer_and_a_foreign_folder_get_a_sentence(inputs, capsys):
    np.save(inputs / "one.npy", np.load(inputs / "stack.npy")[0])
    assert stack(inputs, name="one.npy") == 2
    assert "one layer only" in capsys.readouterr().err
    (inputs / "out").mkdir(exist_ok=True)
    (inputs / "out" / "kernels.npy").write_bytes(b"dear to me")
    assert stack(inputs, "--method", "tikhonov") == 2
    assert "give another folder" in capsys.readouterr().err
    assert (inputs / "out" / "kernels.npy").read_bytes() == b"dear to me"


@pytest.mark.slow
def test_a_list_of_several_classes_is_never_read_as_one(inputs, capsys):
    x, y = np.loadtxt(inputs / "p.csv", delimiter=",", skiprows=1).T
    (inputs / "p.csv").write_text(
        "x_px,y_px,class\n" + "".join(f"{a},{b},{'AB'[k % 3 == 0]}\n" for k, (a, b) in enumerate(zip(x, y, strict=True)))
    )
    assert stack(inputs, "--method", "tikhonov") == 0
    assert "Class B:" in capsys.readouterr().out
    assert {path.name for path in (inputs / "out").iterdir()} == {"class_A", "class_B", "report.html", "reproduce.py", "stack.json"}
    (inputs / "p.csv").write_text("x_px,y_px,class\n" + "".join(f"{a},{b},A\n" for a, b in zip(x, y, strict=True)))
    assert stack(inputs, "--method", "defect_average", out="alike") == 0
    (inputs / "p.csv").write_text(
        "x_px,y_px,class\n" + "".join(f"{a},{b},{'AB'[k < 2]}\n" for k, (a, b) in enumerate(zip(x, y, strict=True)))
    )
    assert stack(inputs, "--stability", out="few") == 2 and "2 defects of the class 'B'" in capsys.readouterr().err
    assert (inputs / "alike" / "kernels.npy").is_file()


def test_stability_is_said_and_kept_for_every_layer(inputs, capsys):
    assert stack(inputs, "--method", "defect_average", "--stability", "--pixel-size-nm", "0.3", "0.25") == 0
    about = json.loads((inputs / "out" / "stack.json").read_text(encoding="utf-8"))
    found = about["stability"]
    assert found["verdict"] in capsys.readouterr().out and found["verdict"] in (inputs / "out" / "report.html").read_text(encoding="utf-8")
    assert [value is None for value in found["correlations"][0]] == [False] * 4 + [True]
    assert about["pixel_size_nm"] == [0.3, 0.25]
    assert stack(inputs, "--pixel-size-nm", "1", "2", "3") == 2 and "one number or two" in capsys.readouterr().err
    assert stack(inputs, "--model", "nobody", out="other") == 2 and "nobody" in capsys.readouterr().err


@pytest.fixture
def two_kinds(inputs):
    """The same layers with a second kind of defects, which scatter at another wave vector."""
    other = np.random.default_rng(5).uniform([0, 0], [SHAPE[1] - 1, SHAPE[0] - 1], (10, 2))
    first = np.loadtxt(inputs / "p.csv", delimiter=",", skiprows=1)
    layers = np.load(inputs / "stack.npy")[:4]
    layers += np.stack([superpose(pattern(energy + 300.0), other, SHAPE, PITCH) for energy in ENERGIES[:4]])
    np.save(inputs / "stack.npy", layers)
    rows = [f"{x},{y},{name}" for name, points in (("vacancy", first), ("dopant/B", other)) for x, y in points]
    (inputs / "p.csv").write_text("\n".join(["x_px,y_px,class", *rows]) + "\n")
    return inputs


@pytest.mark.slow
def test_classes_are_solved_together_and_each_has_its_folder(two_kinds, monkeypatch):
    add, added = LayerFolder.add, []

    def stop_after_two(self, index, layer):
        add(self, index, layer)
        added.append(index)
        if len(added) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LayerFolder, "add", stop_after_two)
        assert stack(two_kinds, "--method", "harmonic") == 130
    assert stack(two_kinds, "--method", "harmonic") == 0
    assert stack(two_kinds, "--method", "harmonic", out="other") == 0
    assert contents(two_kinds / "out") == contents(two_kinds / "other"), "what was stopped ends with the same bytes"
    about = json.loads((two_kinds / "out" / "stack.json").read_text(encoding="utf-8"))
    assert list(about["kernels"]) == ["vacancy", "dopant/B"] and len(about["positions_px"]) == len(about["classes"]) == 20
    offsets = (np.arange(SIZE) - SIZE // 2) * PITCH
    for (_, record), shift in zip(about["kernels"].items(), (0.0, 300.0), strict=True):
        assert record["defects"] == 10
        kernels = np.load(two_kinds / "out" / record["folder"] / "kernels.npy")
        for kernel, energy in zip(kernels, ENERGIES[:4], strict=True):
            truth = pattern(energy + shift)(offsets[None, :], offsets[:, None])
            assert np.corrcoef(kernel.ravel(), truth.ravel())[0, 1] > 0.98
