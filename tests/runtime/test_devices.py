"""Precision of training: asked of the device, not of the preset."""

import pytest
import torch

from qpi_core.runtime.devices import training_precision


@pytest.mark.parametrize(
    ("found", "precision"),
    [
        ({"avx512_bf16": True, "avx512_f": True}, "bf16"),
        ({"avx512_bf16": False, "avx512_f": True}, "no"),
        ({"bf16": True}, "bf16"),
        ({}, "no"),
    ],
)
def test_bf16_needs_instructions_of_the_processor(monkeypatch, found, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert training_precision("auto", cpu=True) == precision
    assert training_precision("auto", cpu=False) == "fp16", "a GPU that only emulates it"
    assert training_precision("bf16", cpu=True) == "bf16" and training_precision("no", cpu=False) == "no"


def test_older_torch_is_asked_another_way(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert training_precision("auto", cpu=True) == "bf16"
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert training_precision("auto", cpu=True) == "no"
