"""A page on another site, as a visitor of that site gets it."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Site:
    origin: str
    body: str = ""

    def page(self) -> bytes:
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Elsewhere</title>'
        icon = '<link rel="icon" href="data:,">'
        return f"{head}{icon}<body><main>{self.body}</main>".encode()


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """One page on a port of its own; what stands in it is changed by `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = served.page()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
