"""The networks of an extractor, read when a method first needs them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from qpi_core.base.errors import InputError
from qpi_core.extraction.methods import METHODS
from qpi_core.runtime.devices import require_device, resolve_device

if TYPE_CHECKING:
    from qpi_core.networks.checkpoints import LoadedModels


class ModelHolder:
    """Holds the networks of a released model; loads them once, also from several threads.

    Attributes:
        model_name: name or path of the model, None for the default one.
        device: where the networks run.
    """

    def __init__(self, model_name: str | Path | None = None, device: str = "auto", models: LoadedModels | None = None) -> None:
        """Remember which model to use; `models` hands over networks that are loaded already.

        Raises:
            InputError: an unknown or missing device.
        """
        self.model_name = model_name
        self.device = require_device(device)
        self._models = models
        self._lock = threading.Lock()

    def models(self) -> LoadedModels:
        """Return the networks.

        Raises:
            InputError: no such model, a damaged one, or a device that is not there.
        """
        from qpi_core.networks.checkpoints import load_models

        with self._lock:
            if self._models is None:
                if not self.has_model:
                    raise InputError(self._say_what_works_without_a_model())
                self._models = load_models(self.model_name, device=resolve_device(self.device))
            return self._models

    def _say_what_works_without_a_model(self) -> str:
        from qpi_core.networks.checkpoints import DEFAULT_MODEL

        without = ", ".join(method.name for method in METHODS.values() if not method.needs_model)
        return (
            f"the model {str(self.model_name or DEFAULT_MODEL)!r} was not found: train one (python -m qpi_core train --help), restore the "
            f"models folder, or choose a method that needs none: {without}."
        )

    @property
    def has_model(self) -> bool:
        """Say whether a model is there to load, without loading it."""
        from qpi_core.networks.checkpoints import resolve_model

        if self._models is not None:
            return True
        try:
            resolve_model(self.model_name)
        except InputError:
            return False
        return True
