# SPDX-License-Identifier: Apache-2.0
"""For CPython 2.7 to 3.14 and PyPy: a thread a connection, and memory that is taken and freed with every request."""
import random
import sys
import threading
try:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from socketserver import ThreadingMixIn
except ImportError:
    from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
    from SocketServer import ThreadingMixIn

kept, lock = [None] * 2000, threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = 'HTTP/1.1', True, -1
    count = 0

    def do_GET(self):
        n = int(self.path[1:])
        self.count += 1
        with lock:
            for _ in range(30):
                kept[random.randrange(len(kept))] = [bytearray(random.randrange(20000)), {n: str(n)}]
        body = ('%d %d plateau\n' % (n, self.count)).encode() * (n % 200 + 1)
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True


server = Server(('127.0.0.1', 0), Handler)
sys.stdout.write('ready %d\n' % server.server_address[1])
sys.stdout.flush()
server.serve_forever()
