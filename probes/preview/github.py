"""Writes the comment to a pull request: a later run changes its own, and adds no second one.

GitHub's REST API, "Issue comments" (https://docs.github.com/rest/issues/comments).
"""

import re
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx

from probes.exit_codes import InputError
from probes.preview.comment import MARKER

ATTEMPTS: Final = 4
PAUSE = 1.0  # seconds before the second attempt; doubles from one to the next
LONGEST_PAUSE: Final = 60.0
"""Seconds that a `Retry-After` may ask for; one that asks for more ends the attempts."""
MOST_PAGES: Final = 100
_BUSY: Final = (429, 500, 502, 503, 504)


class Comments:
    """A pull request's comments. Raises InputError for what GitHub refuses; the token is secret."""

    def __init__(self, api: str, repository: str, pull_request: int, token: str) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
            raise InputError(f"GITHUB_REPOSITORY is {repository!r}; write owner/name")
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", api):
            raise InputError(f"GITHUB_API_URL is {api!r}; write an http(s) address")
        if not re.fullmatch(r"[!-~]+", token):
            raise InputError("GITHUB_TOKEN has characters that no token has; is a line end in it?")
        self._api = api.rstrip("/")
        self._issues = f"{self._api}/repos/{repository}/issues"
        self._of_this = f"{self._issues}/{pull_request}/comments"
        self._headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {token}",
            "x-github-api-version": "2022-11-28",
        }

    def put(self, text: str, attempt: int = 1) -> str:
        """Create the comment, or change the one that is there; returns its address."""
        try:
            own = self._own()  # each time: an attempt whose answer was lost may have written it
            url = f"{self._issues}/comments/{own}" if own else self._of_this
            answer = self._ask("PATCH" if own else "POST", url, {"body": text})
            return str(answer.json().get("html_url", ""))
        except httpx.HTTPError as error:
            pause = _pause(error)
            if pause is None or attempt == ATTEMPTS:
                raise InputError(_refusal(error)) from None
        except (ValueError, KeyError, TypeError, AttributeError, httpx.InvalidURL):
            raise InputError(f"{self._api} answers something else than GitHub would") from None
        time.sleep(max(PAUSE * 2 ** (attempt - 1), pause))
        return self.put(text, attempt + 1)

    def _own(self) -> int | None:
        """Return the id of the comment that an earlier run wrote.

        Anyone can begin a comment with the marker; to change that one would leave the last word on
        the verdict to its author.
        """
        marked = [each for each in self._all() if str(each.get("body", "")).startswith(MARKER)]
        login = self._login() if marked else None
        for comment in marked:
            user = comment.get("user") or {}
            if user.get("login") == login if login else user.get("type") == "Bot":
                return int(comment["id"])
        return None

    def _all(self) -> Iterator[dict[str, Any]]:
        url = f"{self._of_this}?per_page=100"
        for _ in range(MOST_PAGES):
            answer = self._ask("GET", url)
            yield from answer.json()
            following = answer.url.join(answer.links.get("next", {}).get("url", ""))
            origins = {(at.scheme, at.netloc) for at in (following, answer.url)}
            if "next" not in answer.links or len(origins) > 1:  # another would get the token
                return
            url = str(following)

    def _login(self) -> str | None:
        """Return whose the token is; None is a workflow's, which GitHub does not tell."""
        try:
            return str(self._ask("GET", f"{self._api}/user").json()["login"])
        except httpx.HTTPStatusError as error:
            if error.response.status_code == 403:
                return None
            raise

    def _ask(self, method: str, url: str, body: Any = None) -> httpx.Response:
        answer = httpx.request(method, url, headers=self._headers, json=body, timeout=30)
        return answer.raise_for_status()


def _pause(error: httpx.HTTPError) -> float | None:
    """Return the seconds that an answer asks for; None where another attempt is of no use."""
    if not isinstance(error, httpx.HTTPStatusError):
        return 0 if isinstance(error, httpx.TransportError) else None
    status, asked = error.response.status_code, error.response.headers.get("retry-after", "")
    if not (asked.isascii() and asked.isdigit()):  # GitHub gives no dates
        return 0 if status in _BUSY else None
    # A secondary rate limit is a 403 with Retry-After.
    return float(asked) if status in (403, *_BUSY) and float(asked) <= LONGEST_PAUSE else None


def _refusal(error: httpx.HTTPError) -> str:
    if not isinstance(error, httpx.HTTPStatusError):
        return f"GitHub cannot be reached: {type(error).__name__}"
    answer = error.response
    try:
        said = str(answer.json()["message"])[:200]
    except (ValueError, KeyError, TypeError):
        said = answer.reason_phrase
    if answer.status_code in (401, 403, 404):
        said += "; GITHUB_TOKEN needs `pull-requests: write` on the repository"
    path = f"{error.request.method} {error.request.url.path}"
    return f"GitHub answers {answer.status_code} to {path}: {said}"
