# SPDX-License-Identifier: Apache-2.0
"""A workload in a namespace of its own, its sidecars behind a proxy that can break (faults.py), stopped where a test wants it.

  with Stage() as stage:                             one control plane; tests share it
      with Scene(stage, 'killed', soak='2s') as s:    the fleet; s.victim is the pod that is to go
          with s.at('surging'):                       it leaks, and its rotation stands in this state
              s.kill()
          s.ends_well()

together(f, cases) runs several at once: they mostly wait.
"""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from faults import Faults, detaches, evicts, hang, mute
from fleet import CONFIG, PORT, Fleet, cluster
from lib import wait_until

AT_ONCE = 8
LEAK = 120 << 20 # past policy.rotate.bytes
STATES = ('lease_wait', 'surging', 'surging_done', 'wait_ready', 'unready', 'draining', 'terminating')


def together(f, cases):
    """All of them, whatever one does; raises what the first raised and names the others."""
    failed = {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(f, *case): case for case in cases}
        for future in concurrent.futures.as_completed(futures):
            case = futures[future]
            if future.exception():
                failed[case] = future.exception()
                print(f'# {case}: {type(future.exception()).__name__} {future.exception()}', file=sys.stderr, flush=True)
    for case, e in failed.items():
        raise AssertionError(f'{len(failed)} of {len(futures)}: {sorted(map(str, failed))}; {case}: {e}') from e


class Stage:
    """The plane and the node, and what is to be known of all pods."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.scenes, self.lock = {}, threading.Lock()
        self.unbound = {} # of namespaces that have no room: pods

    def __enter__(self):
        self.plane, self.kubelet = self.stack.enter_context(cluster(start=self.watch))
        self.api = self.plane.api
        return self

    def __exit__(self, *_):
        self.stack.close()

    def watch(self, kubelet):
        """Between the node and what it is told."""
        self.environment, self.bind, self.on_pod = kubelet.environment, kubelet.bind, kubelet.on_pod
        kubelet.environment, kubelet.bind, kubelet.on_pod = self.sidecar_environment, self.try_bind, self.see_pod

    def sidecar_environment(self, c):
        scene = self.scenes.get(c.pod.namespace)
        port = {'KUBERNETES_SERVICE_PORT': str(scene.faults.port)} if scene and c.name == 'plateau' else {}
        return {**self.environment(c), **port}

    def try_bind(self, pod):
        with self.lock:
            waiting = self.unbound.get(pod['metadata']['namespace'])
            if waiting is not None:
                waiting[pod['metadata']['uid']] = pod
                return
        self.bind(pod)

    def see_pod(self, event, pod):
        scene = self.scenes.get(pod['metadata']['namespace'])
        if scene and pod['metadata'].get('labels', {}).get('app') == scene.name:
            scene.seen[pod['metadata']['uid']] = pod['metadata']['name']
        self.on_pod(event, pod)


class Scene(Fleet):
    count = 0
    lock = threading.Lock()

    def __init__(self, stage, name, replicas=1, config=None, ttl='60s', **options):
        """ttl: of the slots. The shortest, 10s, is lost by whoever gets no processor for some seconds."""
        with Scene.lock:
            Scene.count += 1
            namespace = f'{name.replace("_", "-")}-{Scene.count}'
        self.stage, self.faults, self.seen = stage, Faults(stage.plane), {}
        self.renewed, self.renewed_at = None, 0 # the slot, as it was seen last
        stage.scenes[namespace] = self
        stage.api.post('/api/v1/namespaces', {'metadata': {'name': namespace}})
        wait_until('the CA is published', lambda: stage.api.ask(
            'GET', f'/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt')[0] == 200)
        super().__init__(stage.plane, stage.kubelet, name='app', replicas=replicas, namespace=namespace,
                         config=configured(**(config or {})), ttl=ttl, **options)
        self.wait_ready()
        self.victim = self.ready()[0]
        self.pod = self.kubelet.pod(self.victim)

    def __enter__(self):
        return self

    def show(self):
        """What is to be known of this scene, as TAP comments."""
        out = self.plane.kubectl('get', 'pods,leases', '-n', self.namespace, '--show-labels', check=False).stdout.splitlines()
        for name in self.seen.values():
            out += [f'== {name}'] + [self.brief(line) for line in self.kubelet.log(name, 'plateau').splitlines()[-25:]]
        out += ['== asked', *map(str, self.faults.asked[-20:])]
        with Scene.lock:
            for line in out:
                print(f'# {self.namespace}: {line[:240]}', file=sys.stderr, flush=True)

    def __exit__(self, kind, *_):
        if kind:
            self.show()
        with contextlib.suppress(StopIteration):
            self.pod.container('plateau').signal(signal.SIGCONT)
        self.make_room()
        self.api.ask('DELETE', self.path(''))
        self.faults.__exit__()
        self.check_logs()

    # ---- the API's objects ----

    def path(self, *names, group='/api/v1'):
        return f'{group}/namespaces/{self.namespace}' + ''.join(f'/{n}' for n in names if n)

    def apps(self, *names):
        return self.path(*names, group='/apis/apps/v1')

    def deployment(self, patch=None):
        where = self.apps('deployments', self.name)
        return self.api.patch(where, patch) if patch else self.api.get(where)

    def object(self, name=None):
        """The pod's, or None."""
        status, answer = self.api.ask('GET', self.path('pods', name or self.victim))
        return answer if status == 200 and answer['metadata']['uid'] in self.seen else None

    def lease(self, patch=None, index=0):
        where = self.path('leases', f'plateau-{self.name}-{index}', group='/apis/coordination.k8s.io/v1')
        return self.api.patch(where, patch) if patch else self.api.get(where)

    def holder(self):
        return self.lease().get('spec', {}).get('holderIdentity') or ''

    def forbid(self):
        """No rights any more. Returns what allow() takes."""
        where = self.path('rolebindings', group='/apis/rbac.authorization.k8s.io/v1')
        bindings = self.api.get(where)['items']
        for b in bindings:
            self.api.delete(f'{where}/{b["metadata"]["name"]}')
        return bindings

    def allow(self, bindings):
        for b in bindings:
            self.api.post(self.path('rolebindings', group='/apis/rbac.authorization.k8s.io/v1'), {
                **b, 'metadata': {'name': b['metadata']['name']}})

    def token(self, new=False):
        """The victim's sidecar's: as it has it, or another."""
        if new:
            return self.plane.token(self.namespace, 'plateau', self.object())
        with open(os.path.join(self.pod.volume('plateau-token'), 'token'), encoding='ascii') as f:
            return f.read()

    # ---- the rotation ----

    def saved(self):
        """What the victim's sidecar has written down."""
        try:
            with open(os.path.join(self.pod.volume('plateau-state'), 'rotation.json'), encoding='utf-8') as f:
                return json.load(f)
        except (OSError, ValueError):
            return {}

    def state(self):
        return self.saved().get('state', 'normal')

    def wait_state(self, *states, deadline_s=60):
        self.wait(f'{self.victim} is {" or ".join(states)}', lambda: self.state() in states, deadline_s)

    def status(self):
        """plateau status of the victim's sidecar: its section kubernetes."""
        env = {**os.environ, 'PLATEAU_SOCKET': os.path.join(self.pod.volume('plateau-state'), 'plateau.sock')}
        p = subprocess.run([os.environ['PLATEAU'], 'status', '--json'], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           check=False)
        try:
            return json.loads(p.stdout)['kubernetes'] or {}
        except (ValueError, KeyError):
            return {}

    def told(self, event, name=None):
        """The log's lines of this event, of all lives of the sidecar."""
        return [d for d in map(parsed, self.kubelet.log(name or self.victim, 'plateau').splitlines()) if d.get('event') == event]

    def history(self, name=None):
        """The states it went through, with the reason."""
        return [(d['state'], d.get('reason', '')) for d in self.told('rotation.state', name)]

    def wait_history(self, state, deadline_s=60):
        self.wait(f'{self.victim} was {state}', lambda: state in [s for s, _ in self.history()], deadline_s)

    def start(self):
        self.leak(self.victim, LEAK)

    @contextlib.contextmanager
    def at(self, state):
        """Its rotation stands in this state, until the end of the block."""
        with getattr(self, f'hold_{state}')() as fault:
            self.start()
            if fault:
                fault.wait()
            else:
                self.wait_state(state)
            yield self

    @contextlib.contextmanager
    def broken(self, when, do, **options):
        fault = self.faults.add(when, do, **{'pod': self.victim, **options})
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    @contextlib.contextmanager
    def hold_lease_wait(self):
        """The slot is held by a pod that is there, and never runs."""
        other = self.api.post(self.path('pods'), {'metadata': {'name': 'holder'}, 'spec': {
            'nodeSelector': {'none': 'such'}, 'automountServiceAccountToken': False, 'containers': [{'name': 'a', 'image': 'app:1'}]}})
        self.lease({'spec': {'holderIdentity': f'holder/{other["metadata"]["uid"]}', 'leaseDurationSeconds': 3600,
                             'renewTime': '2026-01-01T00:00:00.000000Z'}})
        try:
            yield
        finally:
            if self.holder().startswith('holder/'):
                self.lease({'spec': {'holderIdentity': ''}})
            self.api.ask('DELETE', self.path('pods', 'holder'), {'gracePeriodSeconds': 0})

    def hold_surging(self):
        return self.broken(detaches, hang)

    def hold_surging_done(self):
        return self.broken(detaches, mute)

    @contextlib.contextmanager
    def hold_wait_ready(self):
        self.take_room()
        try:
            yield
        finally:
            self.make_room()

    @contextlib.contextmanager
    def hold_unready(self):
        yield # it lasts for some seconds

    @contextlib.contextmanager
    def hold_draining(self):
        """A client that does not end."""
        with socket.create_connection((self.pod.ip, PORT)):
            yield

    def hold_terminating(self):
        return self.broken(evicts, hang)

    # ---- what happens to it ----

    def take_room(self):
        """No room on any node: pods stay Pending."""
        with self.stage.lock:
            self.stage.unbound.setdefault(self.namespace, {})

    def make_room(self):
        with self.stage.lock:
            waiting = self.stage.unbound.pop(self.namespace, {})
        for pod in waiting.values():
            self.stage.bind(pod)

    def sidecar(self):
        return self.pod.container('plateau')

    def kill(self, *lose):
        """SIGKILL to the sidecar, which has lost its emptyDir ('file') or annotation then."""
        c = self.sidecar()
        c.signal(signal.SIGSTOP)
        if 'file' in lose:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.pod.volume('plateau-state'), 'rotation.json'))
        if 'annotation' in lose:
            self.api.patch(self.path('pods', self.victim), {'metadata': {'annotations': {'plateau.dev/state': None}}})
        before = c.restarts
        c.signal(signal.SIGKILL)
        self.wait('the sidecar is started again', lambda: c.restarts > before and c.running())

    # ---- how it ends ----

    def detached(self):
        return [p['metadata']['name'] for p in self.pods() if 'plateau.dev/rotation' in p['metadata'].get('labels', {})]

    def ends_well(self, replacements=1, deadline_s=120):
        """Gone, replaced so many times, nobody detached, the slot free."""
        self.wait_gone(self.victim, deadline_s)
        self.is_whole(replacements)

    def is_whole(self, replacements=1):
        self.wait_ready()
        self.wait('nobody is detached', lambda: not self.detached() and len(self.names()) == self.replicas)
        assert len(self.seen) == self.replicas + replacements, self.seen
        self.wait('the slot is open', self.slot_is_open)

    def slot_is_open(self):
        """Free, of a pod that is gone, or no more renewed."""
        lease = self.lease()
        holder, renewed = lease.get('spec', {}).get('holderIdentity') or '', lease.get('spec', {}).get('renewTime')
        is_over = self.renewed == renewed and time.monotonic() > self.renewed_at + 1.25 * lease['spec'].get('leaseDurationSeconds', 0)
        if self.renewed != renewed:
            self.renewed, self.renewed_at = renewed, time.monotonic()
        return not holder or is_over or not self.object(holder.split('/', maxsplit=1)[0])

    def check_logs(self):
        """A sanitizer that spoke: the kubelet has started the sidecar anew, and nobody would notice."""
        for name in self.seen.values():
            text = self.kubelet.log(name, 'plateau')
            bad = re.search(r'.*(Sanitizer|runtime error).*', text)
            assert not bad, f'{name}: {text[bad.start():][:3000]}'


def configured(**values):
    """fleet.py's configuration with other values; of a section's key: soak, or drain_max."""
    text = CONFIG.replace('max: 15s', 'max: 60s') # of the drain: longer than a test holds a client
    for key, value in values.items():
        section, _, key = key.rpartition('_') if key.startswith(('drain_', 'slots_', 'rotate_')) else ('', '', key)
        if section:
            text, n = re.subn(rf'(^ *{section}: {{.*?\b{key}: )[^,}}]*', rf'\g<1>{value}', text, flags=re.M)
            if not n:
                text, n = re.subn(rf'(^ *{section}: {{)', rf'\g<1>{key}: {value}, ', text, flags=re.M)
        else:
            text, n = re.subn(rf'^  {key}: .*', f'  {key}: {value}', text, flags=re.M)
            if not n:
                text, n = re.subn(r'^kubernetes:', f'kubernetes:\n  {key}: {value}', text, flags=re.M)
        assert n == 1, (section, key)
    return text


def parsed(line):
    try:
        d = json.loads(line)
        return d if isinstance(d, dict) else {}
    except ValueError:
        return {}


__all__ = ['STATES', 'Scene', 'Stage', 'time', 'together']
