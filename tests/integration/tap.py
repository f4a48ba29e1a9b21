# SPDX-License-Identifier: Apache-2.0
"""Finds a module's tests, runs each under a deadline, prints TAP.

A test is a function test_*; its docstring's first line is its name. tap.main(globals()) runs all of them in the order of
their definition, or those named on the command line (--only NAME). A test that hangs fails at its deadline with the stack
where it hung; @tap.deadline(SECONDS) changes the deadline of one. raise lib.Skip('reason') skips.
"""
import signal
import sys
import traceback

from lib import Skip, end_well

DEADLINE_S = 60


class Hung(Exception):
    """A test did not end in its time."""


def deadline(seconds):
    """Another deadline for this test."""
    def mark(test):
        test.deadline_s = seconds
        return test
    return mark


def on_alarm(*_):
    raise Hung('not done at its deadline')


def run_one(test):
    """'' or the directive to print behind ok; raises what the test raises."""
    signal.alarm(getattr(test, 'deadline_s', DEADLINE_S))
    try:
        test()
    except Skip as e:
        return f' # SKIP {e}'
    finally:
        signal.alarm(0)
    return ''


def discover(names):
    tests = [f for n, f in names.items() if n.startswith('test_') and callable(f)]
    return sorted(tests, key=lambda f: f.__code__.co_firstlineno)


def main(names):
    tests = discover(names)
    if '--only' in sys.argv:
        only = sys.argv[sys.argv.index('--only') + 1:]
        tests = [t for t in tests if t.__name__ in only]
    signal.signal(signal.SIGALRM, on_alarm)
    end_well()
    failed = 0
    print(f'1..{len(tests)}', flush=True)
    for i, test in enumerate(tests, 1):
        name = (test.__doc__ or test.__name__).splitlines()[0].rstrip('.')
        try:
            print(f'ok {i} - {name}{run_one(test)}', flush=True)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print('# ' + line.encode('ascii', 'backslashreplace').decode())
            print(f'not ok {i} - {name}', flush=True)
    sys.exit(1 if failed else 0)
