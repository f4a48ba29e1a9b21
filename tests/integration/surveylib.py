# SPDX-License-Identifier: Apache-2.0
"""A survey asked for over the probe's socket (daemon/probe/survey/survey.h): what it cost, and a plain copy beside it."""
import ctypes
import os
import select
import socket
import struct
import time

from probelib import REPLY, RESULTS, children

SURVEY = 8
HEAD = struct.Struct('<6I4Q')
MAGIC = 0x31767253
HAVE_PARTS, HAVE_HEAP, COMPLETE, HAVE_TRIM = (1 << i for i in range(4))
WINDOW = 256 << 10


class Survey:
    """The head of what a memfd of the probe tells; the rest is in the words of `plateau explain --json`."""
    FIELDS = ('magic', 'size', 'flags', 'n_parts', 'n_arenas_told', 'n_threads', 'begin_usec', 'duration_usec', 'cpu_usec', 'read_bytes')

    def __init__(self, fd):
        raw = os.pread(fd, HEAD.size, 0)
        self.__dict__.update(zip(self.FIELDS, HEAD.unpack_from(raw)))
        assert self.magic == MAGIC and self.size == os.fstat(fd).st_size, (self.magic, self.size)

    def complete(self):
        return bool(self.flags & COMPLETE)


def receive(probe):
    """(result, Survey or None)"""
    data, fds, _, _ = socket.recv_fds(probe.socket, 4096, 1)
    assert data, 'the probe closed its socket'
    _, _, op, seq, result, _, _ = REPLY.unpack_from(data)
    assert op == SURVEY and seq == probe.seq, (op, seq)
    try:
        return RESULTS[result], Survey(fds[0]) if fds else None
    finally:
        for fd in fds:
            os.close(fd)


def survey(probe, pid, budget_ms=20000):
    probe.send(SURVEY, pid, budget_ms=budget_ms)
    return receive(probe)


def peak_kib(probe, pid, budget_ms=20000):
    """VmHWM of the probe's worker, looked at until it is done."""
    peak = 0
    probe.send(SURVEY, pid, budget_ms=budget_ms)
    while not select.select([probe.socket], [], [], 0.0005)[0]:
        for tid in children(probe.process.pid):
            try:
                with open(f'/proc/{tid}/status', encoding='ascii') as f:
                    peak = max([peak] + [int(line.split()[1]) for line in f if line.startswith('VmHWM')])
            except (FileNotFoundError, ProcessLookupError):
                continue
    result, s = receive(probe)
    assert result == 'ok' and s.complete(), result
    return peak


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]


def heap_of(pid):
    """[start, end) of the brk heap."""
    with open(f'/proc/{pid}/maps', encoding='utf-8', errors='replace') as f:
        return next(tuple(int(a, 16) for a in line.split()[0].split('-')) for line in f if line.rstrip().endswith('[heap]'))


def plain_copy(pid):
    """(CPU seconds, bytes) of reading all of the brk heap by blocks of 256 KiB into the same one: many of them a call, so that
    this interpreter costs nothing. Where a page is not there, it would be touched: for heaps that are all in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    start, end = heap_of(pid)
    buf = ctypes.create_string_buffer(WINDOW)
    at_once, done, cpu = 512, 0, 0.0
    local = (Iovec * at_once)(*[Iovec(ctypes.addressof(buf), WINDOW)] * at_once)
    while start + done < end:
        n = min(at_once, -(-(end - start - done) // WINDOW))
        remote = (Iovec * n)(*[Iovec(start + done + i * WINDOW, min(WINDOW, end - start - done - i * WINDOW)) for i in range(n)])
        begin = time.thread_time()
        got = libc.process_vm_readv(pid, local, ctypes.c_ulong(n), remote, ctypes.c_ulong(n), ctypes.c_ulong(0))
        cpu += time.thread_time() - begin
        if got <= 0:
            raise OSError(ctypes.get_errno(), 'process_vm_readv')
        done += got
    return cpu, done


def threads(pid):
    """What a stop, or a signal, would change: {tid: lines}."""
    state = {}
    for tid in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{tid}/status', encoding='utf-8') as f:
            state[tid] = [line for line in f if 'ctxt_switches' in line or line.startswith('TracerPid')]
    return state


def asleep(pid):
    """threads(), if none of them is running."""
    for tid in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{tid}/status', encoding='utf-8') as f:
            if 'State:\tS' not in f.read():
                return None
    return threads(pid)
