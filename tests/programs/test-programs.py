# SPDX-License-Identifier: Apache-2.0
"""Real programs under client load: reclaims that no client notices. One test a program; the figures are in its comment.

test-programs.py PLATEAU PROBE CACHE [--only test_NAME...]; tests/bench/programs prints a table instead.
"""
import signal
import sys

import drive

TOOLS = drive.Tools(sys.argv[1], sys.argv[2], cache=sys.argv[3])
TEST_S = 150


def comment(r):
    refused = ''.join(f', {n} {reason}' for reason, n in r.refusals().items())
    stops = '/'.join(str(r.quantile(q)) for q in (0.5, 0.99, 1))
    name = r.name if r.version in r.name else f'{r.name} {r.version}'
    print(f'# {name}, {"; ".join(sorted(r.allocators)) or "no allocator known"}, {r.processes} processes: '
          f'{r.count("ok")} reclaimed{refused}; released {r.released_bytes() / 1e6:.1f} MB; longest stop of a call '
          f'{stops} usec (p50/p99/max)', flush=True)
    for said in sorted(r.details()):
        print(f'#   {said}', flush=True)
    for what, phase in (('with', r.load), ('without', r.control)):
        if phase:
            print(f'#   {what} reclaims: {phase["answers"]} answers, {phase["errors"]} errors, longest wait '
                  f'{drive.milliseconds(phase["longest_usec"])} ms', flush=True)


def test_of(program):
    def test():
        result = drive.drive(program, TOOLS)
        comment(result)
        assert not result.wrong, '; '.join(result.wrong)
    what = 'answers every client, and gives memory back' if program.want == 'ok' else f'is refused: {program.want}'
    test.__name__, test.__doc__ = 'test_' + program.name.replace(' ', '_'), f'{program.name} {what}'
    test.deadline_s = TEST_S
    return test


if __name__ == '__main__':
    import tap
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # so that what was started is ended
    tap.main({t.__name__: t for t in map(test_of, [p for p in drive.TABLE if not p.build])})
