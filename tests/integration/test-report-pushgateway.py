# SPDX-License-Identifier: Apache-2.0
"""Pushing: to a real Pushgateway, and to receivers that are down, slow, or refuse."""
import socket
import subprocess
import sys
import tempfile

from lib import LineProcess, Receiver, free_port, get, need, run_tests, wait_until

DRIVER = sys.argv[1]


def driver(*options):
    d = LineProcess([DRIVER, *options])
    ready = d.wait('ready')
    assert ready['error'] == '', ready
    return d


class Gateway:
    """A real Pushgateway on a free port."""

    def __enter__(self):
        program = need('prometheus-pushgateway')
        self.directory = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        argv = [program, f'--web.listen-address=127.0.0.1:{self.port}',
                '--persistence.file='] # Debian's build keeps its groups over restarts otherwise
        self.process = subprocess.Popen(argv, cwd=self.directory.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until('the Pushgateway is ready', self.ready)
        return self

    def ready(self):
        try:
            return get(self.url + '/-/ready')[0] == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.directory.cleanup()

    def lines(self, group):
        """Samples of the group with this text in their labels."""
        return [l for l in get(self.url + '/metrics')[2].decode().splitlines() if group in l and not l.startswith('#')]


def test_real_gateway():
    """a real Pushgateway takes the page, shows it under job and instance, and forgets it at a clean stop"""
    with Gateway() as g, driver(f'pushgateway={g.url}/', 'job=plateau', 'instance=prod/node-1', 'push-interval=300') as d:
        lines = wait_until('the group is there', lambda: g.lines('instance="prod/node-1",job="plateau"'))
        assert any(l.startswith('plateau_forecast_time_to_limit_seconds{bound="lower"') and l.endswith(' 2280') for l in lines)
        assert any(l.startswith('process_resident_memory_bytes{') for l in lines)
        assert any(l.startswith('push_failure_time_seconds{') and l.endswith(' 0') for l in lines), lines
        wait_until('pushed again', lambda: d.ask('sinks', 'sinks')['pushgateway']['delivered'] >= 3)
        assert d.ask('sinks', 'sinks')['pushgateway']['failed'] == 0
        # another instance: the old group must not stay behind
        assert d.ask(f'set pushgateway={g.url} instance=second', 'set')['error'] == ''
        wait_until('the new group is there', lambda: g.lines('instance="second"'))
        wait_until('the old group is gone', lambda: not g.lines('instance="prod/node-1"'))
        d.send('flush 60000')
        d.wait('flushed')
        wait_until('the group is gone', lambda: not g.lines('job="plateau"')) # a DELETE is accepted, then done


def test_keep():
    """with delete_on_exit off the last state stays"""
    with Gateway() as g, driver(f'pushgateway={g.url}', 'push-interval=60000', 'keep') as d:
        wait_until('the group is there', lambda: g.lines('job="plateau"'))
        d.send('flush 60000')
        d.wait('flushed')
        assert g.lines('job="plateau"')


def test_down_then_up():
    """a gateway that is down is asked again with back-off, told once, and told again when it is back"""
    port = free_port()
    with driver(f'pushgateway=http://127.0.0.1:{port}', 'push-interval=100') as d:
        assert d.wait('sink')['error'] == f'connection refused by 127.0.0.1:{port}'
        wait_until('more attempts', lambda: d.ask('sinks', 'sinks')['pushgateway']['failed'] >= 3)
        assert not [o for o in d.held if o['event'] == 'sink']
        with Receiver(port=port) as r:
            request = r.next(60)
            assert request.method == 'PUT' and request.path == '/metrics/job/plateau/instance/test', vars(request)
            assert request.headers['content-type'] == 'text/plain; version=0.0.4; charset=utf-8'
            assert request.body.startswith(b'# HELP plateau_') and b'# EOF' not in request.body
            assert d.wait('sink', 60)['error'] == ''


def test_refusal_is_told_once():
    """the server's words of a 400 are kept, and told once for many refusals"""
    with Receiver([(400, {}, b'pushed metrics are invalid\n')] * 4 + [500]) as r, \
            driver(f'pushgateway={r.url}', 'push-interval=50') as d:
        for _ in range(5):
            r.next(60)
        assert d.wait('sink')['error'] == 'HTTP 400: pushed metrics are invalid'
        assert d.wait('sink')['error'] == 'HTTP 500'
        assert d.wait('sink')['error'] == ''


def test_never_two_in_flight():
    """a gateway that hangs gets one connection at a time, and the loop ticks on"""
    with Receiver([Receiver.HANG] * 2) as r, driver(f'pushgateway={r.url}', 'push-interval=50', 'push-timeout=1500') as d:
        r.next()
        before = d.ask('ticks', 'ticks')['n']
        wait_until('the loop ticks', lambda: d.ask('ticks', 'ticks')['n'] > before + 20)
        got = d.ask('sinks', 'sinks')['pushgateway']
        assert got['attempts'] - got['failed'] == 1, got
        assert 'no complete answer' in d.wait('sink')['error']


def test_stop_is_bounded():
    """a clean stop waits for a gateway that hangs only until the deadline"""
    with Receiver([Receiver.HANG]) as r, driver(f'pushgateway={r.url}', 'push-timeout=60000') as d:
        r.next()
        d.send('flush 500')
        d.wait('flushed', 20)
    with Receiver() as r, driver(f'pushgateway={r.url}') as d:
        r.next()
        wait_until('delivered', lambda: d.ask('sinks', 'sinks')['pushgateway']['delivered'] == 1)
        d.send('flush 60000')
        d.wait('flushed')
        assert r.next().method == 'DELETE'


def test_black_hole():
    """an address that never answers costs neither ticks nor a late stop"""
    with socket.socket() as full: # a listener whose queue is full drops further connection attempts
        full.bind(('127.0.0.1', 0))
        full.listen(0)
        port = full.getsockname()[1]
        crowd = []
        for _ in range(4):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(('127.0.0.1', port))
            crowd.append(c)
        with driver(f'pushgateway=http://127.0.0.1:{port}', 'push-timeout=1000') as d:
            error = d.wait('sink')['error']
            assert error.startswith(f'no connection to 127.0.0.1:{port} within '), error
            assert d.ask('ticks', 'ticks')['n'] > 10
        for c in crowd:
            c.close()


run_tests([test_real_gateway, test_keep, test_down_then_up, test_refusal_is_told_once, test_never_two_in_flight,
           test_stop_is_bounded, test_black_hole])
