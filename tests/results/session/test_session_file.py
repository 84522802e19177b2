"""Session files: everything comes back exactly, and nothing bad gets in."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from qpi_core.base.errors import InputError
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.maps import load_map
from qpi_core.results.session.session_archive import MAX_ARRAY_BYTES, ArchiveWriter
from qpi_core.results.session.session_file import SavedResult, SavedStack, Session, is_session, load_session, session_bytes
from tests.results.test_files import make_estimate


@pytest.fixture(scope="module")
def session() -> Session:
    rng = np.random.default_rng(0)
    content = io.BytesIO()
    stack = rng.normal(size=(3, 14, 18))
    stack[1, 2, 3] = np.nan
    np.savez(content, dIdV=stack, topo=rng.normal(size=(14, 18)), bias_mv=[-5.0, 0.0, 5.0], pixel_size_nm=[0.1, 1 / 3])
    scan = load_map(content.getvalue(), "mäp <b>.npz")
    estimate = make_estimate(uncertainty=np.full((8, 8), 0.1, np.float32), symmetry_order=4, latent=np.ones((4, 8, 8), np.float32))
    observation = (estimate.reconstruction + estimate.residual).astype(np.float32)
    saved = SavedResult(estimate, observation, {"channel": "dIdV", "steps": [{"step": "level", "kind": "plane"}]})
    return Session(scan, np.array([[1 / 3, 2.0], [0.1, 13.25]]), {"levelling": "plane", "limits": [0.5, 99.5]}, (saved,), ("a", "b b"))


def rewritten(content: bytes, change) -> bytes:
    """Return a session file after a change of its text (a dictionary, changed in place)."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "session.json":
                text = json.loads(data)
                change(text)
                data = json.dumps(text).encode()
            target.writestr(name, data)
    return out.getvalue()


def test_everything_comes_back_to_the_last_bit(session: Session, tmp_path):
    path = tmp_path / "work.zip"
    path.write_bytes(session_bytes(session))
    found = load_session(path)
    for name in ("name", "file_format", "sha256", "pixel_size_nm", "pixel_size_known", "metadata", "notes", "units"):
        assert getattr(found.scan, name) == getattr(session.scan, name), name
    assert list(found.scan.values) == list(session.scan.values)
    for channel, values in session.scan.values.items():
        np.testing.assert_array_equal(found.scan.values[channel], values)
    np.testing.assert_array_equal(found.scan.bias_mv, session.scan.bias_mv)
    np.testing.assert_array_equal(found.positions, session.positions)
    assert found.settings == session.settings and found.labels == session.labels
    (before,), (after,) = session.results, found.results
    assert after.settings == before.settings
    np.testing.assert_array_equal(after.observation, before.observation)
    for name in KernelEstimate.__dataclass_fields__:
        old, new = getattr(before.estimate, name), getattr(after.estimate, name)
        if isinstance(old, np.ndarray):
            assert new.dtype == old.dtype
        np.testing.assert_equal(new, old, err_msg=name)


def test_the_same_session_gives_the_same_bytes_and_they_hold_no_pickle(session: Session):
    content = session_bytes(session)
    assert content == session_bytes(load_session(content))
    assert is_session(content) and not is_session(b"PK\x03\x04 no zip") and not is_session(b"")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


def test_an_empty_session_is_one_too():
    found = load_session(session_bytes(Session(None, np.zeros((0, 2)))))
    assert found.scan is None and found.positions.shape == (0, 2) and found.results == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.update(format_version=99), "version 99"),
        (lambda text: text.update(format="other"), "not a session"),
        (lambda text: text.pop("positions"), "lacks"),
        (lambda text: text.update(positions={"array": "arrays/0777.npy"}), "does not hold"),
        (lambda text: text.update(positions={"array": "../../etc/passwd"}), "does not hold"),
        (lambda text: text.update(positions=text["map"]["channels"][0]["values"]), "positions"),
        (lambda text: text.update(labels=["a"]), "classes"),
        (lambda text: text["map"].update(bias_mv=text["positions"]), "do not fit|lacks"),
        (lambda text: text["map"].update(pixel_size_nm=[-1, 1]), "pixel_size"),
        (lambda text: text["results"][0]["estimate"].update(strange=1), "strange"),
        (lambda text: text["results"][0]["estimate"].update(kernel_size=9), "do not fit"),
        (lambda text: text["results"][0]["estimate"].update(kernel=[1, 2]), "do not fit|lacks"),
        (lambda text: text["results"][0]["estimate"].update(residual=text["positions"]), "do not fit"),
    ],
)
def test_a_changed_text_is_refused_in_words(session: Session, change, words):
    with pytest.raises(InputError, match=words):
        load_session(rewritten(session_bytes(session), change))


def test_archives_that_lie_or_carry_more_are_refused(session: Session):
    content = session_bytes(session)
    extra = io.BytesIO(content)
    with zipfile.ZipFile(extra, "a") as archive:
        archive.writestr("../run.py", "print()")
    with pytest.raises(InputError, match="no session has"):
        load_session(extra.getvalue())
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    pickled = io.BytesIO()
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr(
            "session.json",
            json.dumps({"format": "qpi-session", "format_version": 1, "map": None, "positions": {"array": "arrays/0000.npy"}}),
        )
        archive.writestr("arrays/0000.npy", objects.getvalue())
    with pytest.raises(InputError, match="never unpickled"):
        load_session(pickled.getvalue())
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 2), }".ljust(117) + b"\n"
    swapped = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(swapped, "w") as target:
        for name in source.namelist():
            target.writestr(name, header if name == "arrays/0000.npy" else source.read(name))
    with pytest.raises(InputError, match="declares|values"):
        load_session(swapped.getvalue())


def test_what_would_unpack_too_large_is_not_unpacked(monkeypatch):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("session.json", "{}")
        with archive.open("arrays/0000.npy", "w", force_zip64=True) as entry:
            for _ in range(3):
                entry.write(b"\0" * 2**20)
    monkeypatch.setattr("qpi_core.results.session.session_archive.MAX_ARRAY_BYTES", 2**21)
    with pytest.raises(InputError, match="unpack"):
        load_session(bomb.getvalue())
    with pytest.raises(InputError, match="crop"):
        ArchiveWriter([np.zeros(2**19)]).finish({})
    assert MAX_ARRAY_BYTES >= 2**30


def test_every_cut_and_every_flipped_byte_gives_a_session_or_a_sentence(session: Session):
    content = session_bytes(session)
    rng = np.random.default_rng(1)
    for cut in rng.integers(0, len(content), 40):
        with pytest.raises(InputError):
            load_session(content[:cut])
    for place in rng.integers(0, len(content), 120):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        try:
            load_session(bytes(damaged))
        except InputError:
            continue


def stack_of(name: str, seed: int) -> StackEstimate:
    rng = np.random.default_rng(seed)
    kernels = rng.normal(size=(3, 8, 8)).astype(np.float32)
    kernels[2] = np.nan
    return StackEstimate(
        kernels=kernels,
        uncertainties=np.abs(kernels),
        noise_sigma=np.array([0.1, 0.2, np.nan]),
        background=np.array([1.0, 2.0, np.nan]),
        bias_mv=np.array([-5.0, 0.0, 5.0]),
        done=np.array([True, True, False]),
        symmetry_order=(4, None, None),
        warnings=((Caution("few", CautionKind.FEW_PIXELS, 3.0),), (), ()),
        positions=rng.uniform(0, 10, (5, 2)),
        weights=np.ones(5),
        pixel_size_nm=(0.1, 1 / 3),
        method="refined",
        notes=("of the whole",),
        provenance={"method": "refined", "input": {"name": "a.npz"}, "classes": {"class": name}},
        background_maps={1: rng.normal(size=(14, 18)).astype(np.float32)},
        noise_models=({}, {"white_noise_sigma": (0.2, 0.01)}, {}),
        parameters=({"wave_vector_rad_per_nm": (6.4, 0.1)}, {}, {}),
    )


@pytest.mark.parametrize("names", [("",), ("A", "B")], ids=["one class", "two classes"])
def test_a_stack_comes_back_to_the_last_bit(session: Session, names):
    stack = SavedStack({name: stack_of(name, seed) for seed, name in enumerate(names)}, {"channel": "dIdV", "layers": [0, 1]})
    content = session_bytes(replace(session, stack=stack))
    found = load_session(content)
    assert session_bytes(found) == content and found.stack.settings == stack.settings and list(found.stack.estimates) == list(names)
    for name in names:
        for entry in StackEstimate.__dataclass_fields__:
            old, new = getattr(stack.estimates[name], entry), getattr(found.stack.estimates[name], entry)
            np.testing.assert_equal(new, old, err_msg=entry)
    assert found.stack.estimates[names[0]].warnings[0][0].kind is CautionKind.FEW_PIXELS
    assert load_session(session_bytes(session)).stack is None


@pytest.mark.parametrize(
    "lie",
    [
        lambda stack: stack["estimates"][0].update(kernels=stack["estimates"][0]["positions"]),
        lambda stack: stack["estimates"][0].update(symmetry_order=[4, 4]),
        lambda stack: stack["estimates"][0].update(symmetry_order=["4", None, None]),
        lambda stack: stack["estimates"][0].update(provenance={"input": "x"}),
        lambda stack: stack["estimates"][0]["background_maps"].update(layers=[7]),
        lambda stack: stack["estimates"][0].pop("weights"),
        lambda stack: stack["estimates"].clear(),
        lambda stack: stack["estimates"].append(stack["estimates"][0]),
    ],
)
def test_a_stack_that_lies_is_refused(session: Session, lie):
    content = session_bytes(replace(session, stack=SavedStack({"": stack_of("", 0)}, {})))
    with pytest.raises(InputError, match="damaged"):
        load_session(rewritten(content, lambda text: lie(text["stack"])))
