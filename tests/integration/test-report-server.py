# SPDX-License-Identifier: Apache-2.0
"""The HTTP server: what is served, to whom, and what hostile clients cannot do to the loop or to a scrape."""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

from lib import LineProcess, Skip, free_port, get, need, run_tests

DRIVER = sys.argv[1]
FIXTURES = sys.argv[2]
TEXT = 'text/plain; version=0.0.4; charset=utf-8'
OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'


def driver(listen):
    d = LineProcess([DRIVER, f'listen={listen}'])
    ready = d.wait('ready')
    assert ready['error'] == '', ready
    return d


def served(path, headers=None, method='GET'):
    port = free_port()
    with driver(f'127.0.0.1:{port}'):
        return get(f'http://127.0.0.1:{port}{path}', headers, method)


def test_formats():
    """the page's format follows Accept, with the exact content types"""
    status, headers, body = served('/metrics')
    assert (status, headers['Content-Type']) == (200, TEXT) and not body.endswith(b'# EOF\n')
    status, headers, body = served('/metrics', {'Accept': 'application/openmetrics-text; version=1.0.0'})
    assert (status, headers['Content-Type']) == (200, OPENMETRICS) and body.endswith(b'\n# EOF\n')


def test_promtool():
    """promtool finds nothing to say about the text page"""
    promtool = need('promtool')
    _, _, body = served('/metrics')
    done = subprocess.run([promtool, 'check', 'metrics'], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b''), done


def test_strict_parser():
    """the strict OpenMetrics parser accepts the page and reads hostile labels back"""
    try:
        from prometheus_client.openmetrics import parser
    except ImportError:
        raise Skip('python3-prometheus-client is not installed') from None
    _, _, body = served('/metrics', {'Accept': 'application/openmetrics-text; version=1.0.0'})
    families = {f.name: f for f in parser.text_string_to_metric_families(body.decode())}
    info = families['plateau_target'].samples[0].labels
    assert info['comm'] == 'py"th\\on)\n?' and info['target'] == 'pusher', info
    assert {s.labels['target'] for s in families['plateau_target_up'].samples} == {
        'pusher', 'absent', 'blind "\\\n\N{SNAIL}\N{REPLACEMENT CHARACTER}?'}
    eta = families['plateau_forecast_time_to_limit_seconds'].samples
    assert {s.labels['bound']: s.value for s in eta} == {'lower': 2280, 'median': 3060, 'upper': 4800}


def test_pages():
    """status is JSON, health is the daemon's own word, unknown paths are 404, other methods 405"""
    port = free_port()
    base = f'http://127.0.0.1:{port}'
    with driver(f'127.0.0.1:{port}'):
        status, headers, body = get(base + '/api/v1/status?x=1')
        document = json.loads(body)
        assert (status, headers['Content-Type']) == (200, 'application/json')
        assert [t['name'] for t in document['targets']][:2] == ['pusher', 'absent']
        for path in ('/healthz', '/livez', '/readyz'):
            status, _, body = get(base + path)
            assert status == 200 and body.endswith(b' ticks\n')
        for path in ('/ready', '/alive'):
            assert get(base + path)[::2] == (200, b'no rotation\n'), path
        assert b'/metrics' in get(base + '/')[2]
        assert get(base + '/nothing')[0] == 404
        assert get(base + '/metrics/')[0] == 404
        status, headers, body = get(base + '/metrics', method='HEAD')
        assert status == 200 and body == b'' and int(headers['Content-Length']) > 1000
        for method in ('POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'BREW'):
            status, headers, _ = get(base + '/metrics', method=method)
            assert (status, headers['Allow']) == (405, 'GET, HEAD'), method


def test_golden_files_are_json():
    """every golden document is strict JSON without doubled keys"""
    def no_doubles(pairs):
        assert len({k for k, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    names = [n for n in os.listdir(FIXTURES) if n.endswith('.json')]
    assert len(names) >= 6, names
    for name in names:
        with open(os.path.join(FIXTURES, name), encoding='utf-8') as f:
            json.load(f, object_pairs_hook=no_doubles, parse_constant=lambda c: 1 / 0)


def test_addresses():
    """IPv6, all addresses, an address in use, and a move to another one while running"""
    port = free_port()
    with driver(f':{port}') as d:
        assert get(f'http://127.0.0.1:{port}/')[0] == 200
        other = LineProcess([DRIVER, f'listen=127.0.0.1:{port}'])
        assert other.wait('ready')['error'] == f'cannot listen on 127.0.0.1:{port}: Address already in use'
        assert other.process.wait(30) == 1
        other.process.stdin.close()
        other.process.stdout.close()
        # ":PORT" holds it itself: must give way
        assert d.ask(f'set listen=127.0.0.1:{port}', 'set')['error'] == ''
        assert get(f'http://127.0.0.1:{port}/')[0] == 200
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            error = d.ask(f'set listen=127.0.0.1:{taken.getsockname()[1]}', 'set')['error']
            assert error.endswith('Address already in use'), error
        assert get(f'http://127.0.0.1:{port}/')[0] == 200 # the old one is still there
        assert 'is no address to listen on' in d.ask('set listen=localhost:80', 'set')['error']
        try:
            port6 = free_port(socket.AF_INET6, '::1')
        except OSError:
            raise Skip('no IPv6 here') from None
        assert d.ask(f'set listen=[::1]:{port6}', 'set')['error'] == ''
        assert get(f'http://[::1]:{port6}/')[0] == 200


def garbage():
    """What hostile clients send; after it they stay connected."""
    return [
        b'',
        b'G',
        b'GET /metrics HTTP/1.1\r\nHost: x',
        b'GET /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nhalf a body',
        b'POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n',
        b'GET ' + b'/a' * 50000 + b' HTTP/1.1\r\n\r\n',
        b'GET / HTTP/1.1\r\n' + b'X-Huge: ' + b'a' * 100000,
        b'GET / HTTP/1.1\r\n' + b''.join(b'X-%d: y\r\n' % i for i in range(5000)),
        b'GET /%00%ff%0d%0aX HTTP/1.1\r\n\r\n',
        b'GET /metrics?' + b'&'.join(b'a%d=b' % i for i in range(2000)) + b' HTTP/1.1\r\n\r\n',
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(range(256)) * 20,
        os.urandom(20000),
        b'\0' * 10000,
        b'\r\n' * 5000,
        b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ]


def send(c, data):
    """As much as the server takes without waiting; it may have closed already."""
    c.setblocking(False)
    try:
        c.send(data)
    except (BlockingIOError, ConnectionError):
        pass


def test_garbage():
    """a scrape succeeds and the loop ticks while hundreds of garbage clients are connected"""
    port = free_port()
    with driver(f'127.0.0.1:{port}') as d:
        clients = []
        try:
            for round_ in range(8):
                for data in garbage():
                    c = socket.create_connection(('127.0.0.1', port), 30)
                    clients.append(c)
                    send(c, data)
                before = d.ask('ticks', 'ticks')['n']
                status, _, body = get(f'http://127.0.0.1:{port}/metrics')
                assert status == 200 and b'plateau_target_up' in body
                end = time.monotonic() + 30
                while d.ask('ticks', 'ticks')['n'] < before + 3:
                    assert time.monotonic() < end, f'the loop stands still in round {round_}'
            for c in clients[::2]: # a trickle keeps none of them alive for ever, nor does it hold anything
                send(c, b'x')
            assert get(f'http://127.0.0.1:{port}/healthz')[0] == 200
        finally:
            for c in clients:
                c.close()
        assert get(f'http://127.0.0.1:{port}/metrics')[0] == 200


def test_half_open():
    """a crowd of half requests, far more than there are slots, does not keep a scrape out"""
    port = free_port()
    with driver(f'127.0.0.1:{port}'):
        crowd = []
        for _ in range(100):
            c = socket.create_connection(('127.0.0.1', port), 30)
            send(c, b'GET /metrics HT')
            crowd.append(c)
        assert get(f'http://127.0.0.1:{port}/metrics')[0] == 200
        for c in crowd:
            c.close()


def test_trickle():
    """a client that sends a byte now and then is disconnected at its deadline"""
    port = free_port()
    with driver(f'127.0.0.1:{port}') as d, socket.create_connection(('127.0.0.1', port), 30) as c:
        c.settimeout(1) # between two bytes; far below the idle limit
        c.sendall(b'GET /')
        end = time.monotonic() + 60
        while True:
            assert time.monotonic() < end, 'never disconnected'
            try:
                c.sendall(b'a')
                if not c.recv(100):
                    break
            except socket.timeout:
                continue
            except ConnectionError:
                break
        assert d.ask('ticks', 'ticks')['n'] > 0
        assert get(f'http://127.0.0.1:{port}/metrics')[0] == 200


def test_slow_reader():
    """a client that asks and does not read holds nothing"""
    port = free_port()
    with driver(f'127.0.0.1:{port}') as d:
        clients = []
        for _ in range(40):
            c = socket.socket()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            c.connect(('127.0.0.1', port))
            send(c, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
            clients.append(c)
        before = d.ask('ticks', 'ticks')['n']
        assert get(f'http://127.0.0.1:{port}/metrics')[0] == 200
        end = time.monotonic() + 30
        while d.ask('ticks', 'ticks')['n'] < before + 3:
            assert time.monotonic() < end
        for c in clients:
            c.close()


def test_stop_with_open_connections():
    """a clean end with clients still connected leaks nothing and is not held up"""
    port = free_port()
    with tempfile.TemporaryDirectory(), driver(f'127.0.0.1:{port}'):
        clients = [socket.create_connection(('127.0.0.1', port), 30) for _ in range(10)]
        for c in clients:
            send(c, b'GET / HTTP/1.1\r\n')
    for c in clients:
        c.close()


run_tests([test_formats, test_promtool, test_strict_parser, test_pages, test_golden_files_are_json, test_addresses, test_garbage,
           test_half_open, test_trickle, test_slow_reader, test_stop_with_open_connections])
