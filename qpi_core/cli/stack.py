"""`python -m qpi_core stack`: from an energy stack and its defects to the kernels and the dispersion."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qpi_core.base.validation import EFFORTS, NOISE_MODELS
from qpi_core.cli.batch.many import add_executor_arguments
from qpi_core.extraction.methods import DEFAULT_METHOD
from qpi_core.extraction.windows.window_search import kernel_size_argument

if TYPE_CHECKING:
    from qpi_core.workflows.one_map import MapFiles
    from qpi_core.workflows.stack_inputs import StackInputs, StackOptions

DESCRIPTION = """\
Extract the kernel of every layer of an energy stack from one set of defect positions.

MAP is any file that the app reads and that holds several layers (.3ds, .npy, .npz, .gwy ...), its list of positions as in
`extract`. Several files, one scan of the same place for every energy, make a stack too: they are moved onto the first one, as the maps
themselves say, and the positions are those on the first file.

Written into DIR: kernels.npy (energies, k, k), uncertainty.npy where the method gives it, background.npy (energies, height, width)
where a layer has more background than a constant, dispersion.csv (bias_mv,
q_rad_per_nm, sigma_rad_per_nm) where pixel size and energies are known, energy-map.png, and stack.json with the fits of a
parabola and a line, the band model that --band and the verdict that --gap-sign (with
gap-sign.csv) ask for, the settings, warnings, hashes and versions.

Where the list names several classes of defects, their kernels are solved together, and each class has these files in a folder of
its own beside a stack.json that holds them together.

Each layer is kept as soon as it is solved: the same command goes on where it was stopped, with the same bytes.

Many stacks: give folders, of which every map is a stack, or --list. Each stack's results go into a folder of its stem in DIR, which
appears complete or not at all. With --workers or --scheduler several stacks are worked on at a time, as for many maps; of a single
stack, several parts of its layers.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = subparsers.add_parser(
        "stack",
        help="extract the kernel of every energy of a stack, and the dispersion",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "map", metavar="MAP", nargs="*", help="the stack's file, or several scans of the same place, one an energy; or folders of stacks"
    )
    parser.add_argument(
        "--list", metavar="FILE", help="text file with the path of one stack (or folder) a line, relative to its own folder"
    )
    parser.add_argument(
        "--bias-mv", type=float, nargs="+", metavar="MV", help="several scans: the energy of each, where the files do not say"
    )
    parser.add_argument(
        "--positions",
        required=True,
        metavar="FILE",
        help="where the defects are, the same for all layers; for many stacks also a folder with a list of each stack's stem",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results, its own for each stack")
    parser.add_argument("--channel", metavar="NAME", help="channel of the file (default: the dI/dV one where there is one)")
    parser.add_argument(
        "--kernel-size",
        type=kernel_size_argument,
        metavar="PX",
        help="side of the kernels in pixels, or auto: as far as the pattern is seen (default 64, or the map's side if smaller)",
    )
    parser.add_argument("--method", metavar="NAME", help=f"a method of `extract` (default {DEFAULT_METHOD})")
    parser.add_argument("--refine-positions", action="store_true", help="let several layers together move the defects first")
    parser.add_argument("--refine-weights", action="store_true", help="let them give each defect an amplitude of its own")
    parser.add_argument(
        "--effort", choices=EFFORTS, default="full", help="fast: white noise, the list as it is, no free correction; the files say so"
    )
    parser.add_argument("--noise-model", choices=NOISE_MODELS, default="auto", help="as in `extract`, each layer by itself")
    parser.add_argument("--level", default="none", metavar="KIND", help="what to take out of every layer first, as in `extract`")
    parser.add_argument("--prepare", metavar="FILE", help="preparation steps for every layer, as in `extract`")
    parser.add_argument(
        "--pixel-size-nm", type=float, nargs="+", metavar="NM", help="pixel size, one number or dy dx; overrides what the file says"
    )
    parser.add_argument(
        "--stability",
        action="store_true",
        help="also solve the stack from halves of the defects and say how far they agree, layer by layer (three times as long; at least 4 "
        "defects of each class)",
    )
    parser.add_argument(
        "--band",
        nargs="+",
        metavar="MODEL",
        help="also fit bands to the maps themselves and say which one they prefer, with errors: free-electron, dirac, two-bands, elliptic, "
        "hexagonal, topological, or with --lattice square, triangular and honeycomb (tight binding)",
    )
    parser.add_argument(
        "--lattice",
        type=float,
        nargs=2,
        metavar=("NM", "DEGREES"),
        help="lattice constant and direction of a primitive vector, from +x towards +y (downwards), for bands of a lattice and --path",
    )
    parser.add_argument(
        "--joint-density",
        action="store_true",
        help="also write the joint density of states of the band that --band finds, on the q axes of the kernels' Fourier transforms, "
        "and a picture of it beside one of them",
    )
    parser.add_argument(
        "--path",
        choices=("square", "hexagonal"),
        help="also write E(q) along the path through the zone's points of high symmetry, of the kind of lattice whose constant and "
        "direction --lattice gives",
    )
    parser.add_argument(
        "--set-point",
        nargs="*",
        metavar="CHANNEL",
        help="also name wave vectors that do not disperse, and say whether the kernels of these channels (current, height) have them too",
    )
    parser.add_argument(
        "--gap-sign",
        type=float,
        nargs=2,
        metavar=("Q_MIN", "Q_MAX"),
        help="also judge whether a superconducting gap changes sign between the states that this ring of q-space connects, rad/nm (2 pi "
        "included); energies relative to the Fermi level",
    )
    parser.add_argument(
        "--pictures", nargs="+", choices=("png", "svg", "pdf"), default=["png"], metavar="FORMAT", help="formats of E(q), as in `extract`"
    )
    parser.add_argument("--model", metavar="NAME", help="released model or a model's folder, for the methods that have one")
    parser.add_argument("--device", default="auto", help="where the networks run, as in `extract`")
    add_executor_arguments(parser, "stacks")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Solve one stack, or every one of many."""
    if args.list is not None or any(Path(path).is_dir() for path in args.map):
        return _solve_many(args)
    return _solve_one(args)


def _solve_many(args: argparse.Namespace) -> int:
    """Solve every stack that has no result yet; 2 where one of them failed."""
    from qpi_core.cli.batch.many import run_many
    from qpi_core.workflows.many_stacks import solve_stacks

    options = replace(_options(args), more_scans=())
    return run_many(args, "stack", lambda stacks, executor, sent: solve_stacks(stacks, options, args.out, executor, send_contents=sent))


def _solve_one(args: argparse.Namespace) -> int:
    """Solve the layers that are not there yet, write the results and say what was found."""
    from tqdm import tqdm

    from qpi_core.base.errors import InputError
    from qpi_core.extraction.extractor import load_extractor
    from qpi_core.results.files import prepare_folder
    from qpi_core.workflows.one_map import MapFiles
    from qpi_core.workflows.stack_inputs import read_stack_inputs
    from qpi_core.workflows.stack_run import describe_stack, solve_into

    if not args.map:
        raise InputError("give MAP, the file of a stack, or --list FILE with the paths of several.")
    extractor, files, options = load_extractor(args.model, args.device), MapFiles.at(args.map[0], args.positions), _options(args)
    inputs = read_stack_inputs(files, options)
    # Before the work, not after it.
    prepare_folder(args.out)
    for sentence in inputs.sentences:
        print(sentence)
    with tqdm(total=len(inputs.stack.values), desc="layers", unit="layer", disable=args.quiet) as bar:

        def show(share: float, words: str, /) -> None:
            bar.set_postfix_str(words, refresh=False)
            bar.update(round(share * len(inputs.stack.values)) - bar.n)

        try:
            with spread_layers(args, (files, options), inputs, bar) as spread:
                found = solve_into(args.out, inputs, extractor, show, spread)
        except KeyboardInterrupt:
            tqdm.write(f"The layers that are solved are kept in {args.out}; the same command goes on from there.")
            raise
    if found is None:
        print(f"The results are in {args.out} already.")
        return 0
    for sentence in describe_stack(*found):
        print(sentence)
    print(f"Results in {args.out}")
    return 0


@contextmanager
def spread_layers(
    args: argparse.Namespace, given: tuple[MapFiles, StackOptions], inputs: StackInputs, bar: Any
) -> Iterator[Callable[[list[int], Callable[[int, Any], None]], None] | None]:
    """Give what solves layers on the executor that was asked for; None where none was.

    Raises:
        InputError: an executor that cannot be had.
    """
    from qpi_core.runtime.executor import DaskCluster, choose_executor
    from qpi_core.workflows.stack_parts import solve_over

    if args.workers is None and args.scheduler is None:
        yield None
        return
    executor = choose_executor(args.workers, args.scheduler)
    files, options = given
    sent = files.loaded() if args.scheduler is not None else files

    def spread(layers: list[int], keep: Callable[[int, Any], None]) -> None:
        def kept(index: int, kernels: Any) -> None:
            keep(index, kernels)
            bar.update()

        bar.update(len(inputs.stack.values) - len(layers))
        solve_over(executor, (sent, options), inputs, layers, kept)

    try:
        yield spread
    finally:
        if isinstance(executor, DaskCluster):
            executor.close()


def _options(args: argparse.Namespace) -> StackOptions:
    from qpi_core.cli.extract import pixel_size
    from qpi_core.maps.preparation import Preparation, load_preparation
    from qpi_core.workflows.one_map import ExtractionOptions
    from qpi_core.workflows.stack_inputs import StackOptions

    bias = None if args.bias_mv is None else tuple(args.bias_mv)
    steps = load_preparation(args.prepare) if args.prepare is not None else Preparation()
    preparation = ExtractionOptions(level=args.level, prepare=steps).preparation()
    return StackOptions(
        method=args.method,
        kernel_size=args.kernel_size,
        channel=args.channel,
        preparation=preparation,
        pixel_size_nm=pixel_size(args.pixel_size_nm),
        refine_positions=args.refine_positions,
        refine_weights=args.refine_weights,
        noise_model=args.noise_model,
        effort=args.effort,
        stability=args.stability,
        model=args.model,
        band_models=tuple(args.band or ()),
        lattice=None if args.lattice is None else (args.lattice[0], args.lattice[1]),
        joint_density=args.joint_density,
        path=args.path,
        set_point=None if args.set_point is None else tuple(args.set_point),
        gap_ring=None if args.gap_sign is None else (args.gap_sign[0], args.gap_sign[1]),
        more_scans=tuple(args.map[1:]),
        scan_bias_mv=bias,
        pictures=tuple(args.pictures),
        device=args.device,
    )
