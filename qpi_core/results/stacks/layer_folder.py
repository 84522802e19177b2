"""Layers on their way: a folder that takes each layer as soon as it is solved, so that a stopped run goes on."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qpi_core.base.errors import InputError
from qpi_core.estimates.caution import caution_records, cautions_again
from qpi_core.estimates.class_stack import NO_CLASS, layers_of
from qpi_core.estimates.stack_estimate import LayerKernel
from qpi_core.results.files import prepare_folder
from qpi_core.results.stacks.stack_files import STACK_FILES, STACK_FORMAT, STACK_SIDECAR
from qpi_core.runtime.atomic_files import write_atomically

SETTINGS_NAME = "settings.json"
_FOLDER = "layers"


class LayerFolder:
    """The folder of one stack's results, with its unfinished layers inside."""

    def __init__(self, out: str | Path, settings: Mapping[str, Any]) -> None:
        """Claim a folder for a run with these settings (strict JSON).

        Raises:
            InputError: the folder cannot be written, or holds something else or the results of other settings.
        """
        self.out = prepare_folder(out)
        self.settings = dict(settings)
        self._layers = self.out / _FOLDER
        present = [name for name in (*STACK_FILES, _FOLDER) if (self.out / name).exists()]
        if present and self._settings_found() != self.settings:
            raise InputError(
                f"the folder {self.out.name} holds {present[0]} of another map, other positions or other settings; give another folder."
            )
        if not self.finished and not present:
            self._layers.mkdir()
            write_atomically(self._layers / SETTINGS_NAME, json.dumps(self.settings).encode())

    @property
    def finished(self) -> bool:
        """Say whether the results of these settings are there already."""
        return (self.out / STACK_SIDECAR).exists()

    def _settings_found(self) -> Any:
        try:
            if (self.out / STACK_SIDECAR).exists():
                found = json.loads((self.out / STACK_SIDECAR).read_bytes())
                return found["settings"] if found["format"] == STACK_FORMAT else None
            return json.loads((self._layers / SETTINGS_NAME).read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def add(self, index: int, layer: LayerKernel | Mapping[str, LayerKernel]) -> None:
        """Write one layer, the kernels of all its classes, whole or not at all."""
        found = layers_of(layer)
        about = json.dumps([[name, one.symmetry_order, one.warnings, caution_records(one.warnings)] for name, one in found.items()])
        arrays = {"about": np.array(about)}
        for number, one in enumerate(found.values()):
            arrays |= {f"kernel_{number}": one.kernel, f"uncertainty_{number}": one.uncertainty}
            arrays[f"parameters_{number}"] = np.array(json.dumps(dict(one.parameters)))
            arrays[f"numbers_{number}"] = np.array([one.background, one.noise_sigma])
        # Background and noise are those of the layer, whatever the class.
        one = next(iter(found.values()))
        arrays["noise_model"] = np.array(json.dumps(dict(one.noise_model)))
        if one.background_map is not None:
            arrays["background_map"] = one.background_map
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomically(self._layers / f"{index:06d}.npz", buffer.getvalue())

    def read(self, kernel_size: int, names: Sequence[str] = (NO_CLASS,)) -> dict[int, dict[str, LayerKernel]]:
        """Return the layers that are there, index -> class -> kernel; a file that is not whole counts as not there."""
        found = {}
        for path in sorted(self._layers.glob("[0-9]*.npz")):
            try:
                with np.load(path, allow_pickle=False) as file:
                    about = json.loads(str(file["about"]))
                    layer = {name: _one_kernel(file, number, *said) for number, (name, *said) in enumerate(about)}
                index = int(path.stem)
            except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
                continue
            shapes = {array.shape for one in layer.values() for array in (one.kernel, one.uncertainty)}
            if tuple(layer) == tuple(names) and shapes == {(kernel_size, kernel_size)}:
                found[index] = layer
        return found

    def finish(self, files: Mapping[str, bytes]) -> None:
        """Write the results, the side-car last, and remove the single layers."""
        for name, content in files.items():
            (self.out / name).parent.mkdir(exist_ok=True)
            write_atomically(self.out / name, content)
        shutil.rmtree(self._layers, ignore_errors=True)


def _one_kernel(file: Mapping[str, Any], number: int, order: int | None, warnings: list[str], kinds: list[Any]) -> LayerKernel:
    background, noise = (float(value) for value in file[f"numbers_{number}"])
    return LayerKernel(
        file[f"kernel_{number}"],
        file[f"uncertainty_{number}"],
        background,
        noise,
        order,
        cautions_again(warnings, kinds),
        file.get("background_map"),
        _numbers(file["noise_model"]),
        _numbers(file[f"parameters_{number}"]),
    )


def _numbers(text: Any) -> dict[str, tuple[float, float]]:
    """Return name -> (value, standard deviation) from JSON."""
    return {name: (float(value), float(error)) for name, (value, error) in json.loads(str(text)).items()}
