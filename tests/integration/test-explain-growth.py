#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau explain --diff: what grows by size, arena, mapping and thread, and what the newly grown chunks hold."""
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from lib import DEADLINE_S, need, run_tests, wait_until
from probelib import REPLY, RESULTS, Probe, Target, children

PLATEAU, PROBE, MKLEAK, MKGROW = sys.argv[1:5]
MIB = 1 << 20
GROWTH, REMEMBER, COMPARE = 9, 1, 2 # PROBE_OP_GROWTH and its modes
SECRET = 'bearer-4242-do-not-tell' # of mkgrow leak-text

CXX = '''
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
namespace net {
struct Session { virtual ~Session(); Session *next; long number; char user[200]; };
Session::~Session() {}
}
static net::Session *head;
int main() {
        printf("ready pid=%d\\n", getpid());
        fflush(stdout);
        for (struct pollfd p = {0, POLLIN, 0}; poll(&p, 1, 10) == 0;)
                for (int i = 0; i < 200; i++) {
                        net::Session *s = new net::Session;
                        s->next = head;
                        s->number = i;
                        memset(s->user, 0, sizeof(s->user));
                        strcpy(s->user, "bearer-4242-do-not-tell");
                        head = s;
                }
}
'''
PYTHON = '''
import os, select
class Session:
    __slots__ = tuple('abcdefgh')
keep = []
print(f'ready pid={os.getpid()}', flush=True)
while not select.select([0], [], [], 0.01)[0]:
    for i in range(200):
        keep.append(Session())
        keep[-1].a = i
'''


@contextlib.contextmanager
def target(*argv, env=None):
    """A program that says "ready pid=..." and lives until its stdin ends."""
    t = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    try:
        yield int(t.stdout.readline().split('pid=')[1])
    finally:
        t.stdin.close()
        t.wait(DEADLINE_S)
        t.stdout.close()


def run(pid, *args, status=0):
    done = subprocess.run([PLATEAU, 'explain', '--probe', PROBE, *args, str(pid)], capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def growth(pid, *args):
    return json.loads(run(pid, '--json', '--diff', '1', '--looks', '3', *args))['growth']


def test_by_size():
    """a leak of one size is told by its size, with chunks and bytes a second that belong together"""
    with target(MKGROW, 'leak-small', '50') as pid:
        top = growth(pid)['by_size'][0]
    assert (top['from_bytes'], top['to_bytes']) == (144, 144), top
    assert top['in_use_grown'] > 1000 and top['in_use_grown_bytes'] == 144 * top['in_use_grown'], top
    assert abs(top['in_use_bytes_per_s'] - 144 * top['in_use_per_s']) < 1e-4 * top['in_use_bytes_per_s'], top
    assert top['in_use'] >= top['in_use_grown'] and top['free_grown'] <= 7, top


def test_by_arena():
    """a leak in a thread is told of that thread's arena, which the thread is named in; one in main of the main arena"""
    with target(MKGROW, 'leak-in-thread', '50') as pid:
        arenas = growth(pid)['by_arena']
        tids = {int(t) for t in os.listdir(f'/proc/{pid}/task')}
    top = arenas[0]
    assert not top['main'] and top['in_use_grown_bytes'] > MIB, arenas
    assert top['in_use_grown_bytes'] > 20 * sum(abs(a['in_use_grown_bytes']) for a in arenas[1:]), arenas
    if os.uname().machine == 'x86_64': # where the slot of thread_arena is looked for
        assert [t['comm'] for t in top['threads']] == ['worker'], top
        assert {top['threads'][0]['tid']} == tids - {pid}, (top, tids)
    with target(MKGROW, 'leak-small', '50') as pid:
        top = growth(pid)['by_arena'][0]
    assert top['main'] and top['in_use_grown_bytes'] > MIB, top


def test_by_mapping():
    """memory that a program maps is told of the mapping that grew, a file's of the file"""
    with target(MKGROW, 'leak-mmap', '50') as pid:
        top = growth(pid)['by_mapping'][0]
        with open(f'/proc/{pid}/maps', encoding='ascii') as f:
            maps = [line.split()[0] for line in f]
    assert top['kind'] == 'anonymous' and top['name'] is None and top['grown_bytes'] > MIB, top
    assert top['grown_bytes'] % 4096 == 0 and top['rss_bytes'] >= top['grown_bytes'], top
    # it grows downwards, so its end stays; what was asked is what the kernel says
    assert any(int(m.split('-')[1], 16) == int(top['end'], 16) for m in maps), (top, maps)
    with target(MKGROW, 'map-file', '50') as pid:
        top = growth(pid)['by_mapping'][0]
    assert top['kind'] == 'file' and '/mkgrow-' in top['name'] and top['grown_bytes'] > MIB, top
    with target(MKGROW, 'shared', '50') as pid:
        top = growth(pid)['by_mapping'][0]
    assert top['kind'] == 'shmem' and 'mkgrow' in top['name'] and top['grown_bytes'] > MIB, top


def test_by_thread():
    """a stack that grows is told of its thread, the main one's too; new threads are told as new"""
    for cause, comm in (('stack-in-thread', 'diver'), ('stack', 'mkgrow')):
        with target(MKGROW, cause, '20') as pid:
            rows = growth(pid)['by_thread']
        assert rows[0]['comm'] == comm and (rows[0]['tid'] == pid) == (comm == 'mkgrow') and not rows[0]['new'], rows
        assert rows[0]['grown_bytes'] > MIB // 2, rows
        assert all(row['grown_bytes'] < 65536 for row in rows[1:]), rows
    with target(MKGROW, 'leak-threads', '50') as pid:
        g = growth(pid)
    new = [row for row in g['by_thread'] if row['new']]
    assert len(new) > 20 and all(row['stack_rss_bytes'] >= 65536 for row in new), new
    stacks = [row for row in g['by_mapping'] if row['kind'] == 'stacks' and row['new']]
    assert stacks and stacks[0]['maps'] >= len(new), (stacks, len(new))


def test_text():
    """the tables fit 80 columns and have what JSON has"""
    with target(MKGROW, 'leak-in-thread', '50') as pid:
        out = run(pid, '--diff', '1', '--looks', '3', '--stacks')
    lines = out.splitlines()
    tables = lines[next(i for i, line in enumerate(lines) if line.startswith('by size')):]
    assert max(len(line) for line in tables) <= 80, max(tables, key=len)
    for start in ('by size', 'by arena', 'by mapping', 'new chunks of 144 B: 8 looked at'):
        assert any(line.startswith(start) for line in tables), (start, out)
    assert any('144 B' in line and '+' in line for line in tables), out


def contents(g, size):
    rows = [row for row in g['contents'] if row['from_bytes'] == size]
    assert len(rows) == 1 and rows[0]['chunks'] > 0, g['contents']
    return rows[0]


def test_vtable():
    """a leaked C++ object is told by its vtable, in a program that exports nothing too"""
    compiler = need('g++')
    with tempfile.TemporaryDirectory() as d:
        source, program = f'{d}/leak.cc', f'{d}/leaky'
        with open(source, 'w', encoding='ascii') as f:
            f.write(CXX)
        subprocess.run([compiler, '-O1', '-o', program, source], check=True)
        for strip in (False, True):
            if strip:
                subprocess.run([need('strip'), program], check=True)
            with target(program) as pid:
                g = growth(pid, '--stacks')
            row = contents(g, 240)
            group, words = row['groups'][0], row['samples'][0]['words']
            assert SECRET not in json.dumps(g)
            assert row['chunks'] == 8 and group['chunks'] == 8, row
            if strip: # then it is a place in its file
                assert words[0]['kind'] == 'file' and words[0]['file'] == 'leaky', words
            else:
                assert group['text'] == 'vtable for net::Session (leaky)', group
                assert words[0]['symbol'] == '_ZTVN3net7SessionE' and words[0]['offset'] == 16, words
            assert [w['kind'] for w in words[1:2]] == ['heap'] and words[3]['kind'] == 'text', words
            assert words[3]['bytes'] == len(SECRET) and words[3]['chars'] == 'a-z 0-9 punctuation', words


def test_python_type():
    """a leaked Python object that malloc gave is told by its type"""
    python = need('python3')
    with target(python, '-c', PYTHON, env={'PYTHONMALLOC': 'malloc'}) as pid:
        g = growth(pid, '--stacks')
    texts = [group['text'] for row in g['contents'] for group in row['groups']]
    assert texts[0] == 'Python Session', texts


def test_text_is_redacted():
    """of leaked text only its length and kind are told, unless its bytes are asked for"""
    with target(MKGROW, 'leak-text', '50') as pid:
        for args in (('--stacks',), ('--contents', '--samples', '32')):
            out = run(pid, '--diff', '1', '--looks', '3', *args) + run(pid, '--json', '--diff', '1', '--looks', '3', *args)
            for part in (SECRET, SECRET[:8], SECRET[-8:], 'bearer'):
                assert part not in out, out
            assert f'text of {len(SECRET)} bytes (a-z 0-9 punctuation)' in out, out
        shown = growth(pid, '--stacks', '--show-content')
        assert all(s['content'].startswith(SECRET) for s in contents(shown, 208)['samples']), shown
        assert SECRET in run(pid, '--diff', '1', '--looks', '3', '--stacks', '--show-content')


def test_secret_stays_in_the_probe():
    """what the probe sends without --show-content has no byte of the text in it"""
    with target(MKGROW, 'leak-text', '50') as pid, tempfile.TemporaryDirectory() as d:
        tracer = need('strace')
        for show in (False, True):
            args = ['--show-content'] if show else []
            done = subprocess.run([tracer, '-f', '-s', '1000000', '-e', 'trace=write,pwrite64,sendmsg', '-o', f'{d}/calls', PLATEAU,
                                   'explain', '--probe', PROBE, '--json', '--diff', '1', '--looks', '2', '--stacks', *args,
                                   str(pid)], capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False,
                                  env={**os.environ, 'ASAN_OPTIONS': os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'})
            assert done.returncode == 0, done
            with open(f'{d}/calls', encoding='utf-8', errors='replace') as f:
                assert (SECRET in f.read()) == show


def test_untouched():
    """nobody is stopped by it: no thread of the target has run meanwhile"""
    def threads():
        state = {}
        for tid in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{tid}/status', encoding='utf-8') as f:
                text = f.read()
            if 'State:\tS' not in text:
                return None
            state[tid] = [line for line in text.splitlines() if 'ctxt_switches' in line or line.startswith('TracerPid')]
        return state
    with target(MKGROW, 'arenas') as pid:
        # mkgrow itself wakes up 20 times a second; its 64 threads sleep for good
        before = {k: v for k, v in wait_until('all are asleep', threads).items() if k != str(pid)}
        growth(pid, '--stacks')
        after = {k: v for k, v in wait_until('all are asleep', threads).items() if k != str(pid)}
        assert before == after and len(before) == 64, (before, after)


def test_nothing_grows():
    """a program that stays as it is has no new chunks, and none are made up"""
    with target(MKGROW, 'steady') as pid:
        g = growth(pid, '--stacks')
    assert g['contents'] == [] and g['by_size'] == [] and g['places_complete'], g
    assert all(row['in_use_grown_bytes'] == 0 for row in g['by_arena']), g['by_arena']


def test_no_glibc():
    """of another allocator's chunks nothing is told, of the mappings it is"""
    library = next((f'{d}/libjemalloc.so.2' for d in ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64')
                    if os.path.exists(f'{d}/libjemalloc.so.2')), None) or need('libjemalloc.so.2')
    with target(MKGROW, 'leak-small', '50', env={'LD_PRELOAD': library}) as pid:
        g = growth(pid, '--stacks')
        out = run(pid, '--diff', '1', '--looks', '2', '--stacks')
    assert not g['contents'], g
    assert g['by_mapping'][0]['grown_bytes'] > MIB, g
    assert 'new chunks' in out and SECRET not in out, out


def look(probe, pid, mode, budget_ms, classes=()):
    """(flags, samples) of one PROBE_OP_GROWTH."""
    value = len(classes) << 24 | 8 << 32 | sum(c << 8 * i for i, c in enumerate(classes))
    probe.send(GROWTH, pid, param=mode, budget_ms=budget_ms, value=value)
    data, fds, _, _ = socket.recv_fds(probe.socket, 4096, 1)
    reply = REPLY.unpack_from(data)
    assert RESULTS[reply[4]] == 'ok', reply
    with os.fdopen(fds[0], 'rb') as f:
        f.seek(0)
        _, _, flags, _, _, samples = struct.unpack('<6I', f.read(24))
    return flags, samples


def test_budget():
    """a first look that could not read the heap whole makes no chunk a new one, nor does none at all"""
    OUT_OF_TIME, COMPARED = 1 << 4, 1 << 3
    with Target(MKLEAK, 'fragment', 'size_mib=256', 'hole_bytes=1000') as t, Probe(PROBE) as probe:
        sizes = json.loads(run(t.pid, '--json'))['sizes']
        classes = [size['from_bytes'] // 16 for size in sorted(sizes, key=lambda s: -s['in_use']) if size['from_bytes'] < 1024][:3]
        assert look(probe, t.pid, COMPARE, 0, classes)[0] & COMPARED == 0 # nothing is remembered
        assert look(probe, t.pid, REMEMBER, 1)[0] & OUT_OF_TIME
        flags, samples = look(probe, t.pid, COMPARE, 0, classes)
        assert not flags & OUT_OF_TIME and samples == 0, (flags, samples)
        assert not look(probe, t.pid, REMEMBER, 0)[0] & OUT_OF_TIME
        flags, samples = look(probe, t.pid, COMPARE, 0, classes) # all were there
        assert flags & COMPARED and not flags & OUT_OF_TIME and samples == 0, (flags, samples)
        with Target(MKLEAK, 'steady', 'size_mib=16') as other: # what is remembered is another's
            assert look(probe, other.pid, COMPARE, 0, classes)[0] & COMPARED == 0


MAP = struct.Struct('<4Q2I120s') # GrowthMap
HEAD = struct.Struct('<6I5Q') # Growth
MAIN_HEAP = 0 # PART_MAIN_HEAP


def test_split_heap():
    """a main heap that goes on in mappings is the main heap there too"""
    with Target(MKLEAK, 'split-heap', 'size_mib=32', 'hole_bytes=3000') as t, Probe(PROBE) as probe:
        probe.send(GROWTH, t.pid)
        _, fds, _, _ = socket.recv_fds(probe.socket, 4096, 1)
        with os.fdopen(fds[0], 'rb') as f:
            f.seek(0)
            n_maps = HEAD.unpack(f.read(HEAD.size))[3]
            maps = [MAP.unpack(f.read(MAP.size)) for _ in range(n_maps)]
        of_heap = [(m[0], m[1], m[2]) for m in maps if m[4] == MAIN_HEAP]
        assert len(of_heap) > 1 and sum(rss for _, _, rss in of_heap) > 16 * MIB, (of_heap, maps)


def test_while_it_changes():
    """a heap that eight threads change all the time gives chunks that were in use, or none; nobody notices"""
    for args in (('allocator-hot', 'threads=8'), ('single-hot',), ('fork-hot',)):
        with Target(MKLEAK, *args) as t:
            for _ in range(3):
                g = growth(t.pid, '--stacks', '--samples', '32')
                for row in g['contents'] or []:
                    for s in row['samples']:
                        assert row['from_bytes'] <= s['chunk_bytes'] <= row['to_bytes'] and s['words'], (row, s)
            assert t.ask('?')['ok'] == '1'


def test_end_meanwhile():
    """a process that ends between the looks is said to have ended"""
    with target(MKGROW, 'leak-small') as pid:
        p = subprocess.Popen([PLATEAU, 'explain', '--probe', PROBE, '--json', '--diff', '60', '--stacks', str(pid)],
                             stdout=subprocess.PIPE, text=True)
        wait_until('it is looked at', lambda: any('plateau-probe' in comm for comm in comms_below(p.pid)))
        os.kill(pid, signal.SIGKILL)
        out, _ = p.communicate(timeout=DEADLINE_S)
    assert p.returncode == 1 and json.loads(out)['reason'] == 'gone', out


def comms_below(pid):
    names = []
    for child in children(pid):
        with contextlib.suppress(OSError), open(f'/proc/{child}/comm', encoding='ascii') as f:
            names.append(f.read().strip())
    return names


def test_command_line():
    """--stacks wants --diff, --show-content wants --stacks: each is said"""
    for args, word in ((['--stacks'], '--diff'), (['--diff', '1', '--show-content'], '--stacks'),
                       (['--diff', '1', '--stacks', '--samples', '99'], '99')):
        done = subprocess.run([PLATEAU, 'explain', *args, '1'], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and word in done.stderr, done.stderr


if __name__ == '__main__':
    run_tests([test_by_size, test_by_arena, test_by_mapping, test_by_thread, test_text, test_vtable,
               test_python_type, test_text_is_redacted, test_secret_stays_in_the_probe, test_untouched, test_nothing_grows,
               test_no_glibc, test_budget, test_split_heap, test_while_it_changes, test_end_meanwhile,
               test_command_line])
