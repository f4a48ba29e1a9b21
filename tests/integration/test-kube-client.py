#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The API client against a server that answers what no real one should, or at a bad moment; tests/e2e/test-client.py has
the real one. A stand-in speaks TLS with an authority of its own; each test scripts its answers, request by request."""
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

import tap
from lib import Skip, need

DRIVER = sys.argv.pop(1)
POD = {'kind': 'Pod', 'metadata': {'name': 'web-1', 'uid': 'u-1', 'resourceVersion': '7'}}
RESET = object() # the connection is reset instead of an answer
HOLD = object()  # nothing more comes, the connection stays


def answer(status, body, *headers):
    """A whole HTTP answer; @body is JSON or, as bytes, itself."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f'HTTP/1.1 {status} X', 'Content-Type: application/json', f'Content-Length: {len(data)}', *headers]
    return '\r\n'.join(head).encode() + b'\r\n\r\n' + data


def stream(*lines):
    """The begin of a watch's answer."""
    out = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    for line in lines:
        data = line if isinstance(line, bytes) else json.dumps(line).encode() + b'\n'
        out += b'%x\r\n%s\r\n' % (len(data), data)
    return out


END = b'0\r\n\r\n'


def pod_list(version='7', *names):
    return answer(200, {'kind': 'PodList', 'metadata': {'resourceVersion': version}, 'items': [
        {'metadata': {'name': n, 'uid': 'u', 'resourceVersion': version}} for n in names]})


def event(kind, name, version):
    return {'type': kind, 'object': {'metadata': {'name': name, 'uid': 'u', 'resourceVersion': version}}}


class Authority:
    dir = None

    @classmethod
    def make(cls):
        need('openssl')
        # pylint: disable=consider-using-with
        cls.dir = tempfile.TemporaryDirectory(prefix='plateau-authority-')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                        '-days', '2', '-subj', '/CN=stand-in', '-addext', 'subjectAltName=IP:127.0.0.1',
                        '-keyout', cls.path('key'), '-out', cls.path('crt')], check=True, stderr=subprocess.DEVNULL)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir.name, name)


class Server:
    """Answers the n-th request, of any connection, with script[n] or, beyond its end, the last one: bytes, RESET, HOLD, or
    a list of these for one request. `requests` has (method, path, authorization)."""

    def __init__(self, *script):
        self.script, self.requests, self.lock, self.open = script, [], threading.Lock(), []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(Authority.path('crt'), Authority.path('key'))
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            c = self.context.wrap_socket(raw, server_side=True)
            self.open.append(c)
            f = c.makefile('rb')
            while self.one(c, f):
                pass
        except (OSError, ValueError):
            pass

    def one(self, c, f):
        first = f.readline().decode().split()
        if not first:
            return False
        headers = {}
        while (line := f.readline().decode().strip()):
            name, value = line.split(':', 1)
            headers[name.lower()] = value.strip()
        f.read(int(headers.get('content-length', 0)))
        with self.lock:
            n = len(self.requests)
            self.requests.append((first[0], first[1], headers.get('authorization')))
        todo = self.script[min(n, len(self.script) - 1)]
        for step in todo if isinstance(todo, list) else [todo]:
            if step is RESET:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                f.close()
                socket.socket.close(c)
                return False
            if step is HOLD:
                threading.Event().wait()
            c.sendall(step)
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Driver:
    """The client in a process of its own."""

    def __init__(self, server):
        # pylint: disable=consider-using-with
        self.dir = tempfile.TemporaryDirectory(prefix='plateau-client-')
        self.write('token', 'first')
        with open(Authority.path('crt'), encoding='ascii') as f:
            self.write('ca.crt', f.read())
        env = {k: v for k, v in os.environ.items() if 'proxy' not in k.lower()}
        env.update({'KUBERNETES_SERVICE_HOST': '127.0.0.1', 'KUBERNETES_SERVICE_PORT': str(server.port),
                    'PLATEAU_SERVICEACCOUNT_DIR': self.dir.name, 'PLATEAU_POD_NAME': 'web-1', 'PLATEAU_NAMESPACE': 'shop',
                    'https_proxy': 'http://127.0.0.1:1'}) # nobody is there: it must not be asked
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        assert self.read()['event'] == 'begun'

    def write(self, name, text):
        with open(os.path.join(self.dir.name, name), 'w', encoding='ascii') as f:
            f.write(text)

    def read(self):
        line = self.process.stdout.readline()
        assert line, f'the driver ended: {self.process.wait()}'
        return json.loads(line)

    def tell(self, *words):
        self.process.stdin.write(' '.join(words) + '\n')
        self.process.stdin.flush()

    def ask(self, *words, error='ok'):
        self.tell(*words)
        got = self.read()
        assert got.get('error') == error, got
        return got

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        ended = self.process.wait(20)
        self.process.stdout.close()
        self.dir.cleanup()
        assert kind or ended == 0, f'the driver ended with {ended}'


def run(script, *words, error, requests):
    """One command against a script: how it ends, and how many requests it takes."""
    with Server(*script) as server, Driver(server) as d:
        got = d.ask(*words, error=error)
        assert len(server.requests) == requests, server.requests
        return got, server.requests


def test_reading_is_repeated():
    """A reset, half an answer and a 503 are asked again; a third failure is told."""
    good = answer(200, POD)
    run([RESET, [answer(200, POD)[:-5], RESET], good], 'pod', 'web-1', error='ok', requests=3)
    run([answer(503, {}), answer(429, {}, 'Retry-After: 1'), good], 'pod', 'web-1', error='ok', requests=3)
    run([answer(500, {})], 'pod', 'web-1', error='server', requests=3)


def test_writing_is_not():
    """A patch, an eviction whose answer is lost: who asked decides what to do."""
    run([RESET], 'merge-patch', 'web-1', '{}', error='network', requests=1)
    run([answer(503, {})], 'merge-patch', 'web-1', '{}', error='server', requests=1)
    run([RESET], 'evict', 'web-1', 'abc', '-1', error='network', requests=1)
    run([answer(429, {'details': {'causes': [{'reason': 'DisruptionBudget'}]}})], 'evict', 'web-1', 'abc', '-1',
        error='budget', requests=1)
    got, _ = run([answer(429, {}, 'Retry-After: 10')], 'evict', 'web-1', 'abc', '-1', error='busy', requests=1)
    assert got['retry_after_ms'] == 10000, got


def test_a_long_wait_is_told():
    """A server that asks for an hour's patience gets it from who asked, not from a request that waits."""
    got, _ = run([answer(429, {}, 'Retry-After: 3600')], 'pod', 'web-1', error='busy', requests=1)
    assert got['retry_after_ms'] == 3600000, got


def test_tokens():
    """The token is in each request; a 401 has it read once more, a second 401 is told."""
    _, requests = run([answer(401, {}), answer(200, POD)], 'pod', 'web-1', error='ok', requests=2)
    assert [r[2] for r in requests] == ['Bearer first', 'Bearer first'], requests
    run([answer(401, {})], 'pod', 'web-1', error='unauthorized', requests=2)


def test_nobody_else_is_asked():
    """A redirection is not followed: it would take the token with it."""
    with Server(answer(200, POD)) as other:
        run([answer(302, {}, f'Location: https://127.0.0.1:{other.port}/')], 'pod', 'web-1', error='answer', requests=1)
        assert not other.requests


def test_odd_answers():
    """What is not understood is no answer: not JSON, keys twice, another kind, no uid, wrong types, too deep, too long."""
    deep = b'{"a":' * 5000 + b'1' + b'}' * 5000
    odd = [b'', b'<html>', b'[]', b'{"metadata":{"name":"web-1","uid":"u","uid":"v"}}', {'kind': 'Status'},
           {**POD, 'kind': 'Node'}, {'metadata': {'name': 'web-1'}}, {'metadata': {'name': 5, 'uid': []}}, {'metadata': 7},
           b'{"metadata":{"name":"a\\u0000b","uid":"u"}}', deep, b'{"a":"' + b'x' * (3 << 20) + b'"}']
    for body in odd:
        run([answer(200, body)], 'pod', 'web-1', error='answer', requests=1)
    wild = {**POD, 'spec': 5, 'status': [[]], 'metadata': {**POD['metadata'], 'labels': 'x', 'ownerReferences': {'a': 1}}}
    run([answer(200, wild)], 'pod', 'web-1', error='ok', requests=1)
    run([answer(200, {'items': 5})], 'pods', error='answer', requests=1)


def test_a_list_that_breaks():
    """Pages are asked for one after another, by the token that the server gave; a forgotten one ends the list."""
    page = {'items': [POD], 'metadata': {'continue': 'a/b=&c'}}
    with Server(answer(200, page), answer(410, {})) as server, Driver(server) as d:
        d.tell('pods', 'app=web')
        assert d.read()['event'] == 'each'
        assert d.read()['error'] == 'gone'
        assert server.requests[1][1].endswith('&labelSelector=app%3Dweb&continue=a%2Fb%3D%26c'), server.requests


def watch_events(d, n):
    return [(e['watch'], e.get('name')) for e in (d.read() for _ in range(n))]


def test_a_watch_goes_on():
    """At its end from where it was; half a line is never believed."""
    half = json.dumps(event('ADDED', 'half', '10')).encode()
    with Server(pod_list('7', 'a'), [stream(event('ADDED', 'b', '8'), event('BOOKMARK', '', '9')), END],
                [stream(event('MODIFIED', 'b', '11'), half), RESET], pod_list('12', 'c'),
                [stream(), HOLD]) as server, Driver(server) as d:
        d.tell('watch', '0')
        assert watch_events(d, 5) == [('reset', None), ('added', 'a'), ('synced', None), ('added', 'b'), ('changed', 'b')]
        assert watch_events(d, 4) == [('lost', None), ('reset', None), ('added', 'c'), ('synced', None)]
        versions = [r[1].rsplit('resourceVersion=')[-1] for r in server.requests if 'watch=1' in r[1]]
        assert versions[:2] == ['7', '9'], server.requests


def test_a_watch_begins_anew():
    """After 410 in either way, a line that is none, one without an end: with a list."""
    gone = {'type': 'ERROR', 'object': {'kind': 'Status', 'code': 410}}
    for bad in ([stream(gone), END], answer(410, {}), [stream(b'{"type":"ADDED"}\n'), HOLD], [stream(b'<html>\n'), HOLD],
                [stream(b'x' * (3 << 20)), HOLD]):
        with Server(pod_list('7', 'a'), bad, pod_list('9', 'b'), [stream(), HOLD]) as server, Driver(server) as d:
            d.tell('watch', '0')
            assert watch_events(d, 3) == [('reset', None), ('added', 'a'), ('synced', None)]
            seen = []
            while ('synced', None) not in seen:
                seen += watch_events(d, 1)
            assert seen[-3:] == [('reset', None), ('added', 'b'), ('synced', None)], (bad, seen)


def counters(d):
    d.tell('counters')
    return d.read()


def test_counted():
    """Each attempt, by verb and outcome, as the server counts them; one that nobody waits for any more too."""
    with Server(answer(503, {}), answer(200, POD), answer(409, {}), answer(403, {}), answer(201, {'kind': 'Status'}),
                pod_list('7', 'a'), [stream(event('ADDED', 'b', '8')), HOLD]) as server, Driver(server) as d:
        d.ask('pod', 'web-1')
        d.ask('merge-patch', 'web-1', '{}', error='conflict')
        d.ask('delete', 'web-1', 'abc', '-1', error='forbidden')
        d.ask('evict', 'web-1', 'abc', '-1')
        assert counters(d)['ended'] == {'get server': 1, 'get ok': 1, 'patch conflict': 1, 'delete forbidden': 1,
                                        'post ok': 1}, counters(d)
        d.tell('watch', '0')
        assert watch_events(d, 4)[-1] == ('added', 'b')
        d.tell('unwatch')
        got = counters(d)
        assert got['requests'] == sum(got['ended'].values()) == len(server.requests), (got, server.requests)
        assert got['ended']['get ok'] == 2 and got['ended'].get('watch cancelled') == 1, got


def test_freed_under_way():
    """Nothing leaks or is called when the client goes while requests and a watch are unanswered."""
    with Server(HOLD) as server, Driver(server) as d:
        d.tell('pod', 'web-1')
        d.tell('pods')
        d.tell('watch', '0')


def main():
    try:
        Authority.make()
        tap.main(globals())
    except Skip as e:
        print(f'1..0 # SKIP {e}')


if __name__ == '__main__':
    main()
