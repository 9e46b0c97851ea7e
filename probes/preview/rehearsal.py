"""What a rehearsal of a fork's pull request left behind: data of the fork's making.

GitHub says which commit of which fork ran, and which pull request has it as its head; the artifact
is asked for a preview, and for nothing else.
"""

import io
import re
import zipfile
from dataclasses import dataclass, replace
from typing import Final

from components.resource_manager import at
from probes.exit_codes import INCONCLUSIVE, InputError
from probes.github import GitHub, PullRequest
from probes.preview.verdict import Verdict

ARTIFACT: Final = "comment"  # as the workflow calls it
LARGEST: Final = 5_000_000  # bytes of an artifact, and of a file in it
_PREVIEW: Final = "preview.json"
_LOG: Final = "preview.log"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # no other asks for memory in advance


@dataclass(frozen=True)
class Rehearsal:
    """The pull request, and the texts of the preview and of what was printed beside it."""

    pull_request: PullRequest
    preview: str
    log: str


def read(github: GitHub, run: int) -> Rehearsal | str:
    """Read what a run of the rehearsal left, or say why there is nobody to write to."""
    found = github.patiently(lambda: github.ask("GET", f"/actions/runs/{run}"))
    head, fork = at(found, "head_sha"), at(found, "head_repository", "full_name")
    if at(found, "event") != "pull_request":
        raise InputError(f"--rehearsal {run}: is no run of a pull request")
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", str(head)):
        raise InputError(f"--rehearsal {run}: GitHub names no commit that ran")
    if not fork:
        return "the fork is gone"
    if fork.lower() == github.repository.lower():
        return "a branch of this repository has its comment from the preview in Azure"
    pull_request = github.patiently(lambda: PullRequest.of_commit(github, head, fork))
    if pull_request is None:
        return f"there is not one open pull request whose head is {head[:7]} of {fork}"
    files = _files(github, run)
    return Rehearsal(pull_request, files.get(_PREVIEW, ""), files.get(_LOG, ""))


def not_verified(verdict: Verdict, pull_request: PullRequest) -> Verdict:
    """Return a verdict that nobody takes for one: whoever wrote the code wrote the preview, too."""
    note = (
        f"Computed by this pull request's own code, at {pull_request.head[:7]}: it can say anything"
        " and was checked by nobody; read the change instead"
    )
    sentence = f"Not verified: {verdict.sentence}"
    return replace(
        verdict, code=INCONCLUSIVE, sentence=sentence, goes_down=(note, *verdict.goes_down)
    )


def _files(github: GitHub, run: int) -> dict[str, str]:
    def newest() -> bytes | None:
        listed = github.ask("GET", f"/actions/runs/{run}/artifacts?name={ARTIFACT}&per_page=100")
        ids = [int(each["id"]) for each in listed["artifacts"] if each["name"] == ARTIFACT]
        return github.download(f"/actions/artifacts/{max(ids)}/zip", LARGEST) if ids else b""

    data = github.patiently(newest)
    return {name: text for name in (_PREVIEW, _LOG) if (text := _file(data or b"", name))}


def _file(data: bytes, name: str) -> str:
    """Return a file of an archive, unpacked to nowhere; empty is one that cannot be read.

    A link in an archive is a file with the path that it leads to: no preview.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(name).compress_type not in _METHODS:
                return ""
            with archive.open(name) as file:
                text = file.read(LARGEST + 1)
    except Exception:  # noqa: BLE001 - whatever is raised for what is encrypted, cut or no archive
        return ""
    return text.decode(errors="replace") if len(text) <= LARGEST else ""
