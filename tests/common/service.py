"""A service that takes files, on Python's standard library: not the stub, and not its API.

usage: service.py PORT FOLDER

POST /upload (multipart, the file as `upload`) and PUT /files/NAME (raw) store a file; DELETE /files/NAME removes it; GET
/count says how many there are. It answers PUT with no body, and POST with {"id", "bytes", "md5"}.
"""

import hashlib
import json
import os
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = sys.argv[2]


def work(body):
    """What a request costs beside storing it."""
    return hashlib.md5(body).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else each answer would leave in two packets, and wait for the acknowledgement of the first.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def path_of(self, name):
        return os.path.join(FOLDER, os.path.basename(name))

    def do_GET(self):
        if self.path == "/count":
            self.answer(200, str(len(os.listdir(FOLDER))).encode())
        else:
            self.answer(200 if self.path == "/health" else 404)

    def do_POST(self):
        body = self.body()
        if os.environ.get("API_KEY", self.headers["X-Api-Key"]) != self.headers["X-Api-Key"]:
            return self.answer(401, f"not {self.headers['X-Api-Key']}".encode())
        boundary = self.headers["Content-Type"].split("boundary=")[1].encode()
        head, _, rest = body.partition(b'name="upload"')
        content = rest.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--" + boundary)[0]
        name = str(uuid.uuid4())
        with open(self.path_of(name), "wb") as file:
            file.write(content)
        answer = {"id": name, "bytes": len(content), "md5": work(content)}
        self.answer(201, json.dumps(answer).encode())

    def do_PUT(self):
        with open(self.path_of(self.path), "wb") as file:
            file.write(self.body())
        self.answer(201)

    def do_DELETE(self):
        try:
            os.remove(self.path_of(self.path))
            self.answer(204)
        except FileNotFoundError:
            self.answer(404)

    def log_message(self, *args):
        pass


print("listening on", sys.argv[1], flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
