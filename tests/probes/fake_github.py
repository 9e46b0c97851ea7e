"""The part of GitHub's REST API that the pipelines ask, on a real socket.

The token is a workflow's unless `login` names a person: `GET /user` refuses the former with 403.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

REPOSITORY = "team/gateway"


def pull(number, head, fork="stranger/gateway", state="open"):
    where = {"full_name": fork} if fork else None
    return {"number": number, "state": state, "head": {"sha": head, "repo": where}}


def run(head, fork="stranger/gateway", event="pull_request"):
    where = {"full_name": fork} if fork else None
    return {"event": event, "head_sha": head, "head_repository": where}


class GitHub:
    """Pull requests, their comments (two a page), issues, runs and their artifacts.

    `before` is called with the method and the path of each request, before it is answered.
    """

    def __init__(self) -> None:
        self.comments = [
            {"id": i, "body": f"comment {i}", "user": {"login": "someone", "type": "User"}}
            for i in range(1, 5)
        ]
        self.issues = []
        self.pulls = []
        self.runs = {}
        self.artifacts = []  # (run, name, the archive)
        self.seen = []
        self.failures = []  # statuses, or statuses with the seconds of Retry-After
        self.lost = []  # methods whose next answer is lost, after the work was done
        self.login = None
        self.before = lambda method, path: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.github = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def written(self):
        """The method and the path of each request that was to change something."""
        return [(method, path) for method, path, _ in self.seen if method != "GET"]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    @property
    def github(self):
        return self.server.github

    def do_GET(self):
        self.github.before("GET", self.path)
        path = self.path.partition("?")[0]
        path = path.removeprefix(f"/repos/{REPOSITORY}")
        last = path.rpartition("/")[2]
        if path == "/user":
            login = self.github.login
            self.answer({"login": login}, default=200 if login else 403)
        elif path == "/pulls":
            self.page([each for each in self.github.pulls if each["state"] == "open"])
        elif path.startswith("/pulls/"):
            self.answer(next((e for e in self.github.pulls if e["number"] == int(last)), None))
        elif path == "/issues":
            self.page([each for each in self.github.issues if each["state"] == "open"])
        elif re.fullmatch(r"/actions/runs/\d+", path):
            self.answer(self.github.runs.get(int(last)))
        elif path.endswith("/artifacts"):
            of_run = int(path.split("/")[3])
            kept = enumerate(self.github.artifacts)
            found = [{"id": n, "name": name} for n, (of, name, _) in kept if of == of_run]
            self.answer({"artifacts": found})
        elif path.endswith("/zip"):  # kept at another host, as GitHub does
            host = f"http://localhost:{self.server.server_port}"
            self.answer({}, location=f"{host}/kept/{path.split('/')[3]}")
        elif path.startswith("/kept/"):
            self.answer(self.github.artifacts[int(last)][2])
        else:
            self.page(self.github.comments)

    def page(self, items):
        path, _, page = self.path.partition("&page=")
        number = int(page or 1)
        link = f'<{self.github.url}{path}&page={number + 1}>; rel="next"'
        shown = items[2 * number - 2 : 2 * number]
        self.answer(shown, link if len(items) > 2 * number else None)

    def do_POST(self):
        self.github.before("POST", self.path)
        login = self.github.login
        user = {"login": login or "github-actions[bot]", "type": "User" if login else "Bot"}
        made = {**self.body(), "id": 99, "html_url": "https://example/99", "user": user}
        if not self.github.failures:
            if self.path.endswith("/issues"):
                made |= {"number": 20 + len(self.github.issues), "state": "open"}
                self.github.issues.append(made)
            else:
                self.github.comments.append(made)
        self.answer(made)

    def do_PATCH(self):
        self.github.before("PATCH", self.path)
        kind, number = self.path.split("/")[-2:]
        items, key = (
            (self.github.issues, "number") if kind == "issues" else (self.github.comments, "id")
        )
        (found,) = [each for each in items if each[key] == int(number)]
        found.update(self.body(), html_url=f"https://example/{number}")
        self.answer(found)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def answer(self, document, link=None, default=200, location=None):
        self.github.seen.append((self.command, self.path, self.headers["authorization"]))
        if self.command in self.github.lost:
            self.github.lost.remove(self.command)
            self.close_connection = True
            return
        usual = 302 if location else 404 if document is None else default
        failure = self.github.failures.pop(0) if self.github.failures else usual
        status, retry_after = failure if isinstance(failure, tuple) else (failure, None)
        body = document
        if not isinstance(document, bytes):
            body = json.dumps(document if status == 200 else {"message": "no"}).encode()
        self.send_response(status)
        for name, value in (("retry-after", retry_after), ("link", link), ("location", location)):
            if value is not None:
                self.send_header(name, str(value))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
