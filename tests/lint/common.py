# SPDX-License-Identifier: Apache-2.0
"""What the lints share: walking the tree, and TAP output with one subtest a rule.

A lint is a list of rules; a rule is a function root -> [finding, ...], a finding one line "path:line: what is wrong".
A rule that cannot be judged on this machine raises Skip with the reason.
"""
import os
import sys

SKIPPED_DIRECTORIES = {'.git', '.cache', '__pycache__', 'corpus'}


class Skip(Exception):
    """The rule cannot be judged here; the text says why."""


def files(root, suffixes=None, under=('',)):
    """Relative paths of the tree's files, sorted; build directories and the lints' own fixtures are left out."""
    found = set()
    for top in under:
        for folder, names, leaves in os.walk(os.path.join(root, top)):
            relative = os.path.relpath(folder, root)
            names[:] = [n for n in names if n not in SKIPPED_DIRECTORIES
                        and not (relative == '.' and n.startswith('build'))
                        and os.path.normpath(os.path.join(relative, n)) != os.path.join('tests', 'fixtures', 'lint')]
            for leaf in leaves:
                if leaf == '.git': # a linked work tree has a file of that name
                    continue
                path = os.path.normpath(os.path.join(relative, leaf))
                if (suffixes is None or path.endswith(suffixes)) and not os.path.islink(os.path.join(root, path)):
                    found.add(path)
    return sorted(found)


def lines(root, path):
    """The file's lines; undecodable bytes survive, a binary file (one with a NUL) has none."""
    with open(os.path.join(root, path), 'rb') as f:
        data = f.read()
    return [] if b'\0' in data else data.decode('utf-8', 'surrogateescape').splitlines()


def findings(root, rules):
    """All findings of all rules that can be judged here, sorted: what the self-test compares."""
    out = []
    for rule in rules:
        try:
            out += rule(root)
        except Skip:
            pass
    return sorted(out)


def skipped(root, rule):
    """Is this a rule that cannot be judged here?"""
    try:
        rule(root)
    except Skip:
        return True
    return False


def main(rules):
    """Run the rules over the tree given as argument (default: the current directory)."""
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    failed = 0
    print(f'1..{len(rules)}')
    for number, rule in enumerate(rules, 1):
        name = rule.__doc__.splitlines()[0].rstrip('.')
        try:
            found = rule(root)
        except Skip as reason:
            print(f'ok {number} - {name} # SKIP {reason}')
            continue
        for line in found:
            print('# ' + line.encode('ascii', 'backslashreplace').decode())
        print(f'{"not ok" if found else "ok"} {number} - {name}')
        failed += bool(found)
    sys.exit(1 if failed else 0)
