#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The direction of includes: a folder of daemon/ is a layer and sees only lower ones and itself."""
import os
import re

import common

# Lowest first; folders of one row are peers and never see each other. 'daemon' stands for the files directly in daemon/.
LAYERS = [
    {'util'},
    {'sample', 'trend', 'diagnose', 'policy', 'probe', 'http'},
    {'judge'},
    {'action'},
    {'kube', 'systemd', 'report', 'replay'},
    {'settings'},
    {'cli'},
    {'daemon'},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# plateau-probe links these folders alone; probe/client.* is the other end, which lives in plateaud and plateau.
PROBE_SEES = {'probe', 'util'}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def layer_of(path):
    """The layer of a path relative to daemon/."""
    return path.split('/')[0] if '/' in path else 'daemon'


def includes(root):
    """(path, line number, included file) of every quoted #include under daemon/."""
    for path in common.files(root, ('.c', '.h'), ('daemon',)):
        for number, line in enumerate(common.lines(root, path), 1):
            match = INCLUDE.match(line)
            if match:
                yield path, number, match.group(1)


def known(root):
    """every folder of daemon/ is in the table of layers"""
    folders = {layer_of(os.path.relpath(p, 'daemon')) for p in common.files(root, ('.c', '.h'), ('daemon',))}
    return [f'daemon/{f}: not in the table of layers (tests/lint/layers.py)' for f in sorted(folders - LEVEL.keys())]


def downwards(root):
    """includes go to lower layers only"""
    out = []
    for path, number, name in includes(root):
        own, other = layer_of(os.path.relpath(path, 'daemon')), layer_of(name)
        if own == other or own not in LEVEL:
            continue
        if other not in LEVEL:
            out.append(f'{path}:{number}: "{name}": no such layer; includes are written from daemon/')
        elif LEVEL[other] == LEVEL[own]:
            out.append(f'{path}:{number}: "{name}": {own} and {other} are peers')
        elif LEVEL[other] > LEVEL[own]:
            out.append(f'{path}:{number}: "{name}": {other} is above {own}')
    return out


def probe_alone(root):
    """plateau-probe's sources see only probe/ and util/"""
    out = []
    for path, number, name in includes(root):
        inside = os.path.relpath(path, 'daemon')
        if not inside.startswith('probe/') or os.path.basename(inside).split('.')[0] == 'client':
            continue
        if layer_of(name) not in PROBE_SEES or name.startswith('probe/client.'):
            out.append(f'{path}:{number}: "{name}": plateau-probe links only probe/ and util/, without client')
    return out


def spelled_from_daemon(root):
    """included files exist and are written with their folder"""
    return [f'{path}:{number}: "{name}": no such file under daemon/' for path, number, name in includes(root)
            if not os.path.exists(os.path.join(root, 'daemon', name))]


def no_source(root):
    """nobody includes a .c file"""
    out = []
    for path in common.files(root, ('.c', '.h'), ('daemon', 'tests')):
        for number, line in enumerate(common.lines(root, path), 1):
            match = re.match(r'^\s*#\s*include\s+["<]([^">]+\.c)[">]', line)
            if match:
                out.append(f'{path}:{number}: includes the source file {match.group(1)}')
    return out


RULES = [known, downwards, probe_alone, spelled_from_daemon, no_source]

if __name__ == '__main__':
    common.main(RULES)
