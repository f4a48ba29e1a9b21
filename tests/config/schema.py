#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""config/plateau.schema.json under another implementation: what the loader takes must be valid under the schema."""
import glob
import json
import os
import sys

try:
    import jsonschema
    import yaml
    VALIDATOR = jsonschema.Draft202012Validator
except (ImportError, AttributeError) as e:
    print(f'1..0 # SKIP python3-jsonschema (4.0 or later) and python3-yaml are needed: {e}')
    sys.exit(0)

ROOT = sys.argv[1]
FIXTURES = os.path.join(ROOT, 'tests', 'fixtures', 'yaml')

# Of what the loader refuses, the schema sees mistakes of form: these at least.
REFUSED = ['unknown-top', 'unknown-misspelt', 'unknown-in-target', 'unknown-in-match', 'null-value', 'null-section',
           'list-for-mapping', 'mapping-for-value', 'text-for-list', 'list-for-labels', 'targets-missing',
           'targets-empty', 'targets-too-many', 'match-missing', 'match-empty', 'match-two', 'match-main-false',
           'match-main-quoted', 'match-pid-zero', 'match-pid-text', 'match-pidfile-relative', 'match-exe-relative',
           'match-unit-suffix', 'name-long', 'pick-unknown', 'limit-milli', 'limit-unit', 'duration-no-unit',
           'duration-negative', 'duration-words', 'ratio-over-one', 'count-fraction', 'count-too-large', 'bool-number',
           'bool-quoted', 'level-case', 'socket-relative', 'signal-kill', 'signal-nine', 'method-unknown',
           'hook-relative', 'hook-too-many', 'unit-no-service', 'url-scheme', 'url-credentials', 'listen-name',
           'listen-no-port', 'label-name', 'label-too-many', 'label-long', 'bearer-relative', 'everything', 'kube-values',
           'kube-ports', 'kube-port-range', 'kube-port-name', 'kube-port-many', 'kube-prefix', 'kube-prefix-long']


def load(path):
    """The file as data, by a reader that is not ours."""
    with open(path, 'rb') as f:
        return yaml.safe_load(f)


def main():
    """One TAP line a file."""
    with open(os.path.join(ROOT, 'config', 'plateau.schema.json'), encoding='utf-8') as f:
        schema = json.load(f)
    VALIDATOR.check_schema(schema)
    validator = VALIDATOR(schema)
    taken = sorted(glob.glob(os.path.join(ROOT, 'config', '*.yaml')) + glob.glob(os.path.join(FIXTURES, 'good', '*.yaml')))
    refused = [os.path.join(FIXTURES, 'bad', name + '.yaml') for name in REFUSED]
    failed = 0
    print(f'1..{len(taken) + len(refused)}')
    for number, path in enumerate(taken + refused, 1):
        errors = [f'{"/".join(map(str, e.absolute_path))}: {e.message}' for e in validator.iter_errors(load(path))]
        good = bool(errors) == (path in refused)
        for line in errors if path in taken else []:
            print('# ' + line.encode('ascii', 'backslashreplace').decode())
        print(f'{"ok" if good else "not ok"} {number} - {os.path.relpath(path, ROOT)}')
        failed += not good
    sys.exit(1 if failed else 0)


main()
