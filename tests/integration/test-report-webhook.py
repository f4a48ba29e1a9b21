# SPDX-License-Identifier: Apache-2.0
"""Alerts by webhook, over real sockets: what arrives, in which order, and what happens when the receiver misbehaves."""
import email.utils
import os
import sys
import tempfile
import time

from lib import LineProcess, Receiver, free_port, run_tests

DRIVER = sys.argv[1]


def driver(*options):
    d = LineProcess([DRIVER, *options])
    ready = d.wait('ready')
    assert ready['error'] == '', ready
    return d


def settled(d, **want):
    """The webhook's counters once they are as wanted; each look waits for the loop, so there is nothing to sleep for."""
    end = time.monotonic() + 60
    while True:
        got = d.ask('sinks', 'sinks')['webhook']
        if all(got[k] == v for k, v in want.items()):
            return got
        assert time.monotonic() < end, (want, got)
        time.sleep(0.01)


def test_delivery():
    """firing, repeat and resolved arrive in order, with one id and their own webhook-ids"""
    with Receiver() as r, driver(f'webhook={r.url}/hook?x=1') as d:
        for command in ('fire', 'repeat', 'resolve'):
            d.send(command)
            if command == 'fire':
                first = r.next()
                settled(d, delivered=1)
        rest = [r.next(), r.next()]
        notes = [n.json() for n in [first, *rest]]
        assert [n['type'].rsplit('.')[-1] for n in notes] == ['firing', 'firing', 'resolved'], notes
        assert len({n['data']['id'] for n in notes}) == 1
        assert len({n['data']['fingerprint'] for n in notes}) == 1
        assert len({n.headers['webhook-id'] for n in [first, *rest]}) == 3
        assert [n['data']['seq'] for n in notes] == [1, 2, 3]
        assert first.method == 'POST' and first.path == '/hook?x=1'
        assert first.headers['content-type'] == 'application/json'
        assert first.headers['user-agent'].startswith('plateau/')
        assert abs(int(first.headers['webhook-timestamp']) - time.time()) < 60
        assert 'growing 12.0 MB/min, limit in 51 min' in notes[0]['data']['annotations']['summary']
        assert notes[0]['data']['endsAt'] is None and notes[2]['data']['endsAt']
        assert notes[0]['data']['threshold'] == 3600 and notes[0]['data']['value'] == 2280
        d.send('action')
        action = r.next().json()
        assert action['type'] == 'plateau.action' and action['data']['action']['released_bytes'] == 270000000, action
        settled(d, delivered=4, failed=0, dropped=0, queued=0)


def test_retries():
    """network errors, 408, 429 and 5xx are retried with the same webhook-id; order holds; recovery is told once"""
    nonsense = b'\x16\x03\x01\x02\x00 this is no HTTP at all\r\n\r\n'
    script = [Receiver.RESET, 500, nonsense, Receiver.CLOSE]
    with Receiver(script) as r, driver(f'webhook={r.url}/') as d:
        d.send('fire')
        first = r.next()
        d.send('resolve')
        attempts = [r.next(60) for _ in range(4)]
        assert {a.headers['webhook-id'] for a in attempts} == {first.headers['webhook-id']}
        assert attempts[-1].json()['data']['status'] == 'firing'
        assert r.next().json()['data']['status'] == 'resolved'
        settled(d, attempts=6, delivered=2, failed=4, dropped=0, queued=0)
        assert 'broke while' in d.wait('sink')['error']
        assert d.wait('sink')['error'] == 'HTTP 500'
        d.wait('sink', error='') # and it is over


def test_sentences():
    """every kind of failure is one sentence that names the receiver and never the path"""
    cases = [
        (Receiver.CLOSE, 'closed the connection without an answer'),
        (Receiver.RESET, 'broke while'),
        (b'HTTP/9.9 whatever\r\n\r\n', ''),
        (b'HTTP/1.1 200 OK\r\n' + b'X-Long: ' + b'a' * 60000 + b'\r\n\r\n', 'too many headers'),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort', 'too early'),
    ]
    for answer, sentence in cases:
        with Receiver([answer]) as r, driver(f'webhook=http://user:secret@127.0.0.1:{r.port}/path-secret') as d:
            d.send('fire')
            error = d.wait('sink')['error']
            assert sentence in error and f'127.0.0.1:{r.port}' in error and 'secret' not in error, error
    port = free_port()
    with driver(f'webhook=http://127.0.0.1:{port}/') as d:
        d.send('fire')
        assert d.wait('sink')['error'] == f'connection refused by 127.0.0.1:{port}'
    with driver('webhook=http://no-such-host.invalid/') as d:
        d.send('fire')
        assert d.wait('sink')['error'] == 'the name in no-such-host.invalid cannot be resolved'
    with driver('webhook=gopher://127.0.0.1/') as d:
        d.send('fire')
        assert d.wait('sink')['error'].startswith('not an http or https URL')


def test_slow_receiver():
    """a receiver that hangs holds neither the loop nor other alerts, and the attempt ends at its timeout"""
    with Receiver([Receiver.HANG]) as r, driver(f'webhook={r.url}/', 'webhook-timeout=2000') as d:
        d.send('fire')
        held = r.next()
        before = d.ask('ticks', 'ticks')['n']
        d.send('other')
        assert r.next().json()['data']['fingerprint'] != held.json()['data']['fingerprint']
        assert 'no complete answer from' in d.wait('sink', name='webhook')['error']
        assert d.ask('ticks', 'ticks')['n'] > before
        assert r.next().headers['webhook-id'] == held.headers['webhook-id']


def test_refused():
    """other statuses drop the note, with the receiver's words in the error; redirects are not followed"""
    script = [(413, {}, b'too \x1b[31mlarge\n'), (302, {'Location': '/elsewhere'}, b''), (400, {}, b'')]
    with Receiver(script) as r, driver(f'webhook={r.url}/') as d:
        d.send('fire')
        assert d.wait('sink')['error'] == 'HTTP 413: too \\u001b[31mlarge'
        for n, status in ((2, 302), (3, 400)):
            d.send('fire')
            assert d.wait('sink')['error'] == f'HTTP {status}'
            settled(d, dropped=n, queued=0, attempts=n)
        assert {r.next().path for _ in range(3)} == {'/'}
        r.none()


def test_retry_after():
    """Retry-After holds the whole sink, as seconds and as a date"""
    script = [(429, {'Retry-After': '3'}, b''),
              (503, {'Retry-After': email.utils.formatdate(time.time() + 6, usegmt=True)}, b'')]
    with Receiver(script) as r, driver(f'webhook={r.url}/') as d:
        d.send('fire')
        r.next()
        settled(d, failed=1)
        begin = time.monotonic()
        d.send('other')
        r.next()
        waited = time.monotonic() - begin
        assert waited > 2, waited # not before it was asked for; the other alert neither
        assert d.wait('sink')['error'] == 'HTTP 429'
        settled(d, delivered=2)


def test_gone():
    """410 disables the sink until a reload"""
    with Receiver([410]) as r, driver(f'webhook={r.url}/') as d:
        d.send('fire')
        r.next()
        settled(d, dropped=1, queued=0)
        d.send('other')
        settled(d, queued=1, attempts=1)
        r.none()
        assert d.ask(f'set webhook={r.url}/again', 'set')['error'] == ''
        assert r.next().path == '/again'
        settled(d, delivered=1, queued=0)


def test_bound():
    """a receiver that is down for long costs a bounded queue; repeats of one alert are folded"""
    port = free_port()
    with driver(f'webhook=http://127.0.0.1:{port}/') as d:
        for _ in range(50):
            d.send('fire')
            d.ask('ticks', 'ticks')
        got = d.ask('sinks', 'sinks')['webhook']
        assert got['queued'] <= 2, got
        for _ in range(50):
            d.send('resolve')
            d.send('fire')
        got = d.ask('sinks', 'sinks')['webhook']
        assert got['queued'] <= 8 and got['dropped'] >= 90, got
        with Receiver(port=port) as r:
            d.send('resolve')
            got = settled(d, queued=0)
            assert got['delivered'] >= 7, got
            states = [r.next().json()['data']['status'] for _ in range(got['delivered'])]
            assert states[-1] == 'resolved' and 'firing' in states, states


def test_endless_answer():
    """an answer without end is cut, and the alert counts as delivered"""
    with Receiver([Receiver.ENDLESS]) as r, driver(f'webhook={r.url}/') as d:
        d.send('fire')
        settled(d, delivered=1, failed=0)


def test_bearer():
    """the token is read anew for each request; an unreadable or broken one is said, and nothing is sent"""
    with tempfile.TemporaryDirectory() as t, Receiver() as r:
        path = os.path.join(t, 'token')
        with driver(f'webhook={r.url}/', f'webhook-bearer={path}') as d:
            d.send('fire')
            assert 'token: No such file' in d.wait('sink')['error']
            with open(path, 'w', encoding='ascii') as f:
                f.write('one\nInjected: header\n')
            d.send('other')
            settled(d, attempts=2, delivered=0)
            r.none()
            with open(path, 'w', encoding='ascii') as f:
                f.write('abc.DEF-1\n')
            assert r.next().headers['authorization'] == 'Bearer abc.DEF-1'


def test_flush():
    """a clean stop tries what is queued once more and ends, within its deadline"""
    with Receiver([500, Receiver.HANG]) as r, driver(f'webhook={r.url}/') as d:
        d.send('fire')
        settled(d, failed=1, queued=1)
        d.send('flush 1500')
        d.wait('flushed', 20) # the second attempt hangs: the deadline ends it
        assert r.next().headers['webhook-id'] == r.next().headers['webhook-id']
    with Receiver() as r, driver(f'webhook={r.url}/') as d:
        d.send('resolve')
        d.send('flush 60000')
        d.wait('flushed') # as soon as it is delivered
        assert r.next().json()['data']['status'] == 'resolved'


run_tests([test_delivery, test_retries, test_sentences, test_slow_receiver, test_refused, test_retry_after, test_gone, test_bound,
           test_endless_answer, test_bearer, test_flush])
