#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up a meson test run, subtest by subtest, and ends with "N passed, N failed, N skipped".

meson's own summary counts programs, and its JUnit file forgets a program that crashed after its last subtest. Here every
TAP line counts, and a program whose result is anything but OK, SKIP or EXPECTEDFAIL counts as failed at least once:
crash, time limit, "Bail out!", too few subtests, exit status. A test that the build knows and the log does not (meson
itself was stopped) and a run in which nothing was executed are failures too.

  tally.py [--log testlog.json --tests introspection.json] [--suite S]... [--no-suite S]...
           [NAME=pass | NAME=fail | NAME=skip:REASON]...
"""
import argparse
import json
import re
import sys

GOOD = {'OK', 'EXPECTEDFAIL'}
TAP = re.compile(r'^(not )?ok\b(?:\s+(\d+))?\s*(?:-\s*)?(.*)$')
SKIP = re.compile(r'(?:^|\s)#\s*skip\S*\s*(.*)$', re.I)
TODO_DIRECTIVE = re.compile(r'(?:^|\s)#\s*to' r'do\b', re.I)
PLAN_SKIP = re.compile(r'^1\.\.0\s*(?:#\s*skip\S*\s*(.*))?$', re.I)
LOG_LINES_MAX = 200


class Tally:
    """What was counted; `skipped` and `failed` are (name, text) pairs."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def line(self):
        return f'{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped'

    def good(self):
        return self.passed > 0 and not self.failed


def subtests(stdout):
    """(kind, name, reason) of each TAP result line. cmocka's skip() can only give the test's name ("ok 3 # SKIP
    test_x"): there the reason is what the test said before it, in a line of comment."""
    said = ''
    for line in stdout.splitlines():
        match = TAP.match(line)
        plan = PLAN_SKIP.match(line)
        if plan:
            yield 'skip', '', plan.group(1) or 'no reason given'
        elif match:
            name = match.group(3)
            skip = SKIP.search(name)
            if skip and skip.start() == 0 and re.fullmatch(r'\w+', skip.group(1)):
                yield 'skip', skip.group(1), said or 'no reason given'
            elif skip:
                yield 'skip', name[:skip.start()].strip(), skip.group(1).strip() or 'no reason given'
            elif match.group(1) and not TODO_DIRECTIVE.search(name):
                yield 'fail', name, ''
            else:
                yield 'pass', name, ''
        said = re.sub(r'^#\s*(skipped:\s*)?', '', line) if line.startswith('#') else said if not match else ''


def reason_of(entry):
    """Why a program that is not TAP was skipped: its last line."""
    text = (entry.get('stderr') or '').split('\n') + (entry.get('stdout') or '').split('\n')
    said = [t.strip() for t in text if t.strip()]
    return said[-1] if said else 'no reason given'


def only_skipped(entry):
    """cmocka 1.1.5 writes "not ok 3 # SKIP test_x", for which meson until 1.0 at least calls the program a failure."""
    return (entry['result'] == 'FAIL' and entry.get('returncode') == 0
            and re.search(r'^not ok \d+ # SKIP', entry.get('stdout') or '', re.M) is not None)


def add_entry(tally, entry, is_tap):
    """One program of the log."""
    name, result, failed_before = entry['name'], entry['result'], len(tally.failed)
    if is_tap:
        n = 0
        for kind, what, reason in subtests(entry.get('stdout') or ''):
            n += 1
            full = f'{name}: {what}' if what else name
            if kind == 'pass':
                tally.passed += 1
            elif kind == 'skip':
                tally.skipped.append((full, reason))
            else:
                tally.failed.append((full, ''))
        if n == 0 and result in GOOD | {'SKIP'}:
            tally.failed.append((name, 'printed no result'))
    elif result in GOOD:
        tally.passed += 1
    elif result == 'SKIP':
        tally.skipped.append((name, reason_of(entry)))
    if result not in GOOD | {'SKIP'} and len(tally.failed) == failed_before and not (is_tap and only_skipped(entry)):
        tally.failed.append((name, f'{result.lower()}, exit status {entry.get("returncode")}'))


def print_log(entry):
    """A failed program's output, its end if long."""
    print(f'\n---- {entry["name"]}: {entry["result"]}, exit status {entry.get("returncode")}')
    for stream in ('stdout', 'stderr'):
        text = (entry.get(stream) or '').splitlines()
        if len(text) > LOG_LINES_MAX:
            print(f'... {len(text) - LOG_LINES_MAX} lines before')
        for line in text[-LOG_LINES_MAX:]:
            print(line.encode('ascii', 'backslashreplace').decode())


def known_tests(path, suites, but):
    """What `meson introspect --tests` says about the chosen suites: {name: protocol}."""
    with open(path, encoding='utf-8') as f:
        tests = json.load(f)

    def chosen(test):
        own = {s.split(':')[-1] for s in test['suite']}
        return (not suites or own & set(suites)) and not own & set(but)
    return {t['name']: t.get('protocol') for t in tests if chosen(t)}


def bare(name):
    """ "plateau:unit / json" -> "json" """
    return name.split(' / ', 1)[-1]


def read_log(path):
    """The entries of testlog.json, one JSON object a line."""
    try:
        with open(path, encoding='utf-8', errors='replace') as f:
            return [json.loads(line) for line in f if line.strip()]
    except OSError:
        return []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--log')
    parser.add_argument('--tests')
    parser.add_argument('--suite', action='append', default=[])
    parser.add_argument('--no-suite', action='append', default=[])
    parser.add_argument('extra', nargs='*')
    args = parser.parse_args()

    tally = Tally()
    tests = known_tests(args.tests, args.suite, args.no_suite) if args.tests else {}
    missing = set(tests)
    entries = read_log(args.log) if args.log else []
    for entry in entries:
        before = len(tally.failed)
        missing.discard(bare(entry['name']))
        add_entry(tally, entry, tests.get(bare(entry['name'])) == 'tap')
        if len(tally.failed) > before:
            print_log(entry)
    tally.failed += [(name, 'did not run') for name in sorted(missing)]
    if args.log and not entries and not missing:
        tally.failed.append(('tests', 'none was chosen'))
    for name, _, value in (e.partition('=') for e in args.extra):
        if value == 'pass':
            tally.passed += 1
        elif value.startswith('skip:'):
            tally.skipped.append((name, value[5:]))
        else:
            tally.failed.append((name, value))
    if tally.passed + len(tally.failed) == 0:
        tally.failed.append(('all', 'nothing was executed'))
    print()
    for name, reason in tally.skipped:
        print(f'skipped: {name}: {reason}'.encode('ascii', 'backslashreplace').decode())
    for name, text in tally.failed:
        print(f'failed: {name}{": " + text if text else ""}'.encode('ascii', 'backslashreplace').decode())
    print(tally.line())
    return 0 if tally.good() else 1


if __name__ == '__main__':
    sys.exit(main())
