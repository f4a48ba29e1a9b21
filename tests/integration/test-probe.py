# SPDX-License-Identifier: Apache-2.0
"""malloc_trim called in live processes: what it gives, what the target notices (nothing), who may die (anybody)."""
import contextlib
import fcntl
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from lib import Skip, run_tests, wait_until
from probelib import CGROUP_DIR, HELLO, PLACE, SMAPS, TRIM_OP, Probe, Target, let_pass, start_ticks, wait_for_no_children

PROBE, MKLEAK, MKLEAK_STATIC, CONSTRUCTOR = sys.argv[1:5]
INJECTOR = sys.argv[5:] != ['none'] # built for this processor?
MIB = 1 << 20


def undisturbed(target, wakes=True):
    """The target's own checks: registers, FPU, mask, errno, results of its calls, and no EINTR."""
    if wakes:
        assert target.ask('w')['ok'] == '1'
    status = target.ask('?')
    assert status['ok'] == '1' and status['bad'] == '0' and status['eintr'] == '0', status
    return status


def trim(target, want='ok', **kwargs):
    with Probe(PROBE) as probe:
        reply = probe.trim(target.pid, **kwargs)
    assert reply['result'] == want, reply
    return reply


def test_single_threaded():
    """a single-threaded process does it itself, gets the memory back, and stays single-threaded"""
    with Target(MKLEAK, 'fragment', 'size_mib=64') as t:
        r = trim(t)
        assert r['thread'] == 'borrowed' and r['tid'] == t.pid and r['allocator'].startswith('glibc 2.'), r
        assert r['before'] - r['after'] > 40 * MIB, r
        assert len(os.listdir(f'/proc/{t.pid}/task')) == 1
        assert not t.scratch_maps()
        undisturbed(t)


def test_multi_threaded():
    """a threaded process does it on a thread of its own, all arenas included"""
    with Target(MKLEAK, 'fragment-threads', 'size_mib=64', 'threads=4') as t:
        n = len(os.listdir(f'/proc/{t.pid}/task'))
        r = trim(t)
        assert r['thread'] == 'own' and r['before'] - r['after'] > 40 * MIB, r
        assert len(os.listdir(f'/proc/{t.pid}/task')) == n
        assert not t.scratch_maps()
        undisturbed(t)


def test_nothing_is_noticed():
    """every kind of blocking call goes on; registers, FPU, mask, errno and alternate stack are as before"""
    for name in ('epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper', 'sigaltstack', 'ticker'):
        with Target(MKLEAK, name) as t:
            for _ in range(5):
                trim(t)
            undisturbed(t)


def test_allocating_and_forking():
    """threads that allocate or fork without pause neither hang nor break"""
    for name in ('allocator-hot', 'fork-hot'):
        with Target(MKLEAK, name) as t:
            for _ in range(10):
                trim(t)
            undisturbed(t, wakes=False)


def test_no_safe_thread():
    """no proven safe point: declined, with the reason"""
    cases = ((('single-hot',), '1 thread: 1 '), (('sigaltstack', 'where=handler'), 'signal handler'),
             (('deep-stack', 'room_bytes=1024', 'below_kib=64'), "not on a thread's own stack"))
    for args, why in cases:
        with Target(MKLEAK, *args) as t:
            r = trim(t, 'no_safe_thread', find_ms=300)
            assert why in r['detail'], r
            undisturbed(t, wakes=False)


def test_no_memory():
    """the mapping fails in it: said so, and errno, which the failed call set, is as before"""
    with Target(MKLEAK, 'errno-keeper') as t:
        limit = resource.prlimit(t.pid, resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
        trim(t, 'no_memory')
        resource.prlimit(t.pid, resource.RLIMIT_AS, limit)
        undisturbed(t, wakes=False)


def test_odd_stacks():
    """stacks in one map are told apart; no room, a coroutine or a thread behind libc's back: another one is borrowed"""
    for where, declined, main in (('carved', False, False), ('tight', True, False), ('raw', True, True)):
        with Target(MKLEAK, 'odd-stack', f'where={where}') as t:
            r = trim(t)
            assert (r['declined'] > 0) == declined and (r['tid'] == t.pid) == main, (where, r)
            undisturbed(t, wakes=False)


def test_ignored_signals():
    """a signal that is ignored by default comes between seizing and stopping: no EINTR"""
    with Target(MKLEAK, 'errno-keeper', 'wait=epoll') as t:
        done = threading.Event()

        def flood():
            while not done.is_set():
                os.kill(t.pid, signal.SIGWINCH)
        flooder = threading.Thread(target=flood)
        flooder.start()
        try:
            with Probe(PROBE) as probe:
                for _ in range(40):
                    probe.trim(t.pid, find_ms=100)
        finally:
            done.set()
            flooder.join()
        wait_until('the last call is over', lambda: trim_result(t) == 'ok')
        undisturbed(t, wakes=False)


def test_execve_meanwhile():
    """it executes another program at any instant: nothing is called at the old one's addresses"""
    rnd = random.Random(2512)
    with Target(MKLEAK, 'exec-self') as t, Probe(PROBE) as probe:
        for _ in range(60):
            probe.send(TRIM_OP, t.pid, find_ms=300)
            let_pass(rnd.random() * 0.02)
            t.process.stdin.write('x')
            t.process.stdin.flush()
            assert t.process.stdout.readline().startswith('ready '), 'it did not survive'
            r = probe.receive()
            # no_libc: between execve() and the loader's first mmap() there is none
            assert r['result'] in ('ok', 'gone', 'no_safe_thread', 'no_libc'), r
        undisturbed(t, wakes=False)


def test_seccomp_of_one_thread():
    """a filter that one thread has for itself: another one is borrowed"""
    code = ('import ctypes,struct,sys,threading;libc=ctypes.CDLL(None)\n'
            'def f():\n'
            ' rules=struct.pack("HBBIHBBIHBBIHBBI",32,0,0,0,21,0,1,9,6,0,0,0x80000000,6,0,0,0x7fff0000)\n'
            ' b=ctypes.create_string_buffer(rules)\n'
            ' p=ctypes.create_string_buffer(struct.pack("HxxxxxxQ",4,ctypes.addressof(b)))\n'
            ' libc.prctl(38,1,0,0,0);assert libc.prctl(22,2,ctypes.byref(p),0,0)==0\n'
            ' print("ready",flush=True);threading.Lock().acquire();l=threading.Lock();l.acquire();l.acquire()\n'
            'threading.Thread(target=f,daemon=True).start();sys.stdin.read();import os;os._exit(0)')
    with subprocess.Popen(['/usr/bin/python3', '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b'ready\n'
        with Probe(PROBE) as probe:
            r = probe.trim(p.pid)
            assert r['result'] == 'ok' and r['tid'] == p.pid, r
        p.stdin.close()
        assert p.wait() == 0


OWN_THREAD = 0x100050726000 + 65536
FORGER = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
at = libc.mmap(0x100050726000, 203 * 4096, 3, 0x100022, -1, 0)
assert at == 0x100050726000, at
def spin():
    print('ready', threading.get_native_id(), flush=True)
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
for line in sys.stdin:
    box = bytes.fromhex(line)
    ctypes.memmove(at, box, len(box))
    ctypes.memset(at + 65536 + 720, 1, 4) # a thread that lives, at its box.thread
    print('set', flush=True)
os._exit(0)
"""


def mailbox(pid, ticks, armed=0, unmapper=0, end=0, thread=0):
    """Mailbox of daemon/probe/inject/scratch.h"""
    return struct.pack('<5Q4QQ', 0x33617263536c7050, pid, ticks, armed, unmapper, 0, 0, end, end, thread)


@contextlib.contextmanager
def forger():
    """A process that has what looks like left-over scratch memory, and a thread that never sleeps."""
    with subprocess.Popen(['/usr/bin/python3', '-c', FORGER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        word, busy = p.stdout.readline().split()
        assert word == 'ready'
        yield p, int(busy)
        p.stdin.close()
        assert p.wait() == 0


def test_left_overs():
    """scratch memory that an earlier call left is used again only when nothing of it can still be running"""
    with forger() as (p, busy):
        me = (p.pid, start_ticks(p.pid))
        for name, box, want in (
                ('the thread that is to unmap it had no turn yet', mailbox(*me, unmapper=busy), 'in_flight'),
                ('the borrowed thread had no turn since its last stamp', mailbox(*me, armed=busy, end=1), 'in_flight'),
                ('a thread of its own still runs', mailbox(*me, armed=p.pid, end=1, thread=OWN_THREAD), 'in_flight'),
                ('all asleep elsewhere', mailbox(*me, armed=p.pid, unmapper=p.pid), 'ok')):
            left_over(p, box, want, name)
    with forger() as (p, busy):
        left_over(p, mailbox(1, 1, armed=busy, end=1, thread=OWN_THREAD), 'ok', 'a copy, made by fork in mid-call')


def left_over(process, box, want, name):
    process.stdin.write(box.hex() + '\n')
    process.stdin.flush()
    assert process.stdout.readline() == 'set\n'
    with Probe(PROBE) as probe:
        r = probe.trim(process.pid)
    assert r['result'] == want, (name, r)


def test_inside_the_loader():
    """a constructor that blocks, at start and in dlopen(): declined"""
    preloaded = (['/bin/true'], {**os.environ, 'LD_PRELOAD': CONSTRUCTOR})
    opened = (['/usr/bin/python3', '-c', f'import ctypes; ctypes.CDLL({CONSTRUCTOR!r})'], dict(os.environ))
    for args, env in (preloaded, opened):
        with subprocess.Popen(args, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
            assert p.stdout.readline() == b'ready\n'
            with Probe(PROBE) as probe:
                r = probe.trim(p.pid, find_ms=300)
            assert r['result'] == 'no_safe_thread' and 'dynamic loader' in r['detail'], r
            p.stdin.close()
            assert p.wait() == 0


def test_refusals():
    """stopped, traced, ended, replaced, static: refused with a reason, before anything is touched"""
    with Target(MKLEAK, 'steady') as t:
        trim(t, 'gone', ticks=start_ticks(t.pid) + 1)
        os.kill(t.pid, signal.SIGSTOP)
        wait_until('stopped', lambda: ' T ' in open(f'/proc/{t.pid}/stat', encoding='ascii').read())
        trim(t, 'stopped')
        os.kill(t.pid, signal.SIGCONT)
        trim(t)
    with Target(MKLEAK, 'steady') as t, Probe(PROBE) as probe:
        t.process.kill()
        wait_until('ended', lambda: ' Z ' in open(f'/proc/{t.pid}/stat', encoding='ascii').read())
        r = probe.trim(t.pid)
        assert r['result'] == 'zombie', r
        t.process.wait()
        t.process.returncode = 0 # killed on purpose
        assert probe.trim(t.pid, ticks=1)['result'] == 'gone'


def test_chroot():
    """a process in a chroot: its C library is found by either name of its path"""
    with tempfile.TemporaryDirectory() as root:
        listing = subprocess.run(['ldd', MKLEAK], capture_output=True, text=True, check=True).stdout
        for path in [MKLEAK, *re.findall(r'(/\S+) \(0x', listing)]:
            copy = root + os.path.realpath(path) if path == MKLEAK else root + path
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(path, copy)
        try:
            t = Target('chroot', root, os.path.realpath(MKLEAK), 'fragment', 'size_mib=64')
        except PermissionError:
            raise Skip('no right to chroot') from None
        with t:
            r = trim(t)
            assert r['before'] - r['after'] > 40 * MIB, r
            undisturbed(t)


def test_static():
    """a static program: its own symbols tell what a call needs; without them it is refused"""
    if not os.path.exists(MKLEAK_STATIC):
        raise Skip('no static libc: mkleak-static was not built')
    for name in ('fragment', 'fragment-threads'):
        with Target(MKLEAK_STATIC, name, 'size_mib=64') as t:
            r = trim(t)
            # it has no pthread_attr_setdetachstate(), which it does not use, and so no thread is made
            assert r['thread'] == 'borrowed' and r['before'] - r['after'] > 40 * MIB, r
            assert not t.scratch_maps()
            undisturbed(t)
    for name in ('epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper', 'allocator-hot', 'fork-hot'):
        with Target(MKLEAK_STATIC, name) as t:
            for _ in range(5):
                trim(t)
            undisturbed(t, wakes=not name.endswith('-hot'))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(['strip', '-o', folder + '/stripped', MKLEAK_STATIC], check=True)
        with Target(folder + '/stripped', 'steady') as t:
            assert 'stripped' in trim(t, 'no_libc')['detail']
            undisturbed(t)


LIBRARIES = '/usr/lib/x86_64-linux-gnu/'
# library, what is called in it, on whose thread in a threaded process, how much of 128 MiB must come back at least: from
# one thread's, and from those of several, where one may take what another gave, if they come one after another
ALLOCATORS = (('libjemalloc.so.2', 'mallctl_purge', 'borrowed', 100, 100),
              ('libtcmalloc_minimal.so.4', 'ReleaseFreeMemory', 'own', 60, 15))


def preload(name):
    return {**os.environ, 'LD_PRELOAD': LIBRARIES + name}


def test_other_allocators():
    """jemalloc and tcmalloc in charge: their own purge is called, and the target notices nothing"""
    present = [a for a in ALLOCATORS if os.path.exists(LIBRARIES + a[0])]
    if not present:
        raise Skip('neither jemalloc nor tcmalloc is installed')
    for name, call, thread, one_mib, all_mib in present:
        for target, by, mib in (('fragment', 'borrowed', one_mib), ('fragment-threads', thread, all_mib)):
            with Target(MKLEAK, target, 'size_mib=128', env=preload(name)) as t:
                r = trim(t)
                assert r['call'] == call and r['thread'] == by and r['before'] - r['after'] > mib * MIB, (name, r)
                assert not t.scratch_maps()
                undisturbed(t)
        for target in ('epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper', 'allocator-hot'):
            with Target(MKLEAK, target, env=preload(name)) as t:
                for _ in range(5):
                    trim(t)
                undisturbed(t, wakes=target != 'allocator-hot')


def test_mimalloc():
    """mimalloc: collects the one heap of a single-threaded process, refuses where threads have heaps of their own"""
    name = next((n for n in ('libmimalloc.so.2.0', 'libmimalloc.so.2') if os.path.exists(LIBRARIES + n)), None)
    if not name:
        raise Skip('mimalloc is not installed')
    with Target(MKLEAK, 'steady', env=preload(name)) as t:
        assert trim(t)['call'] == 'mi_collect'
        undisturbed(t)
    with Target(MKLEAK, 'fragment-threads', env=preload(name)) as t:
        assert 'threads' in trim(t, 'other_malloc')['detail']
        undisturbed(t)


def test_seccomp():
    """a seccomp filter: refused unless allowed"""
    code = ('import ctypes,struct,sys;libc=ctypes.CDLL(None);libc.prctl(38,1,0,0,0);'
            'f=ctypes.create_string_buffer(struct.pack("HBBI",6,0,0,0x7fff0000));'
            'p=ctypes.create_string_buffer(struct.pack("HxxxxxxQ",1,ctypes.addressof(f)));'
            'assert libc.prctl(22,2,ctypes.byref(p),0,0)==0;print("ready",flush=True);sys.stdin.read()')
    with subprocess.Popen(['/usr/bin/python3', '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b'ready\n'
        with Probe(PROBE) as probe:
            assert probe.trim(p.pid)['result'] == 'seccomp'
            r = probe.trim(p.pid, flags=1)
            assert r['result'] == 'ok', r
        p.stdin.close()
        assert p.wait() == 0


def test_killed_at_any_instant():
    """SIGKILL of the probe, its worker or both at random instants: the target lives, the next run cleans up"""
    rnd = random.Random(6938)
    for name in ('fragment-threads', 'epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper', 'allocator-hot'):
        with Target(MKLEAK, name) as t:
            for i in range(25):
                with Probe(PROBE) as probe:
                    probe.send(4, t.pid)
                    let_pass(rnd.random() * 0.03)
                    probe.kill(child_too=i % 2 == 0)
            # a worker that outlived its probe may still be at it
            wait_until('the last call is over', lambda: trim_result(t) == 'ok')
            assert not t.scratch_maps(), t.scratch_maps()
            undisturbed(t, wakes=name != 'allocator-hot')


def trim_result(target):
    with Probe(PROBE) as probe:
        result = probe.trim(target.pid)['result']
    assert result in ('ok', 'in_flight', 'traced'), result # traced: by a worker that has outlived its probe
    return result


def test_target_killed():
    """the target dies at any instant: the probe says so and serves on"""
    rnd = random.Random(1)
    with Probe(PROBE) as probe:
        for _ in range(15):
            t = Target(MKLEAK, 'fragment-threads', 'size_mib=32')
            probe.send(4, t.pid)
            let_pass(rnd.random() * 0.03)
            t.process.kill()
            r = probe.receive()
            assert r['result'] in ('ok', 'gone', 'zombie'), r
            t.process.wait()
            t.process.stdin.close()
            t.process.stdout.close()
        wait_for_no_children(probe)


def test_one_call_at_a_time():
    """two probes on one target: one does it, the other says in_flight; none is lost"""
    with Target(MKLEAK, 'fragment-threads', 'size_mib=64') as t, Probe(PROBE) as a, Probe(PROBE) as b:
        for _ in range(5):
            a.send(4, t.pid)
            b.send(4, t.pid)
            got = sorted((a.receive()['result'], b.receive()['result']))
            assert got in (['in_flight', 'ok'], ['ok', 'ok']), got
        undisturbed(t)


def test_reads():
    """smaps_rollup with its cost, and a descriptor of the target's cgroup directory"""
    with Target(MKLEAK, 'steady', 'size_mib=16') as t, Probe(PROBE) as probe:
        probe.send(SMAPS, t.pid)
        r = probe.receive()
        assert r['result'] == 'ok' and r['rss_bytes'] > 16 * MIB and r['pss_bytes'] > 16 * MIB, r
        probe.send(CGROUP_DIR, t.pid)
        assert probe.receive()['result'] in ('ok', 'gone')
        probe.send(HELLO, os.getpid())
        assert probe.receive()['result'] == 'ok'


def test_places():
    """descriptors of maps, root and working directory, of processes of the probe's own user alone"""
    with Target(MKLEAK, 'steady') as t, Probe(PROBE) as probe:
        for param, name in enumerate(('maps', 'root', 'cwd')):
            probe.send(PLACE, t.pid, param=param)
            _, fds, _, _ = socket.recv_fds(probe.socket, 4096, 4)
            assert len(fds) == 1
            assert os.readlink(f'/proc/self/fd/{fds[0]}') == (f'/proc/{t.pid}/maps' if name == 'maps' else os.readlink(
                f'/proc/{t.pid}/{name}'))
            assert name == 'maps' or fcntl.fcntl(fds[0], fcntl.F_GETFL) & os.O_PATH
            os.close(fds[0])
        for param in (3, 1 << 31):
            probe.send(PLACE, t.pid, param=param)
            assert probe.receive()['result'] == 'internal'
        probe.send(PLACE, t.pid, ticks=start_ticks(t.pid) + 1)
        assert probe.receive()['result'] == 'gone'
    if os.geteuid() != 0:
        return
    with Target(MKLEAK, 'steady', user=65534, group=65534, extra_groups=[]) as t, Probe(PROBE) as probe:
        for param in range(3):
            probe.send(PLACE, t.pid, param=param)
            assert probe.receive()['result'] == 'access'


def test_garbage_is_refused():
    """messages of another size, version or number are answered by a protocol error"""
    with Probe(PROBE) as probe:
        for message in (b'x', b'x' * 40, b'x' * 5000):
            probe.socket.send(message)
            data = probe.socket.recv(4096)
            assert data[16:20] == (16).to_bytes(4, 'little'), data[:24]


def test_privileges():
    """the probe keeps at most CAP_SYS_PTRACE, has a seccomp filter and no new privileges"""
    with Probe(PROBE) as probe:
        probe.send(HELLO, os.getpid())
        probe.receive()
        with open(f'/proc/{probe.process.pid}/status', encoding='ascii') as f:
            status = dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)
        for key in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
            assert int(status[key], 16) & ~(1 << 19) == 0, (key, status[key])
        assert status['Seccomp'].strip() == '2' and status['NoNewPrivs'].strip() == '1', status


def test_unsupported():
    """no injector for this processor: it says so, and reads all the same"""
    with Target(MKLEAK, 'steady') as t:
        trim(t, 'unsupported')
        undisturbed(t)


if __name__ == '__main__':
    if not INJECTOR:
        run_tests([test_unsupported, test_reads, test_places, test_garbage_is_refused, test_privileges])
    run_tests([test_single_threaded, test_multi_threaded, test_nothing_is_noticed, test_allocating_and_forking,
               test_no_safe_thread, test_no_memory, test_odd_stacks, test_ignored_signals, test_execve_meanwhile,
               test_seccomp_of_one_thread, test_left_overs, test_inside_the_loader, test_refusals, test_chroot, test_static,
               test_other_allocators, test_mimalloc, test_seccomp, test_killed_at_any_instant, test_target_killed,
               test_one_call_at_a_time, test_reads, test_places, test_garbage_is_refused, test_privileges])
