"""What was measured on one scene by one method: one JSON line each, appended as it comes, so nothing measured is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qpi_core.base.errors import InputError


@dataclass(frozen=True)
class Record:
    """One method on one scene.

    Attributes:
        variant: kind of scene, such as "on-grid", or the part of a data set.
        noise_level: relative to the standard deviation of the clean observation.
        index: number of the scene.
        defects: true number of defects.
        method: name of the method.
        mae, mse, rmse, cosine, fft_correlation: as in metrics.KernelErrors; None where the method failed.
        seconds: of the extraction alone.
        symmetry_true, symmetry_found: orders, None where there is none or the method names none.
        coverage_68, coverage_95: share of pixels within 1 and 1.96 standard deviations, None without uncertainty.
        noise_ratio: estimated over true noise, None without noise.
        cpu_seconds: processor time of the extraction, all threads together.
        warnings: what the estimate warned of.
        accused: whether a right list of defects was called wrong, None where the list is not right.
        failure: the sentence that the method refused with, None where it answered.
        kernel: number of the kernel where several scenes share one, as in a data set; None where every scene has its own.
    """

    variant: str
    noise_level: float
    index: int
    defects: int
    method: str
    mae: float | None = None
    mse: float | None = None
    rmse: float | None = None
    cosine: float | None = None
    fft_correlation: float | None = None
    seconds: float | None = None
    symmetry_true: int | None = None
    symmetry_found: int | None = None
    coverage_68: float | None = None
    coverage_95: float | None = None
    noise_ratio: float | None = None
    cpu_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    accused: bool | None = None
    failure: str | None = None
    kernel: int | None = None

    @property
    def key(self) -> tuple[str, float, int, str]:
        """Return what makes the record unique within a run."""
        return self.variant, self.noise_level, self.index, self.method


def append_records(path: Path, records: Iterable[Record]) -> None:
    """Add records to a file of JSON lines."""
    text = "".join(json.dumps(asdict(record), allow_nan=False) + "\n" for record in records)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, an empty list where there is none; a last line that was cut off is removed from the file.

    Raises:
        InputError: a line other than the last is no record.
    """
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        # The run was killed while it wrote this line; what follows must start on a line of its own.
        path.write_bytes(whole)
    records = []
    for number, line in enumerate(whole.decode("utf-8").splitlines(), start=1):
        try:
            values: dict[str, Any] = json.loads(line)
            records.append(Record(**{**values, "warnings": tuple(values.get("warnings", ()))}))
        except (ValueError, TypeError):
            raise InputError(f"{path.name}, line {number}, is no record of this benchmark; move the file away and run again.") from None
    return records
