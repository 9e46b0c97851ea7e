"""Say before the merge where a preview would send the traffic: one comment, and an exit code."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script, from anywhere
    sys.path.insert(0, str(ROOT))

from probes import exit_codes, files  # noqa: E402
from probes.exit_codes import INCONCLUSIVE, InputError  # noqa: E402
from probes.preview.comment import FORK_MARKER, MARKER, render  # noqa: E402
from probes.preview.model import Preview, PreviewError, parse  # noqa: E402
from probes.preview.verdict import Verdict, judge  # noqa: E402
from probes.redaction import redacted  # noqa: E402

if TYPE_CHECKING:
    from probes.github import GitHub, PullRequest

LARGEST = 50_000_000  # bytes of a preview that are read; a stack of 30 regions has about 1,000,000
EPILOG = f"""\
examples:
  pulumi preview --json --show-sames > preview.json 2> preview.log
  python probes/preview_comment.py preview.json --log preview.log
  python probes/preview_comment.py --run --expect round-robin
  python probes/preview_comment.py preview.json --post --pull-request 7 --head "$HEAD"

environment, for --post and --rehearsal:
  GITHUB_TOKEN, GITHUB_REPOSITORY; GITHUB_API_URL (default: https://api.github.com);
  GITHUB_EVENT_PATH names the pull request when --pull-request does not

{exit_codes.described(exit_codes.COMMENT)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    return exit_codes.of(lambda: _run(arguments), "error")


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    sources = (options.preview is not None, options.run, options.rehearsal is not None)
    if sum(sources) != 1:
        parser.error("name a file with a preview, - for standard input, or give --run")
    if options.head and not options.post:
        parser.error("--head is for --post")
    for flag in ("pull_request", "rehearsal"):
        if (number := getattr(options, flag)) is not None and number < 1:
            name = flag.replace("_", "-")
            parser.error(f"argument --{name}: {number} is no number of one")
    if options.rehearsal:
        return _rehearsed(options)
    pull_request = _pull_request(options) if options.post else None
    text, log = _preview() if options.run else (_read(options.preview), "")
    log = _read(options.log) if options.log else log
    preview, verdict = _judged(text, log, round_robin=options.expect == "round-robin")
    comment = render(preview, verdict)
    print(comment, end="", flush=True)
    if pull_request:
        _told(pull_request.put(comment, MARKER))
    return verdict.code


def _rehearsed(options: argparse.Namespace) -> int:
    """Judge what a fork's own code says of itself: never a pass, and for its pull request alone."""
    from probes.preview import rehearsal  # noqa: PLC0415 - httpx, which printing does not need

    found = rehearsal.read(_github("--rehearsal"), options.rehearsal)
    if isinstance(found, str):
        print(f"comment: none: {found}", file=sys.stderr)
        return INCONCLUSIVE
    expects = options.expect == "round-robin"
    preview, verdict = _judged(found.preview, found.log, round_robin=expects)
    verdict = rehearsal.not_verified(verdict, found.pull_request)
    comment = render(preview, verdict, FORK_MARKER)
    print(comment, end="", flush=True)
    if options.post:
        _told(found.pull_request.put(comment, FORK_MARKER))
    return verdict.code


def _told(address: str | None) -> None:
    none = "none: the pull request is closed, or has another head by now"
    print(f"comment: {none if address is None else address}", file=sys.stderr)


def _judged(text: str, log: str = "", *, round_robin: bool) -> tuple[Preview | None, Verdict]:
    try:
        preview = parse(text, redacted(log))
    except PreviewError as error:
        cannot = "The preview cannot be read: where traffic would go cannot be told"
        return None, Verdict(INCONCLUSIVE, cannot, reasons=tuple(str(error).splitlines()))
    if round_robin:
        preview = replace(preview, routing="round-robin")
    return preview, judge(preview)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="preview_comment.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    what = "what `pulumi preview --json --show-sames` printed; - is standard input"
    add("preview", nargs="?", metavar="FILE", help=what)
    add("--run", action="store_true", help="run the preview here instead")
    what = "judge what this run of the rehearsal left instead, for the fork's pull request"
    add("--rehearsal", type=int, metavar="RUN", help=what)
    what = "what the preview printed on standard error, quoted when it failed"
    add("--log", metavar="FILE", help=what)
    what = "round robin, or what the stack's routing declares (default)"
    add("--expect", choices=("round-robin", "declared"), default="declared", help=what)
    what = "write the comment to the pull request on GitHub"
    add("--post", action="store_true", help=what)
    add("--pull-request", type=int, metavar="N", help="its number")
    what = "write only while this is its newest commit, on a branch of the repository"
    add("--head", metavar="SHA", help=what)
    return parser


def _read(path: str) -> str:
    return files.read(path, LARGEST, path, excess=", which is no preview").decode(errors="replace")


def _preview() -> tuple[str, str]:
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise InputError("--run: pulumi is not on PATH; name a file with its preview instead")
    done = subprocess.run(
        [pulumi, "preview", "--json", "--show-sames", "--non-interactive"],
        capture_output=True,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    return done.stdout, done.stderr


def _github(flag: str) -> "GitHub":
    from probes.github import GitHub  # noqa: PLC0415 - httpx, which printing does not need

    return GitHub.of_environment("pull-requests: write", f"{flag}: ")


def _pull_request(options: argparse.Namespace) -> "PullRequest":
    from probes.github import PullRequest  # noqa: PLC0415

    github, number = _github("--post"), options.pull_request
    if number is None:
        try:
            event = json.loads(Path(os.environ.get("GITHUB_EVENT_PATH", "")).read_text("utf-8"))
            number = int(event["pull_request"]["number"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError("--post: give --pull-request N; the event names none") from None
    where = {"head": options.head or "", "repository": github.repository}
    return PullRequest(github=github, number=number, **where)


if __name__ == "__main__":
    sys.exit(main())
