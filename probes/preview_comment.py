"""Say before the merge where a preview would send the traffic: one comment, and an exit code."""

import argparse
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a script, from anywhere
    sys.path.insert(0, str(ROOT))

from probes.exit_codes import InputError  # noqa: E402
from probes.preview.comment import render  # noqa: E402
from probes.preview.model import PreviewError, parse  # noqa: E402
from probes.preview.verdict import CANNOT_TELL, Verdict, judge  # noqa: E402

if TYPE_CHECKING:
    from probes.preview.github import Comments

WRONG_INPUT = 2
INTERRUPTED = 130
LARGEST = 50_000_000
"""Bytes of a preview that are read; a stack of 30 regions has about 1,000,000."""
EPILOG = """\
examples:
  pulumi preview --json --show-sames > preview.json; python probes/preview_comment.py preview.json
  python probes/preview_comment.py --run --expect round-robin
  python probes/preview_comment.py preview.json --post --pull-request 7

environment, for --post:
  GITHUB_TOKEN, GITHUB_REPOSITORY; GITHUB_API_URL (default: https://api.github.com);
  GITHUB_EVENT_PATH names the pull request when --pull-request does not

exit codes:
  0 traffic as declared      1 traffic would be unbalanced
  2 wrong usage or input, or a comment that GitHub did not take
  3 it cannot be told        130 interrupted (Ctrl-C)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run == (options.preview is not None):
        parser.error("name a file with a preview, - for standard input, or give --run")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a bar must not end a run where it is unknown
    try:
        comments = _comments(options.pull_request) if options.post else None
        text = _run() if options.run else _read(options.preview)
        comment, code = _judged(text, round_robin=options.expect == "round-robin")
        print(comment, end="", flush=True)
        if comments:
            print(f"comment: {comments.put(comment)}", file=sys.stderr)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who read the comment has left; nothing may be written any more, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANNOT_TELL
    return code


def _judged(text: str, *, round_robin: bool) -> tuple[str, int]:
    """Return the comment on a preview, and the exit code."""
    try:
        preview = parse(text)
    except PreviewError as error:
        verdict = Verdict(
            code=CANNOT_TELL,
            sentence="The preview cannot be read: where traffic would go cannot be told",
            reasons=(str(error),),
        )
        return render(None, verdict), verdict.code
    if round_robin:
        preview = dataclasses.replace(preview, routing="round-robin")
    verdict = judge(preview)
    return render(preview, verdict), verdict.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="preview_comment.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "preview",
        nargs="?",
        metavar="FILE",
        help="what `pulumi preview --json --show-sames` printed; - is standard input",
    )
    parser.add_argument("--run", action="store_true", help="run the preview here instead")
    parser.add_argument(
        "--expect",
        choices=("round-robin", "declared"),
        default="declared",
        help="round robin, or what the stack's routing declares (default)",
    )
    parser.add_argument(
        "--post", action="store_true", help="write the comment to the pull request on GitHub"
    )
    parser.add_argument("--pull-request", type=_number, metavar="N", help="its number")
    return parser


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _read(path: str) -> str:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST:,} bytes, which is no preview")
    return data.decode("utf-8", errors="replace")


def _run() -> str:
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise InputError("--run: pulumi is not on PATH; name a file with its preview instead")
    done = subprocess.run(
        [pulumi, "preview", "--json", "--show-sames", "--non-interactive"],
        capture_output=True,
        check=False,
    )
    text = done.stdout.decode("utf-8", errors="replace")
    return text or done.stderr.decode("utf-8", errors="replace")


def _comments(pull_request: int | None) -> "Comments":
    """Return the pull request's comments; what is missing is said before anything is run."""
    from probes.preview.github import Comments  # noqa: PLC0415 - httpx, which printing does not need

    missing = [name for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY") if not os.environ.get(name)]
    if missing:
        raise InputError(f"--post: {' and '.join(missing)} must be set")
    return Comments(
        os.environ.get("GITHUB_API_URL") or "https://api.github.com",
        os.environ["GITHUB_REPOSITORY"],
        pull_request or _pull_request_of_the_event(),
        os.environ["GITHUB_TOKEN"],
    )


def _pull_request_of_the_event() -> int:
    path = os.environ.get("GITHUB_EVENT_PATH", "")
    try:
        return int(json.loads(Path(path).read_text("utf-8"))["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError("--post: give --pull-request N; the event names none") from None


if __name__ == "__main__":
    sys.exit(main())
