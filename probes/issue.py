"""Keep one issue open while what is deployed has drifted or is not proved; close it when it is."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    # Run as a script: imports start at the repository, not in this folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from probes import exit_codes, files
from probes.exit_codes import AS_DECLARED, WRONG_INPUT, InputError
from probes.github import GitHub
from probes.redaction import redacted

LONGEST: Final = 25_000  # characters of one report; GitHub refuses a text of more than 65,536
_LARGEST: Final = 1_000_000  # bytes of a report that are read
_EPILOG: Final = f"""\
environment:
  GITHUB_TOKEN, with issues: write; GITHUB_REPOSITORY; GITHUB_API_URL and GITHUB_SERVER_URL
  GITHUB_RUN_ID, GITHUB_SHA, and GITHUB_WORKFLOW, which the issue names

exit codes:
  {AS_DECLARED}    the issue is as the result says
  {WRONG_INPUT}    wrong usage or input, or an issue that GitHub did not take
"""


def main(arguments: Sequence[str] | None = None) -> int:
    return exit_codes.of(lambda: _run(arguments), "issue.py: error")


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    stack = options.stack
    if not re.fullmatch(r"[\w./-]+", stack, re.ASCII):
        raise InputError(f"--stack is {stack!r}: no name of a stack")
    github = GitHub.of_environment("issues: write")
    marker = f"<!-- openai-gateway: issue of stack {stack} -->"
    body = None
    if options.result != "success":
        said = _run_of(stack, f"ended in {options.result}, without the proof")
        body = "\n\n".join([f"{marker}\n{said}", *map(_report, options.reports)]) + "\n"
    done = github.patiently(lambda: _put(github, stack, marker, body))
    print(f"issue: {done}")
    return AS_DECLARED


def _put(github: GitHub, stack: str, marker: str, body: str | None) -> str:
    """Open the issue, change it or, without a body, close it; returns what was done."""
    own = github.own("/issues?state=open", marker)
    if body is None:
        if own is None:
            return "none is open, and all is well"
        said = _run_of(stack, "proved that it is as declared")
        github.ask("POST", f"/issues/{own}/comments", {"body": said})
        state = {"state": "closed", "state_reason": "completed"}
        github.ask("PATCH", f"/issues/{own}", state)
        return f"{own} is closed"
    if own is None:
        title = f"Stack {stack}: not as declared, or not proved"
        return f"{github.ask('POST', '/issues', {'title': title, 'body': body})['number']} is new"
    github.ask("PATCH", f"/issues/{own}", {"body": body})
    return f"{own} has the newest report"


def _run_of(stack: str, did: str) -> str:
    get = os.environ.get
    run = f"{get('GITHUB_REPOSITORY')}/actions/runs/{get('GITHUB_RUN_ID', '0')}"
    server = get("GITHUB_SERVER_URL") or "https://github.com"
    what, commit = get("GITHUB_WORKFLOW") or "A run", get("GITHUB_SHA", "")[:7]
    of = f" at `{commit}`" if commit else ""
    return f"[{what}]({server}/{run}){of} {did}: stack `{stack}`."


def _report(path: str) -> str:
    if not Path(path).is_file():  # which says how far the run came
        return f"There is no {Path(path).name}: the run did not come that far."
    text = files.read(path, _LARGEST, path, excess=", which is no report").decode(errors="replace")
    text = redacted(text)
    if len(text) <= LONGEST:
        return text
    return text[: text.rfind("\n", 0, LONGEST)] + "\n\n*The rest is in the run's artifact.*"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="issue.py",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--stack", required=True, metavar="NAME", help="whose issue it is")
    what = "how the job ended, in GitHub's word: success closes, all else opens or updates"
    words = ("success", "failure", "cancelled")
    add("--result", required=True, choices=words, help=what)
    add("reports", nargs="*", metavar="FILE", help="a report in Markdown, for the issue's text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
