#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A lint that cannot fail is worse than none: each is run over a tree whose violations are known, one by one."""
import os
import sys

import common
import layers
import names
import shape

LINTS = [layers, names, shape]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    bad = 0
    print(f'1..{len(LINTS)}')
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
    sys.exit(1 if bad else 0)


if __name__ == '__main__':
    main()
