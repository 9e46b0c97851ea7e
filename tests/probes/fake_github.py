"""The part of GitHub's REST API that comments on a pull request, on a real socket."""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class GitHub:
    """The comments of a pull request, two a page."""

    def __init__(self) -> None:
        self.comments = [{"id": i, "body": f"comment {i}"} for i in range(1, 5)]
        self.seen = []
        self.failures = []
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page = int(re.search(r"page=(\d+)$", self.path)[1]) if "&page=" in self.path else 1
                more = len(github.comments) > 2 * page
                link = (
                    f'<{github.url}{self.path.partition("&page")[0]}&page={page + 1}>; rel="next"'
                )
                self.answer(github.comments[2 * page - 2 : 2 * page], link if more else None)

            def do_POST(self):
                comment = {**self.body(), "id": 99, "html_url": "https://example/99"}
                github.comments.append(comment)
                self.answer(comment)

            def do_PATCH(self):
                number = int(self.path.rpartition("/")[2])
                (comment,) = [each for each in github.comments if each["id"] == number]
                comment.update(self.body(), html_url=f"https://example/{number}")
                self.answer(comment)

            def body(self):
                return json.loads(self.rfile.read(int(self.headers["content-length"])))

            def answer(self, document, link=None):
                github.seen.append((self.command, self.path, self.headers["authorization"]))
                status = github.failures.pop(0) if github.failures else 200
                body = json.dumps(document if status == 200 else {"message": "no"}).encode()
                self.send_response(status)
                if link:
                    self.send_header("link", link)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
