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
PAUSE = 1.0
"""Seconds before the second attempt; doubles from one to the next."""
LONGEST_PAUSE: Final = 60.0
"""Seconds that a `Retry-After` may ask for; one that asks for more ends the attempts."""
MOST_PAGES: Final = 100
_BUSY: Final = (429, 500, 502, 503, 504)
_NO_RIGHT: Final = (401, 403, 404)


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
        self._client = httpx.Client(
            headers={
                "accept": "application/vnd.github+json",
                "authorization": f"Bearer {token}",
                "x-github-api-version": "2022-11-28",
            },
            timeout=30,
            follow_redirects=False,
        )

    def put(self, text: str) -> str:
        """Create the comment, or change the one that is there; returns its address."""
        try:
            with self._client:
                return self._put_at_last(text)
        except httpx.HTTPStatusError as error:
            answer = error.response
            said = f"GitHub answers {answer.status_code} to {error.request.method}"
            remedy = "; GITHUB_TOKEN needs `pull-requests: write` on the repository"
            raise InputError(
                f"{said} {error.request.url.path}: {_message(answer)}"
                f"{remedy if answer.status_code in _NO_RIGHT else ''}"
            ) from None
        except httpx.HTTPError as error:
            raise InputError(f"GitHub cannot be reached: {type(error).__name__}") from None
        except (ValueError, KeyError, TypeError, AttributeError, httpx.InvalidURL):
            raise InputError(f"{self._api} answers something else than GitHub would") from None

    def _put_at_last(self, text: str) -> str:
        """Try again; each attempt looks first: one whose answer was lost may have written it."""
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._put(text)
            except httpx.HTTPError as error:
                if not _is_worth_another_try(error):
                    raise
                time.sleep(max(PAUSE * 2**attempt, _retry_after(error) or 0))
        return self._put(text)

    def _put(self, text: str) -> str:
        own = self._own()
        if own is None:
            done = self._ask("POST", self._of_this, {"body": text})
        else:
            done = self._ask("PATCH", f"{self._issues}/comments/{own}", {"body": text})
        return str(done.json().get("html_url", ""))

    def _own(self) -> int | None:
        """Return the id of the comment that an earlier run wrote.

        Anyone can begin a comment with the marker; to change that one would leave the last word on
        the verdict to its author.
        """
        marked = [each for each in self._all() if str(each.get("body", "")).startswith(MARKER)]
        if not marked:
            return None
        login = self._login()
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
            origins = {(at.scheme, at.host, at.port) for at in (following, answer.url)}
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
        return self._client.request(method, url, json=body).raise_for_status()


def _is_worth_another_try(error: BaseException) -> bool:
    if not isinstance(error, httpx.HTTPStatusError):
        return isinstance(error, httpx.TransportError)
    asked = _retry_after(error)
    if asked is not None:
        # A secondary rate limit is a 403 with Retry-After.
        return error.response.status_code in (403, *_BUSY) and asked <= LONGEST_PAUSE
    return error.response.status_code in _BUSY


def _retry_after(error: BaseException | None) -> float | None:
    """Return the seconds that an answer asks for; GitHub gives no dates."""
    if not isinstance(error, httpx.HTTPStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
