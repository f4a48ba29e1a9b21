#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau explain on real processes: figures against the target's own mallinfo2, verdicts against known causes."""
import json
import os
import re
import subprocess
import sys
import threading

from lib import DEADLINE_S, need, run_tests, wait_until
from probelib import Target, let_pass
from surveylib import asleep, threads

PLATEAU, PROBE, MKLEAK, MKGROW = sys.argv[1:5]
MIB = 1 << 20

# cause: verdict, the part to blame
CAUSES = {
    'leak-small': ('live_growth', 'heap_in_use'),
    'leak-large': ('live_growth', 'heap_in_use'),
    'leak-mmap': ('live_growth', 'anonymous'),
    'leak-in-thread': ('live_growth', 'heap_in_use'),
    'leak-threads': ('stacks', 'stacks'),
    'warm-up': ('warm_up', 'heap_in_use'),
    'fragment-trimmable': ('trimmable', 'heap_free'),
    'fragment-pinned': ('pinned_fragmentation', 'heap_free'),
    'fragmented': ('pinned_fragmentation', 'heap_free'),
    'arenas': ('pinned_fragmentation', 'heap_free'),
    'saw': ('steady', None),
    'steady': ('steady', None),
    'map-file': ('files', 'files'),
    'shared': ('shared_memory', 'shared_memory'),
    'stack': ('stacks', 'stacks'),
    'copy-on-write': ('copy_on_write', None),
}


def explain(pid, *args, status=0):
    done = subprocess.run([PLATEAU, 'explain', '--json', '--probe', PROBE, *args, str(pid)], capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def books(target):
    """mallinfo2 of the target, asked twice: asking must not change it."""
    first, second = target.ask('?'), target.ask('?')
    assert first['arena'] == second['arena'] and first['fordblks'] == second['fordblks'], (first, second)
    return {key: int(second[key]) for key in ('arena', 'uordblks', 'fordblks', 'hblkhd')}


def check_exact(e, own):
    heap = e['heap']
    assert e['survey']['complete'] and e['survey']['torn'] == 0 and e['survey']['unread_bytes'] == 0, e['survey']
    assert heap['system_bytes'] == own['arena'], (heap, own)
    assert heap['in_use_bytes'] == own['uordblks'], (heap, own)
    assert heap['free_bytes'] == own['fordblks'], (heap, own)
    assert heap['mmapped_bytes'] == own['hblkhd'], (heap, own)


def test_exact():
    """arenas, used, free and mmapped bytes are mallinfo2's to the byte: one arena, many, one in several pieces"""
    for args in (('steady', 'size_mib=16'), ('fragment', 'size_mib=32'), ('fragment', 'size_mib=32', 'hole_bytes=1000'),
                 ('fragment', 'size_mib=16', 'hole_bytes=40', 'live_bytes=24'), ('fragment-threads', 'size_mib=32', 'threads=8'),
                 ('fragment-threads', 'size_mib=32', 'threads=64'), ('split-heap', 'size_mib=32', 'hole_bytes=3000')):
        with Target(MKLEAK, *args) as t:
            own = books(t)
            check_exact(explain(t.pid), own)
            assert books(t) == own


def test_breakdown_adds_up():
    """every resident byte is on one line, and the lines add up to what smaps_rollup says"""
    with Target(MKLEAK, 'fragment-threads', 'size_mib=32', 'threads=8') as t:
        e = explain(t.pid)
        with open(f'/proc/{t.pid}/smaps_rollup', encoding='ascii') as f:
            rss = int(next(line for line in f if line.startswith('Rss:')).split()[1]) * 1024
        assert e['rss_bytes'] == rss == sum(part['rss_bytes'] for part in e['breakdown']), (e['rss_bytes'], rss)
        assert e['uss_bytes'] == sum(part['private_bytes'] for part in e['breakdown'])
        kinds = {part['kind'] for part in e['breakdown']}
        assert {'main_heap', 'thread_arenas', 'stacks', 'file'} <= kinds, kinds


def test_prediction():
    """what a trim gives back is foretold: within 1 % or 64 kB of what it then does"""
    for args in (('fragment', 'size_mib=64'), ('fragment', 'size_mib=32', 'hole_bytes=9000'),
                 ('fragment', 'size_mib=32', 'hole_bytes=1000'), ('fragment-threads', 'size_mib=64', 'threads=4'),
                 ('split-heap', 'size_mib=64', 'hole_bytes=9000')):
        with Target(MKLEAK, *args) as t:
            foretold = explain(t.pid)['heap']['trimmable_bytes']
            done = t.ask('t')
            fell = int(done['rss_before_bytes']) - int(done['rss_after_bytes'])
            assert abs(foretold - fell) <= max(0.01 * fell, 65536), (args, foretold, fell)


def reclaim(pid, *args):
    done = subprocess.run([PLATEAU, 'reclaim', '--json', '--probe', PROBE, '--find-timeout', '20s', *args, str(pid)],
                          capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def test_reclaim_predicted():
    """reclaim tells beforehand what it gives back, within 5 %; null where told not to look"""
    for args in (('fragment', 'size_mib=64'), ('fragment-threads', 'size_mib=64', 'threads=4')):
        with Target(MKLEAK, *args) as t:
            r = reclaim(t.pid)
            assert abs(r['predicted_bytes'] - r['released_bytes']) <= 0.05 * r['released_bytes'], r
            assert r['released_bytes'] > 20 * MIB, r
            r = reclaim(t.pid)
            assert r['predicted_bytes'] < MIB, r
            assert reclaim(t.pid, '--no-survey')['predicted_bytes'] is None
    with Target(MKLEAK, 'fragment', 'size_mib=64') as t:
        done = subprocess.run([PLATEAU, 'reclaim', '--probe', PROBE, '--find-timeout', '20s', str(t.pid)],
                              capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False)
        assert ', predicted ' in done.stdout, done.stdout


def test_untouched():
    """nobody is stopped: no thread of the target has run meanwhile"""
    for args in (('fragment', 'size_mib=32'), ('epoll-eintr', 'threads=8', 'wait=epoll')):
        with Target(MKLEAK, *args) as t:
            t.ask('?')
            before = wait_until('all threads are asleep', lambda t=t: asleep(t.pid))
            for _ in range(3):
                explain(t.pid)
            assert threads(t.pid) == before
            status = t.ask('?')
            assert status['ok'] == '1' and status['eintr'] == '0', status


# 128 blocks of up to 32,784 bytes and a header for each thread of allocator-hot, what its tcache keeps (7 of each size up to 1 KiB),
# and what the rest of mkleak may need
HOT_THREAD_BYTES = 128 * (32768 + 16 + 31) + 7 * sum(range(32, 1040 + 1, 16))
REST_BYTES = 4 * MIB


def assert_no_figure(e):
    """What chunks add up to is not told where they were not all read."""
    heap = e['heap']
    assert all(heap[key] is None for key in ('in_use_bytes', 'free_bytes', 'trimmable_bytes', 'pinned_bytes', 'chunks_in_use',
                                             'chunks_free', 'fastbin_bytes', 'top_bytes')) and e['sizes'] is None, (heap, e['sizes'])


def test_while_it_changes():
    """a heap that changes all the time gives figures that hold together and can be, or says that they do not"""
    n_complete = 0
    for args, n_threads in ((('allocator-hot', 'threads=8'), 8), (('single-hot',), 1), (('fork-hot',), 0)):
        with Target(MKLEAK, *args) as t:
            for _ in range(10):
                e = explain(t.pid)
                heap, survey = e['heap'], e['survey']
                if heap['system_bytes'] is None: # not even its head held still
                    assert not survey['complete'] and survey['torn'] > 0, survey
                    continue
                assert survey['read_bytes'] < 20 * heap['system_bytes'] + 64 * MIB, (survey, heap['system_bytes']) # retries end
                if survey['complete']:
                    n_complete += 1
                    assert heap['in_use_bytes'] + heap['free_bytes'] == heap['system_bytes'], heap
                    assert survey['torn'] == 0 and survey['unread_bytes'] == 0, survey
                    assert heap['in_use_bytes'] < n_threads * HOT_THREAD_BYTES + REST_BYTES, heap
                else:
                    assert survey['torn'] > 0, survey
                    assert_no_figure(e)
            assert t.ask('?')['ok'] == '1'
    print(f'# {n_complete} of 30 looks were complete')


def start_explain(pid):
    return subprocess.Popen([PLATEAU, 'explain', '--json', '--probe', PROBE, str(pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_explain(process):
    out, err = process.communicate(timeout=DEADLINE_S * 2)
    assert process.returncode in (0, 1), (process.returncode, out, err)
    return json.loads(out)


def test_dies_meanwhile():
    """a target that is killed during a look: its figures, or that it is gone, and never a part of them as all"""
    for i in range(10):
        with Target(MKLEAK, 'fragment', 'size_mib=128', 'hole_bytes=1000') as t:
            own = books(t)
            looking = start_explain(t.pid)
            let_pass(i * 0.008)
            t.process.kill()
            e = end_explain(looking)
            t.process.wait(DEADLINE_S)
            t.process.returncode = 0
            if looking.returncode == 0 and e['survey']['complete']:
                check_exact(e, own)
            elif looking.returncode == 1:
                assert e['reason'] == 'gone', e


EXEC = '''
import os
keep = [bytes(1000) for i in range(100000)]
os.write(1, b'r')
os.read(0, 1)
os.execv('/bin/cat', ['cat'])
'''


def test_executes_meanwhile():
    """a target that executes another program during a look: all of the one or all of the other"""
    for i in range(10):
        with subprocess.Popen([sys.executable, '-c', EXEC], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as t:
            t.stdout.read(1)
            looking = start_explain(t.pid)
            let_pass(i * 0.006)
            t.stdin.write(b'x')
            t.stdin.flush()
            e = end_explain(looking)
            t.stdin.close()
            t.wait(DEADLINE_S)
            if looking.returncode == 1:
                assert e['reason'] == 'gone', e
            elif e['heap']['system_bytes']:
                assert (e['heap']['system_bytes'] > 64 * MIB) == (e['rss_bytes'] > 64 * MIB), (e['heap'], e['rss_bytes'], e['survey'])


def test_other_allocator():
    """another malloc is named, its memory is not glibc's, and no trim is foretold for it"""
    library = next((f'{d}/{n}' for d in ('/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64')
                    for n in ('libjemalloc.so.2',) if os.path.exists(f'{d}/{n}')), None) or need('libjemalloc.so.2')
    with Target(MKLEAK, 'steady', 'size_mib=32', env={'LD_PRELOAD': library}) as t:
        e = explain(t.pid)
        assert e['allocator'] == 'jemalloc' or e['allocator'].startswith('jemalloc'), e['allocator']
        kinds = {part['kind']: part['rss_bytes'] for part in e['breakdown']}
        assert kinds['allocator'] > 32 * MIB, kinds
        assert e['heap']['system_bytes'] in (0, None), e['heap']


def test_refusals():
    """no such process, not allowed, wrong command line: each its status and reason"""
    child = subprocess.Popen(['true'])
    child.wait()
    assert explain(child.pid, status=1)['reason'] == 'gone'
    done = subprocess.run([PLATEAU, 'explain', '--diff', 'x', '1'], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "'x'" in done.stderr, done.stderr


def test_budget():
    """a look that may not take its time says so, and gives no figure as complete"""
    with Target(MKLEAK, 'fragment', 'size_mib=256', 'hole_bytes=1000') as t:
        e = explain(t.pid, '--budget', '1ms')
        assert not e['survey']['complete'] and e['survey']['out_of_time'], e['survey']
        assert_no_figure(e)
        assert e['heap']['system_bytes'] is None, e['heap']
        said = subprocess.run([PLATEAU, 'explain', '--probe', PROBE, '--budget', '1ms', str(t.pid)], capture_output=True, text=True,
                              check=True).stdout
        assert 'the time allowed was over' in said and not re.search(r'heap .*[0-9] .?B (in use|free)', said), said


def judge(cause, results):
    """One program with one known cause, watched while it grows."""
    t = subprocess.Popen([MKGROW, cause, '20'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        pid = int(t.stdout.readline().split('pid=')[1])
        results[cause] = explain(pid, '--diff', '3')
    finally:
        t.stdin.close()
        t.wait(DEADLINE_S)
        t.stdout.close()


def test_causes():
    """each known cause gets its verdict: never a leak for fragmentation, nor the other way round"""
    results, wrong = {}, []
    for pair in zip(*[iter(CAUSES)] * 2):
        at_once = [threading.Thread(target=judge, args=(cause, results)) for cause in pair]
        for thread in at_once:
            thread.start()
        for thread in at_once:
            thread.join()
    assert len(results) == len(CAUSES), set(CAUSES) - set(results)
    for cause, (kind, part) in CAUSES.items():
        v = results[cause]['verdict']
        print(f'# {cause}: {v["kind"]} ({v["confidence"]:.2f}): {v["text"]}')
        if v['kind'] != kind or (part and v['part'] != part):
            wrong.append((cause, v))
    assert not wrong, wrong
    v = results['leak-small']
    assert v['growth']['size_class_bytes'] == 144, v['growth']


if __name__ == '__main__':
    run_tests([test_exact, test_breakdown_adds_up, test_prediction, test_reclaim_predicted, test_untouched, test_while_it_changes,
               test_dies_meanwhile, test_executes_meanwhile, test_other_allocator, test_refusals, test_budget, test_causes])
