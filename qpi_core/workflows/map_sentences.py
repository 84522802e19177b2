"""What a person reads about one map: what was read and taken, what was found, and what to beware of."""

from __future__ import annotations

from qpi_core.diagnostics.verdict import RULES, Trust, verdict_of
from qpi_core.estimates.caution import kind_of
from qpi_core.estimates.class_estimate import ClassEstimates
from qpi_core.estimates.estimate import KernelEstimate
from qpi_core.maps import ScanMap
from qpi_core.maps.preparation import Prepared
from qpi_core.workflows.one_map import ExtractionOptions, MapInputs


def describe(inputs: MapInputs, options: ExtractionOptions, estimate: KernelEstimate | ClassEstimates) -> list[str]:
    """Return plain sentences on what was read, which layer was taken, what to beware of, and what was found."""
    return [
        *inputs.scan.sentences(options.channel),
        layer_sentence(inputs.scan, options),
        inputs.positions.description,
        *preparation_sentences(inputs.prepared, options),
        *_lost_sentences(inputs),
        *_window_sentences(estimate),
        *verdict_sentences(estimate),
        *_stability(estimate),
        f"Noise {estimate.noise_sigma:.4g}, background {estimate.background:.4g}, method {estimate.method}.",
    ]


def verdict_sentences(estimate: KernelEstimate | ClassEstimates) -> list[str]:
    """Return the verdict, or one a class, and the other sentences: warnings where they raise a doubt, else notes."""
    if isinstance(estimate, ClassEstimates):
        every = {f"Verdict on class {name}": verdict_of(one, estimate.warnings) for name, one in estimate.estimates.items()}
        sentences = estimate.all_warnings()
    else:
        verdict = verdict_of(estimate)
        every, sentences = {"Verdict": verdict}, verdict.others
    lines = [f"{head}: {one.trust.value}. {one.reason}" for head, one in every.items()]
    doubtful = [RULES[kind_of(sentence)].trust is not Trust.TRUST for sentence in sentences]
    return [*lines, *(f"{'Warning' if doubt else 'Note'}: {sentence}" for doubt, sentence in zip(doubtful, sentences, strict=True))]


def _stability(estimate: KernelEstimate | ClassEstimates) -> list[str]:
    """Return the sentence on the stability, where it was asked for."""
    if isinstance(estimate, ClassEstimates):
        return [f"Class {name}: {said}" for name, one in estimate.estimates.items() for said in _stability(one)]
    return [estimate.provenance["stability"]["verdict"]] if "stability" in estimate.provenance else []


def _window_sentences(estimate: KernelEstimate | ClassEstimates) -> list[str]:
    """Say how the window was chosen where the pattern itself was asked."""
    first = estimate if isinstance(estimate, KernelEstimate) else next(iter(estimate.estimates.values()))
    window = first.provenance.get("window")
    return [] if window is None or window["reason"] in first.warnings else [str(window["reason"])]


def layer_sentence(scan: ScanMap, options: ExtractionOptions) -> str:
    """Say which channel and layer were taken, and out of how many."""
    channel = options.channel or scan.default_channel
    index, count = scan.layer_index(options.channel, options.bias_mv, options.layer), len(scan.stack(channel))
    others = f" of the channels {', '.join(scan.channels)}" if len(scan.channels) > 1 else ""
    if count == 1:
        return f"Channel {channel}{others}."
    bias = scan.energies(channel)[index]
    energy = f" at {bias:.6g} mV" if bias == bias else ""
    return f"Channel {channel}{others}, layer {index}{energy} of the layers 0 to {count - 1}."


def preparation_sentences(prepared: Prepared, options: ExtractionOptions) -> list[str]:
    """Say which steps were applied, and what they report."""
    steps = zip(options.preparation().steps, prepared.results, strict=True)
    return [f"Preparation: {step.name}.{f' {result.note}' if result.note else ''}" for step, result in steps]


def _lost_sentences(inputs: MapInputs) -> list[str]:
    """Say how many positions lie outside of the prepared layer."""
    lost = len(inputs.positions.positions_px) - len(inputs.positions_px)
    return [f"{lost} of the positions lie outside of the prepared layer and were left out."] if lost else []
