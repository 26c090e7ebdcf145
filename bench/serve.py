"""Serves a folder of the API's files over HTTP on loopback, in a process of its own.

    python -m bench.serve FOLDER PORT [--validators]

Files are held in memory, compressed; with `--validators` each has an ETag, and 304 answers a request that names it.
"""

import argparse
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--validators", action="store_true")
    options = parser.parse_args()
    files = {
        "/" + str(path.relative_to(options.folder)).removesuffix(".gz"): path.read_bytes()
        for path in options.folder.rglob("*.json.gz")
    }
    etags = {name: f'"{hashlib.sha256(body).hexdigest()[:16]}"' for name, body in files.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body, etag = files.get(self.path), etags.get(self.path, "")
            if body is None:
                self._answer(404, b"")
            elif options.validators and self.headers.get("If-None-Match") == etag:
                self._answer(304, b"", ETag=etag)
            elif options.validators:
                self._answer(200, body, ETag=etag, **{"Content-Encoding": "gzip"})
            else:
                self._answer(200, body, **{"Content-Encoding": "gzip"})

        def _answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
