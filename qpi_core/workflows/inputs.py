"""Which maps are meant by folders, files and lists, which list of positions belongs to each, and what its results are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qpi_core.base.errors import InputError
from qpi_core.maps import READABLE_EXTENSIONS

POSITION_EXTENSIONS = (".csv", ".txt", ".json", ".npy")
"""Extensions of lists of positions, in the order in which they are looked for."""

_HEADING = re.compile(rb"(\xef\xbb\xbf)?\s*[#\"]?\s*x[ _\[(]*(scanner[ _\[(]*)?(px|nm|pixel)", re.IGNORECASE)

MAP_EXTENSIONS = frozenset(f".{extension}" for extension in READABLE_EXTENSIONS)


@dataclass(frozen=True)
class ListedMap:
    """One map out of many.

    Attributes:
        name: of its result folder, different from all others.
        scan: the map's file.
        positions: the list of its defects, None where there is none.
    """

    name: str
    scan: Path
    positions: Path | None


def list_maps(paths: Sequence[str | Path], list_file: str | Path | None, positions: str | Path | None) -> list[ListedMap]:
    """Return the maps with their positions and names, each map once, in the order given and by name within folders.

    Args:
        paths: files, and folders of which every file with a map's extension counts that is no list of positions.
        list_file: a text file with one path a line, relative to its own folder; # begins a comment.
        positions: one list for all maps, or a folder with a list of the same stem for each; None where no map has one.

    Raises:
        InputError: nothing found, a path that is not there, or no positions where they are said to be.
    """
    chosen = None if positions is None else Path(positions)
    if chosen is not None and (not str(positions) or not chosen.exists()):
        raise InputError(f"there is no file or folder of positions named {chosen.name!r}; check the path.")
    found: dict[Path, Path] = {}
    for path in (*map(Path, paths), *_listed(list_file)):
        for file in _maps_in(path, chosen) if path.is_dir() else [path]:
            found.setdefault(file.resolve(), file)
    if not found:
        raise InputError("no map was found: give files, folders that hold maps, or a list with one path a line.")
    files = list(found.values())
    own_lists = _lists_by_stem(chosen) if chosen is not None and chosen.is_dir() else None
    return [
        ListedMap(name, file, chosen if own_lists is None else _other_than(file, own_lists.get(file.stem)))
        for name, file in zip(_names(files), files, strict=True)
    ]


def _other_than(file: Path, found: Path | None) -> Path | None:
    """Return the list unless it is the map itself."""
    return None if found is None or found.resolve() == file.resolve() else found


def _listed(list_file: str | Path | None) -> list[Path]:
    if list_file is None:
        return []
    path = Path(list_file)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list {path.name} cannot be read; give a text file with one path a line.") from error
    wanted = [path.parent / line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    missing = [entry for entry in wanted if not entry.exists()]
    if missing:
        raise InputError(f"the list {path.name} names {missing[0].name}, which is not there ({len(missing)} of {len(wanted)} are missing).")
    return wanted


def _maps_in(folder: Path, positions: Path | None) -> list[Path]:
    """Return the files of a folder that are maps by their extension, without lists of positions and hidden files."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    lists = set() if positions is None else {positions.resolve()}
    if positions is not None and positions.is_dir() and positions.samefile(folder):
        stems = [file.stem for file in files]
        # A list lies beside its map under the same stem.
        lists = {file.resolve() for stem, file in _lists_by_stem(folder).items() if stems.count(stem) > 1}
    return [file for file in files if _is_named_as_map(file) and file.resolve() not in lists and not _is_headed_list(file)]


def _is_named_as_map(file: Path) -> bool:
    """Say whether the extension is a map's; Omicron Matrix puts the channel before it, as in .Z_mtrx."""
    return file.suffix.lower() in MAP_EXTENSIONS or file.suffix.lower().endswith("_mtrx")


def _is_headed_list(file: Path) -> bool:
    """Say whether a text file begins with the names of the columns of a list of positions."""
    if file.suffix.lower() not in (".csv", ".txt"):
        return False
    with file.open("rb") as opened:
        return _HEADING.match(opened.read(200)) is not None


def _lists_by_stem(folder: Path) -> dict[str, Path]:
    files = [file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in POSITION_EXTENSIONS]
    found: dict[str, Path] = {}
    for file in sorted(files, key=lambda file: (POSITION_EXTENSIONS.index(file.suffix.lower()), file.name)):
        found.setdefault(file.stem, file)
    return found


def _names(files: Sequence[Path]) -> list[str]:
    """Return the stems; whole file names where two maps share a stem, numbered where they share that too."""
    stems = [file.stem.lower() for file in files]
    names = [file.stem if stems.count(stem) == 1 else file.name for file, stem in zip(files, stems, strict=True)]
    return list(_numbered(names))


def _numbered(names: Iterable[str]) -> Iterable[str]:
    taken: set[str] = set()
    for name in names:
        unique, number = name, 2
        while unique.lower() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.lower())
        yield unique
