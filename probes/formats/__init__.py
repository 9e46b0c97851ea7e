"""The files that a report is written to: each a module `FLAG_format` with `render(report)`."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from probes.report import Report


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format by its flag; only one that is asked for costs an import."""

    flag: str
    help: str

    def render(self, report: "Report") -> str:
        return str(import_module(f"probes.formats.{self.flag}_format").render(report))


FORMATS: Final = (
    Format(
        flag="json",
        help="the full report (schema: probes/report.schema.json); - writes it to standard "
        "output, and all other lines to standard error",
    ),
    Format(flag="junit", help="one test case per criterion"),
    Format(
        flag="markdown",
        help="tables; also appended to $GITHUB_STEP_SUMMARY if that is set",
    ),
    Format(flag="svg", help="a chart of the shares, and of the requests over time"),
)
