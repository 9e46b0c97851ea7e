"""GitHub's REST API (https://docs.github.com/rest) as the pipelines write to it.

What is written is found again by the marker it begins with, so that a later run changes its own
comment or issue and adds no second one.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx

from components.resource_manager import at
from probes.exit_codes import InputError

ATTEMPTS: Final = 4
PAUSE = 1.0  # seconds before the second attempt; doubles from one to the next
LONGEST_PAUSE: Final = 60.0  # seconds; a `Retry-After` that asks for more ends the attempts
MOST_PAGES: Final = 100
_BUSY: Final = (429, 500, 502, 503, 504)
_Json = Mapping[str, Any]
_T = TypeVar("_T")


class GitHub:
    """One repository. Raises InputError for what GitHub refuses; the token is secret.

    `needs` is the right that the token must have, told when GitHub refuses.
    """

    def __init__(self, api: str, repository: str, token: str, needs: str) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
            raise InputError(f"GITHUB_REPOSITORY is {repository!r}; write owner/name")
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", api):
            raise InputError(f"GITHUB_API_URL is {api!r}; write an http(s) address")
        if not re.fullmatch(r"[!-~]+", token):
            raise InputError("GITHUB_TOKEN has characters that no token has; is a line end in it?")
        self.repository = repository
        self._api = api.rstrip("/")
        self._needs = needs
        self._headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {token}",
            "x-github-api-version": "2022-11-28",
        }

    @classmethod
    def of_environment(cls, needs: str, flag: str = "") -> "GitHub":
        missing = [n for n in ("GITHUB_TOKEN", "GITHUB_REPOSITORY") if not os.environ.get(n)]
        if missing:
            raise InputError(f"{flag}{' and '.join(missing)} must be set")
        return cls(
            os.environ.get("GITHUB_API_URL") or "https://api.github.com",
            os.environ["GITHUB_REPOSITORY"],
            os.environ["GITHUB_TOKEN"],
            needs,
        )

    def patiently(self, work: Callable[[], _T], attempt: int = 1) -> _T:
        """Return what `work` does, begun anew while GitHub is busy or not reached."""
        try:
            return work()
        except httpx.HTTPError as error:
            pause = _pause(error)
            if pause is None or attempt == ATTEMPTS:
                raise InputError(self._refusal(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError, httpx.InvalidURL):
            raise InputError(f"{self._api} answers something else than GitHub would") from None
        time.sleep(max(PAUSE * 2 ** (attempt - 1), pause))
        return self.patiently(work, attempt + 1)

    def ask(self, method: str, path: str, body: _Json | None = None) -> Any:
        """Return the answer at a path of the repository. Raises httpx.HTTPError, ValueError."""
        return self._request(method, self._url(path), body).json()

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        url = f"{self._url(path)}{'&' if '?' in path else '?'}per_page=100"
        for _ in range(MOST_PAGES):
            answer = self._request("GET", url)
            yield from answer.json()
            following = answer.url.join(answer.links.get("next", {}).get("url", ""))
            origins = {(to.scheme, to.netloc) for to in (following, answer.url)}
            if "next" not in answer.links or len(origins) > 1:  # another would get the token
                return
            url = str(following)

    def download(self, path: str, limit: int) -> bytes | None:
        """Return what is at a path, wherever GitHub keeps it; None is more than `limit` bytes.

        The other host does not get the token: httpx takes it off.
        """
        data = b""
        with httpx.stream(
            "GET", self._url(path), headers=self._headers, timeout=30, follow_redirects=True
        ) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > limit:
                    return None
        return data

    def own(self, path: str, marker: str) -> int | None:
        """Return the `number` or `id` of what an earlier run wrote, in the list at a path.

        Anyone can begin a text with the marker; to change that one would leave the last word to its
        author.
        """
        marked = [e for e in self.pages(path) if str(e.get("body", "")).startswith(marker)]
        login = self._login() if marked else None
        for each in marked:
            user = each.get("user") or {}
            if user.get("login") == login if login else user.get("type") == "Bot":
                return int(each.get("number") or each["id"])
        return None

    def _login(self) -> str | None:
        """Return whose the token is; None is a workflow's, which GitHub does not tell."""
        try:
            return str(self._request("GET", f"{self._api}/user").json()["login"])
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 403:
                return None
            raise

    def _url(self, path: str) -> str:
        return f"{self._api}/repos/{self.repository}{path}"

    def _request(self, method: str, url: str, body: _Json | None = None) -> httpx.Response:
        answer = httpx.request(method, url, headers=self._headers, json=body, timeout=30)
        return answer.raise_for_status()

    def _refusal(self, error: httpx.HTTPError) -> str:
        if not isinstance(error, httpx.HTTPStatusError):
            return f"GitHub cannot be reached: {type(error).__name__}"
        answer = error.response
        try:
            said = str(answer.json()["message"])[:200]
        except (ValueError, KeyError, TypeError, httpx.StreamError):
            said = answer.reason_phrase
        if answer.status_code in (401, 403, 404):
            said += f"; GITHUB_TOKEN needs `{self._needs}` on the repository"
        path = f"{error.request.method} {error.request.url.path}"
        return f"GitHub answers {answer.status_code} to {path}: {said}"


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The pull request that a comment goes to, for as long as `head` is its newest commit.

    `repository` is where the head is: a fork, or the repository itself. Without a head the comment
    goes to whatever is under that number.
    """

    github: GitHub
    number: int
    head: str = ""
    repository: str = ""

    @classmethod
    def of_commit(cls, github: GitHub, head: str, repository: str) -> "PullRequest | None":
        """Return the one that is open and has this head; None where there is none, or several.

        For a fork's commit GitHub's list of a commit's pull requests is empty, and so is the run's.
        """
        found = [
            int(each["number"])
            for each in github.pages("/pulls?state=open")
            if _has_head(each, head, repository)
        ]
        if len(found) != 1:
            return None
        return cls(github=github, number=found[0], head=head, repository=repository)

    def put(self, text: str, marker: str) -> str | None:
        """Create the comment, or change the one that is there, and return its address.

        None is a pull request that is closed, or has another head by now: nothing is written.
        """

        def work() -> str | None:
            path = f"/issues/{self.number}/comments"
            # Each time: an attempt whose answer was lost may have written it.
            own = self.github.own(path, marker)
            if self.head:  # last of all: a push may have come meanwhile
                now = self.github.ask("GET", f"/pulls/{self.number}")
                if not _has_head(now, self.head, self.repository):
                    return None
            method, path = ("PATCH", f"/issues/comments/{own}") if own else ("POST", path)
            return str(self.github.ask(method, path, {"body": text}).get("html_url", ""))

        return self.github.patiently(work)


def _has_head(pull: Any, head: str, repository: str) -> bool:
    where = str(at(pull, "head", "repo", "full_name")).lower()  # null once a fork is deleted
    is_open = at(pull, "state") == "open"
    return is_open and at(pull, "head", "sha") == head and where == repository.lower()


def _pause(error: httpx.HTTPError) -> float | None:
    """Return the seconds that an answer asks for; None where another attempt is of no use."""
    if not isinstance(error, httpx.HTTPStatusError):
        return 0 if isinstance(error, httpx.TransportError) else None
    status, asked = error.response.status_code, error.response.headers.get("retry-after", "")
    if not (asked.isascii() and asked.isdigit()):  # GitHub gives no dates
        return 0 if status in _BUSY else None
    # A secondary rate limit is a 403 with Retry-After.
    return float(asked) if status in (403, *_BUSY) and float(asked) <= LONGEST_PAUSE else None
