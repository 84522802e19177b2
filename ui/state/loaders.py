"""Cached loading: maps, prepared layers, models. Arrays go in with an underscore; what comes from one person's map stays in its session.

Streamlit hashes only a sample of an array with 500,000 elements or more, so two large maps that differ in one pixel would
share an entry if the array itself were the key. Heavy modules are imported inside: the first page needs none of them.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from qpi_core.base.grid import DEFAULT_PIXEL_SIZE_NM
from qpi_core.runtime.progress import Progress, no_progress
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.simulated_maps.scenes import draw_positions, simulate_observation

if TYPE_CHECKING:
    from pathlib import Path

    from qpi_core.maps import ScanMap
    from qpi_core.maps.preparation import Prepared
    from qpi_core.networks.atlas import LatentAtlas
    from qpi_core.synthesis.simulated_maps.synthetic_scene import SyntheticScene

MOST_LAYERS = 3
"""Layers that a session keeps ready: the one in use, the one with a step on trial, and the one before."""
EXAMPLE_NAME = "example.npy"
EXAMPLE_PARAMETERS = KernelParameters(symmetry_order=4, orientation=0.4, wavenumber=3.2, phase=0.6, decay=0.15)
_EXAMPLE_SHAPE = (128, 128)
_EXAMPLE_DEFECTS = 30
_EXAMPLE_NOISE = 0.25


@dataclass(frozen=True)
class LoadedMap:
    """A map in use.

    Attributes:
        name: as the user knows it.
        sha256: of the file's content.
        scan: what was read.
        positions: (n, 2) px, known beforehand (the example, a simulated map), or None.
        simulation: what a simulated map is made of, for the side-car, or None.
        token: random name of this reading of the map.
    """

    name: str
    sha256: str
    scan: ScanMap
    positions: NDArray[np.float64] | None = None
    simulation: dict[str, Any] | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True)
class PreparedLayer:
    """One layer after its preparation: (height, width) float32, read-only, with the hash of its content.

    `prepared` says what each step did; it is None in a result that was loaded from a file.
    """

    values: NDArray[np.float32]
    sha256: str
    prepared: Prepared | None = None


def content_hash(content: bytes) -> str:
    """Return the sha256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def array_hash(values: NDArray[Any]) -> str:
    """Return the sha256 of an array's shape, type and every element."""
    digest = hashlib.sha256(f"{values.shape} {values.dtype.str}".encode())
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def loaded_file(name: str, content: bytes) -> LoadedMap:
    """Read an uploaded map.

    Raises:
        InputError: the file cannot be read; the sentence says why.
    """
    from qpi_core.maps import load_map

    # Read once an upload, and kept by the session alone: a cache would hold the map when the browser has left.
    return LoadedMap(name, content_hash(content), load_map(content, filename=name))


@st.cache_resource(max_entries=1, show_spinner=False)
def example_map() -> LoadedMap:
    """Return the simulated example with its defects, 20 x 20 nm."""
    from qpi_core.maps import load_map

    content = example_file()
    return LoadedMap(
        EXAMPLE_NAME, content_hash(content), load_map(content, EXAMPLE_NAME, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM), _example_scene()[1]
    )


def simulated_map(scene: SyntheticScene) -> LoadedMap:
    """Return a scene of the Synthesize page as a map with its defects."""
    from qpi_core.maps import load_map

    content = scene.map_bytes()
    scan = load_map(content, scene.name, pixel_size_nm=DEFAULT_PIXEL_SIZE_NM)
    return LoadedMap(scene.name, content_hash(content), scan, scene.positions, scene.provenance())


def example_file() -> bytes:
    """Return the example's map as the content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, _example_scene()[0], allow_pickle=False)
    return buffer.getvalue()


@st.cache_resource(max_entries=1, show_spinner=False)
def _example_scene() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    rng = np.random.default_rng(2506)
    positions = draw_positions(rng, _EXAMPLE_DEFECTS, _EXAMPLE_SHAPE, on_grid=False)
    clean = simulate_observation(EXAMPLE_PARAMETERS, positions, _EXAMPLE_SHAPE)
    return (clean + _EXAMPLE_NOISE * clean.std() * rng.standard_normal(_EXAMPLE_SHAPE)).astype(np.float32), positions


@st.cache_resource(max_entries=MOST_LAYERS, scope="session", show_spinner=False)
def prepared_layer(token: str, channel: str, index: int, steps: str, pixel_size_nm: tuple[float, float], _scan: ScanMap) -> PreparedLayer:
    """Return what prepare_layer does, kept for the session.

    The key is the map's token and not the hash that its file states: a session file may state the hash of another map.

    Raises:
        InputError: as prepare_layer.
    """
    return prepare_layer(channel, index, steps, _scan)


def prepare_layer(channel: str, index: int, steps: str, scan: ScanMap, report: Progress = no_progress) -> PreparedLayer:
    """Return one layer of a map after its preparation steps, given as JSON; the pixel size is that of the scan.

    Raises:
        InputError: no such layer, nothing measured in it, or a step that does not fit it.
    """
    from qpi_core.maps.preparation import Preparation

    prepared = Preparation.from_json(json.loads(steps)).apply_to_scan(scan, channel, index=index, report=report)
    values = prepared.values.astype(np.float32)
    values.flags.writeable = False
    return PreparedLayer(values, array_hash(values), prepared)


def prepared_layer_of(scan: ScanMap, channel: str, index: int, steps: list[dict[str, Any]]) -> NDArray[np.float32]:
    """Return the values of one layer after preparation steps given as JSON values: (height, width) float32.

    Raises:
        InputError: as prepare_layer.
    """
    from qpi_core.maps.preparation import Preparation

    return np.asarray(Preparation.from_json(steps).apply_to_scan(scan, channel=channel, index=index).values, dtype=np.float32)


@st.cache_resource(max_entries=1, show_spinner=False)
def extractor() -> Any:
    """Return the extractor of the default released model, or one for the classical methods where no model is there.

    Raises:
        InputError: a model is there but damaged.
    """
    from qpi_core.extraction.extractor import load_extractor

    return load_extractor(device="cpu")


def current_weights_hash(folder: Path) -> str:
    """Return the hash over a model's weights as they lie on disk now."""
    times = tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.glob("*/*.safetensors")))
    return _weights_hash(str(folder), times)


@st.cache_data(max_entries=8, show_spinner=False)
def _weights_hash(folder: str, times: tuple[tuple[str, int], ...]) -> str:
    from pathlib import Path

    from qpi_core.networks.checkpoints import weights_hash

    return weights_hash(Path(folder))


def atlas() -> LatentAtlas:
    """Return the training kernels of the released model with their place in the latent space.

    Raises:
        InputError: no model, a damaged one, or no atlas that belongs to it.
    """
    models = extractor().models()
    return _atlas(models.sha256, models.folder)


@st.cache_resource(max_entries=2, show_spinner=False)
def _atlas(model_sha256: str, _folder: Path) -> LatentAtlas:
    from qpi_core.networks.atlas import load_atlas

    return load_atlas(_folder, model_sha256)
