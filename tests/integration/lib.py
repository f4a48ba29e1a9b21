# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: TAP, deadlines, and an HTTP receiver that misbehaves on request.

Nothing waits by sleeping for luck: every wait ends with an event or fails at its deadline, which is generous, because the
tests run under sanitizers on busy machines.
"""
import json
import os
import queue
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

DEADLINE_S = 30


class Skip(Exception):
    """The test cannot run here; the text says why."""


def end_well():
    """Ended from outside, at meson's time limit say, a test still removes its folders and what it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def run_tests(tests):
    """Runs functions in order and prints TAP; the exit status is 1 if one failed."""
    end_well()
    failed = 0
    print(f'1..{len(tests)}', flush=True)
    for i, test in enumerate(tests, 1):
        name = test.__doc__.splitlines()[0].rstrip('.')
        try:
            test()
            print(f'ok {i} - {name}', flush=True)
        except Skip as e:
            print(f'ok {i} - {name} # SKIP {e}', flush=True)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f'# {line}')
            print(f'not ok {i} - {name}', flush=True)
    sys.exit(1 if failed else 0)


def need(program):
    """Path of a program that a test can do without."""
    path = shutil.which(program)
    if not path:
        raise Skip(f'{program} is not installed')
    return path


def wait_until(what, predicate, deadline_s=DEADLINE_S):
    """Asks until the answer is true, and returns it. For state of other processes that sends no event."""
    end = time.monotonic() + deadline_s
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f'not within {deadline_s} s: {what}')
        time.sleep(0.02)


def free_port(family=socket.AF_INET, host='127.0.0.1'):
    """A port that nobody listens on just now."""
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def get(url, headers=None, method='GET', deadline_s=DEADLINE_S):
    """(status, headers, body) of a request; an error status is no exception."""
    request = urllib.request.Request(url, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=deadline_s) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


class LineProcess:
    """A program that reads commands and writes one JSON object a line."""

    def __init__(self, argv, **kwargs):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kwargs)
        self.buffer = b''
        self.held = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        else:
            self.send('quit')
        self.process.stdin.close()
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        if not kind and status != 0:
            raise AssertionError(f'{self.process.args[0]} ended with {status}')

    def send(self, line):
        try:
            self.process.stdin.write(line.encode() + b'\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            pass # its exit status says more

    def next_line(self, end):
        fd = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            while b'\n' not in self.buffer:
                left = end - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise AssertionError('no line in time')
                chunk = os.read(fd, 65536)
                if not chunk:
                    raise AssertionError('the program ended')
                self.buffer += chunk
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def wait(self, event, deadline_s=DEADLINE_S, **members):
        """The next object of this kind and with these members; others are held for later waits."""
        def fits(o):
            return o['event'] == event and all(o.get(k) == v for k, v in members.items())

        for o in self.held:
            if fits(o):
                self.held.remove(o)
                return o
        end = time.monotonic() + deadline_s
        while True:
            o = self.next_line(end)
            if fits(o):
                return o
            self.held.append(o)

    def ask(self, line, event):
        self.send(line)
        return self.wait(event)


class Request:
    """What the receiver got."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def json(self):
        return json.loads(self.body)


class Receiver:
    """An HTTP server whose next answers are scripted; when the script is used up it answers 200.

    An answer is a status, (status, headers, body), bytes that are sent as they are, or one of the words below.
    """
    RESET = 'reset'     # reads the request, then RST
    CLOSE = 'close'     # reads the request, then closes without an answer
    HANG = 'hang'       # reads the request and answers never
    ENDLESS = 'endless' # 200 and a body without end

    def __init__(self, script=(), port=0):
        self.script = list(script)
        self.requests = queue.Queue()
        self.open = []
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(('127.0.0.1', port))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}'
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            for c in self.open:
                c.close()

    def accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            f = c.makefile('rb')
            while self.serve_one(c, f):
                pass
        except OSError:
            pass

    def serve_one(self, c, f):
        line = f.readline()
        if not line:
            c.close()
            return False
        method, path, _ = line.decode().split(' ', 2)
        headers = {}
        for raw in iter(f.readline, b'\r\n'):
            name, _, value = raw.decode().partition(':')
            headers[name.strip().lower()] = value.strip()
        body = f.read(int(headers.get('content-length', 0)))
        with self.lock:
            answer = self.script.pop(0) if self.script else 200
        self.requests.put(Request(method, path, headers, body))
        return self.answer(c, f, answer)

    def answer(self, c, f, answer):
        if answer == self.HANG:
            return False # kept open by self.open
        if answer == self.RESET:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        if answer in (self.RESET, self.CLOSE):
            with self.lock:
                self.open.remove(c)
            f.close() # the socket closes with its last user
            c.close()
            return False
        if answer == self.ENDLESS:
            c.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
            while True:
                c.sendall(b'x' * 65536)
        if isinstance(answer, bytes):
            c.sendall(answer)
            c.shutdown(socket.SHUT_WR)
            return False
        status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b'')
        lines = [f'HTTP/1.1 {status} X', f'Content-Length: {len(body)}'] + [f'{k}: {v}' for k, v in headers.items()]
        c.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + body)
        return True

    def next(self, deadline_s=DEADLINE_S):
        try:
            return self.requests.get(timeout=deadline_s)
        except queue.Empty:
            raise AssertionError('no request in time') from None

    def none(self):
        """Nothing more was asked for so far."""
        if not self.requests.empty():
            raise AssertionError('an unexpected request: ' + repr(vars(self.requests.get())))
