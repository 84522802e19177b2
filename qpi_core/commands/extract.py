"""`python -m qpi_core extract`: from a map and its defects to files with the kernel."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from qpi_core.methods import DEFAULT_METHOD, METHODS

if TYPE_CHECKING:
    from qpi_core.map_extraction import ExtractionOptions

DEFAULT_KERNEL_SIZE = 64

METHOD_LINES = "\n".join(
    f"  {method.name:<16}{method.summary}{' (needs a model)' if method.needs_model else ''}" for method in METHODS.values()
)
DESCRIPTION = f"""\
Extract the single-scatterer pattern (the kernel) from a map with marked defects.

MAP is any file that the app reads: .npy, .npz, .csv/.txt, .png, .tif, Nanonis .sxm or .3ds, Createc .dat, .gwy ...
The list of positions is CSV or TXT whose first line is x_px,y_px (0 at the centre of the first pixel, y downwards) or
x_nm,y_nm, or NPY or JSON.

methods:
{METHOD_LINES}

Written into DIR: kernel.npy, kernel.png, fft.npy (complex, zero wave vector in the middle, phase origin at the kernel's
centre), fft.png, fit.png, reconstruction.npy, residual.npy, uncertainty.npy and latent.npy where the method gives them, and
estimate.json with the versions, hashes, every parameter, the positions and the warnings.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "extract",
        help="extract the kernel from a map",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("map", metavar="MAP", help="the map's file")
    parser.add_argument("--positions", required=True, metavar="FILE", help="where the defects are")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results; those of an earlier extraction are replaced")
    parser.add_argument("--method", metavar="NAME", help=f"one of the methods above (default {DEFAULT_METHOD})")
    parser.add_argument(
        "--kernel-size",
        type=int,
        metavar="PX",
        help=f"side of the kernel in pixels (default {DEFAULT_KERNEL_SIZE}, or the map's side if smaller)",
    )
    parser.add_argument("--channel", metavar="NAME", help="channel of the file (default: the dI/dV one where there is one)")
    parser.add_argument("--bias-mv", type=float, metavar="MV", help="energy of the layer in mV (default: the first layer)")
    parser.add_argument("--layer", type=int, metavar="INDEX", help="number of the layer, from 0, instead of --bias-mv")
    parser.add_argument(
        "--level",
        default="none",
        metavar="KIND",
        help="what to take out first: none (default), plane, lines, lines_linear, line_differences, polynomial (second order)",
    )
    parser.add_argument(
        "--pixel-size-nm", type=float, nargs="+", metavar="NM", help="pixel size, one number or dy dx; overrides what the file says"
    )
    parser.add_argument("--refine-positions", action="store_true", help="let the map move the defects (for positions marked by hand)")
    parser.add_argument("--refine-weights", action="store_true", help="let the map give each defect its own amplitude")
    parser.add_argument("--model", metavar="NAME", help="released model or a model's folder (default: the default model)")
    parser.add_argument("--device", default="auto", help="where the networks run: auto (default), cpu, cuda, cuda:0, ..., mps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Extract one kernel, write its files and say what was found."""
    from qpi_core.export import prepare_folder, require_replaceable, write_estimate
    from qpi_core.extraction import load_extractor
    from qpi_core.map_extraction import MapFiles, describe, extract_inputs, read_inputs
    from qpi_core.methods import find_method

    find_method(args.method)
    options = _options(args)
    extractor = load_extractor(args.model, args.device)
    inputs = read_inputs(MapFiles.at(args.map, args.positions), options)
    # Before the work, not after it.
    prepare_folder(args.out)
    require_replaceable(args.out, (args.map, args.positions))
    estimate = extract_inputs(inputs, options, extractor)
    paths = write_estimate(estimate, args.out)
    for sentence in describe(inputs, options, estimate):
        print(sentence)
    print(f"{len(paths)} files in {args.out}")
    return 0


def _options(args: argparse.Namespace) -> ExtractionOptions:
    from qpi_core.map_extraction import ExtractionOptions

    return ExtractionOptions(
        method=args.method,
        kernel_size=args.kernel_size,
        channel=args.channel,
        bias_mv=args.bias_mv,
        layer=args.layer,
        level=args.level,
        pixel_size_nm=_pixel_size(args.pixel_size_nm),
        refine_positions=args.refine_positions,
        refine_weights=args.refine_weights,
        model=args.model,
        device=args.device,
    )


def _pixel_size(numbers: list[float] | None) -> float | tuple[float, float] | None:
    from qpi_core.errors import InputError

    if numbers is None:
        return None
    if len(numbers) > 2:
        raise InputError(f"--pixel-size-nm takes one number or two (dy dx), but it got {len(numbers)}.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])
