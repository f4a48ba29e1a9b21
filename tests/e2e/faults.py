# SPDX-License-Identifier: Apache-2.0
"""A proxy between sidecars and the API server that breaks what it is told to.

  with Faults(plane) as faults:                         ends TLS with the API server's own certificate, on faults.port
      fault = faults.add(detaches, hang)                 what a matching request meets, first match wins
      fault.wait() ... fault.count ... faults.remove(fault)
      faults.refuse() ... faults.listen()                nobody listens
      faults.asked                                       every request: who (the pod of its token), method, path, status

A fault is a function of (fault, forward): it returns (status, headers, body), of forward() or of its own, or raises Cut.
"""
import base64
import http.client
import json
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib import wait_until

ANSWER_S = 30


class Cut(Exception):
    """The connection is reset, with no answer."""


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.pod = pod_of(headers.get('Authorization', ''))
        self.time, self.status = time.monotonic(), None

    def json(self):
        return json.loads(self.body) if self.body else {}

    def __repr__(self):
        return f'{self.method} {self.path} {self.status}'


def pod_of(authorization):
    """The name of the pod that the token is bound to."""
    try:
        payload = authorization.split('.')[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + '=' * (-len(payload) % 4)))
        return claims['kubernetes.io']['pod']['name']
    except (IndexError, KeyError, ValueError):
        return ''


# ---- which requests ----

def is_pod(r):
    return '/pods/' in r.path


def patches(r):
    return r.method == 'PATCH' and is_pod(r)


def detaches(r):
    return patches(r) and r.json().get('metadata', {}).get('labels', {}).get('plateau.dev/rotation') == 'detached'


def restores(r):
    return patches(r) and r.json().get('metadata', {}).get('labels', {}).get('pod-template-hash') is not None


def evicts(r):
    return r.method == 'POST' and r.path.split('?')[0].endswith('/eviction') and 'dryRun' not in r.path


def anything(_):
    return True


# ---- what they meet ----

def reset(*_):
    raise Cut


def lost(_, forward):
    """It is done, and the answer does not come."""
    forward()
    raise Cut


def mute(fault, forward):
    """It is done, and no answer comes until the fault is removed."""
    forward()
    fault.over.wait()
    raise Cut


def answer(status, reason, message='by the test', headers=None, **details):
    """One of the API server's errors."""
    body = {'kind': 'Status', 'apiVersion': 'v1', 'status': 'Failure', 'reason': reason, 'message': message, 'code': status,
            **({'details': details} if details else {})}
    return lambda *_: (status, {'Content-Type': 'application/json', **(headers or {})}, json.dumps(body).encode())


class Fault:
    def __init__(self, when, do, times):
        self.when, self.do, self.left = when, do, times
        self.count = 0
        self.over = threading.Event()

    def wait(self, n=1, deadline_s=60):
        """Until it was met n times."""
        wait_until(f'{n} requests that meet the fault', lambda: self.count >= n, deadline_s)


def hang(fault, _):
    """No answer, until the fault is removed; what was asked is not done."""
    fault.over.wait()
    raise Cut


def hold(fault, forward):
    """Goes on when the fault is removed."""
    fault.over.wait()
    return forward()


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 120

    def log_message(self, *_): # pylint: disable=arguments-differ
        pass

    def serve(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        request = Request(self.command, self.path, self.headers, body)
        try:
            status, headers, data = self.server.faults.answer(request)
        except (Cut, OSError, http.client.HTTPException):
            self.cut()
            return
        request.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if isinstance(data, bytes):
            self.send_header('Content-Length', str(len(data)))
        else:
            self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        if isinstance(data, bytes):
            self.wfile.write(data)
            return
        for line in data: # of a watch
            self.wfile.write(b'%x\r\n%s\r\n' % (len(line), line))
        self.wfile.write(b'0\r\n\r\n')

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def cut(self):
        self.close_connection = True
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.connection.close()
        except OSError:
            pass


class Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, faults, port):
        self.faults = faults
        self.open = set()
        super().__init__(('127.0.0.1', port), Handler)

    def finish_request(self, request, client_address):
        """The handshake belongs into the connection's own thread."""
        connection = None
        try:
            connection = self.faults.context.wrap_socket(request, server_side=True)
            self.open.add(connection)
            super().finish_request(connection, client_address)
        except OSError: # also ssl.SSLError: the other side is gone, or does not trust us
            self.faults.broken += 1
        finally:
            self.open.discard(connection)

    def close_all(self):
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open.clear()


class Faults:
    def __init__(self, plane):
        self.plane = plane
        self.upstream = plane.context()
        self.asked, self.faults = [], []
        self.tokens = {} # the one that a sidecar sends: the one that is passed on
        self.broken = 0 # connections that ended before a request
        self.lock = threading.Lock()
        self.show_certificate(plane.path('server.crt'), plane.path('server.key'))
        self.server, self.port = None, 0
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fault in list(self.faults):
            self.remove(fault)
        self.refuse()

    def show_certificate(self, certificate, key):
        """From the next connection on."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)

    def listen(self):
        self.server = Server(self, self.port)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()

    def refuse(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server.close_all()
            self.server = None

    def add(self, when, do, pod=None, times=None):
        """Of one pod's sidecar or of all; the first `times` requests or all."""
        fault = Fault(lambda r: (pod is None or r.pod == pod) and when(r), do, times)
        with self.lock:
            self.faults.append(fault)
        return fault

    def remove(self, fault):
        with self.lock:
            if fault in self.faults:
                self.faults.remove(fault)
        fault.over.set()

    def find(self, request):
        with self.lock:
            self.asked.append(request)
            for fault in self.faults:
                if fault.left != 0 and fault.when(request):
                    fault.count += 1
                    fault.left = fault.left and fault.left - 1
                    return fault
        return None

    def answer(self, request):
        fault = self.find(request)
        forward = lambda: self.forward(request) # pylint: disable=unnecessary-lambda-assignment
        if not fault:
            return forward()
        return fault.do(fault, forward)

    def forward(self, request):
        watches = 'watch=1' in request.path
        c = http.client.HTTPSConnection('127.0.0.1', self.plane.port, context=self.upstream,
                                        timeout=None if watches else ANSWER_S)
        try:
            headers = {k: v for k, v in request.headers.items() if k.lower() in ('authorization', 'content-type', 'accept')}
            token = headers.get('Authorization', '')[len('Bearer '):]
            if token in self.tokens:
                headers['Authorization'] = f'Bearer {self.tokens[token]}'
            c.request(request.method, request.path, request.body or None, headers)
            r = c.getresponse()
            kept = {k: v for k, v in r.getheaders() if k.lower() in ('content-type', 'retry-after')}
            if watches and r.status == 200:
                return r.status, kept, self.lines(c, r)
            data = r.read()
        except BaseException:
            c.close()
            raise
        c.close()
        return r.status, kept, data

    @staticmethod
    def lines(connection, response):
        """Also when nobody wants them any more: with the generator goes the connection."""
        try:
            while line := response.readline():
                yield line
        finally:
            connection.close()

    def of(self, pod, when=anything, since=0):
        """What a pod's sidecar asked."""
        return [r for r in list(self.asked) if r.pod == pod and r.time >= since and when(r)]
