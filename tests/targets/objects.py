# SPDX-License-Identifier: Apache-2.0
"""A Python program with known numbers of objects of known classes, which counts its own and then waits. Python 3.6 to now.

objects.py KIND [N]: prints a line of JSON with its count, then for each line on its stdin does what the word says and prints
another. It ends with its stdin.
"""
import asyncio
import collections
import gc
import json
import os
import sys
import threading


class Node(object):
    def __init__(self, i):
        self.number = i
        self.text = 'node %d' % i
        self.items = [i]


class Slotted(object):
    __slots__ = ('left', 'right')


class Outer(object):
    class Inner(object):
        pass


class Mapping(dict):
    pass


class Ümlaut(object):
    pass


keep = []


def make_mixed(n):
    keep.extend(Node(i) for i in range(n))
    keep.extend(Slotted() for _ in range(1000))
    keep.extend(Outer.Inner() for _ in range(300))
    keep.extend(Mapping(key=i) for i in range(200))
    keep.extend(Ümlaut() for _ in range(150))
    keep.extend({('k', i): [i] for i in range(50)} for _ in range(100))
    keep.extend(set(range(i)) for i in range(300))
    keep.extend(collections.OrderedDict(a=1) for _ in range(70))
    keep.append({'key %d' % i: str(i) for i in range(20000)})


def make_classes(n):
    keep.extend(type('Class%d' % i, (), {}) for i in range(n))
    keep.extend(c() for c in keep[:])


def make_same_classes(n):
    keep.extend(type('Same', (), {}) for i in range(n))
    keep.extend(c() for c in keep[:])


def make_strings(n):
    keep.extend(b'%20d' % i for i in range(n))
    keep.extend(bytearray(1000) for _ in range(n // 10))
    keep.append([str(i) + 'x' * 20 for i in range(n)])
    keep.append({i: 'value \u00e4 %d' % i for i in range(n)})
    keep.append(tuple((i, 'in a tuple %d' % i) for i in range(n)))
    keep.extend(b'x' * (1 << 20) for _ in range(10))
    for i in range(n):
        keep.append(Slotted())
        keep[-1].left = 'in a slot %d' % i


def make_tasks(n):
    def run():
        loop = asyncio.new_event_loop()

        async def wait():
            await asyncio.sleep(1000000)

        keep.extend(loop.create_task(wait()) for _ in range(n))
        loop.call_soon(ready.set)
        loop.run_forever()

    ready = threading.Event()
    threading.Thread(target=run, daemon=True).start()
    ready.wait()


def make_threads(n):
    ready = threading.Barrier(n + 1)

    def wait():
        ready.wait()
        threading.Event().wait()

    for _ in range(n):
        threading.Thread(target=wait, daemon=True).start()
    ready.wait()


def make_interpreters(n):
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    for _ in range(n):
        keep.append(interpreters.create())
        interpreters.run_string(keep[-1], 'class Inside: pass\nkeep = [Inside() for _ in range(500)]')


def churn(stop, collect):
    """Makes and drops containers without pause, linked in rings so that the collector has work."""
    while not stop.is_set():
        for _ in range(200):
            a, b = [], {}
            a.append(b)
            b['a'] = a
        if collect:
            gc.collect()


def count():
    """What gc tracks, by type; nothing of the counting itself is left when it is told."""
    by_type, objects, o, name = {}, gc.get_objects(), None, None
    total = len(objects)
    for o in objects:
        name = type(o).__module__ + '.' + type(o).__qualname__
        pair = by_type.get(name)
        if pair is None:
            pair = by_type[name] = [0, 0]
        pair[0] += 1
        try:
            pair[1] += sys.getsizeof(o)
        except Exception:
            pair[1] = -1 << 62
    return {'total': total, 'types': by_type, 'threads': threading.active_count(), 'version': sys.version.split()[0],
            'texts': texts(objects) if sys.argv[1] == 'strings' else {}}


def texts(objects):
    """The bytes, bytearrays and strings that tracked objects hold, each once; also through untracked tuples and dicts."""
    found, seen = {'bytes': [0, 0], 'bytearray': [0, 0], 'str': [0, 0]}, set()

    def visit(container, depth):
        for o in gc.get_referents(container):
            pair = found.get(type(o).__name__)
            if pair and id(o) not in seen:
                seen.add(id(o))
                pair[0] += 1
                pair[1] += sys.getsizeof(o)
            elif type(o) in (tuple, dict) and depth < 3 and not gc.is_tracked(o):
                visit(o, depth + 1)

    for o in objects:
        visit(o, 0)
    return found


def answer():
    for _ in range(2): # the first one fills caches, which count
        line = json.dumps(count()).encode() + b'\n'
        gc.collect()
    os.write(1, line[:-2] + b', "blocks": %d}\n' % sys.getallocatedblocks())


def main():
    kind, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    stop = threading.Event()
    gc.disable() # or its counters would run on after the count
    globals()['make_' + kind](n)
    answer()
    buffer = b''
    while True:
        buffer += os.read(0, 1000) or b'end\n'
        if b'\n' not in buffer:
            continue
        word, buffer = buffer.split(b'\n', 1)
        if word == b'end':
            os._exit(0)
        elif word == b'freeze':
            gc.freeze()
        elif word in (b'churn', b'collect'):
            gc.enable()
            threading.Thread(target=churn, args=(stop, word == b'collect'), daemon=True).start()
        answer() if word not in (b'churn', b'collect') else os.write(1, b'{}\n')


main()
