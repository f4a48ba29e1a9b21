# SPDX-License-Identifier: Apache-2.0
"""A burst that fills the limit in nine seconds (500 MB/s toward 4.5 GB): its alert and its SIGTERM come before the end.

Scaled: 50 MB/s toward 450 MB, which leaves as little time. The daemon's settings are the defaults, but where they are
of bytes.
"""
import contextlib
import json
import os
import subprocess
import sys
import time

from daemonlib import Daemon
from lib import DEADLINE_S, Receiver, Skip, run_tests

PLATEAUD, PROBE = sys.argv[1:3]
MB = 1000 * 1000
LIMIT = 450 * MB
POLICY = ('policy: {{startup_grace: 0, reclaim: {{enabled: false}}, rotate: {{method: signal, wait: 20s}}}}\n'
          'report: {{webhook: {{url: "{url}"}}}}\n')

# Grows by 1 MB each 20 ms from the moment it is told to. At SIGTERM it says so and ends; past its own limit it is as
# dead as after an OOM kill. Its clock is the work done: a busy machine slows the burst as it slows the watcher.
GROWS = r'''
import signal, sys, time
limit = int(sys.argv[1])
def on_term(*_):
    print('term', held, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, on_term)
held, kept = 0, []
print('ready', flush=True)
sys.stdin.readline()
base = int(open('/proc/self/statm').read().split()[1]) * 4096
while not limit or base + held < limit:
    kept.append(bytearray(b'x') * 1000000)
    held += 1000000
    time.sleep(0.02)
print('killed', held, flush=True)
sys.exit(9)
'''


@contextlib.contextmanager
def grower(limit, **kwargs):
    p = subprocess.Popen([sys.executable, '-c', GROWS, str(limit)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True, **kwargs)
    try:
        assert p.stdout.readline() == 'ready\n'
        yield p
    finally:
        p.kill()
        p.wait()


def burst(p, d, receiver):
    """Tells it to grow; both must come, and in time."""
    p.stdin.write('go\n')
    p.stdin.flush()
    last = p.stdout.readline().split()
    assert p.wait(DEADLINE_S) == 0 and last[0] == 'term', (last, p.returncode, d.seen[-5:])
    alert = d.event('alert.act')
    rotate = d.event('rotate.act')
    request = receiver.requests.get(timeout=DEADLINE_S)
    assert json.loads(request.body)['type'] == 'plateau.alert.firing', request
    held = int(last[1])
    print(f'# alert by {alert["reason"]} at {alert["usage_bytes"] / MB:.0f} MB, rotate by {rotate["reason"]} at '
          f'{rotate["usage_bytes"] / MB:.0f} MB; SIGTERM was there at {held / MB:.0f} MB held, '
          f'{(LIMIT - held) / MB / 50:.1f} s of its growth before the limit', flush=True)


def quiet(d):
    """It has looked a few times and found nothing."""
    d.wait_status('a second sample', lambda s: s['targets'][0]['counters']['samples_total'] >= 2)


def test_burst_by_looking():
    """met by looking often enough, as nobody tells of it"""
    with Receiver() as receiver, grower(LIMIT) as p, \
            Daemon(PLATEAUD, PROBE, f'targets: [{{name: t, match: {{pid: {p.pid}}}, limit: {LIMIT}}}]\n'
                   'sample: {burst: 50MB}\n' + POLICY.format(url=receiver.url)) as d:
        d.event('daemon.ready')
        quiet(d)
        assert d.target()['sampling']['alarm'] in ('none', 'threshold', 'events')
        burst(p, d, receiver)


@contextlib.contextmanager
def own_group():
    """A memory cgroup of our own below the one we are in, with the limit: v1 alone, where thresholds are."""
    with open('/proc/self/cgroup', encoding='ascii') as f:
        own = [line.rstrip('\n').split(':', 2)[2] for line in f if line.split(':')[1].split(',').count('memory')]
    if not own:
        raise Skip('no memory cgroup of version 1')
    path = f'/sys/fs/cgroup/memory{own[0]}/plateau-test-{os.getpid()}'
    try:
        os.mkdir(path)
    except OSError as e:
        raise Skip(f'no cgroup of our own: {e}') from None
    try:
        with open(f'{path}/memory.limit_in_bytes', 'w', encoding='ascii') as f:
            f.write(str(LIMIT))
        yield path
    finally:
        os.rmdir(path)


def test_burst_by_the_kernel():
    """met because the kernel tells of a threshold, though it is looked at every 30 s; no OOM kill in a real cgroup"""
    with own_group() as group:
        def enter():
            with open(f'{group}/cgroup.procs', 'w', encoding='ascii') as f:
                f.write(str(os.getpid()))
        with Receiver() as receiver, grower(0, preexec_fn=enter) as p, \
                Daemon(PLATEAUD, PROBE, f'targets: [{{name: t, match: {{pid: {p.pid}}}}}]\n'
                       'sample: {burst: none}\n' + POLICY.format(url=receiver.url)) as d:
            d.event('daemon.ready')
            s = d.wait_status('a limit', lambda s: s['targets'][0]['limit']['bytes'])
            if s['targets'][0]['sampling']['alarm'] != 'threshold':
                raise Skip('cgroup.event_control cannot be used: ' + json.dumps(s['targets'][0]['sampling']))
            quiet(d)
            burst(p, d, receiver)
            assert d.target()['counters']['alarms_total'] >= 1
        with open(f'{group}/memory.oom_control', encoding='ascii') as f:
            assert 'oom_kill 0' in f.read()


def test_alarm_ends_with_the_group():
    """a cgroup that is removed wakes it no more than once"""
    with own_group() as group, grower(0) as p:
        with open(f'{group}/cgroup.procs', 'w', encoding='ascii') as f:
            f.write(str(p.pid))
        with Daemon(PLATEAUD, PROBE, f'targets: [{{name: t, match: {{pid: {p.pid}}}}}]\n'
                    'policy: {rotate: {enabled: false}}\n') as d:
            d.event('daemon.ready')
            s = d.wait_status('a limit', lambda s: s['targets'][0]['limit']['bytes'])
            if s['targets'][0]['sampling']['alarm'] != 'threshold':
                raise Skip('cgroup.event_control cannot be used')
            with open(os.path.join(os.path.dirname(group), 'cgroup.procs'), 'w', encoding='ascii') as f:
                f.write(str(p.pid))
            os.rmdir(group)
            try:
                before = d.status()['daemon']['ticks_total']
                start = time.monotonic()
                d.wait_status('a few ticks', lambda s: s['daemon']['ticks_total'] > before + 2)
                ticks = d.status()['daemon']['ticks_total'] - before
                assert ticks <= 10 + 10 * (time.monotonic() - start), f'{ticks} ticks: it spins'
            finally:
                os.mkdir(group) # own_group() takes it away


if __name__ == '__main__':
    run_tests([v for k, v in list(globals().items()) if k.startswith('test_')])
