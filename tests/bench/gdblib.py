# SPDX-License-Identifier: Apache-2.0
"""What one would do without plateau: gdb attached, `call (int)malloc_trim(0)`, and away."""
import shutil
import subprocess

TIMEOUT_S = 60


class GdbHung(Exception):
    """It did not come back; it was killed, and its target may be dead."""


def find():
    return shutil.which('gdb')


def version(gdb):
    return subprocess.run([gdb, '--version'], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[0]


def trim(gdb, pid):
    """One call. Whether gdb said that the call returned."""
    try:
        r = subprocess.run([gdb, '-nx', '-batch', '-p', str(pid), '-ex', 'call (int)malloc_trim(0)'], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise GdbHung from None
    return '$1 = ' in r.stdout
