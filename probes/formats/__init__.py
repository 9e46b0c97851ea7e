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
        """Return the whole file."""
        return str(import_module(f"probes.formats.{self.flag}_format").render(report))


FORMATS: Final = (
    Format(
        flag="json",
        help="everything, as probes/report.schema.json describes it; - is standard output, and "
        "then lines for people go to standard error",
    ),
    Format(flag="junit", help="one test case per criterion"),
    Format(
        flag="markdown",
        help="tables; also appended to $GITHUB_STEP_SUMMARY, where it is set",
    ),
    Format(flag="svg", help="a picture of the shares and the requests"),
)
