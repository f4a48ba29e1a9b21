# SPDX-License-Identifier: Apache-2.0
"""The daemon under cgroup v2, on a real kernel: test-cgroup-v2.py MKGROW [--record FOLDER]

Debian's kernel boots in an emulated machine (no KVM wanted) with an initramfs of busybox, plateau and its targets; /init
below runs the scenario and writes what it sees to the serial console, and the tests look at that. One boot for all.
--record writes the cgroup files as they were to FOLDER: tests/fixtures/cgroup/v2-live is made so.
"""
import functools
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

from boxlib import PATH, Skip, cache, libraries, need, release_build, run

import tap

MKGROW = sys.argv[1]
MIB = 1 << 20
LIMIT = 64 * MIB
BOOT_DEADLINE_S = 480 # it takes about 60 s, most of it waiting for memory to grow; a busy machine emulates slowly

CONFIG = '''
targets: [{name: kept, match: {pidfile: /tmp/kept.pid}}]
sample: {interval_max: 2s, survey_interval: 1s}
policy:
  startup_grace: 0s
  alert: {used: 40%, for: 0s}
  reclaim: {used: 55%, for: 0s, cooldown: 10s, lasts: 1s, settle: 0s, find_timeout: 5s}
socket: /tmp/kept.sock
log: {format: json}
'''
# Looks every ten minutes: what it sees before, the kernel has told it to see.
CONFIG_WOKEN = '''
targets: [{name: woken, match: {pidfile: /tmp/woken.pid}}]
sample: {interval: 10m, survey_budget: 0}
policy: {startup_grace: 0s, alert: {used: 40%, for: 0s}, reclaim: {enabled: false}}
socket: /tmp/woken.sock
log: {format: json}
'''

INIT = '''#!/bin/busybox sh
export PATH=/bin:/usr/bin:/usr/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
group() { # NAME FILE=VALUE... - with one process of mkgrow's in it
        mkdir /sys/fs/cgroup/$1; mkfifo /tmp/$1.fifo
        for set in $2; do echo ${set#*=} > /sys/fs/cgroup/$1/${set%%=*}; done
        sh -c "echo \\$\\$ > /sys/fs/cgroup/$1/cgroup.procs; exec 3<>/tmp/$1.fifo
                exec mkgrow $3 <&3 >/tmp/$1.out" &
        until grep -q ready /tmp/$1.out 2>/dev/null; do sleep 0.1; done
        sed 's/.*pid=//' /tmp/$1.out > /tmp/$1.pid
}
dump() { echo "@@ $1"; cat $2; echo; echo "@@ end"; }
file() { for f in $1; do dump $f $f; done; }

group kept memory.max=@LIMIT@ "fragment-trimmable 4 step_kib=512"
plateaud --config /etc/kept.yaml 2>/tmp/kept.log &
group killed memory.max=@LIMIT@ "fragment-trimmable 4 step_kib=512"
group woken "memory.max=@LIMIT@ memory.high=50331648" "leak-mmap 8 step_kib=512"
plateaud --config /etc/woken.yaml 2>/tmp/woken.log &

n=0
until grep -q 'oom_kill 1' /sys/fs/cgroup/killed/memory.events && grep -q alert.act /tmp/woken.log &&
        [ $(grep -c '"event":"reclaim.done"' /tmp/kept.log) -ge 3 ] || [ $n -gt 120 ]; do sleep 1; n=$((n + 1)); done
for name in kept woken; do plateau --version >/dev/null; plateau status --json --socket /tmp/$name.sock > /tmp/$name.json; done
dump kept.json /tmp/kept.json; dump woken.json /tmp/woken.json
dump kept.log /tmp/kept.log; dump woken.log /tmp/woken.log
cd /sys/fs/cgroup
file "killed/memory.events woken/memory.events"
file "kept/cgroup.events kept/cgroup.procs kept/memory.current kept/memory.events kept/memory.high kept/memory.max"
file "kept/memory.peak kept/memory.pressure kept/memory.stat kept/memory.swap.current"
dump version /proc/version
echo "@@ done"
poweroff -f
'''


def kernel():
    """Path of a kernel of Debian's, downloaded once."""
    machine = {'x86_64': 'amd64'}.get(platform.machine())
    if not machine:
        raise Skip(f'the emulated machine is an x86_64, this one {platform.machine()}')
    kept = sorted(cache('kernel', 'x').parent.glob('vmlinuz-*'))
    if kept:
        return kept[-1]
    if not shutil.which('apt-get'):
        raise Skip('no apt-get: no kernel package')
    said = run('apt-cache', 'depends', f'linux-image-cloud-{machine}', ok=False)
    name = re.search(r'Depends: (linux-image-[0-9]\S+)', said)
    if not name:
        raise Skip(f'the archive has no linux-image-cloud-{machine}')
    with tempfile.TemporaryDirectory(prefix='plateau-kernel-') as d:
        os.chmod(d, 0o755) # apt downloads as a user of its own
        r = subprocess.run(['apt-get', 'download', name[1]], cwd=d, capture_output=True, text=True, timeout=300)
        debs = list(pathlib.Path(d).glob('*.deb'))
        if r.returncode != 0 or not debs:
            raise Skip(f'{name[1]} cannot be downloaded: {r.stderr.strip()[-200:]}')
        run('dpkg', '-x', debs[0], f'{d}/x')
        image = next(pathlib.Path(d, 'x', 'boot').glob('vmlinuz-*'))
        part = cache('kernel', image.name + '.part')
        shutil.copy(image, part)
        return part.rename(cache('kernel', image.name))


def make_root(root):
    built = release_build()
    programs = {built / 'plateaud': 'usr/sbin/plateaud', built / 'plateau': 'usr/bin/plateau',
                built / 'plateau-probe': 'usr/sbin/plateau-probe', MKGROW: 'usr/bin/mkgrow',
                shutil.which('busybox', path=PATH): 'bin/busybox'}
    for d in ('bin', 'proc', 'sys', 'dev', 'tmp', 'etc', 'run/plateau'):
        (root / d).mkdir(parents=True)
    copies = dict(programs)
    copies.update({lib: lib.lstrip('/') for lib in libraries(built / 'plateaud', built / 'plateau',
                                                             built / 'plateau-probe', MKGROW)})
    for source, target in copies.items():
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, root / target)
    (root / 'etc/kept.yaml').write_text(CONFIG)
    (root / 'etc/woken.yaml').write_text(CONFIG_WOKEN)
    (root / 'init').write_text(INIT.replace('@LIMIT@', str(LIMIT)))
    (root / 'init').chmod(0o755)


@functools.lru_cache(maxsize=None)
def boot():
    """{name: text} of what the machine wrote; the reason, if it cannot be had here."""
    try:
        need(qemu_system_x86_64='qemu-system-x86', cpio='cpio', busybox='busybox-static', ldd='libc-bin')
        image = kernel()
    except Skip as e:
        return str(e)
    with tempfile.TemporaryDirectory(prefix='plateau-vm-') as d:
        root = pathlib.Path(d, 'root')
        make_root(root)
        run('sh', '-c', f'cd {root} && find . | cpio -o -H newc --quiet | gzip -1 > {d}/initrd', deadline_s=120)
        argv = ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '1024', '-smp', '2',
                '-nographic', '-no-reboot', '-nic', 'none', '-kernel', str(image), '-initrd', f'{d}/initrd',
                '-append', 'console=ttyS0 quiet panic=-1 psi=1']
        try:
            said = run(*argv, deadline_s=BOOT_DEADLINE_S)
        except subprocess.TimeoutExpired as e:
            raise AssertionError('it did not end: ' + (e.stdout or b'')[-3000:].decode(errors='replace')) from None
    said = said.replace('\r', '')
    out = dict(re.findall(r'^@@ (\S+)\n(.*?)\n?\n@@ end$', said, re.M | re.S))
    assert '@@ done' in said, said[-3000:]
    return out


def seen():
    out = boot()
    if isinstance(out, str):
        raise Skip(out)
    return out


def events(name):
    lines = (line for line in seen()[name].splitlines() if line.startswith('{'))
    return [json.loads(line) for line in lines]


def target(name):
    return json.loads(seen()[name + '.json'])['targets'][0]


def counts(path):
    return {k: int(v) for k, v in (line.split() for line in seen()[path].splitlines() if line)}


@tap.deadline(1200)
def test_figures():
    """limit, usage, events and pressure are read, as the kernel has them"""
    t = target('kept')
    assert t['limit']['bytes'] == LIMIT, t['limit']
    c = t['sample']['cgroup']
    assert c['version'] == 2 and 0 < c['current_bytes'] <= LIMIT, c
    assert c['events_oom_kill'] == counts('kept/memory.events')['oom_kill'] == 0, c
    assert 0 <= c['pressure_some_avg10_ratio'] <= 1 and 0 <= c['pressure_full_avg10_ratio'] <= 1, c


def test_unwatched_is_killed():
    """without plateau the kernel kills it at the limit"""
    assert counts('killed/memory.events')['oom_kill'] == 1


def test_kept():
    """with plateau the same program alerts, is reclaimed again and again, and is not killed"""
    done = [e for e in events('kept.log') if e['event'] == 'reclaim.done']
    assert len(done) >= 3, events('kept.log')[-20:]
    assert [e for e in events('kept.log') if e['event'] == 'alert.act']
    assert all(e['released_bytes'] > 8 * MIB for e in done), done
    assert counts('kept/memory.events')['oom_kill'] == 0
    # It may touch the limit once (max 1): huge pages that a trim freed in part stay charged until the kernel splits
    # them, which it does there. With transparent_hugepage=never it does not come near.
    assert counts('kept/memory.events')['oom'] == 0


def test_woken():
    """an event of memory.events wakes a daemon that would look in ten minutes"""
    t = target('woken')
    assert t['sampling']['alarm'] == 'events', t['sampling']
    assert counts('woken/memory.events')['high'] > 0
    assert t['counters']['alarms_total'] >= 1, t['counters']
    assert [e for e in events('woken.log') if e['event'] == 'alert.act'], events('woken.log')


if __name__ == '__main__':
    if '--record' in sys.argv:
        folder = pathlib.Path(sys.argv[sys.argv.index('--record') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in seen().items():
            if path.startswith('kept/'):
                (folder / path.split('/')[1]).write_text(text.rstrip('\n') + '\n')
        print(seen()['version'])
        sys.exit(0)
    tap.main(globals())
