"""The Stacks page without and with a stack."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.app_driver import start
from tests.ui.stacks.stack_app import POSITIONS, SIZE, npz


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("qpi_core.extraction.extractor.Extractor.has_model", property(lambda self: False))
    return start()


@pytest.fixture
def ready(app: AppTest) -> AppTest:
    """The Stacks page with a stack, its defects and a fast method."""
    app.file_uploader(key="map_upload").upload("grid.npz", npz()).run()
    app.session_state["workspace"].defects.replace(POSITIONS, "list")
    app.run().switch_page("pages/stacks.py").run()
    app.slider(key="stack_kernel_size").set_value(SIZE).run()
    return app.selectbox(key="stack_method").set_value("tikhonov").run()
