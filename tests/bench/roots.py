# SPDX-License-Identifier: Apache-2.0
"""Other distributions' glibcs: their packages unpacked into a root, and a program in a jail with one of them alone."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(SOURCE, 'tests', 'integration'))
from lib import wait_until # noqa: E402
from probelib import Target, children, mkleak_sources # noqa: E402

RELEASES = ('bullseye', 'bookworm', 'trixie', 'sid') # the first is the oldest, which mkleak is built against
LIBRARIES = ('ld-linux-x86-64.so.2', 'libc.so.6', 'libpthread.so.0', 'librt.so.1')


class Unavailable(Exception):
    """Cannot be had here; the text says why."""


def fetch(release, root, packages):
    """The packages' files, without running anything of theirs."""
    if os.geteuid() != 0:
        raise Unavailable('only root can unpack and enter a root')
    if not shutil.which('mmdebstrap'):
        raise Unavailable('mmdebstrap is not installed')
    # a machine whose clock is far ahead takes no archive for valid; signatures are checked all the same
    made = subprocess.run(['mmdebstrap', '--quiet', '--variant=extract', '--include=' + ','.join(packages),
                           '--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=Acquire::Languages "none"', release, root],
                          capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL)
    if made.returncode:
        errors = [line for line in made.stderr.splitlines() if line.startswith('E: ')] or ['mmdebstrap failed']
        shutil.rmtree(root, ignore_errors=True)
        raise Unavailable(re.sub(r'https?://\S+', 'the archive', errors[0][3:]))


def make_links_relative(root):
    """An absolute link leads out of a root that is not entered."""
    for folder, folders, files in os.walk(root):
        for path in (os.path.join(folder, name) for name in folders + files):
            link = os.readlink(path) if os.path.islink(path) else ''
            if link.startswith('/'):
                os.unlink(path)
                os.symlink(os.path.relpath(root + link, folder), path)


def find(root, name):
    for folder in ('lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu', 'lib64', 'usr/lib64', 'lib', 'usr/lib'):
        path = os.path.join(root, folder, name)
        if os.path.exists(path):
            return path
    return None


def build_mkleak(root, path):
    """mkleak, of this source, with the C library of a root that has its -dev package: new symbols are not asked for."""
    libraries = os.path.join(root, 'usr/lib/x86_64-linux-gnu') # a distribution's gcc looks into the machine's own first
    made = subprocess.run(['gcc', f'--sysroot={root}', f'-B{libraries}', f'-L{libraries}', '-O2', '-w', '-D_GNU_SOURCE',
                           '-Dstrerrorname_np=strerror', # since glibc 2.32
                           f'-I{SOURCE}/daemon', f'-I{SOURCE}/tests',
                           '-o', path, *mkleak_sources(SOURCE), '-pthread', '-lrt'], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Unavailable('mkleak cannot be built against it: ' + (made.stderr.splitlines() or ['failed'])[-1])


class Jail:
    """A folder with a program and its libraries, and nothing else; gone while the program runs."""

    def __init__(self, root, program):
        self.folder = tempfile.mkdtemp(prefix='plateau-matrix-')
        for name in LIBRARIES:
            path = find(root, name)
            for into in ('lib64', 'lib/x86_64-linux-gnu'):
                os.makedirs(os.path.join(self.folder, into), exist_ok=True)
                if path:
                    shutil.copy(path, os.path.join(self.folder, into, name))
        os.mkdir(os.path.join(self.folder, 'proc'))
        shutil.copy(program, os.path.join(self.folder, 'mkleak'))

    def start(self, *args, env=None):
        t = Target('unshare', '--mount', '--pid', '--fork', '--kill-child', f'--mount-proc={self.folder}/proc', 'chroot', self.folder, '/mkleak', *args, env=env)
        t.pid = wait_until('the program in its PID namespace', lambda: children(t.process.pid))[0]
        for top in set(os.listdir(self.folder)) - {'proc'}: # to remove what is mounted on elsewhere would unmount it
            path = os.path.join(self.folder, top)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        with open(f'/proc/{t.pid}/maps', encoding='utf-8') as f:
            assert '(deleted)' in f.read(), 'the C library is still there'
        return t

    def done(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def get_roots(opts, folder):
    """(name, root or None, reason), of opts.releases and opts.add: the first is made with what programs are built against it with."""
    for i, release in enumerate(opts.releases):
        root = os.path.join(folder, release)
        try:
            if not os.path.isdir(root):
                fetch(release, root, ['libc6', 'libc6-dev'] if i == 0 else ['libc6'])
                make_links_relative(root)
            yield release, root, None
        except (Unavailable, subprocess.TimeoutExpired) as e:
            yield release, None, str(e)
    for text in opts.add:
        name, path = text.split('=', 1)
        yield name, os.path.abspath(path), None
