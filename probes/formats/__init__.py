"""The files that a report is written to: each a module `FLAG_format` with `render(report)`."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from probes.report import Report


FORMATS: Final = {
    "json": "everything, as probes/report.schema.json describes it; - is standard output, and "
    "then lines for people go to standard error",
    "junit": "one test case per criterion",
    "markdown": "tables; also appended to $GITHUB_STEP_SUMMARY, where it is set",
    "svg": "a picture of the shares and the requests",
}
"""What each flag's file holds, for `--help`."""


def render(flag: str, report: "Report") -> str:
    """Return the whole file; only a format that is asked for costs an import."""
    return str(import_module(f"probes.formats.{flag}_format").render(report))
