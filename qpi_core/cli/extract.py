"""`python -m qpi_core extract`: from a map and its defects to files with the kernel."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qpi_core.base.validation import EFFORTS, NOISE_MODELS
from qpi_core.cli.batch.many import add_executor_arguments
from qpi_core.extraction.methods import DEFAULT_METHOD, METHODS
from qpi_core.extraction.windows.window_search import kernel_size_argument

if TYPE_CHECKING:
    from qpi_core.workflows.one_map import ExtractionOptions

DEFAULT_KERNEL_SIZE = 64
DEFAULT_TIME_LIMIT_S = 60.0

METHOD_LINES = "\n".join(
    f"  {method.name:<16}{method.summary}{' (needs a model)' if method.needs_model else ''}" for method in METHODS.values()
)
DESCRIPTION = f"""\
Extract the single-scatterer pattern (the kernel) from a map with marked defects.

MAP is any file that the app reads: .npy, .npz, .csv/.txt, .png, .tif, Nanonis .sxm or .3ds, Createc .dat, .gwy ...
The list of positions is CSV or TXT whose first line is x_px,y_px (0 at the centre of the first pixel, y downwards) or
x_nm,y_nm, or NPY or JSON. A third column, class, names the kind of each defect: with several kinds every one gets a kernel of its own,
all solved together (methods defect_average, tikhonov, harmonic, refined, one_step and two_step).

methods:
{METHOD_LINES}

Without a list: --blind finds defects of one kind and their kernel in the map alone, or with --classes those of 2 or 3 kinds, solves by
refined, and says whether the answer is to be trusted; --time-limit says how long it may take. DIR/found_defects.csv is the list.

Written into DIR: kernel.npy, kernel.png, fft.npy (complex, zero wave vector in the middle, phase origin at the kernel's
centre), fft.png, fit.png, reconstruction.npy, residual.npy, uncertainty.npy and latent.npy where the method gives them, and
estimate.json with the versions, hashes, every parameter, the positions and the warnings. With several classes these files lie in
DIR/class_NAME, one folder a class, and DIR/estimate.json holds all of them together.

Many maps: give several files, folders or --list. Each map's results go into a folder of its stem in DIR, which appears complete or
not at all; the same command goes on where it was stopped, with the same bytes. A map that fails is named and does not stop the others;
the exit status is then 2.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "extract",
        help="extract the kernel from a map",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("map", metavar="MAP", nargs="*", help="the map's file; several files, or folders of maps")
    parser.add_argument("--list", metavar="FILE", help="text file with the path of one map (or folder) a line, relative to its own folder")
    parser.add_argument("--positions", metavar="FILE", help="where the defects are: a list, or a folder with a list of each map's stem")
    parser.add_argument("--blind", action="store_true", help="no list: find the defects in the map itself, and say whether to trust it")
    parser.add_argument(
        "--classes",
        type=int,
        metavar="N",
        help="kinds of defects that --blind looks for, 1 to 3, each with a kernel of its own",
    )
    parser.add_argument(
        "--time-limit", type=float, default=DEFAULT_TIME_LIMIT_S, metavar="S", help="seconds that --blind may take for a map (default 60)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results; those of an earlier extraction are replaced")
    parser.add_argument("--method", metavar="NAME", help=f"one of the methods above (default {DEFAULT_METHOD})")
    parser.add_argument(
        "--kernel-size",
        type=kernel_size_argument,
        metavar="PX",
        help=f"side of the kernel in pixels, or auto: as far as the pattern is seen (default {DEFAULT_KERNEL_SIZE}, or the map's side)",
    )
    parser.add_argument("--channel", metavar="NAME", help="channel of the file (default: the dI/dV one where there is one)")
    parser.add_argument("--bias-mv", type=float, metavar="MV", help="energy of the layer in mV (default: the first layer)")
    parser.add_argument("--layer", type=int, metavar="INDEX", help="number of the layer, from 0, instead of --bias-mv")
    parser.add_argument(
        "--level",
        default="none",
        metavar="KIND",
        help="what to take out first: none (default), plane, lines, line_means, lines_linear, line_differences, polynomial (second order)",
    )
    parser.add_argument(
        "--prepare",
        metavar="FILE",
        help="preparation steps in order, as JSON: a list such as the app saves, or the estimate.json of a result, to do the same again",
    )
    parser.add_argument(
        "--pixel-size-nm", type=float, nargs="+", metavar="NM", help="pixel size, one number or dy dx; overrides what the file says"
    )
    parser.add_argument("--refine-positions", action="store_true", help="let the map move the defects (for positions marked by hand)")
    parser.add_argument("--refine-weights", action="store_true", help="let the map give each defect its own amplitude")
    parser.add_argument(
        "--noise-model",
        choices=NOISE_MODELS,
        default="auto",
        help="auto: background, coloured noise and unequal defects as the map asks for them; white: a constant background and white noise",
    )
    parser.add_argument(
        "--effort",
        choices=EFFORTS,
        default="full",
        help="fast, for many maps: refined and harmonic stop at their first stage, under white noise; the files say what was not tried",
    )
    parser.add_argument(
        "--stability",
        action="store_true",
        help="also extract from halves of the defects and say how far they agree (five times as long; at least 4 defects of each class)",
    )
    parser.add_argument(
        "--pictures",
        nargs="+",
        choices=("png", "svg", "pdf"),
        default=["png"],
        metavar="FORMAT",
        help="formats of the pictures: png (default), svg and pdf, whose text can be edited",
    )
    parser.add_argument("--model", metavar="NAME", help="released model or a model's folder (default: the default model)")
    parser.add_argument("--device", default="auto", help="where the networks run: auto (default), cpu, cuda, cuda:0, ..., mps")
    add_executor_arguments(parser, "maps")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Extract one kernel, or one for each of many maps."""
    from qpi_core.base.errors import InputError
    from qpi_core.extraction.methods import find_method

    find_method(args.method)
    if args.classes is not None and not args.blind:
        raise InputError("--classes goes with --blind only; in a list of positions a third column, class, names the kind of each defect.")
    if args.positions is None and not args.blind:
        raise InputError("give --positions FILE with the defects, or --blind to find them in the map itself.")
    options = _options(args)
    if len(args.map) == 1 and args.list is None and not Path(args.map[0]).is_dir():
        return _extract_one(args, options)
    return _extract_many(args, options)


def _extract_one(args: argparse.Namespace, options: ExtractionOptions) -> int:
    """Extract one kernel, write its files and say what was found."""
    from qpi_core.base.errors import InputError
    from qpi_core.extraction.extractor import load_extractor
    from qpi_core.results.class_files import write_result
    from qpi_core.results.files import prepare_folder, require_replaceable, write_files
    from qpi_core.workflows.blind_map import BlindMap, blind_files, describe_blind, extract_blind_map, read_blind_map
    from qpi_core.workflows.inputs import list_maps
    from qpi_core.workflows.map_sentences import describe
    from qpi_core.workflows.one_map import MapFiles, extract_inputs, read_inputs

    if args.workers is not None or args.scheduler is not None:
        raise InputError("--workers and --scheduler are for many maps: give several files, a folder or --list.")
    positions = args.positions
    if positions and Path(positions).is_dir():
        positions = list_maps(args.map, None, positions)[0].positions
        if positions is None:
            raise InputError(f"{Path(args.map[0]).stem}.csv (or .txt, .json, .npy) is not in the folder of positions.")
    extractor = load_extractor(args.model, args.device)
    files = MapFiles.at(args.map[0], positions or "")
    inputs = read_blind_map(files, options) if options.blind else read_inputs(files, options)
    # Before the work, not after it.
    prepare_folder(args.out)
    require_replaceable(args.out, (args.map[0], *([positions] if positions else [])))
    if isinstance(inputs, BlindMap):
        found = extract_blind_map(inputs, options, extractor)
        paths, sentences = write_files(blind_files(found, options.pictures), args.out), describe_blind(inputs, options, found)
    else:
        estimate = extract_inputs(inputs, options, extractor)
        paths, sentences = write_result(estimate, args.out, options.pictures), describe(inputs, options, estimate)
    for sentence in sentences:
        print(sentence)
    print(f"{len(paths)} files in {args.out}")
    return 0


def _extract_many(args: argparse.Namespace, options: ExtractionOptions) -> int:
    """Extract every map that has no result yet; 2 where one of them failed."""
    from qpi_core.cli.batch.many import run_many
    from qpi_core.workflows.many_maps import extract_batch

    return run_many(args, "map", lambda maps, executor, sent: extract_batch(maps, options, args.out, executor, send_contents=sent))


def _options(args: argparse.Namespace) -> ExtractionOptions:
    from qpi_core.maps.preparation import Preparation, load_preparation
    from qpi_core.workflows.one_map import ExtractionOptions

    return ExtractionOptions(
        method=args.method,
        kernel_size=args.kernel_size,
        channel=args.channel,
        bias_mv=args.bias_mv,
        layer=args.layer,
        level=args.level,
        prepare=load_preparation(args.prepare) if args.prepare is not None else Preparation(),
        pixel_size_nm=pixel_size(args.pixel_size_nm),
        refine_positions=args.refine_positions,
        refine_weights=args.refine_weights,
        model=args.model,
        device=args.device,
        stability=args.stability,
        noise_model=args.noise_model,
        effort=args.effort,
        blind=args.blind,
        classes=1 if args.classes is None else args.classes,
        time_limit_s=args.time_limit,
        pictures=tuple(args.pictures),
    )


def pixel_size(numbers: list[float] | None) -> float | tuple[float, float] | None:
    """Return what --pixel-size-nm says: one number, (dy, dx), or None where it was not given.

    Raises:
        InputError: more than two numbers.
    """
    from qpi_core.base.errors import InputError

    if numbers is None:
        return None
    if len(numbers) > 2:
        raise InputError(f"--pixel-size-nm takes one number or two (dy dx), but it got {len(numbers)}.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])
