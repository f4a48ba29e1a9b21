#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A webhook receiver that can be told to misbehave.

Prints "ready pid=N port=N", then one line of JSON for each request it got (or appends it to --file):
{"n", "at", "method", "path", "answer", "headers", "json"} or, where the body is no JSON, "text" instead of "json".
GET /received gives all of these as one JSON array and is not recorded.

How to answer, in order of precedence:
  ?answer=HOW in the URL;  the first line of --control FILE, read anew for each request;
  --answers HOW,HOW,... in turns, the last one for ever. Default: ok.

HOW is  ok           200 and {"ok": true}
        NNN          that status; 3xx with a Location back to the same place
        NNN:SECONDS  that status with Retry-After
        slow:SECONDS 200 after a while         drip:SECONDS  200, a byte at a time over so long
        hang         no answer until the client goes away
        close        the connection is closed without an answer
        garbage      bytes that are no HTTP    huge          200 with 64 MiB
"""

import argparse
import http.server
import json
import os
import re
import select
import signal
import sys
import threading
import time
import urllib.parse

BODY_MAX_BYTES = 4 << 20
HUGE_BYTES = 64 << 20
GARBAGE = b"\x00\xff\x1b[31mnot http\r\n\r\n\xfe" * 40
HOW = re.compile(r"(ok|hang|close|garbage|huge|[2-5]\d\d|[2-5]\d\d:\d+|(?:slow|drip):\d+(?:\.\d+)?)$")


class Book:
    """What was received, and what the next answer is."""

    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.entries = []
        self.out = open(args.file, "a", encoding="utf-8") if args.file else sys.stdout

    def how(self, query, n):
        answer = query.get("answer", [""])[0]
        if not answer and self.args.control:
            try:
                with open(self.args.control, encoding="utf-8") as f:
                    answer = f.readline().strip()
            except FileNotFoundError:
                pass
        answers = self.args.answers
        answer = answer or answers[min(n, len(answers) - 1)]
        return answer if HOW.match(answer) else "ok"

    def record(self, entry, query):
        with self.lock:
            entry["answer"] = self.how(query, len(self.entries))
            entry["n"] = len(self.entries) + 1
            self.entries.append(entry)
            self.out.write(json.dumps(entry) + "\n")
            self.out.flush()
        return entry["answer"]

    def all(self):
        with self.lock:
            return json.dumps(self.entries).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts = []
            while (size := int(self.rfile.readline().split(b";")[0], 16)) and sum(map(len, parts)) < BODY_MAX_BYTES:
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_MAX_BYTES))

    def take(self):
        url = urllib.parse.urlsplit(self.path)
        if self.command == "GET" and url.path == "/received":
            self.answer(200, self.server.book.all())
            return
        body = self.body()
        entry = {"n": 0, "at": round(time.time(), 3), "method": self.command, "path": self.path, "answer": ""}
        entry["headers"] = {k.lower(): v for k, v in self.headers.items()}
        try:
            entry["json"] = json.loads(body)
        except ValueError:
            entry["text"] = body.decode("utf-8", "backslashreplace")
        self.misbehave(self.server.book.record(entry, urllib.parse.parse_qs(url.query)))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = take

    def answer(self, status, body=b'{"ok": true}', headers=()):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(body)

    def misbehave(self, how):
        kind, _, value = how.partition(":")
        if kind == "ok":
            self.answer(200)
        elif kind.isdigit():
            headers = [("Retry-After", value)] if value else []
            headers += [("Location", self.path)] if kind.startswith("3") else []
            self.answer(int(kind), b'{"ok": false}' if kind >= "300" else b'{"ok": true}', headers)
        else:
            # none of these leaves a connection that could carry a second request
            self.close_connection = True
            getattr(self, "be_" + kind)(float(value or 0))

    def wait(self, seconds):
        """Return: False when the client went away meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        return not readable

    def be_slow(self, seconds):
        if self.wait(seconds):
            self.answer(200)

    def be_drip(self, seconds):
        text = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{"ok": true}'
        for i in range(len(text)):
            self.wfile.write(text[i : i + 1])
            if not self.wait(seconds / len(text)):
                return

    def be_hang(self, _):
        self.wait(None)

    def be_close(self, _):
        pass

    def be_garbage(self, _):
        self.wfile.write(GARBAGE)

    def be_huge(self, _):
        self.send_response(200)
        self.send_header("Content-Length", str(HUGE_BYTES))
        self.end_headers()
        for _i in range(HUGE_BYTES // 65536):
            self.wfile.write(b"x" * 65536)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what half of these answers are for."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=0, help="0: any (it is printed)")
    p.add_argument("--file", help="append the lines here and not to stdout")
    p.add_argument("--control", help="a file whose first line is HOW")
    p.add_argument("--answers", default="ok", type=lambda s: s.split(","))
    a = p.parse_args(argv)
    for how in a.answers:
        if not HOW.match(how):
            p.error(f"--answers: {how!r} is not one of the answers")
    return a


def main():
    args = arguments(sys.argv[1:])
    server = Server((args.host, args.port), Handler)
    server.book = Book(args)
    # shutdown() waits for the loop, which runs in the thread that gets the signal
    stop = lambda *_: threading.Thread(target=server.shutdown).start()  # noqa: E731
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, stop)
    print(f"ready pid={os.getpid()} port={server.server_address[1]}", flush=True)
    server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
