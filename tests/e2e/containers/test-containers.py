# SPDX-License-Identifier: Apache-2.0
"""Our image beside a leaking main container, for each kind of access that a sidecar may have: test-containers.py MKGROW

The main container frees nearly all that it allocates, 3 MB/s in pieces that stay with it: killed at its limit without us.
Where the sidecar may call into it, seven parts of eight come back (the eighth lies on pages with something in use).
"""
import concurrent.futures
import functools
import gzip
import os
import re
import sys
import tarfile

from podlib import Pod, Podman

import tap
from lib import get, wait_until

MKGROW = os.path.abspath(sys.argv[1]) # what copies it is elsewhere
MIB = 1 << 20
GROW = 'fragment-trimmable 6 step_kib=512'
IMAGE_MAX_BYTES = 10 * 1000 * 1000
# What a resourceFieldRef to the main container gives; podman takes the sidecar's own limit, whatever containerName says.
LIMIT_BY_ENVIRONMENT = f'{{name: PLATEAU_LIMIT_BYTES, value: "{96 * MIB}"}}'


# All run beside each other, from the first test that looks at one: what takes time is their growth. So those that nobody
# holds are looked at first.
PODS = {
    'alone': {},
    'same user': {'uid': 1000},
    'same root': {'uid': 0, 'main_uid': 0},
    'capability': {'uid': 0, 'add': 'SYS_PTRACE'},
    'capability, root': {'uid': 0, 'add': 'SYS_PTRACE', 'main_uid': 0, 'main_drop': ''},
    'file capability': {'uid': 65532, 'add': 'SYS_PTRACE', 'target': 'filecap'},
    'file capability, root': {'uid': 65532, 'add': 'SYS_PTRACE', 'target': 'filecap', 'main_uid': 0, 'main_drop': ''},
    'unknown filter': {'uid': 1000, 'seccomp': 'false'},
    'no access': {'uid': 65532, 'env': LIMIT_BY_ENVIRONMENT},
    'file capability, not allowed': {'uid': 65532, 'target': 'filecap'},
    'limit moves': {'uid': 1000, 'grow': 'fill 1 step_kib=4 base_mib=48'},
}


@functools.lru_cache(maxsize=None)
def prepared():
    """The store with its images, or why there is none: made once, and once only if it cannot be made."""
    try:
        p = Podman()
        p.images(MKGROW)
        return p
    except Exception as e: # raised again by each test
        return e


def podman():
    p = prepared()
    if isinstance(p, Exception):
        raise p
    return p


@functools.lru_cache(maxsize=None)
def started():
    """{name: Pod}, each started, or the exception that it began with."""
    podman().pods = [Pod(podman(), **{'grow': GROW, **more}) for more in PODS.values()]

    def start(pod):
        try:
            pod.start()
            return pod
        except Exception as e: # raised again by its test
            return e
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        return dict(zip(PODS, threads.map(start, podman().pods)))


def pod_of(name):
    p = started()[name]
    if isinstance(p, Exception):
        raise p
    return p


@tap.deadline(2400)
def test_image():
    """every program starts in the image, as a user who is not root, and it is small"""
    for target in ('plain', 'filecap'):
        image = f'localhost/plateau-test:{target}'
        for program in ('/usr/sbin/plateaud', '/usr/bin/plateau'):
            said = podman().podman('run', '--rm', '--entrypoint', program, image, '--version')
            assert re.match(r'plateaud? \d', said), said
        user = podman().podman('image', 'inspect', '--format', '{{.Config.User}}', image).strip()
        assert user == '65532:65532', user
        path = f'{podman().dir.name}/{target}.tar'
        podman().podman('save', '-o', path, image)
        with tarfile.open(path) as tar:
            layers = [m for m in tar.getmembers() if m.isfile() and m.size > 100000]
            n = sum(len(gzip.compress(tar.extractfile(m).read())) for m in layers)
        print(f'# {target}: {n / 1e6:.2f} MB compressed')
        assert 1e6 < n <= IMAGE_MAX_BYTES, n


def is_held(pod):
    """Reclaimed three times, which is more than the limit holds: it would have been killed between them."""
    probe = pod.events('probe.ready')[0]
    done = pod.events('reclaim.done', 3, 180)
    assert all(e['result'] == 'ok' and e['released_bytes'] > 8 * MIB for e in done), done
    assert pod.events('alert.act')
    t = pod.target()
    assert t['limit']['bytes'] == pod.limit, t['limit']
    assert t['sample']['cgroup']['events_oom_kill'] == 0, t['sample']['cgroup']
    assert pod.state() == (True, 0), pod.state()
    _, _, body = get(f'http://127.0.0.1:{pod.port}/metrics')
    assert b'plateau_up' in body or b'plateau_' in body, body[:500]
    return probe


@tap.deadline(240)
def test_no_access():
    """another user without the capability watches by the Downward API's limit, alerts, and says what would help"""
    with pod_of('no access') as pod:
        said = pod.events('smaps.denied')[0]['message']
        assert 'uid 1000' in said and 'uid 65532' in said and 'CAP_SYS_PTRACE' in said, said
        t = wait_until('a sample', lambda: (lambda t: t if (t['sample'] or {}).get('rss_bytes') else None)(pod.target()))
        assert t['sample']['rss_bytes'] > 8 * MIB, t
        assert t['limit']['bytes'] == pod.limit and t['limit']['source'] == 'environment', t['limit']
        assert pod.events('alert.act')


@tap.deadline(240)
def test_file_capability_not_allowed():
    """a probe with a file capability that its container may not have cannot start: it says so and watches"""
    with pod_of('file capability, not allowed') as pod:
        pod.events('daemon.ready')
        said = [e for e in pod.log() if e['event'].startswith('probe.') and e['event'] != 'probe.ready']
        assert said, pod.log()
        assert pod.target()['pid'], pod.target()


@tap.deadline(240)
def test_limit_moves():
    """a limit that is changed while it runs is seen, and what was decided by the old one is decided anew"""
    with pod_of('limit moves') as pod:
        pod.events('alert.act') # 48 of 96
        pod.podman.podman('update', '--memory', '256m', '--memory-swap', '-1', f'{pod.name}-main')
        wait_until('the new limit', lambda: pod.target()['limit']['bytes'] == 256 * MIB, 40)
        pod.events('alert.resolve')
        assert pod.state() == (True, 0)


@tap.deadline(240)
def test_unknown_filter():
    """a seccomp filter that it cannot read: nothing is called unless the settings allow it, and it says so"""
    with pod_of('unknown filter') as pod:
        done = pod.events('reclaim.done')[0]
        assert done['result'] == 'refused' and 'allow_seccomp' in done['detail'], done


@tap.deadline(240)
def test_doctor():
    """doctor says for each kind of access what it allows, and what would help"""
    for name, tier in (('no access', 'status'), ('unknown filter', 'call'), ('same user', 'call'), ('same root', 'call'),
                       ('capability', 'call'), ('capability, root', 'call'), ('file capability', 'call'),
                       ('file capability, root', 'call')):
        print(f'# -- {name}')
        with pod_of(name) as pod:
            found, got = pod.doctor()
            assert got == tier, (name, got, found)
            if name == 'no access':
                assert 'runAsUser: 1000' in found['access/read']['change'], found
                continue
            assert found['sources/cgroup']['mark'] == found['sources/limit']['mark'] == 'good', found
            may = found['reclaim/seccomp']
            assert may['mark'] == ('half' if name == 'unknown filter' else 'good'), may
            if may['mark'] == 'half':
                assert 'allow_runtime_seccomp: true' in may['change'], may


@tap.deadline(240)
def test_same_user():
    """the same user, no capability: held"""
    with pod_of('same user') as pod:
        assert is_held(pod)['uid'] == 1000


@tap.deadline(240)
def test_same_root():
    """both root, neither with a capability: held"""
    with pod_of('same root') as pod:
        assert is_held(pod)['uid'] == 0


@tap.deadline(240)
def test_capability():
    """root with no capability but SYS_PTRACE, beside another user: held"""
    with pod_of('capability') as pod:
        assert is_held(pod)['uid'] == 0


@tap.deadline(240)
def test_capability_beside_root():
    """root with no capability but SYS_PTRACE, beside a root that has the runtime's: held"""
    with pod_of('capability, root') as pod:
        assert is_held(pod)['uid'] == 0


@tap.deadline(240)
def test_file_capability():
    """another user, whose probe has SYS_PTRACE from its file: held"""
    with pod_of('file capability') as pod:
        assert is_held(pod)['uid'] == 65532


@tap.deadline(240)
def test_file_capability_beside_root():
    """the same beside a root that has the runtime's capabilities: held"""
    with pod_of('file capability, root') as pod:
        assert is_held(pod)['uid'] == 65532


@tap.deadline(240)
def test_killed():
    """without the sidecar, or where it may not call into the process, the kernel kills it at its limit"""
    for name in ('alone', 'no access', 'unknown filter'):
        with pod_of(name) as pod:
            wait_until('its end', lambda: not pod.state()[0], 180)
            assert pod.state()[1] == 137, (name, pod.state())
            log = pod.log() if name != 'alone' else []
            assert not [e for e in log if e['event'] == 'reclaim.done' and e['result'] == 'ok'], log


if __name__ == '__main__':
    tap.main(globals())
