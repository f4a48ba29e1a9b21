# SPDX-License-Identifier: Apache-2.0
"""plateau-probe spoken to directly (daemon/probe/proto.h), and the target factory (tests/targets/mkleak.h)."""
import os
import re
import signal
import socket
import struct
import subprocess

from lib import DEADLINE_S, wait_until

REQUEST = struct.Struct('<IIIIiIQIIIIq')
REPLY = struct.Struct('<6I192s')
CALL = struct.Struct('<4QIiII48s48s')
TRIM = struct.Struct('<3QII')
TUNE_TAIL = struct.Struct('<2q6I')
PARAMS = [None, 'arena_max', 'mmap_threshold', 'trim_threshold', 'background_thread', 'dirty_decay_ms', 'muzzy_decay_ms']
VERDICT = [None, 'taken', 'refused']
BODY_BYTES = 184 # what follows REPLY, whatever the operation
MAGIC, VERSION = 0x31747250, 8
HELLO, SMAPS, CGROUP_DIR, TRIM_OP, TUNE, PYTHON, PLACE, SURVEY, GROWTH, LEDGER = range(1, 11)
LEDGER_WITH_BINS = 1
RESULTS = ['ok', 'gone', 'access', 'traced', 'zombie', 'stopped', 'foreign_abi', 'shadow_stack', 'seccomp', 'no_libc',
           'other_malloc', 'raw_threads', 'no_safe_thread', 'no_memory', 'in_flight', 'timeout', 'protocol', 'unsupported',
           'internal', 'no_setting', 'rejected', 'no_python', 'one_thread', 'budget', 'no_figures']
THREAD = [None, 'borrowed', 'own']
SCRATCH_LOW32 = '50726000-' # what a scratch mapping's address ends in (daemon/probe/inject/scratch.h)


def let_pass(seconds):
    """Not a wait for anything: how long is drawn at random by the caller, to strike at that instant. By a signal that nobody
    sends; SIGCHLD would be pending from the last child on, and end it at once."""
    signal.sigtimedwait([signal.SIGRTMAX], seconds)


def start_ticks(pid):
    with open(f'/proc/{pid}/stat', 'rb') as f:
        text = f.read()
    return int(text[text.rindex(b')') + 1:].split()[19])


def traced():
    """The environment of a probe that a tracer watches: LeakSanitizer needs to be the tracer itself, and aborts otherwise."""
    return {**os.environ, 'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'}


class Probe:
    def __init__(self, path, **kwargs):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        argv = path if isinstance(path, list) else [path]
        self.process = subprocess.Popen(argv, close_fds=False, preexec_fn=lambda: os.dup2(fd, 3), **kwargs)
        theirs.close()
        self.socket = ours
        self.socket.settimeout(DEADLINE_S)
        self.seq = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.wait(DEADLINE_S)

    def send(self, op, pid, ticks=None, flags=0, find_ms=5000, finish_ms=20000, param=0, budget_ms=0, value=0):
        self.seq += 1
        ticks = start_ticks(pid) if ticks is None else ticks
        self.socket.send(REQUEST.pack(MAGIC, VERSION, op, self.seq, pid, flags, ticks, find_ms, finish_ms, param, budget_ms, value))

    def receive(self):
        data = self.socket.recv(4096)
        assert data, 'the probe closed its socket'
        _, _, op, seq, result, _, detail = REPLY.unpack_from(data)
        assert seq == self.seq, (seq, self.seq)
        reply = {'result': RESULTS[result], 'detail': detail.split(b'\0')[0].decode(), 'op': op}
        if op in (TRIM_OP, TUNE, PYTHON, LEDGER):
            names = ('stop_usec', 'stop_max_usec', 'duration_usec', 'total_usec', 'thread', 'tid', 'declined', 'pad', 'allocator',
                     'call')
            reply.update(zip(names, CALL.unpack_from(data, REPLY.size)))
            reply['thread'] = THREAD[reply['thread']]
            for key in ('allocator', 'call'):
                reply[key] = reply[key].split(b'\0')[0].decode()
        if op == TRIM_OP:
            names = ('before', 'after', 'predicted_bytes', 'predicted', 'pad')
            reply.update(zip(names, TRIM.unpack_from(data, REPLY.size + CALL.size)))
        elif op == TUNE:
            names = ('before', 'after', 'have_before', 'have_after', 'param', 'verdict', 'arenas', 'tuned')
            reply.update(zip(names, TUNE_TAIL.unpack_from(data, REPLY.size + CALL.size)))
            reply['verdict'] = VERDICT[reply['verdict']]
            for key in ('before', 'after'):
                if not reply['have_' + key]:
                    reply[key] = None
        elif op == SMAPS:
            reply['rss_bytes'], reply['pss_bytes'] = struct.unpack_from('<QQ', data, REPLY.size + 8)
        return reply

    def trim(self, pid, **kwargs):
        self.send(TRIM_OP, pid, **kwargs)
        return self.receive()

    def ledger(self, pid, **kwargs):
        self.send(LEDGER, pid, value=LEDGER_WITH_BINS, **kwargs)
        return self.receive()

    def tune(self, pid, name, value, **kwargs):
        self.send(TUNE, pid, param=PARAMS.index(name), value=value, **kwargs)
        return self.receive()

    def kill(self, child_too):
        """SIGKILL to the probe, and to the worker that is in mid-call."""
        if child_too:
            for tid in children(self.process.pid):
                try:
                    os.kill(tid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.kill()
        self.process.wait(DEADLINE_S)


def children(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def mkleak_sources(source):
    """mkleak's files, for who builds it another way: the list is tests/targets/meson.build's."""
    folder = os.path.join(source, 'tests', 'targets')
    with open(os.path.join(folder, 'meson.build'), encoding='ascii') as f:
        listed = re.search(r'mkleak_sources = files\(([^)]*)\)', f.read()).group(1)
    return [os.path.join(folder, name) for name in re.findall(r"'([^']+)'", listed)]


class Target:
    """A mkleak target: Target(path, 'fragment', 'size_mib=16')."""

    def __init__(self, path, *args, **kwargs):
        self.process = subprocess.Popen([path, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, **kwargs)
        self.pid = self.process.pid
        self.ready = self.process.stdout.readline()
        assert self.ready.startswith('ready '), self.ready

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        self.process.stdin.close()
        status = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        if not kind:
            assert status == 0, f'{self.process.args} ended with {status}'

    def ask(self, letter):
        self.process.stdin.write(letter)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return dict(word.split('=', 1) for word in line.split() if '=' in word)

    def scratch_maps(self):
        with open(f'/proc/{self.pid}/maps', encoding='utf-8', errors='replace') as f:
            return [line for line in f if SCRATCH_LOW32 in line.split()[0] + '-' and line.split('-')[0].endswith('50726000')]


def wait_for_no_children(probe):
    wait_until('the worker has ended', lambda: not children(probe.process.pid))
