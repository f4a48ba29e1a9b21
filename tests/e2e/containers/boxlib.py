# SPDX-License-Identifier: Apache-2.0
"""What the tests with containers and with a virtual machine share: packages, a cache, a release build.

What takes long to make lies in ${PLATEAU_E2E_CACHE:-${XDG_CACHE_HOME:-~/.cache}/plateau-e2e}, outside of the tree, and is
used again: a base image, an image store with the builder's layers, a kernel, a release build without sanitizers.
"""
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(SOURCE / 'tests' / 'integration'))
from lib import Skip # noqa: E402


def cache(*names):
    """A path in the cache; its folder is there."""
    root = os.environ.get('PLATEAU_E2E_CACHE')
    if not root:
        root = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'plateau-e2e')
    path = pathlib.Path(root, *names)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def run(*argv, deadline_s=60, ok=True, **kwargs):
    """Standard output of a program that must succeed; else its last words."""
    r = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       errors='replace', timeout=deadline_s, **kwargs)
    if ok and r.returncode != 0:
        raise AssertionError(f'{" ".join(map(str, argv[:4]))} ... ended with {r.returncode}: {(r.stdout + r.stderr)[-1500:]}')
    return r.stdout


def need(**programs):
    """need(podman='podman', cpio='cpio'): each program is there, or installed now from its package, or the test skips."""
    missing = {p: pkg for p, pkg in programs.items() if not shutil.which(p.replace('_', '-'), path=PATH)}
    if not missing:
        return
    names = ', '.join(p.replace('_', '-') for p in missing)
    if os.geteuid() != 0 or not shutil.which('apt-get') or os.environ.get('PACKAGES_INSTALL') == 'no':
        raise Skip(f'not installed: {names}')
    r = subprocess.run(['apt-get', 'install', '-y', '-q', '--no-install-recommends', *missing.values()],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       env={**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}, timeout=600)
    if r.returncode != 0:
        raise Skip(f'apt-get cannot install what has {names}: {r.stderr.strip()[-200:]}')


PATH = os.environ.get('PATH', '') + ':/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/podman' # netavark is in the last


locks = [] # kept open


def release_build():
    """Folder where plateau is built as it is shipped; ASan's shadow memory is more than a small machine has. It is ours until
    this process ends: another tree's run builds its own there after that."""
    if not locks:
        locks.append(open(cache('build-release.lock'), 'w', encoding='ascii'))
        fcntl.flock(locks[0], fcntl.LOCK_EX)
    build = cache('build-release')
    if not (build / 'build.ninja').exists():
        shutil.rmtree(build, ignore_errors=True)
        run('meson', 'setup', build, SOURCE, '--buildtype=release', '-Dtests=false', deadline_s=300)
    else: # it may be another tree's
        r = subprocess.run(['meson', 'introspect', '--buildsystem-files', str(build)], capture_output=True, text=True)
        if str(SOURCE / 'meson.build') not in r.stdout:
            shutil.rmtree(build)
            run('meson', 'setup', build, SOURCE, '--buildtype=release', '-Dtests=false', deadline_s=300)
    run('ninja', '-C', build, deadline_s=900)
    return build / 'daemon'


def libraries(*programs):
    """Paths of all shared objects that these are linked with, the loader among them."""
    found = set()
    for p in programs:
        for line in run('ldd', p).splitlines():
            found.update(w for w in line.split() if w.startswith('/'))
    return sorted(found)
