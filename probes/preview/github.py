"""Writes the comment to a pull request: a later run changes its own, and adds no second one.

GitHub's REST API, "Issue comments" (https://docs.github.com/rest/issues/comments).
"""

from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from probes.outputs import InputError
from probes.preview.comment import MARKER

ATTEMPTS = 4
PAUSE = 1.0
"""Seconds before the second attempt; doubles from one to the next."""
_BUSY = (429, 500, 502, 503, 504)


class Comments:
    """A pull request's comments. Raises InputError for what GitHub refuses; the token is secret."""

    def __init__(self, api: str, repository: str, pull_request: int, token: str) -> None:
        self._issues = f"{api.rstrip('/')}/repos/{repository}/issues"
        self._pull_request = pull_request
        self._client = httpx.Client(
            headers={
                "accept": "application/vnd.github+json",
                "authorization": f"Bearer {token}",
                "x-github-api-version": "2022-11-28",
            },
            timeout=30,
            follow_redirects=False,
        )
        self._retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=PAUSE, max=30),
            retry=retry_if_exception(_is_worth_another_try),
            reraise=True,
        )

    def put(self, text: str) -> str:
        """Create the comment, or change the one that is there; returns its address."""
        try:
            with self._client:
                if own := self._own():
                    done = self._ask("PATCH", f"{self._issues}/comments/{own}", {"body": text})
                else:
                    url = f"{self._issues}/{self._pull_request}/comments"
                    done = self._ask("POST", url, {"body": text})
                return str(done.json().get("html_url", ""))
        except httpx.HTTPStatusError as error:
            answer = error.response
            raise InputError(
                f"GitHub answers {answer.status_code} to {error.request.method}"
                f" {error.request.url.path}: {_message(answer)}; GITHUB_TOKEN needs"
                " `pull-requests: write` on the repository"
            ) from None
        except (httpx.HTTPError, ValueError) as error:
            raise InputError(f"GitHub cannot be reached: {type(error).__name__}") from None

    def _own(self) -> int | None:
        """Return the id of the comment that an earlier run wrote, on whichever page it is."""
        url: str | None = f"{self._issues}/{self._pull_request}/comments?per_page=100"
        while url:
            answer = self._ask("GET", url)
            for comment in answer.json():
                if str(comment.get("body", "")).startswith(MARKER):
                    return int(comment["id"])
            following = answer.links.get("next", {}).get("url")
            # A page elsewhere would get the token.
            same = following and httpx.URL(following).netloc == httpx.URL(url).netloc
            url = following if same else None
        return None

    def _ask(self, method: str, url: str, body: Any = None) -> httpx.Response:
        def once() -> httpx.Response:
            return self._client.request(method, url, json=body).raise_for_status()

        return self._retrying(once)


def _is_worth_another_try(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _BUSY
    return isinstance(error, httpx.TransportError)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
