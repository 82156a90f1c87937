"""A service that has more to do than to take files, on Python's standard library: not the stub, and not its API.

usage: flow_service.py PORT BEHAVIOUR

POST /files (raw) stores a file: {"id"}. POST /files/ID/finalize with {"file": ID} begins a job: {"job": {"id"}}. GET /jobs/JOB says
whether it is done: not the first two times. GET /files/ID returns the file. BEHAVIOUR is `well`, or what goes wrong: the job is
`never` done, or `fails`; the content is `short`; finalize says `nothing`.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = sys.argv[2]
LOCK = threading.Lock()
FILES = {}
ASKED = {}


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

    def say(self, status, message):
        self.answer(status, json.dumps(message).encode())

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_POST(self):
        parts = self.path.strip("/").split("/")
        body = self.body()
        if parts == ["files"]:
            with LOCK:
                number = len(FILES) + 1
                FILES[str(number)] = body
            return self.say(201, {"id": number})
        if self.headers["Content-Type"] != "application/json" or json.loads(body) != {"file": parts[1]}:
            return self.say(400, {"detail": "not the file of the path"})
        if BEHAVIOUR == "nothing":
            return self.say(202, {})
        self.say(202, {"job": {"id": "job of " + parts[1]}})

    def do_GET(self):
        parts = self.path.strip("/").split("/")
        if parts == ["health"]:
            return self.answer(200)
        if parts[0] == "jobs":
            if not parts[1].startswith("job%20of%20"):
                return self.answer(404)
            with LOCK:
                ASKED[parts[1]] = asked = ASKED.get(parts[1], 0) + 1
            if BEHAVIOUR == "fails":
                return self.say(200, {"done": "broken"})
            return self.say(200, {"done": asked > 2 and BEHAVIOUR != "never"})
        content = FILES[parts[1]]
        self.answer(200, content[: len(content) // 2] if BEHAVIOUR == "short" else content)

    def log_message(self, *args):
        pass


print("listening on", sys.argv[1], flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
