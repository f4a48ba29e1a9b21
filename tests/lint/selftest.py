#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A check that cannot fail is worse than none: each is run over a tree, or a log, whose faults are known one by one."""
import os
import subprocess
import sys

import common
import layers
import names
import shape

LINTS = [layers, names, shape]


def check_tally(root):
    """tests/tally.py counts a recorded run rightly; the other cases are made here. Returns what is wrong."""
    tree, tally = os.path.join(root, 'tests', 'fixtures', 'tally'), os.path.join(root, 'tests', 'tally.py')
    log, tests = ['--log', os.path.join(tree, 'testlog.json')], ['--tests', os.path.join(tree, 'tests.json')]
    with open(os.path.join(tree, 'expected'), encoding='utf-8') as f:
        whole = f.read()
    cases = [ # arguments, exit status, end of output
        ([*log, *tests, 'build=pass', 'by hand=skip:a reason = text'], 1, whole),
        (['build=pass'], 0, '1 passed, 0 failed, 0 skipped\n'),
        (['build=pass', 'other=fail'], 1, 'failed: other: fail\n1 passed, 1 failed, 0 skipped\n'),
        ([], 1, 'failed: all: nothing was executed\n0 passed, 1 failed, 0 skipped\n'),
        (['--log', os.path.join(tree, 'none.json'), *tests, '--suite', 'none', 'build=pass'], 1, 'failed: tests: none was '
         'chosen\n1 passed, 1 failed, 0 skipped\n'),
        (['build=skip:no compiler'], 1, '0 passed, 1 failed, 1 skipped\n'),
        (['--log', os.path.join(tree, 'none.json'), *tests, '--suite', 'u'], 1, 'failed: good: did not run\n'
         '0 passed, 1 failed, 0 skipped\n'),
        (['--log', os.path.join(tree, 'none.json'), *tests, '--suite', 'u', '--no-suite', 'u', 'build=pass'], 1,
         'failed: tests: none was chosen\n1 passed, 1 failed, 0 skipped\n'),
    ]
    wrong = []
    for arguments, status, end in cases:
        done = subprocess.run([sys.executable, tally, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != status or not done.stdout.endswith(end):
            wrong.append(f'{arguments[-1]}: exit status {done.returncode}: {done.stdout[-200:]!r}')
    return wrong


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    bad = 0
    print(f'1..{len(LINTS) + 1}')
    for number, lint in enumerate(LINTS, 1):
        tree = os.path.join(root, 'tests', 'fixtures', 'lint', lint.__name__)
        with open(tree + '.expected', encoding='utf-8') as f:
            expected = set(f.read().splitlines())
        if lint is shape and common.skipped(tree, shape.function_length):
            expected = {line for line in expected if ' has 93 lines' not in line}
        found = set(common.findings(tree, lint.RULES))
        for line in sorted(expected - found):
            print(f'# not found: {line}')
        for line in sorted(found - expected):
            print(f'# found without reason: {line}')
        print(f'{"ok" if found == expected else "not ok"} {number} - {lint.__name__}.py finds every planted violation')
        bad += found != expected
    wrong = check_tally(root)
    for line in wrong:
        print(f'# {line}')
    print(f'{"not ok" if wrong else "ok"} {len(LINTS) + 1} - tally.py counts what meson ran')
    sys.exit(1 if bad or wrong else 0)


if __name__ == '__main__':
    main()
