#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""System.trim_native_heap asked of real JVMs, asleep and awake, in any namespace; and SIGQUIT for nobody else.

Arguments: plateau, plateau-probe, plateaud, the agent that leaves a JVM with holes in its native heap. The JVM runs
keytool, which every Java runtime has: it waits for a password on its standard input.
"""
import contextlib
import ctypes
import glob
import json
import mmap
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import tap
from daemonlib import Daemon
from lib import DEADLINE_S, Skip, wait_until

PLATEAU, PROBE, PLATEAUD, AGENT = map(os.path.abspath, sys.argv[1:5])
MIB = 1 << 20
COMMAND = 'System.trim_native_heap'
NOBODY = 65534
DUMP = b'Full thread dump' # what SIGQUIT makes a JVM print that was not asked to attach
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


def javas():
    """One path for each JVM that is installed."""
    found = {}
    for path in [shutil.which('java'), *sorted(glob.glob('/usr/lib/jvm/*/bin/java'))]:
        if path and os.path.exists(path):
            found.setdefault(os.path.realpath(path), path)
    if not found:
        raise Skip('java is not installed')
    return list(found)


class Jvm:
    """Jvm(java, '-Xrs'): a JVM in a folder of its own."""

    def __init__(self, java, *options, before=(), env=None, holes_mib=0, **kwargs):
        self.place = tempfile.TemporaryDirectory(prefix='plateau-java-')
        self.folder = self.place.name
        os.chmod(self.folder, 0o777)
        if holes_mib:
            options = (*options, f'-agentpath:{AGENT}={holes_mib}')
        self.process = subprocess.Popen(
            [*before, java, '-Xmx64m', *options, '-m', 'java.base/sun.security.tools.keytool.Main', '-genkeypair',
             '-alias', 'x', '-keystore', os.path.join(self.folder, 'none')], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
            env={**os.environ, 'LC_ALL': 'C', **(env or {})}, **kwargs)
        self.output = b''
        self.read_until(b'password')
        self.pid = self.process.pid if not before else self.find_below(self.process.pid)

    def find_below(self, pid):
        """The JVM itself, where it was started through another program."""
        while True:
            with open(f'/proc/{pid}/comm', encoding='ascii', errors='replace') as f:
                if f.read() == 'java\n':
                    return pid
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
                pid = int(f.read().split()[0])

    def read_until(self, text):
        fd = self.process.stdout.fileno()
        while text not in self.output:
            assert select.select([fd], [], [], DEADLINE_S)[0], self.output
            chunk = os.read(fd, 65536)
            assert chunk, self.output
            self.output += chunk

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not kind:
            assert self.process.poll() is None, 'the JVM has ended'
        self.process.stdin.close() # it gives up without a password
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(DEADLINE_S)
        if self.process.poll() is None:
            self.process.kill()
        self.output += self.process.stdout.read()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        left = self.left_over()
        self.place.cleanup()
        if not kind:
            assert DUMP not in self.output, self.output
            assert not left, left

    def left_over(self):
        """Files of an attach that were not taken away."""
        return glob.glob(os.path.join(self.folder, '.attach_pid*')) + glob.glob(f'/tmp/.attach_pid{self.pid}')

    def socket_path(self):
        return f'/tmp/.java_pid{self.pid}'


def reclaim(pid, *args, want='ok', deadline_s=DEADLINE_S, **kwargs):
    done = subprocess.run([PLATEAU, 'reclaim', '--json', '--find-timeout', '20s', *args, str(pid)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=deadline_s, check=False,
                          env={**os.environ, 'PLATEAU_PROBE': PROBE}, **kwargs)
    assert done.stdout, done
    answer = json.loads(done.stdout)
    assert want in (None, answer['result']), answer
    return answer


def by_attach(pid, *args):
    answer = reclaim(pid, *args)
    assert answer['call'] == COMMAND and answer['allocator'] == 'glibc' and answer['attach_refusal'] is None, answer
    assert answer['thread'] == 'own' and answer['stop_usec'] == 0 and answer['tid'] is None, answer
    assert answer['duration_usec'] <= answer['total_usec'], answer
    return answer


def by_injection(pid, *refusals, call='malloc_trim', want='ok', args=()):
    """Falls back, or is refused where this machine lets nobody inject; and says why it was not by attach."""
    answer = reclaim(pid, *args, want=want)
    assert answer['call'] == call, answer
    for text in refusals:
        assert text in answer['attach_refusal'], answer
    return answer


def refusal_of(pid):
    return reclaim(pid, want=None)['attach_refusal']


def need_root():
    if os.geteuid() != 0:
        raise Skip('only root can do this')


def need_injector():
    if os.uname().machine != 'x86_64':
        raise Skip('the injected call is for x86_64 only')


@tap.deadline(180)
def test_asleep_and_awake():
    """a JVM whose attach listener sleeps is woken, one that listens is asked; both give the memory back"""
    for java in javas():
        with Jvm(java, holes_mib=96) as jvm:
            assert not os.path.exists(jvm.socket_path())
            answer = by_attach(jvm.pid)
            # of 96: the JVM's own threads share these arenas, and on a busy machine take half of the holes before us
            assert answer['released_bytes'] > 32 * MIB, answer
            assert os.path.exists(jvm.socket_path()) and not jvm.left_over()
            for _ in range(20):
                by_attach(jvm.pid)


def test_socket_taken_away():
    """a socket that a cleaner of /tmp removed is made anew"""
    for java in javas():
        with Jvm(java) as jvm:
            for _ in range(3):
                by_attach(jvm.pid)
                os.unlink(jvm.socket_path())
            by_attach(jvm.pid)


def test_no_working_directory():
    """the file that wakes it goes to /tmp where its working directory takes none"""
    with Jvm(javas()[0]) as jvm:
        shutil.rmtree(jvm.folder)
        by_attach(jvm.pid)


def test_file_in_the_way():
    """a leftover file that wakes is used up, a fresh one means that somebody else is attaching, a link is not followed"""
    need_injector()
    with Jvm(javas()[0]) as jvm:
        path = os.path.join(jvm.folder, f'.attach_pid{jvm.pid}')
        victim = os.path.join(jvm.folder, 'victim')
        os.symlink(victim, path)
        by_injection(jvm.pid, 'somebody else is attaching')
        assert not os.path.exists(victim)
        os.unlink(path)
        with open(path, 'xb'):
            pass
        by_injection(jvm.pid, 'somebody else is attaching')
        os.utime(path, (1, 1))
        by_attach(jvm.pid)


def test_reduced_signals():
    """-Xrs: never signalled; its listener is up from the start, and without it the call is injected"""
    need_injector()
    for java in javas():
        with Jvm(java, '-Xrs') as jvm:
            by_attach(jvm.pid)
            os.unlink(jvm.socket_path())
            by_injection(jvm.pid, 'listener sleeps')


@tap.deadline(180)
def test_attach_disabled():
    """attach switched off, by an option or by the environment: not signalled, the call is injected"""
    need_injector()
    option = '-XX:+DisableAttachMechanism'
    for java in javas():
        with Jvm(java, option) as jvm:
            by_injection(jvm.pid, 'options do not let it be woken')
        with Jvm(java, env={'JAVA_TOOL_OPTIONS': option}) as jvm:
            by_injection(jvm.pid, 'options do not let it be woken')


def test_not_wanted():
    """--no-attach: the call is injected, without a word of refusal"""
    need_injector()
    with Jvm(javas()[0]) as jvm:
        answer = reclaim(jvm.pid, '--no-attach')
        assert answer['call'] == 'malloc_trim' and answer['attach_refusal'] is None, answer
        assert not os.path.exists(jvm.socket_path())


def test_other_malloc():
    """a JVM that runs on jemalloc gets jemalloc's purge"""
    need_injector()
    library = next(iter(glob.glob('/usr/lib/*/libjemalloc.so.2')), None)
    if not library:
        raise Skip('libjemalloc is not installed')
    with Jvm(javas()[0], env={'LD_PRELOAD': library}) as jvm:
        by_injection(jvm.pid, 'libjemalloc.so.2', call='mallctl_purge')


def test_other_user():
    """root asks a JVM of another user, as that user: the JVM takes nobody else's files"""
    need_root()
    with Jvm(javas()[0], user=NOBODY, group=NOBODY, extra_groups=[]) as jvm:
        assert os.stat(f'/proc/{jvm.pid}').st_uid == NOBODY
        by_attach(jvm.pid)
        by_attach(jvm.pid)


def test_without_root():
    """somebody's own JVM, without any privilege"""
    need_root()
    with Jvm(javas()[0], user=NOBODY, group=NOBODY, extra_groups=[]) as jvm:
        try:
            answer = reclaim(jvm.pid, user=NOBODY, group=NOBODY, extra_groups=[])
        except PermissionError as e:
            raise Skip('this build may be run by root alone') from e
        assert answer['call'] == COMMAND, answer


def test_not_our_user():
    """another user than the JVM's and root is told whose it is"""
    need_root()
    with Jvm(javas()[0]) as jvm:
        answer = reclaim(jvm.pid, want='refused', user=NOBODY, group=NOBODY, extra_groups=[])
        assert answer['reason'] == 'access', answer
        assert not os.path.exists(jvm.socket_path())


@tap.deadline(180)
def test_own_namespaces():
    """in a PID namespace and with a /tmp of its own, as in a container"""
    need_root()
    if not shutil.which('unshare'):
        raise Skip('unshare is not installed')
    for user in (None, NOBODY):
        script = 'mount -t tmpfs -o mode=1777 none /tmp && cd "$0" && exec "$@"'
        before = ['unshare', '--pid', '--fork', '--mount', '--mount-proc', 'sh', '-c', script, '/']
        if user:
            before += ['setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups']
        try:
            jvm = Jvm(javas()[0], before=before)
        except AssertionError as e:
            raise Skip(f'no namespaces here: {e}') from e
        with jvm:
            with open(f'/proc/{jvm.pid}/status', encoding='ascii', errors='replace') as f:
                inner = [line.split()[-1] for line in f if line.startswith('NSpid:')]
            assert inner and inner != [str(jvm.pid)], inner
            by_attach(jvm.pid)
            assert os.path.exists(f'/proc/{jvm.pid}/root/tmp/.java_pid{inner[0]}')
            assert not os.path.exists(f'/tmp/.java_pid{inner[0]}')
            by_attach(jvm.pid)


@tap.deadline(180)
def test_something_in_the_sockets_place():
    """a link, or the socket of another process, where the JVM's should be: not taken for it"""
    need_injector()
    java = javas()[0]
    with Jvm(java) as jvm, Jvm(java) as other:
        by_attach(other.pid)
        os.symlink(other.socket_path(), jvm.socket_path())
        by_injection(jvm.pid, 'is no socket')
        os.unlink(jvm.socket_path())
        os.link(other.socket_path(), jvm.socket_path())
        by_injection(jvm.pid, 'another process')
        os.unlink(jvm.socket_path())
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(jvm.socket_path())
            s.listen()
            by_injection(jvm.pid, 'another process')
        by_attach(jvm.pid) # the file is there, but nobody listens: as after a crash
        os.unlink(jvm.socket_path())


class NoJvm:
    """This very program with a libjvm.so mapped executable, counting its SIGQUITs."""

    def __init__(self, library, comm='java'):
        ready, self.word = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.be(library, comm, ready[1])
            finally:
                os._exit(99)
        os.close(ready[1])
        said = os.read(ready[0], 1)
        os.close(ready[0])
        if said != b'r':
            self.__exit__(True)
            raise Skip('this /tmp does not take executable mappings')

    def be(self, library, comm, ready_fd):
        count = 0

        def on_quit(*_):
            nonlocal count
            count += 1

        signal.signal(signal.SIGQUIT, on_quit)
        with open('/proc/self/comm', 'w', encoding='ascii') as f:
            f.write(comm)
        if library.endswith('libjvm.so') and os.path.getsize(library) > MIB:
            ctypes.CDLL(library)
        else:
            with open(library, 'rb') as f:
                self.map = mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE)
        os.write(ready_fd, b'r')
        os.close(self.word[1])
        os.read(self.word[0], 1)
        os._exit(count)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        os.close(self.word[1])
        _, status = os.waitpid(self.pid, 0)
        os.close(self.word[0])
        if not kind:
            assert status == 0, f'it got SIGQUIT: {status}'


@tap.deadline(180)
def test_no_jvm():
    """no SIGQUIT for a process that merely has a libjvm.so mapped, the real one too"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'libjvm.so')
        with open(path, 'wb') as f:
            f.write(b'gHotSpotVMStructs'.ljust(4096, b'\0'))
        libraries = [path]
        for java in javas():
            libraries += glob.glob(os.path.join(os.path.dirname(java), '../lib/server/libjvm.so'))
        for library in libraries:
            with NoJvm(library) as target:
                assert 'no thread that waits for SIGQUIT' in refusal_of(target.pid)
        with open(path, 'wb') as f:
            f.write(b'gHotSpotVMStruct'.ljust(4096, b'\0'))
        with NoJvm(path, 'Signal Dispatch') as target:
            assert "cannot be shown to be HotSpot's" in refusal_of(target.pid)


@contextlib.contextmanager
def held(jvm, comm):
    """One thread of it is held, and what it should do waits."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for tid in map(int, os.listdir(f'/proc/{jvm.pid}/task')):
        with open(f'/proc/{jvm.pid}/task/{tid}/comm', encoding='ascii', errors='replace') as f:
            if f.read() == comm + '\n':
                break
    else:
        raise AssertionError(f'no {comm}')
    if libc.ptrace(PTRACE_SEIZE, tid, None, None) < 0:
        raise Skip(f'ptrace: {os.strerror(ctypes.get_errno())}')
    assert libc.ptrace(PTRACE_INTERRUPT, tid, None, None) == 0
    assert os.waitpid(tid, 0x40000000)[0] == tid # __WALL
    try:
        yield
    finally:
        assert libc.ptrace(PTRACE_DETACH, tid, None, None) == 0


def by_attach_when_free(pid):
    """The lock goes a moment after the answer that was too late."""
    def ask():
        answer = reclaim(pid, want=None)
        return answer if answer['reason'] != 'in_flight' else None
    answer = wait_until('the earlier call has ended', ask)
    assert answer['result'] == 'ok' and answer['call'] == COMMAND, answer


def test_no_answer_to_the_signal():
    """a JVM that does not react within --find-timeout: the call is injected; what woke it stays until it wakes"""
    need_injector()
    with Jvm(javas()[0]) as jvm:
        with held(jvm, 'Signal Dispatch'):
            answer = reclaim(jvm.pid, '--find-timeout', '1s', want=None) # a busy machine may have no safe thread then
            assert 'did not answer in time' in answer['attach_refusal'] and answer['call'] != COMMAND, answer
            assert jvm.left_over()
        wait_until('the file that woke it is gone', lambda: not jvm.left_over())
        by_attach(jvm.pid)


def test_killed_while_waiting():
    """the command is killed between the signal and the answer: the JVM wakes, and the file does not stay"""
    for sig in (signal.SIGKILL, signal.SIGINT):
        with Jvm(javas()[0]) as jvm:
            with held(jvm, 'Signal Dispatch'):
                p = subprocess.Popen([PLATEAU, 'reclaim', '--find-timeout', '60s', str(jvm.pid)],
                                     stdout=subprocess.DEVNULL, env={**os.environ, 'PLATEAU_PROBE': PROBE})
                wait_until('the file is there', jvm.left_over)
                answer = reclaim(jvm.pid, '--no-attach', want='refused') # it is one and the same lock
                assert answer['reason'] in ('in_flight', 'unsupported'), answer
                p.send_signal(sig)
                p.wait(DEADLINE_S)
            wait_until('the file is gone', lambda: not jvm.left_over())
            by_attach_when_free(jvm.pid)


@tap.deadline(300)
def test_killed_at_any_instant():
    """the command is killed a hundred times between its start and its answer: the JVM prints nothing, no file stays"""
    instants = random.Random(1)
    for java in javas():
        with Jvm(java) as jvm:
            for _ in range(100):
                p = subprocess.Popen([PLATEAU, 'reclaim', str(jvm.pid)], stdout=subprocess.DEVNULL,
                                     env={**os.environ, 'PLATEAU_PROBE': PROBE})
                time.sleep(instants.uniform(0, 0.02))
                p.kill()
                p.wait(DEADLINE_S)
                wait_until('the file is gone', lambda: not jvm.left_over())
                with contextlib.suppress(FileNotFoundError): # and its listener has to be woken again
                    os.unlink(jvm.socket_path())
            by_attach_when_free(jvm.pid)


def test_too_slow():
    """a trim that does not end in --timeout is left to finish, and no other begins before it has"""
    with Jvm(javas()[0]) as jvm:
        by_attach(jvm.pid)
        with held(jvm, 'Attach Listener'):
            answer = reclaim(jvm.pid, '--timeout', '100ms', want='timeout')
            assert answer['reason'] == 'timeout' and answer['call'] == COMMAND, answer
            assert answer['rss_after_bytes'] is None and answer['released_bytes'] is None, answer
            for args in ((), ('--no-attach',)):
                answer = reclaim(jvm.pid, *args, want='refused')
                assert answer['reason'] in ('in_flight', 'unsupported'), answer
        by_attach_when_free(jvm.pid)


def test_daemon():
    """plateaud's reclaim asks the JVM, and says so"""
    with Jvm(javas()[0], holes_mib=128) as jvm:
        config = (f'targets: [{{name: java, match: {{pid: {jvm.pid}}}, limit: 200MiB}}]\n'
                  'sample: {interval: 200ms}\n'
                  'policy: {startup_grace: 0, alert: {enabled: false}, rotate: {enabled: false}, '
                  'reclaim: {used: 40%, for: 0, cooldown: 1h, find_timeout: 20s}}\n')
        with Daemon(PLATEAUD, PROBE, config) as d:
            done = d.event('reclaim.done')
            assert done['method'] == COMMAND and done['result'] == 'ok', done
            assert 'asked by its attach socket' in done['detail'], done
            children = f'/proc/{d.process.pid}/task/{d.process.pid}/children'

            def only_the_probe():
                with open(children, encoding='ascii') as f:
                    return len(f.read().split()) <= 1
            wait_until('the child that asked was waited for', only_the_probe)


def test_daemon_falls_back():
    """plateaud injects where the JVM cannot be asked, and gives both reasons; not asked when told not to"""
    need_injector()
    for setting, options, texts in (('true', ['-XX:+DisableAttachMechanism'], ['not by attach: its attach listener']),
                                    ('false', [], [])):
        with Jvm(javas()[0], *options, holes_mib=128) as jvm:
            config = (f'targets: [{{name: java, match: {{pid: {jvm.pid}}}, limit: 200MiB}}]\n'
                      'sample: {interval: 200ms}\n'
                      'policy: {startup_grace: 0, alert: {enabled: false}, rotate: {enabled: false}, '
                      f'reclaim: {{used: 40%, for: 0, cooldown: 1h, find_timeout: 20s, jvm_attach: {setting}}}}}\n')
            with Daemon(PLATEAUD, PROBE, config) as d:
                done = d.event('reclaim.done')
                assert done['method'] == 'malloc_trim' and done['result'] == 'ok', done
                assert 'glibc 2.' in done['detail'] and all(text in done['detail'] for text in texts), done
            assert not os.path.exists(jvm.socket_path())


tap.main(globals())
