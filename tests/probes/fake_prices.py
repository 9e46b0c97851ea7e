"""The Azure Retail Prices API, on a real socket."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote_plus


class Prices:
    def __init__(self) -> None:
        self.items, self.asked, self.status = [], [], 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.prices = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/retail/prices"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        prices = self.server.prices
        prices.asked.append(unquote_plus(self.path))
        body = json.dumps({"Items": prices.items}).encode()
        self.send_response(prices.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
