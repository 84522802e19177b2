"""The files that an autosave is kept in: on the computer that runs the app, for a week, and never more than a fixed amount."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

FOLDER_VARIABLE = "QPI_AUTOSAVE_FOLDER"
MOST_BYTES_OF_ONE = 128 * 2**20
MOST_BYTES = 512 * 2**20
KEPT_SECONDS = 7 * 24 * 3600
_NAME = re.compile(r"[0-9a-f]{32}")


class AutosaveStore:
    """Parts of saved work, by the random name of a browser tab."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use a folder, or the usual one of this user; it is made with the first file."""
        self.folder = folder or _usual_folder()

    def save(self, tab: str, part: str, content: bytes) -> bool:
        """Keep a part in place of the one before; say whether there was room for it. What is too large leaves nothing behind."""
        target = self._place(tab) / f"{part}.zip"
        before = target.stat().st_size if target.is_file() else 0
        if len(content) + self._size(target.parent) - before > MOST_BYTES_OF_ONE:
            target.unlink(missing_ok=True)
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        unfinished = target.with_suffix(".part")
        unfinished.write_bytes(content)
        unfinished.chmod(0o600)
        unfinished.replace(target)
        self.tidy(keep=tab)
        return True

    def parts(self, tab: str) -> dict[str, bytes]:
        """Return name -> content of what is kept, empty where there is nothing."""
        place = self._place(tab)
        return {path.stem: path.read_bytes() for path in sorted(place.glob("*.zip"))} if place.is_dir() else {}

    def listed(self, tab: str) -> list[tuple[str, float]]:
        """Return (part, when it was kept) of what is kept, the latest first."""
        found = []
        for path in self._place(tab).glob("*.zip"):
            with contextlib.suppress(OSError):  # another tab may tidy up at the same time
                found.append((path.stem, path.stat().st_mtime))
        return sorted(found, key=lambda one: -one[1])

    def content(self, tab: str, part: str) -> bytes | None:
        """Return a part, or None where it is not kept."""
        for path in self._place(tab).glob("*.zip"):
            if path.stem == part:
                return path.read_bytes()
        return None

    def saved_at(self, tab: str) -> float | None:
        """Return when something was kept last (seconds since 1970), or None."""
        times = [path.stat().st_mtime for path in self._place(tab).glob("*.zip")]
        return max(times, default=None)

    def forget(self, tab: str, part: str = "*") -> None:
        """Delete a part, or all of a tab."""
        for path in self._place(tab).glob(f"{part}.zip"):
            path.unlink(missing_ok=True)

    def tidy(self, keep: str = "") -> None:
        """Delete what is older than a week, and the oldest until the rest has room; `keep` is left alone."""
        if not self.folder.is_dir():
            return
        places = [path for path in self.folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name) and path.name != keep]
        dated = sorted((self.saved_at(path.name) or 0.0, path) for path in places)
        total = sum(self._size(path) for path in self.folder.iterdir())
        for saved, path in dated:
            if time.time() - saved < KEPT_SECONDS and total <= MOST_BYTES:
                break
            total -= self._size(path)
            shutil.rmtree(path, ignore_errors=True)

    def _place(self, tab: str) -> Path:
        """Return the folder of a tab; its name comes from a browser, so nothing but a name of the right form becomes a path.

        Raises:
            ValueError: another form.
        """
        if not _NAME.fullmatch(tab):
            raise ValueError("a tab's name has 32 hexadecimal digits")
        return self.folder / tab

    @staticmethod
    def _size(place: Path) -> int:
        found = 0
        with contextlib.suppress(OSError):  # another tab may tidy up at the same time
            found = sum(path.stat().st_size for path in place.glob("*.zip"))
        return found


def _usual_folder() -> Path:
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    cache = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "qpi-kernels" / "autosave"
