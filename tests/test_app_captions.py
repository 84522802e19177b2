"""What the Extract page says in words: the notes of the reader under the map, and numbers in handy units."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tests.app_driver import npy, start
from ui.result_numbers import in_handy_unit

UNKNOWN_SIZE = "does not say how large the map is"


def captions(app) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_notes_of_the_reader_stand_under_the_map_until_the_user_answers_them():
    values = np.random.default_rng(4).standard_normal((20, 20)).astype(np.float32)
    values[12:] = np.nan
    app = start()
    app.file_uploader(key="map_upload").upload("cut.npy", npy(values)).run()
    assert not app.exception and not app.error
    assert "60 % of the points hold a value" in captions(app) and UNKNOWN_SIZE in captions(app)
    width = next(field for field in app.number_input if field.label.startswith("Width of the map"))
    width.set_value(5.0).run()
    assert "60 % of the points hold a value" in captions(app) and UNKNOWN_SIZE not in captions(app)
    assert "5 × 5 nm" in captions(app)


def test_a_doubt_about_the_channel_stands_out_until_another_is_chosen():
    rng = np.random.default_rng(4)
    np.savez(content := io.BytesIO(), height=rng.standard_normal((20, 20)), second=rng.standard_normal((20, 20)))
    app = start()
    app.file_uploader(key="map_upload").upload("two.npz", content.getvalue()).run()
    assert not app.exception and any("which channel is dI/dV" in warning.value for warning in app.warning)
    channel = next(field for field in app.selectbox if field.label == "Channel")
    assert channel.value == "height"
    channel.set_value("second").run()
    assert not app.exception and not any("which channel is dI/dV" in warning.value for warning in app.warning)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (7.08e-11, "m", ("70.8", "pm")),
        (-1.0554e-7, "m", ("-106", "nm")),
        (9.9996e-10, "A", ("1", "nA")),
        (0.25, "V", ("250", "mV")),
        (3e-20, "m", ("3e-05", "fm")),
        (0.0, "m", ("0", "m")),
        (0.00123, "", ("0.00123", "")),
        (0.00123, "nA/V", ("0.00123", "nA/V")),
    ],
)
def test_numbers_take_a_prefix_where_the_unit_can(value, unit, expected):
    assert in_handy_unit(value, unit) == expected
