#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whose memory is purged: the allocator that a program's malloc leads to, however it got there; and who is refused, and why.

Programs are built here, each with a real allocator in one of the ways that programs have one: preloaded, linked in whatever
order, linked into the program, under a prefix, in a static program. `--rust FEATURE...` builds Rust programs with these
allocators (tests/targets/rust/Cargo.toml), which takes minutes each.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tap
from lib import Skip, need
from probelib import Probe, Target, mkleak_sources

PROBE, SOURCE, MKLEAK = sys.argv[1:4]
RUST = sys.argv[sys.argv.index('--rust') + 1:] if '--rust' in sys.argv else ['jemalloc']
TARGETS = os.path.join(SOURCE, 'tests', 'targets')
LIBRARIES = '/usr/lib/x86_64-linux-gnu/'
MIB = 1 << 20
MKLEAKS = ('fpu', 'errno-keeper', 'mask-keeper', 'epoll-eintr', 'allocator-hot')
FOLDER = tempfile.TemporaryDirectory(prefix='plateau-allocators-')
built = {}


def library(pattern, package):
    found = sorted(glob.glob(LIBRARIES + pattern))
    if not found:
        raise Skip(f'{package} is not installed')
    return found[0]


def build(name, *arguments, compiler='gcc', source='allocleak.c'):
    """A program made of allocleak.c (once), or of other sources."""
    if name not in built:
        path = os.path.join(FOLDER.name, name)
        sources = [source] if isinstance(source, str) else source
        command = [compiler, '-O2', '-w', '-o', path, *(os.path.join(TARGETS, s) for s in sources), *arguments]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr
        built[name] = path
    return built[name]


def mkleak(name, *arguments):
    """mkleak, which looks at itself more closely, linked with an allocator."""
    include = (f'-I{SOURCE}/daemon', f'-I{SOURCE}/tests', '-D_GNU_SOURCE')
    return build(name, *include, '-pthread', *arguments, source=mkleak_sources(SOURCE))


def trim(target, want='ok', **kwargs):
    with Probe(PROBE) as probe:
        reply = probe.trim(target.pid, **kwargs)
    assert reply['result'] == want, reply
    assert not target.scratch_maps(), target.scratch_maps()
    status = target.ask('?')
    assert status['ok'] == '1' and status['bad'] == '0' and status['eintr'] == '0', status
    return reply


def purged(path, call, mib=30, allocator='', args=(), **kwargs):
    """It gives back mib at least, by that call."""
    with Target(path, *args, **kwargs) as t:
        r = trim(t)
        assert r['call'] == call and r['allocator'].startswith(allocator), r
        assert r['before'] - r['after'] > mib * MIB, r
        return r


def refused(path, result, words, args=(), **kwargs):
    with Target(path, *args, **kwargs) as t:
        r = trim(t, result)
        assert words in r['detail'], r
        return r


def preload(path):
    return {**os.environ, 'LD_PRELOAD': path}


def keeps_itself(path, **kwargs):
    """mkleak's own checks: registers, errno, mask, waits."""
    for name in MKLEAKS:
        with Target(path, name, **kwargs) as t:
            for _ in range(3):
                trim(t)
            if name != 'allocator-hot':
                assert t.ask('w')['ok'] == '1'


def test_link_order():
    """two allocators are linked: the first in the order of search is malloc, the other is left alone"""
    jemalloc = library('libjemalloc.so.2', 'libjemalloc2')
    order = '-Wl,--no-as-needed'
    purged(build('jemalloc-first', order, jemalloc, '-lc', '-pthread'), 'mallctl_purge', allocator='jemalloc')
    purged(build('libc-first', order, '-lc', jemalloc, '-pthread'), 'malloc_trim', allocator='glibc')
    try:
        tcmalloc = library('libtcmalloc_minimal.so.4', 'libtcmalloc-minimal4')
    except Skip:
        return
    purged(build('tcmalloc-first', order, tcmalloc, jemalloc, '-pthread'), 'ReleaseFreeMemory', 0)
    purged(build('jemalloc-before-tcmalloc', order, jemalloc, tcmalloc, '-pthread'), 'mallctl_purge')
    # a preloaded one comes before both
    purged(built['tcmalloc-first'], 'mallctl_purge', env=preload(jemalloc))


def test_mapped_but_not_used():
    """a plugin's allocator, loaded for itself alone: the program's own is purged"""
    path = build('plain', '-pthread', '-ldl')
    for pattern, package in (('libjemalloc.so.2', 'libjemalloc2'), ('libmimalloc.so.*', 'libmimalloc')):
        try:
            args = ['dlopen=' + library(pattern, package)]
        except Skip as skipped:
            print(f'# {skipped}')
            continue
        # Debian's jemalloc wants more static TLS than is spare by default (a tunable since glibc 2.33)
        env = {**os.environ, 'GLIBC_TUNABLES': 'glibc.rtld.optional_static_tls=32768'}
        purged(path, 'malloc_trim', allocator='glibc', args=args, env=env)
        purged(path, 'malloc_trim', allocator='glibc', args=[*args, 'threads=2'], env=env)


def test_two_libcs():
    """a second C library in a namespace of its own: whose malloc is which is not known"""
    refused(build('plain', '-pthread', '-ldl'), 'no_libc', 'two C libraries', args=['dlmopen=libm.so.6'])


def test_unknown_malloc():
    """a malloc of the program's own, or of a library that is not known: refused, and named"""
    refused(build('wrap', '-DWRAP', '-pthread', '-rdynamic'), 'other_malloc', '/wrap')
    source = os.path.join(FOLDER.name, 'audit.c')
    with open(source, 'w', encoding='ascii') as f:
        f.write('#include <stddef.h>\nvoid *__libc_malloc(size_t);\nvoid *malloc(size_t n) { return __libc_malloc(n); }\n')
    audit = build('libaudit.so', '-shared', '-fPIC', source=source)
    refused(MKLEAK, 'other_malloc', 'libaudit.so', args=['steady'], env=preload(audit))


def test_mimalloc():
    """mimalloc of any version: one heap is collected, many are not"""
    versions = sorted(glob.glob(LIBRARIES + 'libmimalloc.so.*'))
    if not versions:
        raise Skip('libmimalloc is not installed')
    for path in versions:
        purged(MKLEAK, 'mi_collect', 0, 'mimalloc', args=['fragment'], env=preload(path))
        refused(MKLEAK, 'other_malloc', 'threads', args=['fragment-threads'], env=preload(path))


def test_google_tcmalloc():
    """Google's tcmalloc (a stand-in): all of its free memory is asked for"""
    path = build('libtcmalloc-standin.so', '-shared', '-fPIC', source='standin-tcmalloc.c')
    purged(MKLEAK, 'ReleaseMemoryToSystem', allocator='tcmalloc', args=['fragment', 'size_mib=64'], env=preload(path))


def test_jemalloc_in_the_program():
    """jemalloc linked into a program: found in the symbols of its file; without those refused, or by exported ones"""
    archive = library('libjemalloc_pic.a', 'libjemalloc-dev')
    path = mkleak('mkleak-jemalloc', archive, '-lm', '-lstdc++', '-ldl')
    purged(path, 'mallctl_purge', 40, 'jemalloc', args=['fragment', 'size_mib=64'])
    purged(path, 'mallctl_purge', 40, 'jemalloc', args=['fragment-threads', 'size_mib=64'])
    keeps_itself(path)
    subprocess.run(['strip', '-o', path + '-stripped', path], check=True)
    refused(path + '-stripped', 'other_malloc', 'mkleak-jemalloc-stripped', args=['steady'])
    path = mkleak('mkleak-jemalloc-exported', archive, '-lm', '-lstdc++', '-ldl', '-rdynamic', '-s')
    purged(path, 'mallctl_purge', 40, 'jemalloc', args=['fragment', 'size_mib=64'])


def prefixed_jemalloc():
    """jemalloc's archive with the names that Redis builds it with."""
    archive = os.path.join(FOLDER.name, 'libjemalloc-je.a')
    if not os.path.exists(archive):
        names = ('malloc calloc realloc free posix_memalign aligned_alloc memalign valloc malloc_usable_size malloc_stats_print '
                 'mallctl mallctlbymib mallctlnametomib mallocx rallocx xallocx sallocx dallocx sdallocx nallocx malloc_conf '
                 'malloc_message').split()
        subprocess.run(['objcopy', *(f'--redefine-sym={n}=je_{n}' for n in names),
                        library('libjemalloc_pic.a', 'libjemalloc-dev'), archive], check=True)
    return archive


def test_prefixed_jemalloc():
    """jemalloc under je_ beside glibc: both are purged"""
    archive = prefixed_jemalloc()
    path = build('je', '-DPREFIX=je_', archive, '-pthread', '-lm', '-ldl')
    for args in ([], ['threads=2']):
        r = purged(path, 'malloc_trim + mallctl_purge', 30, 'glibc', args)
        assert ' + jemalloc' in r['allocator'], r
    # exported ones do where the file has no others
    path = build('je-exported', '-DPREFIX=je_', archive, '-pthread', '-lm', '-ldl', '-rdynamic', '-s')
    purged(path, 'malloc_trim + mallctl_purge', 30, 'glibc')
    # and a library of the program's may have it
    library_path = build('libje.so', '-shared', '-fPIC', '-Wl,--whole-archive', archive, '-Wl,--no-whole-archive',
                         '-pthread', '-lm', '-lstdc++', source=[])
    path = build('je-library', '-DPREFIX=je_', library_path, '-pthread', f'-Wl,-rpath,{FOLDER.name}')
    purged(path, 'malloc_trim + mallctl_purge', 30, 'glibc')


def test_tcmalloc_in_the_program():
    """gperftools linked into a program: its own purge is called; without symbols it is refused"""
    archive = library('libtcmalloc_minimal.a', 'libgoogle-perftools-dev')
    path = mkleak('mkleak-tcmalloc', '-Wl,--whole-archive', archive, '-Wl,--no-whole-archive', '-lstdc++', '-lm')
    purged(path, 'ReleaseFreeMemory', 0, 'gperftools', args=['fragment', 'size_mib=64'])
    keeps_itself(path)


def test_static_jemalloc():
    """a static program with jemalloc: refused, and named"""
    archive = library('libjemalloc.a', 'libjemalloc-dev')
    path = build('static-jemalloc', '-static', '-DSTATIC', archive, '-pthread', '-lm')
    refused(path, 'other_malloc', 'jemalloc')


def test_musl():
    """musl, dynamic or static: it has nothing that gives memory back, and that is said"""
    need('musl-gcc')
    refused(build('musl', compiler='musl-gcc'), 'other_malloc', 'musl')
    refused(build('musl-threads', compiler='musl-gcc'), 'other_malloc', 'musl', args=['threads=2'])
    refused(build('musl-static', '-static', '-DSTATIC', compiler='musl-gcc'), 'other_malloc', 'musl')
    subprocess.run(['strip', '-o', built['musl-static'] + '-stripped', built['musl-static']], check=True)
    refused(built['musl-static'] + '-stripped', 'no_libc', 'stripped')


@tap.deadline(180)
def test_go():
    """a Go program has a memory manager of its own, and no C library"""
    go = shutil.which('go') or '/usr/local/go/bin/go'
    if not os.path.exists(go):
        raise Skip('go is not installed')
    source = os.path.join(FOLDER.name, 'main.go')
    with open(source, 'w', encoding='ascii') as f:
        f.write('package main\nimport ("fmt"; "io"; "os")\nfunc main() { fmt.Println("ready go"); buf := make([]byte, 1)\n'
                'for { if n, err := os.Stdin.Read(buf); n == 0 || err == io.EOF { return }\n'
                'fmt.Println("status ok=1 bad=0 eintr=0") } }\n')
    for flags in ([], ['-ldflags', '-s -w']):
        path = os.path.join(FOLDER.name, 'go-program')
        env = {**os.environ, 'CGO_ENABLED': '0', 'GOCACHE': FOLDER.name + '/go-cache', 'GOFLAGS': '-mod=mod', 'GO111MODULE': 'off'}
        subprocess.run([go, 'build', *flags, '-o', path, source], check=True, env=env, cwd=FOLDER.name)
        refused(path, 'no_libc', 'Go')


def own_libc(folder):
    """A copy of mkleak's libraries; the loader's path."""
    listing = subprocess.run(['ldd', MKLEAK], capture_output=True, text=True, check=True).stdout
    loader = ''
    for path in re.findall(r'(/\S+) \(0x', listing):
        copy = os.path.join(folder, os.path.basename(path))
        shutil.copy(path, copy)
        if os.path.basename(path).startswith('ld-'):
            loader = copy
    return loader


def test_deleted_libc():
    """the C library's file is gone, or another one by now, as after an upgrade: what it has in memory is what counts"""
    for how in ('removed', 'replaced'):
        for name, thread in (('fragment', 'borrowed'), ('fragment-threads', 'own')):
            with tempfile.TemporaryDirectory() as folder:
                loader = own_libc(folder)
                shutil.copy(MKLEAK, folder + '/program')
                with Target(loader, '--library-path', folder, folder + '/program', name, 'size_mib=64') as t:
                    for path in os.listdir(folder):
                        if how == 'replaced':
                            with open(os.path.join(folder, 'new'), 'wb') as f:
                                f.write(b'\x7fELF of another build' * 1000)
                            os.rename(os.path.join(folder, 'new'), os.path.join(folder, path))
                        else:
                            os.unlink(os.path.join(folder, path))
                    with open(f'/proc/{t.pid}/maps', encoding='utf-8') as f:
                        assert 'libc.so.6 (deleted)' in f.read()
                    r = trim(t)
                    assert r['thread'] == thread and r['allocator'].startswith('glibc 2.'), r
                    assert r['before'] - r['after'] > 40 * MIB, r


@tap.deadline(2400)
def test_rust():
    """Rust programs: Rust's allocator and C's, each by its own call"""
    cargo = shutil.which('cargo')
    if not cargo:
        raise Skip('cargo is not installed')
    expected = {'jemalloc': ('glibc', 'malloc_trim + mallctl_purge', 55), 'jemalloc-unprefixed': ('jemalloc', 'mallctl_purge', 55),
                'mimalloc': ('glibc', 'malloc_trim', 15), 'tcmalloc': ('glibc', 'malloc_trim + ReleaseMemoryToSystem', 15)}
    for feature in RUST:
        folder = os.path.join(FOLDER.name, 'rust-' + feature)
        shutil.copytree(TARGETS + '/rust', folder)
        made = subprocess.run([cargo, 'build', '-q', '--release', '--features', feature], cwd=folder, capture_output=True, text=True,
                              check=False, env={**os.environ, 'CARGO_TARGET_DIR': folder + '/target'})
        if made.returncode:
            raise Skip(f'cargo cannot build it here: {made.stderr.strip().splitlines()[-1] if made.stderr else made.returncode}')
        allocator, call, mib = expected[feature]
        for threads in ('0', '3'):
            with Target(folder + '/target/release/rustleak', threads) as t, Probe(PROBE) as probe:
                r = probe.trim(t.pid)
                assert r['result'] == 'ok' and r['call'] == call and r['allocator'].startswith(allocator), r
                assert r['before'] - r['after'] > mib * MIB, r


if __name__ == '__main__':
    try:
        tap.main(globals())
    finally:
        FOLDER.cleanup()
