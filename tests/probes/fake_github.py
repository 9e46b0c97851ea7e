"""The part of GitHub's REST API that comments on a pull request, on a real socket.

The token is a workflow's unless `login` names a person: `GET /user` refuses the former with 403.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class GitHub:
    """The comments of a pull request, two a page."""

    def __init__(self) -> None:
        self.comments = [
            {"id": i, "body": f"comment {i}", "user": {"login": "someone", "type": "User"}}
            for i in range(1, 5)
        ]
        self.seen = []
        self.failures = []  # statuses, or statuses with the seconds of Retry-After
        self.lost = []  # methods whose next answer is lost, after the work was done
        self.login = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.github = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    @property
    def github(self):
        return self.server.github

    def do_GET(self):
        if self.path == "/user":
            login = self.github.login
            self.answer({"login": login}, default=200 if login else 403)
            return
        page = int(re.search(r"page=(\d+)$", self.path)[1]) if "&page=" in self.path else 1
        more = len(self.github.comments) > 2 * page
        link = f'<{self.github.url}{self.path.partition("&page")[0]}&page={page + 1}>; rel="next"'
        self.answer(self.github.comments[2 * page - 2 : 2 * page], link if more else None)

    def do_POST(self):
        login = self.github.login
        user = {"login": login or "github-actions[bot]", "type": "User" if login else "Bot"}
        comment = {**self.body(), "id": 99, "html_url": "https://example/99", "user": user}
        if not self.github.failures:
            self.github.comments.append(comment)
        self.answer(comment)

    def do_PATCH(self):
        number = int(self.path.rpartition("/")[2])
        (comment,) = [each for each in self.github.comments if each["id"] == number]
        comment.update(self.body(), html_url=f"https://example/{number}")
        self.answer(comment)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def answer(self, document, link=None, default=200):
        self.github.seen.append((self.command, self.path, self.headers["authorization"]))
        if self.command in self.github.lost:
            self.github.lost.remove(self.command)
            self.close_connection = True
            return
        failure = self.github.failures.pop(0) if self.github.failures else default
        status, retry_after = failure if isinstance(failure, tuple) else (failure, None)
        body = json.dumps(document if status == 200 else {"message": "no"}).encode()
        self.send_response(status)
        if retry_after is not None:
            self.send_header("retry-after", str(retry_after))
        if link:
            self.send_header("link", link)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
