# SPDX-License-Identifier: Apache-2.0
"""A Python program that knows itself: it counts its objects, tells its state, serves. Python 3.6 to now.

inspected.py N THREADS: holds N sessions, has so many threads that sleep. For each word on its stdin it does that and prints
a line of JSON. It ends with its stdin.
"""
import asyncio
import gc
import json
import os
import signal
import sys
import threading


class Session(object):
    def __init__(self, i):
        self.number = i
        self.peer = {'host': str(i)}
        self.buffer = bytearray(64)


class Leak(object):
    pass


held = []


def count(_):
    """Of the classes that nothing but a word changes, exactly; of all, as the collector counts."""
    objects = gc.get_objects()
    by = {}
    for o in objects:
        by[id(type(o))] = by.get(id(type(o)), 0) + 1
    return {'all': len(objects), 'Session': by.get(id(Session), 0), 'Leak': by.get(id(Leak), 0)}


def state(_):
    """All that an intruder could have left behind. Not the number of objects: that is what it is compared by."""
    return {'gc': [gc.isenabled(), list(gc.get_threshold()), list(gc.get_count()), gc.get_stats(), gc.get_debug(),
                   len(gc.garbage), len(gc.callbacks)],
            'modules': sorted(sys.modules), 'main': sorted(k for k in globals() if isinstance(k, str)),
            'builtins': sorted(dir(sys.modules['builtins'])), 'frames': sorted(sys._current_frames()),
            'threads': [t.name for t in threading.enumerate()], 'tasks': sorted(os.listdir('/proc/self/task')),
            'blocks': sys.getallocatedblocks(), 'fds': sorted(os.listdir('/proc/self/fd')),
            'last': [k for k in dir(sys) if k.startswith('last_')], 'switch': sys.getswitchinterval(),
            'mask': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), 'trace': [repr(sys.gettrace()), repr(sys.getprofile())],
            'recursion': sys.getrecursionlimit()}


def leak(n):
    held.extend(Leak() for _ in range(int(n)))
    return {'leaked': len(held)}


def hold(n):
    """One long call into C: nobody else gets the GIL."""
    print('"held"', flush=True)
    return {'sum': sum(range(int(n)))}


class Last(object):
    def __del__(self, write=os.write, add=sum, numbers=range):
        write(1, b'"ending"\n')
        for _ in numbers(20):
            add(numbers(5000000))


def end(_):
    """Ends; the last to go is somebody who takes his time, when the interpreter already is being torn down."""
    sys.last_of_all = Last() # the module sys is emptied after all others
    sys.exit(0)


def serve(_):
    """Echoes lines until one says stop; tells how many it served."""
    served = [0]

    async def main():
        stop = asyncio.get_event_loop().create_future()

        async def on_client(reader, writer):
            while True:
                line = await reader.readline()
                if not line:
                    break
                session = Session(served[0])
                served[0] += 1
                writer.write(str(session.number).encode() + b' ' + line)
                await writer.drain()
                if line == b'stop\n' and not stop.done():
                    stop.set_result(None)
            writer.close()

        server = await asyncio.start_server(on_client, '127.0.0.1', 0)
        print(json.dumps({'port': server.sockets[0].getsockname()[1]}), flush=True)
        await stop
        server.close()

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main())
    all_tasks = getattr(asyncio, 'all_tasks', None) or asyncio.Task.all_tasks # 3.6
    while [t for t in all_tasks(loop) if not t.done()]:
        loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    return {'served': served[0]}


def main():
    held.extend(Session(i) for i in range(int(sys.argv[1])))
    for i in range(int(sys.argv[2])):
        threading.Thread(target=threading.Event().wait, name='idle %d' % i, daemon=True).start()
    words = {f.__name__: f for f in (count, state, leak, hold, end, serve)}
    gc.collect()
    print(json.dumps({'ready': sys.version.split()[0]}), flush=True)
    while True:
        # by descriptor: a reader of lines has a buffer that comes and goes
        line = os.read(0, 100).decode().split()
        if not line:
            return
        print(json.dumps(words[line[0]](line[-1])), flush=True)


main()
