"""Say before the merge where a preview would send the traffic: one comment, and an exit code."""

import argparse
import io
import json
import os
import re
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
from probes.preview.comment import render  # noqa: E402
from probes.preview.model import PreviewError, parse  # noqa: E402
from probes.preview.verdict import Verdict, judge  # noqa: E402

if TYPE_CHECKING:
    from probes.preview.github import Comments

LARGEST = 50_000_000  # bytes of a preview that are read; a stack of 30 regions has about 1,000,000
_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL|CONNECTION", re.IGNORECASE)
_IN_URLS = re.compile(r"(?<=://)[^\s/@]+@|\b(?:sig|code|access_token)=[^\s&\"']+")
EPILOG = f"""\
examples:
  pulumi preview --json --show-sames > preview.json 2> preview.log
  python probes/preview_comment.py preview.json --log preview.log
  python probes/preview_comment.py --run --expect round-robin
  python probes/preview_comment.py preview.json --post --pull-request 7

environment, for --post:
  GITHUB_TOKEN, GITHUB_REPOSITORY; GITHUB_API_URL (default: https://api.github.com);
  GITHUB_EVENT_PATH names the pull request when --pull-request does not

{exit_codes.described(exit_codes.COMMENT)}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    return exit_codes.of(lambda: _run(arguments), "error")


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run == (options.preview is not None):
        parser.error("name a file with a preview, - for standard input, or give --run")
    if options.pull_request is not None and options.pull_request < 1:
        parser.error(f"argument --pull-request: {options.pull_request} is no number of one")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a bar must not end a run where it is unknown
    comments = _comments(options.pull_request) if options.post else None
    text, log = _preview() if options.run else (_read(options.preview), "")
    log = _read(options.log) if options.log else log
    comment, code = _judged(text, _redacted(log), round_robin=options.expect == "round-robin")
    print(comment, end="", flush=True)
    if comments:
        print(f"comment: {comments.put(comment)}", file=sys.stderr)
    return code


def _judged(text: str, log: str = "", *, round_robin: bool) -> tuple[str, int]:
    try:
        preview = parse(text, log)
    except PreviewError as error:
        cannot = "The preview cannot be read: where traffic would go cannot be told"
        verdict = Verdict(INCONCLUSIVE, cannot, reasons=tuple(str(error).splitlines()))
        return render(None, verdict), verdict.code
    if round_robin:
        preview = replace(preview, routing="round-robin")
    verdict = judge(preview)
    return render(preview, verdict), verdict.code


def _redacted(log: str) -> str:
    """Return a log without the secrets that this machine's environment has."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) > 7:
            log = log.replace(value, "[secret]")
    return _IN_URLS.sub("[secret]", log)


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
    what = "what the preview printed on standard error, quoted when it failed"
    add("--log", metavar="FILE", help=what)
    what = "round robin, or what the stack's routing declares (default)"
    add("--expect", choices=("round-robin", "declared"), default="declared", help=what)
    what = "write the comment to the pull request on GitHub"
    add("--post", action="store_true", help=what)
    add("--pull-request", type=int, metavar="N", help="its number")
    return parser


def _read(path: str) -> str:
    data = files.read(path, LARGEST, path, excess=", which is no preview")
    return data.decode("utf-8", errors="replace")


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


def _comments(pull_request: int | None) -> "Comments":
    from probes.preview.github import Comments  # noqa: PLC0415 - httpx, which printing does not need

    missing = [name for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY") if not os.environ.get(name)]
    if missing:
        raise InputError(f"--post: {' and '.join(missing)} must be set")
    if pull_request is None:
        try:
            event = json.loads(Path(os.environ.get("GITHUB_EVENT_PATH", "")).read_text("utf-8"))
            pull_request = int(event["pull_request"]["number"])
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError("--post: give --pull-request N; the event names none") from None
    return Comments(
        os.environ.get("GITHUB_API_URL") or "https://api.github.com",
        os.environ["GITHUB_REPOSITORY"],
        pull_request,
        os.environ["GITHUB_TOKEN"],
    )


if __name__ == "__main__":
    sys.exit(main())
