#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What may happen to a pod's workload, replacement, slot and peers while it is rotated, on a real control plane: scene.py."""
import json
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap # pylint: disable=wrong-import-position
from faults import evicts # pylint: disable=wrong-import-position
from fleet import DEPLOY, main as fleet_main # pylint: disable=wrong-import-position
from kubelet import Container # pylint: disable=wrong-import-position
from scene import Scene, Stage, together # pylint: disable=wrong-import-position



class World:
    """What all tests share."""
    stage = None


def run(f, *args):
    return f(*args)


# ---- the Deployment ----

def rolled():
    """While detached: the label would lead back to a ReplicaSet that goes."""
    with Scene(World.stage, 'rolled') as s:
        with s.at('wait_ready'):
            s.deployment({'spec': {'template': {'metadata': {'annotations': {'example.com/roll': '1'}}}}})
            s.wait('another ReplicaSet has a pod', lambda: len(s.seen) >= 3)
        s.ends_well(replacements=2) # of the old ReplicaSet and of the new one
        assert s.pod.container('app').restarts == 0


def scaled_to_zero():
    with Scene(World.stage, 'zero') as s:
        with s.at('wait_ready'):
            s.deployment({'spec': {'replicas': 0}})
            s.wait_gone(s.victim)
        s.wait('none is left', lambda: not s.names())
        assert ('unready', 'unwanted') in s.history(), s.history()


def paused(when):
    with Scene(World.stage, f'paused-{when}') as s:
        if when == 'before':
            s.deployment({'spec': {'paused': True}})
            s.kill() # what was read at the start is believed for some seconds
            s.start()
            s.ends_well()
            assert 'surging' not in [state for state, _ in s.history()], s.history()
        else:
            with s.at('wait_ready'):
                s.deployment({'spec': {'paused': True}})
            s.ends_well()


def deployment_deleted():
    """The cascade takes the detached pod, too."""
    with Scene(World.stage, 'deleted') as s:
        with s.at('wait_ready'):
            s.api.delete(s.apps('deployments', s.name), {'propagationPolicy': 'Background'})
            s.wait('none is left', lambda: not s.names())


def namespace_deleted():
    with Scene(World.stage, 'namespace') as s:
        with s.at('wait_ready'):
            s.api.delete(s.path(''))
            s.wait('it is gone', lambda: s.api.ask('GET', s.path(''))[0] == 404)


@tap.deadline(300)
def test_workload():
    """Rolled, scaled to zero, paused, deleted, namespace deleted while a pod is detached."""
    together(run, [(rolled,), (scaled_to_zero,), (paused, 'before'), (paused, 'detached'), (deployment_deleted,),
                   (namespace_deleted,)])


# ---- the replacement ----

def taken_back(s, replacements):
    """As it was: the ReplicaSet has it again, what was too much is gone, it serves."""
    s.wait_state('normal')
    s.is_whole(replacements)
    pod = s.object()
    assert pod and pod['metadata']['labels'].get('pod-template-hash') and s.ready() == [s.victim], pod
    assert [o['kind'] for o in pod['metadata']['ownerReferences'] if o.get('controller')] == ['ReplicaSet'], pod['metadata']
    assert [o['kind'] for o in pod['metadata']['ownerReferences']] == ['ReplicaSet'], pod['metadata']
    assert not {k for k in pod['metadata'].get('annotations', {}) if k in ('plateau.dev/deadline', 'plateau.dev/state')}
    assert s.pod.container('app').restarts == 0


def pending():
    with Scene(World.stage, 'pending', config={'replace_timeout': '10s'}) as s:
        with s.at('wait_ready'):
            s.wait_history('aborting', 60)
            taken_back(s, 1)
        assert ('aborting', 'replacement_late') in s.history(), s.history()


def quota():
    """FailedCreate: the ReplicaSet may have no other pod."""
    with Scene(World.stage, 'quota', config={'replace_timeout': '2m'}) as s:
        s.api.post(s.path('resourcequotas'), {'metadata': {'name': 'pods'}, 'spec': {'hard': {'pods': '1'}}})
        s.wait('the quota counts', lambda: s.api.get(s.path('resourcequotas', 'pods')).get('status', {}).get('used'))
        s.start()
        s.wait_history('aborting', 60)
        taken_back(s, 0)
        assert ('aborting', 'replacement_failed') in s.history(), s.history()


def young():
    """What leaks at once waits for its age."""
    with Scene(World.stage, 'young', config={'min_age': '10m'}) as s:
        s.start()
        s.wait('it is held', lambda: 'too_young' in (s.status().get('rotation', {}).get('detail') or ''))
        assert not s.history() and len(s.seen) == 1, s.history()


def breaker():
    """And where five in a row were young there are no more, and somebody is told."""
    with Scene(World.stage, 'breaker', config={'min_age': '10m'}) as s:
        s.lease({'metadata': {'annotations': {'plateau.dev/learned': json.dumps({'count': 9, 'young': 5})}}})
        s.kill() # it reads it at its start
        s.start()
        s.wait('it is held', lambda: 'breaker' in (s.status().get('rotation', {}).get('detail') or ''))
        s.wait('an Event tells', lambda: [n for r, n in s.events(s.victim) if r == 'PodRotation' and 'breaker' in n])
        assert not s.history() and len(s.seen) == 1, s.history()


@tap.deadline(300)
def test_replacement():
    """A replacement that stays Pending, cannot be made, or leaks at once: taken back, or not begun."""
    together(run, [(pending,), (quota,), (young,), (breaker,)])


# ---- the need ends ----

def calm(state):
    """Growth stops: before the replacement is there it is called off, after it the rotation goes on."""
    with Scene(World.stage, f'calm-{state}', config={'drain_max': '2m'}) as s:
        with s.at(state):
            s.app(s.victim, '/free')
            if state != 'draining':
                s.wait_state('normal', deadline_s=120)
        if state == 'draining':
            s.ends_well()
        else:
            taken_back(s, 1 if state == 'wait_ready' else 0)
            assert ('normal' if state == 'lease_wait' else 'aborting', 'growth_stopped') in s.history(), s.history()


def main_restarted(state):
    with Scene(World.stage, f'restarted-{state}') as s:
        with s.at(state):
            s.pod.container('app').signal(signal.SIGTERM) # its client is gone then, too
            if state != 'draining':
                s.wait('main is started again', lambda: s.pod.container('app').restarts == 1)
                s.wait_state('normal')
        if state == 'draining':
            s.ends_well()
        else:
            s.wait_ready()
            s.is_whole(1 if state == 'wait_ready' else 0)
            assert s.object()['metadata']['labels'].get('pod-template-hash')


def deleted_by_other(state):
    with Scene(World.stage, f'other-{state}') as s:
        with s.at(state):
            s.api.delete(s.path('pods', s.victim))
            s.wait_gone(s.victim)
        s.is_whole(1)
        assert 'signalled' not in [state for state, _ in s.history()], s.history()
        assert state == 'draining' or not s.faults.of(s.victim, evicts)


def spike():
    """Faster than any rotation: SIGTERM before the kernel's SIGKILL."""
    with Scene(World.stage, 'spike', config={'rotate_bytes': '300MiB', 'margin': '3s'}) as s:
        s.app(s.victim, f'/rate?bytes={40 << 20}')
        s.wait('main is started again', lambda: s.pod.container('app').restarts == 1)
        assert 'signalled' in [state for state, _ in s.history()], s.history()
        assert s.pod.container('app').last_exit in (0, 128 + signal.SIGTERM), s.pod.container('app').last_exit
        s.wait('it is over', lambda: s.state() == 'normal' or not s.object())
        s.is_whole(len(s.seen) - 1)
        assert len(s.seen) <= 2, s.seen


@tap.deadline(400)
def test_need():
    """Growth stops, main restarts, somebody else deletes the pod, a spike: it stands down, and leaves nothing."""
    together(run, [(calm, 'wait_ready'), (calm, 'lease_wait'), (calm, 'draining'), (spike,),
                   *[(f, state) for f in (main_restarted, deleted_by_other) for state in ('lease_wait', 'wait_ready', 'draining')]])


# ---- slots ----

def holder_gone():
    """A slot whose holder's pod is gone is taken at once, whatever its duration says."""
    with Scene(World.stage, 'ghost') as s:
        s.lease({'spec': {'holderIdentity': 'app-0/00000000-0000-4000-8000-000000000000', 'leaseDurationSeconds': 3600,
                          'renewTime': '2026-01-01T00:00:00.000000Z'}})
        s.start()
        s.ends_well()


def holder_paused():
    """A sidecar that was away for longer than its slot lasts stands back when it comes again."""
    with Scene(World.stage, 'away-slot', replicas=2, ttl='10s') as s:
        other = next(n for n in s.ready() if n != s.victim)
        with s.at('wait_ready'):
            s.sidecar().signal(signal.SIGSTOP)
            s.leak(other)
            s.wait(f'{other} has the slot', lambda: s.holder().startswith(other))
            s.sidecar().signal(signal.SIGCONT)
            s.wait_history('aborting')
            assert ('aborting', 'slot_lost') in s.history(), s.history()
        s.wait_gone(other)
        s.is_whole(len(s.seen) - 2)
        assert s.object() and s.pod.container('app').restarts == 0


def split_brain():
    """Two sidecars of one pod, one of which takes the slot from the other: whatever they agree on, it is done once."""
    with Scene(World.stage, 'twins') as s:
        spec = {**s.sidecar().spec, 'env': [*s.sidecar().spec['env'], {'name': 'PLATEAU_LISTEN', 'value': f'{s.pod.ip}:9465'},
                                            {'name': 'PLATEAU_SOCKET', 'value': '/var/lib/plateau/other.sock'}]}
        twin = Container(s.pod, {**spec, 'name': 'twin'}, True)
        twin.name = 'plateau' # of the same environment
        twin.start()
        try:
            log = os.path.join(twin.dir, 'log')
            s.wait('it runs', lambda: os.path.exists(log) and 'daemon.ready' in open(log, encoding='utf-8').read()) # pylint: disable=consider-using-with
            s.start()
            s.wait('it has begun', lambda: len(s.seen) == 2)
            s.wait('it is over', lambda: not s.object() or (s.state() == 'normal' and not s.detached()))
            s.is_whole(1)
        finally:
            twin.signal(signal.SIGKILL)
            twin.process.wait()


def slow_drain():
    """A client that never ends costs the others no more than drain.max."""
    with Scene(World.stage, 'slow', replicas=2, config={'drain_max': '5s'}) as s:
        other = next(n for n in s.ready() if n != s.victim)
        with s.at('draining'):
            s.leak(other)
            s.wait_gone(s.victim)
            s.wait_gone(other)
        s.is_whole(2)


# ---- orphans ----

def reap(s, pod):
    """What a peer's reaper does in its hourly look."""
    with tempfile.TemporaryDirectory(prefix='plateau-reap-') as folder:
        for name, text in (('token', s.plane.token(s.namespace, 'plateau', pod)), ('namespace', s.namespace)):
            with open(os.path.join(folder, name), 'w', encoding='ascii') as f:
                f.write(text)
        os.symlink(s.plane.path('ca.crt'), os.path.join(folder, 'ca.crt'))
        env = {**os.environ, 'KUBERNETES_SERVICE_HOST': '127.0.0.1', 'KUBERNETES_SERVICE_PORT': str(s.plane.port),
               'PLATEAU_SERVICEACCOUNT_DIR': folder, 'PLATEAU_POD_NAME': pod['metadata']['name'],
               'PLATEAU_NAMESPACE': s.namespace, 'PLATEAU_POD_UID': pod['metadata']['uid'], 'PLATEAU_CONTAINER': 'app'}
        with subprocess.Popen([os.environ['REAP_DRIVER']], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as p:
            p.stdin.write('look\n')
            p.stdin.flush()
            seen = json.loads(p.stdout.readline())
            p.stdin.close()
            assert p.wait(20) == 0
            return seen


def orphan():
    """Its node is lost while it is detached: a peer removes it when its deadline is over, if it may."""
    with Scene(World.stage, 'orphan') as s:
        with s.at('wait_ready'):
            s.pod.frozen = True
            for c in s.pod.containers():
                c.signal(signal.SIGSTOP)
        s.wait('it is replaced', lambda: [n for n in s.ready() if n != s.victim])
        peer = s.object(next(n for n in s.ready() if n != s.victim))
        assert s.object()['metadata']['annotations']['plateau.dev/deadline'] > s.object()['metadata']['creationTimestamp']
        seen = reap(s, peer)
        assert not seen['removed'] and not seen['failed'], seen # its time is not over
        s.api.patch(s.path('pods', s.victim), {'metadata': {'annotations': {'plateau.dev/deadline': '2026-01-01T00:00:00Z'}}})
        seen = reap(s, peer)
        assert seen['failed'] == 1 and 'cannot be removed' in seen['why'] and s.object(), seen
        with open(os.path.join(DEPLOY, 'rbac', 'extras', 'reap', 'role.yaml'), encoding='utf-8') as f:
            role = f.read().replace('namespace: default', f'namespace: {s.namespace}')
        s.plane.kubectl('apply', '-n', s.namespace, '-f', '-', stdin=role)
        s.wait('a peer may', lambda: reap(s, peer)['removed'] == 1)
        s.pod.frozen = False # the node is there again, and is told
        for c in s.pod.containers():
            c.signal(signal.SIGCONT)
        s.ends_well()


@tap.deadline(300)
def test_others():
    """Slots whose holder is gone or was paused, two sidecars in a pod, a drain that does not end, a lost node."""
    together(run, [(holder_gone,), (holder_paused,), (split_brain,), (slow_drain,), (orphan,)])


def main():
    with Stage() as World.stage:
        tap.main(globals())


if __name__ == '__main__':
    fleet_main(main)
