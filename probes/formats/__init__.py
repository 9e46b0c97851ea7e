"""The files that a report is written to: each a module `FLAG_format` with `render(report)`."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from probes.report import Report

FORMATS: Final = {
    "json": "the full report (schema: probes/report.schema.json); - writes it to standard output, "
    "and all other lines to standard error",
    "junit": "one test case per criterion",
    "markdown": "tables; also appended to $GITHUB_STEP_SUMMARY if that is set",
    "svg": "a chart of the shares, and of the requests over time",
}
"""What each flag's file holds, for `--help`."""


def render(flag: str, report: "Report") -> str:
    """Return the whole file; only a format that is asked for costs an import."""
    return str(import_module(f"probes.formats.{flag}_format").render(report))
