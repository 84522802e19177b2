"""Everything about a solved stack: the files of the command line, a report, the code that makes it again, and all of it in one ZIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qpi_core.estimates.class_stack import NO_CLASS, StackResult, stacks_of
from qpi_core.estimates.stack_estimate import StackEstimate
from qpi_core.extraction.stacks.stack_findings import StackFindings
from qpi_core.results.archive import zip_bytes
from qpi_core.results.class_files import class_folders
from qpi_core.results.stacks.stack_files import stack_files, stack_npz
from qpi_core.results.stacks.stack_report import stack_report_html
from qpi_core.results.stacks.stack_script import stack_snippet


def stack_documents(result: StackResult, findings: StackFindings) -> dict[str, bytes]:
    """Return what a person reads first, name -> content: the report, and the code that makes the stack again."""
    return {"report.html": stack_report_html(result, findings), "reproduce.py": stack_snippet(result).encode()}


def stack_zip(result: StackResult, findings: StackFindings, settings: Mapping[str, Any], formats: Sequence[str] = ("png",)) -> bytes:
    """Return all files of a stack as one ZIP; those of a class lie below its folder.

    Args:
        result: the solved stack.
        findings: dispersions, and what else was asked of the stack.
        settings: strict-JSON values: where the stack came from and what was asked.
        formats: of the pictures, out of MEDIA_TYPES.
    """
    files = stack_documents(result, findings) | stack_files(result, findings, settings, formats)
    folders = {NO_CLASS: ""} if isinstance(result, StackEstimate) else class_folders(result.names)
    for name, estimate in stacks_of(result).items():
        folder = f"{folders[name]}/" if folders[name] else ""
        files[f"{folder}stack.npz"] = stack_npz(estimate, findings.bands[name])
    return zip_bytes(files)
