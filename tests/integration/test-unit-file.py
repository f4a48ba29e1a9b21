#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The service's unit file as systemd reads it: test-unit-file.py PLATEAUD DEPLOY_SYSTEMD."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tap
from lib import Skip

PLATEAUD, FOLDER = (os.path.abspath(p) for p in sys.argv[1:3])
# Known to be ignored by systemd before 253, and harmless there: the line above it holds.
OLD_SYSTEMD = re.compile(r'plateau\.service:\d+: Failed to parse service type, ignoring: notify-reload$')


def run(*args, **env):
    if not shutil.which('systemd-analyze'):
        raise Skip('systemd-analyze is not installed')
    return subprocess.run(['systemd-analyze', *args], capture_output=True, text=True, env={**os.environ, **env},
                          check=False, timeout=50)


def text():
    with open(os.path.join(FOLDER, 'plateau.service'), encoding='utf-8') as f:
        return f.read()


def complaints(unit, drop_in=None):
    """What systemd has to say about a unit whose program is the one that was built."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'plateau.service')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(unit.replace('ExecStart=plateaud', f'ExecStart={PLATEAUD}'))
        if drop_in:
            os.mkdir(path + '.d')
            shutil.copy(os.path.join(FOLDER, drop_in), path + '.d')
        out = run('verify', '--man=no', path, SYSTEMD_UNIT_PATH=folder + ':')
    lines = [line for line in (out.stdout + out.stderr).splitlines() if 'plateau.service' in line]
    return [line for line in lines if not OLD_SYSTEMD.search(line)], out.returncode


def test_is_understood():
    """systemd-analyze verify has nothing to say"""
    assert complaints(text()) == ([], 0), complaints(text())


def test_is_understood_before_253():
    """nor with the drop-in for old versions"""
    assert complaints(text(), 'before-253.conf') == ([], 0), complaints(text(), 'before-253.conf')


def test_would_be_found_out():
    """a wrong key is reported, so the two tests above can fail"""
    found, _ = complaints(text().replace('ProtectHome=yes', 'ProtectHome=perhaps'))
    assert found, 'a wrong value went unnoticed'


def test_types_in_order():
    """the type that old versions ignore comes last"""
    assert re.findall(r'^Type=(.*)$', text(), re.M) == ['notify', 'notify-reload']


def test_exposure():
    """systemd-analyze security gives 3.0 or better"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'plateau.service')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text())
        out = run('security', '--offline=yes', '--threshold=30', '--no-pager', path) # systemd 250
    if 'unrecognized option' in out.stderr:
        raise Skip('this systemd-analyze cannot judge a file')
    assert out.returncode == 0, out.stdout[-300:]


tap.main(globals())
