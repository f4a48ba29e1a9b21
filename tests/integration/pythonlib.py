# SPDX-License-Identifier: Apache-2.0
"""The census of a CPython, asked for over the probe's socket (daemon/probe/python/census.h), and interpreters to ask about."""
import fcntl
import glob
import json
import os
import re
import socket
import struct
import subprocess

from lib import DEADLINE_S
from probelib import PYTHON, REPLY, RESULTS, Probe

HEAD = struct.Struct('<II16s6I5Q')
COUNT = struct.Struct('<QQ')
TYPE = struct.Struct('<96sQQ')
MAGIC = 0x31737950
COMPLETE, TORN, SAMPLED, BLOCKS, ARENAS, UNTRACKED, TASKS, THREADS = (1 << i for i in range(8))
LISTS_ONLY = 1
SEALED = 0xf # F_SEAL_SEAL | SHRINK | GROW | WRITE
TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'targets', 'objects.py')


def text(raw):
    return raw.split(b'\0')[0].decode('utf-8', 'replace')


class Census:
    """What a memfd of the probe tells; .types: name -> (objects, bytes)."""
    FIELDS = ('magic', 'size', 'version', 'mode', 'flags', 'n_types', 'n_interpreters', 'n_threads', 'n_tasks', 'sample_every',
              'begin_usec', 'duration_usec', 'cpu_usec', 'n_retries')
    COUNTS = ('young', 'middle', 'old', 'permanent', 'all', 'others', 'bytes', 'bytearrays', 'strings')
    REST = ('n_blocks', 'arenas', 'arenas_bytes', 'pools_free', 'pools_used', 'blocks_free_bytes')

    def __init__(self, fd):
        assert fcntl.fcntl(fd, 1034) == SEALED # F_GET_SEALS
        raw = os.pread(fd, os.fstat(fd).st_size, 0)
        self.__dict__.update(zip(self.FIELDS, HEAD.unpack_from(raw)))
        at = HEAD.size
        for name in self.COUNTS:
            setattr(self, name, COUNT.unpack_from(raw, at))
            at += COUNT.size
        self.__dict__.update(zip(self.REST, struct.unpack_from('<6Q', raw, at)))
        assert self.magic == MAGIC and self.size == at + 48 and len(raw) == self.size + self.n_types * TYPE.size
        self.version = text(self.version)
        rows = [TYPE.unpack_from(raw, self.size + i * TYPE.size) for i in range(self.n_types)]
        assert all(a[2] >= b[2] for a, b in zip(rows, rows[1:])), 'not the largest first'
        self.types = {text(name): (n, size) for name, n, size in rows}

    def complete(self):
        return self.flags & COMPLETE and not self.flags & TORN

    def objects(self, name):
        return self.types.get(name, (0, 0))[0]


def ask(probe, pid, budget_ms=20000, **kwargs):
    """(result, sentence, Census or None)"""
    probe.send(PYTHON, pid, budget_ms=budget_ms, **kwargs)
    return receive(probe)


def receive(probe):
    data, fds, _, _ = socket.recv_fds(probe.socket, 4096, 1)
    _, _, op, seq, result, _, detail = REPLY.unpack_from(data)
    assert op == PYTHON and seq == probe.seq
    try:
        assert len(fds) == (RESULTS[result] == 'ok'), (RESULTS[result], fds)
        return RESULTS[result], text(detail), Census(fds[0]) if fds else None
    finally:
        for fd in fds:
            os.close(fd)


def census(path, pid, **kwargs):
    with Probe(path) as probe:
        return ask(probe, pid, **kwargs)


def interpreters():
    """Every CPython 3.6 and later that is found: the system's, and those of a pyenv. {version: path}"""
    found = {}
    root = os.environ.get('PYENV_ROOT', os.path.expanduser('~/.pyenv'))
    for path in sorted(glob.glob('/usr/bin/python3*') + glob.glob('/usr/local/bin/python3*') + glob.glob(root + '/versions/*/bin/python3')):
        if not re.fullmatch(r'python3(\.\d+)?', os.path.basename(path)):
            continue
        done = subprocess.run([path, '-c', 'import sys; print(sys.implementation.name, sys.version.split()[0])'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        words = done.stdout.decode().split()
        if done.returncode == 0 and words[0] == 'cpython' and tuple(map(int, words[1].split('.')[:2])) >= (3, 6):
            found.setdefault(words[1] + ('' if path.startswith('/usr/bin') else ' of ' + os.path.dirname(os.path.dirname(path))), path)
    unique = {}
    for name, path in found.items():
        unique.setdefault(os.path.realpath(path), (name, path))
    return dict(unique.values())


class PythonTarget:
    """tests/targets/objects.py in an interpreter: makes known objects, counts them itself, waits."""

    def __init__(self, python, *args):
        self.process = subprocess.Popen([python, TARGET, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.facts = self.read()

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

    def read(self):
        line = self.process.stdout.readline()
        assert line, f'{self.process.args} ended'
        return json.loads(line)

    def ask(self, word):
        self.process.stdin.write(word.encode() + b'\n')
        self.process.stdin.flush()
        return self.read()

    def status(self):
        with open(f'/proc/{self.pid}/status', encoding='ascii', errors='replace') as f:
            return dict(line.split(':', 1) for line in f)
