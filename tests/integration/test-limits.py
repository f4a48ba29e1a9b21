# SPDX-License-Identifier: Apache-2.0
"""What an injected call does when something takes longer than it may, and that there is never a second one meanwhile.

The purge that takes its time is a stand-in's (tests/targets/standin.c): a real one cannot be made to wait for a test.
"""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import tap
from lib import DEADLINE_S, Skip, need, wait_until
from probelib import Probe, Target, children, start_ticks, traced

PROBE, MKLEAK, STANDIN, OLD_JEMALLOC, BESIDE = *sys.argv[1:3], *map(os.path.abspath, sys.argv[3:6])
MIB = 1 << 20


def field(pid, tid, name):
    with open(f'/proc/{pid}/task/{tid}/status', encoding='ascii') as f:
        return next(line.split()[1] for line in f if line.startswith(name + ':'))


def undisturbed(target):
    status = target.ask('?')
    assert status['ok'] == '1' and status['bad'] == '0' and status['eintr'] == '0', status


class Gate:
    """What the stand-in's purge waits at: it rings, and goes on for each byte."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = self.folder.name
        for name in ('bell', 'gate'):
            os.mkfifo(f'{self.dir}/{name}')
        self.bell, self.gate = (os.open(f'{self.dir}/{name}', os.O_RDWR | os.O_NONBLOCK) for name in ('bell', 'gate'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.bell)
        os.close(self.gate)
        self.folder.cleanup()

    def environment(self, library=STANDIN):
        return {**os.environ, 'LD_PRELOAD': library, 'STANDIN_GATE': self.dir}

    def rings(self):
        """Has one more begun?"""
        try:
            return len(os.read(self.bell, 1)) == 1
        except BlockingIOError:
            return False

    def let_through(self):
        os.write(self.gate, b'x')


def result(pid, prefix=(), **kwargs):
    with Probe([*prefix, PROBE]) as probe:
        return probe.trim(pid, **kwargs)['result']


def in_another_network():
    """What starts a program in a network namespace of its own, where no abstract socket is seen."""
    prefix = ('unshare', '--net')
    if not shutil.which('unshare') or subprocess.run([*prefix, 'true'], capture_output=True, check=False).returncode:
        raise Skip('no right to make a network namespace')
    return prefix


def test_not_done_in_time():
    """a purge that is not done in its time is reported and left to finish; no second one starts until it has"""
    for target in ('fragment-threads', 'fragment'): # on a thread of its own, on the borrowed one
        with Gate() as gate, Target(MKLEAK, target, 'size_mib=32', env=gate.environment()) as t:
            assert result(t.pid, finish_ms=200) == 'timeout'
            assert gate.rings()
            assert [result(t.pid, find_ms=200) for _ in range(3)] == ['in_flight'] * 3
            assert len(t.scratch_maps()) == 1
            gate.let_through()
            wait_until('a purge that is done', lambda t=t, gate=gate: second_purge(t, gate) == 'ok')
            assert not t.scratch_maps()
            undisturbed(t)


def second_purge(target, gate):
    """Once more, now with an open gate."""
    with Probe(PROBE) as probe:
        probe.send(4, target.pid)
        wait_until('an answer, or somebody at the gate', lambda: gate.rings() or not children(probe.process.pid))
        gate.let_through()
        answer = probe.receive()['result']
    with contextlib.suppress(BlockingIOError):
        os.read(gate.gate, 1) # nobody came
    return answer


def test_killed_while_it_waits():
    """the probe is killed while the purge takes its time: no second one starts until it has finished"""
    with Gate() as gate, Target(MKLEAK, 'fragment-threads', 'size_mib=32', env=gate.environment()) as t:
        with Probe(PROBE) as probe:
            probe.send(4, t.pid)
            wait_until('the purge has begun', gate.rings)
            assert result(t.pid) == 'in_flight'
            probe.kill(child_too=True)
        assert result(t.pid) == 'in_flight'
        gate.let_through()
        wait_until('a purge that is done', lambda: second_purge(t, gate) == 'ok')
        undisturbed(t)


def test_other_network_namespace():
    """two daemons that share no network namespace: the second says in_flight all the same, at any moment"""
    prefix = in_another_network()
    with Gate() as gate, Target(MKLEAK, 'fragment-threads', 'size_mib=32', env=gate.environment()) as t, \
            Probe(PROBE) as one, Probe([*prefix, PROBE]) as two:
        one.send(4, t.pid)
        wait_until('the purge has begun', gate.rings)
        assert two.trim(t.pid)['result'] == 'in_flight'
        gate.let_through()
        assert one.receive()['result'] == 'ok'
    with Target(MKLEAK, 'fragment-threads', 'size_mib=8') as t, Probe(PROBE) as one, Probe([*prefix, PROBE]) as two:
        for _ in range(30):
            one.send(4, t.pid)
            two.send(4, t.pid)
            got = sorted((one.receive()['result'], two.receive()['result']))
            assert got in (['in_flight', 'ok'], ['ok', 'ok']), got
        assert not t.scratch_maps()
        undisturbed(t)


@contextlib.contextmanager
def in_two_pid_namespaces(*args, **kwargs):
    """A target with a PID namespace of its own; how a probe starts in there, where its numbers are others than out here. Neither
    the socket's name nor, before Linux 6.9 (made so by strace), the pidfd's lock keeps two such probes apart."""
    own = ('unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc')
    if not shutil.which('nsenter') or subprocess.run([*own, 'true'], capture_output=True, check=False).returncode:
        raise Skip('no right to make a PID namespace')
    strace = [need('strace'), '-f', '-qq', '-o', '/dev/null', '-e', 'trace=pidfd_open', '-e', 'inject=pidfd_open:error=ENOSYS']
    with Target(*own, MKLEAK, *args, **kwargs) as t:
        t.pid = wait_until('the program in its PID namespace', lambda: children(t.process.pid))[0]
        # to enter a mount namespace is to stand in its root
        yield t, ['nsenter', '-t', str(t.pid), '--mount', '--pid', *strace, os.path.abspath(PROBE)]


def test_other_pid_namespace():
    """two daemons that know the target by other numbers (one is in its container): the second says in_flight all the same"""
    for name in ('fragment-threads', 'fragment'): # on a thread of its own, on the borrowed one
        with Gate() as gate, in_two_pid_namespaces(name, 'size_mib=32', env=gate.environment()) as (t, inside):
            ticks = start_ticks(t.pid)
            with Probe(PROBE) as one, Probe(inside, env=traced()) as two:
                for first, pid, second, other in ((one, t.pid, two, 1), (two, 1, one, t.pid)):
                    first.send(4, pid, ticks=ticks)
                    wait_until('the purge has begun', gate.rings)
                    r = second.trim(other, ticks=ticks)
                    assert r['result'] == 'in_flight' and not gate.rings(), (name, pid, r)
                    gate.let_through()
                    assert first.receive()['result'] == 'ok'
            assert not t.scratch_maps()
            undisturbed(t)


def test_worker_that_hangs():
    """a worker that does not end: the probe answers for it, makes no other call before it has ended, and serves on"""
    with Target(MKLEAK, 'single-hot') as t, Target(MKLEAK, 'steady') as other, Probe(PROBE) as probe:
        probe.send(4, t.pid, find_ms=1000, finish_ms=0)
        worker = wait_until('a worker', lambda: children(probe.process.pid))[0]
        os.kill(worker, signal.SIGSTOP)
        r = probe.receive()
        assert r['result'] == 'internal' and 'did not end in its time' in r['detail'], r
        assert str(worker) in probe_in_flight(probe, other.pid)['detail']
        os.kill(worker, signal.SIGCONT) # its alarm, long due, ends it
        wait_until('another call is made', lambda: probe.trim(other.pid)['result'] == 'ok')
        undisturbed(other)
        undisturbed(t)


def probe_in_flight(probe, pid):
    r = probe.trim(pid)
    assert r['result'] == 'in_flight', r
    return r


HANDLES = """
import os, signal
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
signal.siginterrupt(signal.SIGUSR1, True)
r, w = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(w) # written by the handler itself, at once; what is Python's comes after the read
os.write(1, b'ready')
line = os.read(0, 1)
os.write(1, b'%d %s' % (len(os.read(r, 99)), line))
"""


def test_signal_meanwhile():
    """a signal that comes while the borrowed thread makes the call is handled once, after it, and the wait goes on"""
    with Gate() as gate, Probe(PROBE) as probe, \
            subprocess.Popen(['/usr/bin/python3', '-c', HANDLES], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env=gate.environment()) as p:
        assert os.read(p.stdout.fileno(), 5) == b'ready'
        probe.send(4, p.pid)
        wait_until('the purge has begun', gate.rings)
        os.kill(p.pid, signal.SIGUSR1)
        assert int(field(p.pid, p.pid, 'ShdPnd'), 16) & 1 << signal.SIGUSR1 - 1
        gate.let_through()
        assert probe.receive()['result'] == 'ok'
        wait_until('the signal is handled', lambda: int(field(p.pid, p.pid, 'ShdPnd'), 16) == 0)
        os.write(p.stdin.fileno(), b'x')
        assert os.read(p.stdout.fileno(), 9) == b'1 x'
        p.stdin.close()
        assert p.wait(DEADLINE_S) == 0


STUCK = """
import ctypes, fcntl, mmap, os, select, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.syscall(323, os.O_CLOEXEC) # userfaultfd, Linux 4.3
if fd < 0:
    print('cannot', os.strerror(ctypes.get_errno()), flush=True)
    sys.exit(0)
fcntl.ioctl(fd, 0xc018aa3f, bytearray(struct.pack('QQQ', 0xaa, 0, 0))) # UFFDIO_API
page = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
fcntl.ioctl(fd, 0xc020aa00, bytearray(struct.pack('QQQQ', at, 4096, 1, 0))) # UFFDIO_REGISTER, missing pages
r, w = os.pipe()
got = []
def wait():
    print('ready', threading.get_native_id(), flush=True)
    got.append(os.readv(r, [memoryview(page)[:1]])) # the system call waits for a page that only we can give
threading.Thread(target=wait, daemon=True).start()
os.write(w, b'x')
while not select.select([0], [], [], 0)[0]: # never asleep: no thread but the other one can be borrowed
    pass
fcntl.ioctl(fd, 0xc020aa04, bytearray(struct.pack('QQQq', at, 4096, 0, 0))) # UFFDIO_ZEROPAGE
while not got:
    pass
print('got', got, flush=True)
"""


def test_thread_that_does_not_stop():
    """a thread that does not stop when told to: given up, no other thread is tried, and it is let go"""
    with subprocess.Popen(['/usr/bin/python3', '-c', STUCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        word, *rest = p.stdout.readline().split()
        if word != 'ready':
            p.stdin.close()
            raise Skip('no userfaultfd for the kernel\'s own accesses: ' + ' '.join(rest))
        tid = int(rest[0])
        wait_until('the thread waits in read()',
                   lambda: open(f'/proc/{p.pid}/task/{tid}/syscall', encoding='ascii').read().startswith(('19 ', '0 ')))
        r, declined = None, 0
        with Probe(PROBE) as probe:
            r = probe.trim(p.pid, find_ms=20000)
            declined = r['declined']
        assert r['result'] == 'no_safe_thread' and declined == 0, r
        assert 'did not stop' in r['detail'], r
        wait_until('nobody traces it', lambda: field(p.pid, tid, 'TracerPid') == '0')
        p.stdin.write('\n')
        p.stdin.flush()
        assert p.stdout.readline() == 'got [1]\n'
        p.stdin.close()
        assert p.wait(DEADLINE_S) == 0


BREEDER = """
import sys, threading, time
def live():
    time.sleep(0.003)
print('ready', flush=True)
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
while not end.is_set():
    threads = [threading.Thread(target=live) for _ in range(30)]
    for t in threads: t.start()
    for t in threads: t.join()
"""


def test_threads_that_end():
    """threads that end under our hands: no reason to say that access was denied"""
    with subprocess.Popen(['/usr/bin/python3', '-c', BREEDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == 'ready\n'
        with Probe(PROBE) as probe:
            got = {probe.trim(p.pid, find_ms=500)['result'] for _ in range(60)}
        assert got <= {'ok', 'no_safe_thread', 'in_flight'}, got
        p.stdin.close()
        assert p.wait(DEADLINE_S) == 0


def test_two_libcs():
    """a second C library, by dlmopen(): refused, because nobody can tell whose threads and whose heap are whose"""
    code = ('import ctypes,sys;c=ctypes.CDLL(None);c.dlmopen.restype=ctypes.c_void_p;'
            'h=c.dlmopen(ctypes.c_long(-1),b"libc.so.6",2);print("ready" if h else "cannot",flush=True);sys.stdin.read()')
    with subprocess.Popen(['/usr/bin/python3', '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b'ready\n'
        with Probe(PROBE) as probe:
            r = probe.trim(p.pid)
        assert r['result'] == 'no_libc' and 'two C libraries' in r['detail'], r
        p.stdin.close()
        assert p.wait(DEADLINE_S) == 0


def test_old_jemalloc():
    """jemalloc 4 (a stand-in): all arenas have another number there, which it is asked for"""
    with Target(MKLEAK, 'fragment', 'size_mib=64', env={**os.environ, 'LD_PRELOAD': OLD_JEMALLOC}) as t, Probe(PROBE) as probe:
        r = probe.trim(t.pid)
        assert r['result'] == 'ok' and r['allocator'] == 'jemalloc 4.5.0' and r['before'] - r['after'] > 40 * MIB, r
        r = probe.tune(t.pid, 'dirty_decay_ms', 0)
        assert r['result'] == 'no_setting' and r['detail'] == 'jemalloc 4.5.0 has no dirty_decay_ms', r
        assert not t.scratch_maps()
        undisturbed(t)


def test_two_allocators():
    """malloc is glibc's and a jemalloc (a stand-in) serves a part of it: both are purged, and both are told"""
    for target in ('fragment', 'fragment-threads'):
        with Gate() as gate, Target(MKLEAK, target, 'size_mib=64', env=gate.environment(BESIDE)) as t, Probe(PROBE) as probe:
            r = probe.trim(t.pid)
            assert r['result'] == 'ok' and r['thread'] == 'borrowed' and r['before'] - r['after'] > 40 * MIB, r
            assert r['call'] == 'malloc_trim + mallctl_purge' and gate.rings(), r
            assert r['allocator'].startswith('glibc 2.') and r['allocator'].endswith(' + jemalloc 5.9.0'), r
            assert not t.scratch_maps()
            undisturbed(t)


if __name__ == '__main__':
    tap.main(globals())
