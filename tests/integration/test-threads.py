# SPDX-License-Identifier: Apache-2.0
"""Which thread is borrowed, out of which call, with which rights; and what is said when there is none."""
import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

import tap
from lib import DEADLINE_S, Skip, need, wait_until
from probelib import TRIM_OP, Probe, Target, children, let_pass, traced

PROBE, MKLEAK, CALLS, INSIDE, LIBRARY, MALLOC = sys.argv[1:7]
MIB = 1 << 20
NOBODY, SOMEBODY = 65534, 65533


def as_nobody(*capabilities):
    """The probe as the user nobody, with these capabilities and no other."""
    if os.geteuid() != 0:
        raise Skip('only root can become another user')
    if not shutil.which('setpriv'):
        raise Skip('setpriv (util-linux) is not installed')
    caps = ''.join(f',+{c}' for c in capabilities)
    argv = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', f'--inh-caps=-all{caps}',
            f'--ambient-caps=-all{caps}', f'--bounding-set=-all{caps}', PROBE]
    if subprocess.run([*argv, '--version'], capture_output=True, check=False).returncode != 0:
        raise Skip('another user cannot start the probe in the build directory')
    return argv


def trim(target, want='ok', probe=PROBE, **kwargs):
    with Probe(probe) as p:
        reply = p.trim(target.pid, **kwargs)
    assert reply['result'] == want, reply
    return reply


@contextlib.contextmanager
def python(code, before=(), **kwargs):
    """A Python program that prints "ready"; it must end well when its stdin ends. @before: what starts it."""
    with subprocess.Popen([*before, '/usr/bin/python3', '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **kwargs) as p:
        try:
            assert p.stdout.readline() == b'ready\n'
            yield p
            p.stdin.close()
            assert p.wait(DEADLINE_S) == 0
        except BaseException:
            p.kill()
            raise


def undisturbed(target, wakes=True):
    if wakes:
        assert target.ask('w')['ok'] == '1'
    status = target.ask('?')
    assert status['ok'] == '1' and status['bad'] == '0' and status['eintr'] == '0', status


def test_another_user():
    """with CAP_SYS_PTRACE alone, in another user's process: the memory comes back, nothing is noticed"""
    probe = as_nobody('sys_ptrace')
    for args in (('fragment', 'size_mib=64'), ('fragment-threads', 'size_mib=64')):
        with Target(MKLEAK, *args, user=SOMEBODY) as t:
            r = trim(t, probe=probe)
            assert r['before'] - r['after'] > 40 * MIB, r
            assert not t.scratch_maps()
            undisturbed(t)
    for name in ('epoll-eintr', 'fpu', 'errno-keeper', 'mask-keeper', 'sigaltstack', 'allocator-hot'):
        with Target(MKLEAK, name, user=SOMEBODY) as t:
            for _ in range(5):
                trim(t, probe=probe)
            undisturbed(t, wakes=name != 'allocator-hot')


def test_another_users_sleeper():
    """another user's thread, whose call only the stop tells: one that would sleep longer is taken if there is no other"""
    probe = as_nobody('sys_ptrace')
    for wait in ('nanosleep', 'poll-timed', 'epoll-timed'):
        with Target(MKLEAK, 'errno-keeper', f'wait={wait}', 'timeout_ms=2000', user=SOMEBODY) as t:
            r = trim(t, probe=probe)
            assert r['declined'] <= 1, r
            undisturbed(t, wakes=False)


def test_another_users_blocked_writer():
    """another user's thread in a call that a stop would cut short is not stopped"""
    probe = as_nobody('sys_ptrace')
    code = ('import os,sys,threading\n'
            'r,w=os.pipe()\n'
            'def f():\n'
            ' n=os.write(w,bytes(200000))\n'
            ' print(n,flush=True)\n'
            't=threading.Thread(target=f);t.start()\n'
            'print("ready",flush=True);sys.stdin.read(1)\n'
            'n=200000\n'
            'while n:\n'
            ' n-=len(os.read(r,n))\n')
    with python(code, user=SOMEBODY) as p:
        with Probe(probe) as q:
            for _ in range(5):
                r = q.trim(p.pid)
                assert r['result'] == 'ok' and r['tid'] == p.pid, r
        p.stdin.write(b'x')
        p.stdin.flush()
        assert p.stdout.readline() == b'200000\n'


def test_another_user_without_capability():
    """another user's process and no capability: no access, and why"""
    probe = as_nobody()
    with Target(MKLEAK, 'steady', user=SOMEBODY) as t:
        r = trim(t, 'access', probe=probe)
        assert f'it runs as uid {SOMEBODY}, the probe as uid {NOBODY}' in r['detail'], r


def attempt(pid, want, why='', probe=PROBE, **kwargs):
    with Probe(probe) as p:
        r = p.trim(pid, find_ms=300, **kwargs)
    assert r['result'] in want and why in r['detail'], (want, why, r)


def as_user(*setpriv):
    """What makes a program a nobody's, with more options of setpriv."""
    return ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', *setpriv]


def test_why_no_access():
    """no access: which of user, dumpable, capabilities, user namespace or Yama is the cause"""
    probe = as_nobody()
    with python('import ctypes,sys;ctypes.CDLL(None).prctl(4,0,0,0,0);print("ready",flush=True);sys.stdin.read()',
                before=as_user()) as p:
        attempt(p.pid, ['access'], 'it is not dumpable', probe)
    with python('import sys;print("ready",flush=True);sys.stdin.read()',
                before=as_user('--inh-caps=+net_bind_service', '--ambient-caps=+net_bind_service')) as p:
        attempt(p.pid, ['access'], 'it has capabilities that the probe lacks', probe)
    with python('import sys;print("ready",flush=True);sys.stdin.read()', before=as_user()) as p:
        boxed = [*as_user(), 'unshare', '--user', '--map-root-user', PROBE]
        if subprocess.run([*boxed, '--version'], capture_output=True, check=False).returncode != 0:
            raise Skip('no user namespace can be made')
        attempt(p.pid, ['access'], 'another user namespace', boxed)


FILTERED = """
import ctypes, struct, sys
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
f = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
p = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 1, ctypes.addressof(f)))
for _ in range(2):
    assert libc.prctl(22, 2, ctypes.byref(p), 0, 0) == 0
print('ready', flush=True)
sys.stdin.read()
"""


def test_how_many_filters():
    """under seccomp filters: refused, with their number where the kernel tells it"""
    with open('/proc/self/status', encoding='ascii') as f:
        told = '\nSeccomp_filters:' in f.read()
    with python(FILTERED) as p:
        before = int(told and open('/proc/self/status', encoding='ascii').read().split('Seccomp_filters:')[1].split()[0])
        attempt(p.pid, ['seccomp'], f'under {before + 2} filters' if told else 'under a filter')
        attempt(p.pid, ['ok'], flags=1)


def test_as_many_filters_as_here():
    """as many seccomp filters as the probe was started under: called into where those are allowed; one more: refused"""
    with open('/proc/self/status', encoding='ascii') as f:
        if '\nSeccomp_filters:' not in f.read():
            raise Skip('this kernel does not tell how many filters there are')
    boxed = ['/usr/bin/python3', '-c', FILTERED.split('print(')[0] + 'import os; os.execv(sys.argv[1], sys.argv[1:])', PROBE]
    more = FILTERED.replace('range(2)', 'range(3)')
    with python(FILTERED) as p, python(more) as q:
        attempt(p.pid, ['seccomp'], probe=boxed)
        attempt(p.pid, ['ok'], probe=boxed, flags=4)
        attempt(q.pid, ['seccomp'], probe=boxed, flags=4)
        attempt(p.pid, ['seccomp'], flags=4)


def test_strict_seccomp():
    """seccomp's strict mode, which kills at any call of a chain: refused, also where filters are allowed"""
    with python('import ctypes,os;c=ctypes.CDLL(None);os.write(1,b"ready\\n");c.prctl(22,1,0,0,0)\n'
                'while os.read(0,1):pass\n'
                'c.syscall(60,0)') as p:
        wait_until('strict mode', lambda: field(p.pid, 'Seccomp') == '1')
        for flags in (0, 1, 4):
            attempt(p.pid, ['seccomp'], 'strict mode', flags=flags)


def field(pid, name):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return next(line.split()[1] for line in f if line.startswith(name + ':'))


TRACER = """
import ctypes, sys
c = ctypes.CDLL(None)
assert c.ptrace(0x4206, int(sys.argv[1]), None, None) == 0 # PTRACE_SEIZE, Linux 3.4; its end detaches
print('ready', flush=True)
sys.stdin.read()
"""


def test_another_tracer():
    """traced: refused, and by whom; one traced thread of several is let alone, and another one borrowed"""
    with Target(MKLEAK, 'fragment-threads', 'size_mib=8', 'threads=2') as t:
        worker = max(int(tid) for tid in os.listdir(f'/proc/{t.pid}/task'))
        for tid in (t.pid, worker):
            with subprocess.Popen(['/usr/bin/python3', '-c', TRACER, str(tid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
                assert p.stdout.readline() == b'ready\n'
                if tid == t.pid:
                    attempt(t.pid, ['traced'], f'process {p.pid} traces it')
                else:
                    assert trim(t)['tid'] != tid
                p.stdin.close()
                assert p.wait(DEADLINE_S) == 0
        assert trim(t)['thread'] == 'own'
        undisturbed(t)


def program_of_32_bits(path):
    """The smallest: pause() for ever. Written by hand, for a compiler's libraries of 32 bits are rarely there."""
    base, code = 0x08048000, bytes.fromhex('b81d000000cd80ebf7') # mov $29, %eax; int $0x80; jmp
    header = b'\x7fELF\x01\x01\x01' + bytes(9) + struct.pack('<HHIIIIIHHHHHH', 2, 3, 1, base + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack('<8I', 1, 0, base, base, 84 + len(code), 84 + len(code), 5, 4096)
    with open(path, 'wb') as f:
        f.write(header + segment + code)
    os.chmod(path, 0o700)


def test_foreign_abi():
    """a 32-bit program: refused, before a thread of it is stopped"""
    with tempfile.TemporaryDirectory() as folder:
        program_of_32_bits(folder + '/small')
        try:
            p = subprocess.Popen([folder + '/small'])
        except OSError as e:
            raise Skip(f'no programs of 32 bits run here: {e.strerror}') from None
        with p:
            try:
                wait_until('it waits in pause()', lambda: field(p.pid, 'State') == 'S')
                attempt(p.pid, ['foreign_abi'], '32-bit')
                assert p.poll() is None
            finally:
                p.kill()


def test_raw_thread():
    """a thread made by clone() behind glibc's back, which takes no locks then: refused"""
    with python('import ctypes,os,sys;c=ctypes.CDLL(None);s=ctypes.create_string_buffer(65536)\n'
                'top=(ctypes.addressof(s)+65536)&~15\n'
                'assert c.clone(c.pause,ctypes.c_void_p(top),0x10f00,None)>0\n' # CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD
                'print("ready",flush=True);sys.stdin.read();os._exit(0)') as p:
        attempt(p.pid, ['raw_threads'])


BUSY = """
import os, select, signal, threading
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
for _ in range(2):
    threading.Thread(target=signal.sigwait, args=([signal.SIGUSR1],), daemon=True).start()
print('ready', flush=True)
while not select.select([0], [], [], 0)[0]:
    pass
os._exit(0)
"""


def test_what_threads_do():
    """no safe thread: the sentence says for how many threads what was seen"""
    with python(BUSY) as p:
        attempt(p.pid, ['no_safe_thread'], '3 threads: 1 running, 2 in rt_sigtimedwait')


@contextlib.contextmanager
def frozen(pid):
    """This process, frozen by a cgroup of version 2."""
    with open('/proc/self/mounts', encoding='utf-8') as f:
        mounts = [line.split()[1] for line in f if line.split()[2] == 'cgroup2']
    group = mounts and os.path.join(mounts[0], f'plateau-test-{pid}')
    try:
        os.mkdir(group or '')
        with open(f'{group}/cgroup.freeze', 'w', encoding='ascii') as f:
            f.write('1')
        with open(f'{group}/cgroup.procs', 'w', encoding='ascii') as f:
            f.write(str(pid))
    except OSError as e:
        if group and os.path.isdir(group):
            os.rmdir(group)
        raise Skip(f'no cgroup of version 2 to freeze it in: {e.strerror}') from None
    try:
        wait_until('frozen', lambda: 'frozen 1' in open(f'{group}/cgroup.events', encoding='ascii').read())
        yield
    finally:
        with open(f'{mounts[0]}/cgroup.procs', 'w', encoding='ascii') as f:
            f.write(str(pid))
        os.rmdir(group)


def test_frozen():
    """frozen by its cgroup: it would not run what was begun in it, so nothing is; thawed, it works"""
    with Target(MKLEAK, 'steady', 'wait=read') as t:
        with frozen(t.pid):
            attempt(t.pid, ['no_safe_thread'], '1 stopped or frozen')
            assert not t.scratch_maps()
        trim(t)
        undisturbed(t, wakes=False)


# The other rows of the table have a thread of mkleak-unseen's that waits in them.
CALL_NAMES = ('ppoll-mask', 'pselect-mask', 'epoll_pwait-mask', 'select', 'readv', 'accept4', 'epoll_pwait2', 'nap', 'semop',
              'semtimedop', 'msgrcv', 'mq_receive', 'futex_waitv', 'io_uring_enter')


@contextlib.contextmanager
def calls(name):
    """A process that waits in this call; a byte to it wakes it once."""
    with subprocess.Popen([CALLS, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as p:
        try:
            if p.stdout.readline() != b'ready\n':
                assert p.wait(DEADLINE_S) == 77, (name, p.returncode)
                raise Skip(f'no {name} here')
            yield p
        finally:
            p.kill()


def wake(p):
    p.stdin.write(b'x')
    assert p.stdout.readline() == b'woke\n'


def test_each_call():
    """out of every call of the table: begun again unseen, woken by what it waits for, masks and time-outs as they were"""
    skipped = []
    for name in CALL_NAMES:
        try:
            with calls(name) as p, Probe(PROBE) as probe:
                for _ in range(5):
                    r = probe.trim(p.pid)
                    assert r['result'] == 'ok', (name, r)
                    wake(p)
        except Skip as e:
            skipped.append(str(e))
    if len(skipped) == len(CALL_NAMES):
        raise Skip(', '.join(skipped))


def test_signals_meanwhile():
    """a signal for a call with a mask of its own, at any instant of a call from outside: handled once, and its EINTR seen"""
    slowly = [need('strace'), '-f', '-qq', '-o', '/dev/null', '-e', 'trace=ptrace', '-e', 'inject=ptrace:delay_exit=1000', PROBE]
    rnd = random.Random(38)
    for name in ('ppoll-mask', 'pselect-mask', 'epoll_pwait-mask'):
        for probe_path, n in ((PROBE, 30), (slowly, 30)):
            with calls(name) as p, Probe(probe_path, env=traced()) as probe:
                for _ in range(n):
                    probe.send(TRIM_OP, p.pid, find_ms=300)
                    let_pass(rnd.random() * 0.03)
                    os.kill(p.pid, signal.SIGUSR1)
                    assert p.stdout.readline() == b'woke\n'
                    r = probe.receive()
                    assert r['result'] in ('ok', 'no_safe_thread'), r


@contextlib.contextmanager
def inside(where, library=None, **env):
    """A program that blocks there; it goes on, uses the heap from two threads and ends well."""
    argv = [INSIDE, where, *([os.path.abspath(library)] if library else [])]
    with subprocess.Popen(argv, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        try:
            assert p.stdout.readline() == b'ready\n'
            yield p
            p.stdin.write(b'x')
            p.stdin.flush()
            assert p.wait(DEADLINE_S) == 0, (where, p.returncode)
        except BaseException:
            p.kill()
            raise


def test_inside_what_holds_a_lock():
    """blocked in malloc, in the loader or in fork, by whatever way: declined"""
    loader = 'malloc, fork or the dynamic loader'
    for where, env, why in (
            ('malloc_stats', {}, loader),
            ('dl_iterate_phdr', {}, loader),
            ('dlopen', {'INSIDE': 'constructor'}, loader),
            ('dlclose', {'INSIDE': 'destructor'}, loader),
            ('once', {'INSIDE': 'constructor', 'LD_PRELOAD': os.path.abspath(LIBRARY)}, loader),
            ('lazy-binding', {'INSIDE': 'ifunc'}, loader),
            ('handler', {}, 'handler'),
            ('handler-in-malloc', {}, 'handler')):
        with inside(where, LIBRARY, **env) as p:
            attempt(p.pid, ['no_safe_thread'], why)
            if 'LD_PRELOAD' in env:
                p.stdin.write(b'y') # it waits once more, where it is asked to


def test_inside_what_holds_none():
    """blocked by way of libc in what holds no lock of malloc's: whatever is answered, it goes on"""
    for where in ('atexit', 'tls-destructor', 'once', 'atfork'):
        with inside(where) as p:
            for _ in range(3):
                attempt(p.pid, ['ok', 'no_safe_thread'])


def test_inside_another_malloc():
    """a malloc in front of libc's that waits with its own lock held: refused, whoever asks"""
    with inside('once', INSIDE='malloc', LD_PRELOAD=os.path.abspath(MALLOC)) as p:
        attempt(p.pid, ['other_malloc'], 'libinside-malloc')
        p.stdin.write(b'y')


def test_vfork():
    """a vfork()ed child has its parent's memory and thread: refused, as is the parent, who sleeps uninterruptibly"""
    with inside('vfork-child') as p:
        child = wait_until('the child', lambda: children(p.pid))[0]
        attempt(child, ['no_safe_thread'], 'not made by its C library')
        attempt(p.pid, ['no_safe_thread'], '1 in uninterruptible sleep')


if __name__ == '__main__':
    tap.main(globals())
