# SPDX-License-Identifier: Apache-2.0
"""A stand-in for node, scheduler and kubelet: pods of the real API server become real processes on this machine.

  with Kubelet(plane, {'plateau': [path of plateaud], 'app': [python, 'app.py']}) as kubelet:
      kubelet.pod('name').container('plateau').pid ...

Like a node's: pods share a PID namespace, have an address of their own (see plane.own_network), volumes (emptyDir, ConfigMap, the
projected token and CA, refreshed before they expire), a mount namespace, a memory cgroup with the container's limit, the user
and the capabilities of the manifest; native sidecars start first and are stopped last; probes decide about readiness and
restarts; a deleted pod gets SIGTERM, its grace period, SIGKILL, and is gone then. A gate of readiness counts.
Unlike one: the network namespace is the machine's (so a pod's port is bound at its address alone, and @POD_IP@ in a ConfigMap
stands for what would be 127.0.0.1), images are programs of this
machine, nothing is scheduled by size, and the file system is not read-only. As root.
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import http.client
from datetime import datetime, timezone

from plane import ApiError

TICK_S = 0.1
NODE = 'node-a'
CGROUP = '/sys/fs/cgroup/memory'
TOKEN_REFRESH_RATIO = 0.8


def now():
    return datetime.now(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def parse_bytes(quantity):
    for suffix, factor in (('Ki', 2**10), ('Mi', 2**20), ('Gi', 2**30), ('k', 1000), ('M', 10**6), ('G', 10**9)):
        if str(quantity).endswith(suffix):
            return int(float(quantity[:-len(suffix)]) * factor)
    return int(quantity)


def own_cgroup():
    with open('/proc/self/cgroup', encoding='ascii') as f:
        for line in f:
            if ':memory:' in line:
                return CGROUP + line.rstrip('\n').split(':', 2)[2]
    return None


class Container:
    """One container of a pod; start() as often as it takes."""

    def __init__(self, pod, spec, sidecar):
        self.pod, self.spec, self.sidecar = pod, spec, sidecar
        self.name = spec['name']
        self.process = None
        self.pid = 0
        self.restarts = 0
        self.ready = False
        self.failed_live = self.failed_ready = 0
        self.probed = {}
        self.started = ''
        self.exit_code = self.last_exit = None # of this life; of the one before
        self.dir = pod.path(self.name)
        self.next_start = 0
        self.stopping = 0
        self.limit = spec.get('resources', {}).get('limits', {}).get('memory')
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o777)

    # ---- what it is given ----

    def environment(self):
        pod = self.pod.object
        fields = {'metadata.name': pod['metadata']['name'], 'metadata.uid': pod['metadata']['uid'],
                  'metadata.namespace': pod['metadata']['namespace'], 'spec.nodeName': NODE,
                  'status.podIP': self.pod.ip, 'status.hostIP': '127.0.0.1',
                  'spec.serviceAccountName': pod['spec'].get('serviceAccountName', 'default')}
        env = {'PATH': os.environ['PATH'], 'HOSTNAME': pod['metadata']['name'], 'POD_IP': self.pod.ip,
               'APP_DIR': self.dir, 'KUBERNETES_SERVICE_HOST': '127.0.0.1',
               'KUBERNETES_SERVICE_PORT': str(self.pod.kubelet.plane.port), **self.pod.kubelet.environment(self)}
        for e in self.spec.get('env', []):
            source = e.get('valueFrom', {})
            if 'fieldRef' in source:
                value = fields.get(source['fieldRef']['fieldPath'], '')
            elif 'resourceFieldRef' in source:
                ref = source['resourceFieldRef']
                kind, what = ref['resource'].split('.')
                other = self.pod.spec_of(ref.get('containerName', self.name))
                value = str(parse_bytes(other.get('resources', {}).get(kind, {}).get(what, '0')))
            else:
                value = e.get('value', '')
                for name, known in env.items():
                    value = value.replace(f'$({name})', known)
            env[e['name']] = value
        return env

    def argv(self):
        image = self.spec['image'].split(':')[0].rsplit('/', 1)[-1]
        prefix = self.pod.kubelet.images.get(image)
        assert prefix, f'no program stands for image {self.spec["image"]}'
        if self.spec.get('command') and self.spec['command'][0].startswith('/'):
            return [*self.spec['command'], *self.spec.get('args', [])] if os.path.exists(self.spec['command'][0]) else \
                   [*prefix, *self.spec['command'][1:], *self.spec.get('args', [])]
        return [*prefix, *self.spec.get('args', [])]

    def identity(self):
        """setpriv's options for the security context, of the container and of the pod."""
        pod = self.pod.object['spec'].get('securityContext', {})
        own = self.spec.get('securityContext', {})
        user = own.get('runAsUser', pod.get('runAsUser'))
        group = own.get('runAsGroup', pod.get('runAsGroup', user))
        out = []
        if user:
            out += ['--reuid', str(user), '--regid', str(group or 0), '--clear-groups']
        if 'ALL' in own.get('capabilities', {}).get('drop', []):
            added = [c.lower() for c in own['capabilities'].get('add', [])]
            out += ['--bounding-set', ','.join(['-all', *[f'+{c}' for c in added]])]
            out += ['--inh-caps', ','.join(['-all', *[f'+{c}' for c in added]])]
        if own.get('allowPrivilegeEscalation') is False:
            out += ['--no-new-privs']
        return ['setpriv', *out] if out else []

    def script(self):
        """What runs before the program: its cgroup, its namespaces, its mounts."""
        q = lambda s: "'" + s.replace("'", "'\\''") + "'" # pylint: disable=unnecessary-lambda-assignment
        lines = ['set -e', 'mount -t proc proc /proc']
        seen = {}
        for i, mount in enumerate(self.spec.get('volumeMounts', [])):
            path = os.path.normpath(mount['mountPath']).replace('/var/run/', '/run/', 1)
            source = self.pod.volume(mount['name'])
            if not source:
                continue
            parent = path
            while not os.path.isdir(parent):
                parent = os.path.dirname(parent)
            if parent != path and parent not in seen:
                upper, work = os.path.join(self.dir, f'upper{i}'), os.path.join(self.dir, f'work{i}')
                os.makedirs(upper, exist_ok=True)
                os.makedirs(work, exist_ok=True)
                os.chmod(upper, 0o755)
                seen[parent] = True
                lines.append(f'mount -t overlay overlay -o lowerdir={q(parent)},upperdir={q(upper)},workdir={q(work)} {q(parent)}')
            lines.append(f'mkdir -p {q(path)} && mount --bind {q(source)} {q(path)}')
        lines.append('exec ' + ' '.join(q(a) for a in [*self.identity(), *self.argv()]))
        return '\n'.join(lines)

    # ---- life ----

    def start(self):
        group = self.pod.kubelet.cgroup and os.path.join(self.pod.kubelet.cgroup, f'{self.pod.uid}-{self.name}')
        if group and not os.path.isdir(group): # of one that runs again it may be below what is still charged: EBUSY
            os.makedirs(group)
            if not (self.sidecar and self.pod.kubelet.sanitized): # a sanitizer takes twice what the program does
                self.set_limit(self.limit)
        script = os.path.join(self.dir, 'start.sh')
        with open(script, 'w', encoding='utf-8') as f:
            f.write(self.script())
        enter = f'echo $$ >{group}/cgroup.procs; ' if group else ''
        log = open(os.path.join(self.dir, 'log'), 'ab') # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ['sh', '-c', f'{enter}exec nsenter --target {self.pod.pause.child} --pid -- unshare --mount --propagation private '
             f'sh {script}'], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), cwd=self.dir,
            start_new_session=True)
        log.close()
        self.started, self.exit_code, self.failed_live, self.failed_ready = now(), None, 0, 0
        self.ready = not self.spec.get('readinessProbe')
        self.probed, self.pid, self.stopping = {}, 0, 0

    def set_limit(self, limit):
        """The cgroup's, as a resize changes it."""
        self.limit = limit
        group = self.pod.kubelet.cgroup and os.path.join(self.pod.kubelet.cgroup, f'{self.pod.uid}-{self.name}')
        if group and limit:
            with open(os.path.join(group, 'memory.limit_in_bytes'), 'w', encoding='ascii') as f:
                f.write(str(parse_bytes(limit)))

    def host_pid(self):
        """The program's own: nsenter stays as its parent."""
        if not self.pid and self.process:
            try:
                with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='ascii') as f:
                    self.pid = int((f.read().split() or ['0'])[0])
            except (OSError, ValueError):
                pass
        return self.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running() and self.host_pid():
            for pid in (self.pid, self.process.pid) if number in (signal.SIGCONT, signal.SIGKILL) else (self.pid,):
                try: # nsenter stops itself when its child is stopped, and would not see the child's end
                    os.kill(pid, signal.SIGCONT if pid == self.process.pid else number)
                except ProcessLookupError:
                    pass

    def reap(self):
        """True once, when it has ended by itself or because it was told to."""
        if self.process is None or self.process.poll() is None:
            return False
        code = self.process.returncode
        self.exit_code, self.process, self.ready, self.pid = code if code >= 0 else 128 - code, None, False, 0
        self.last_exit = self.exit_code
        return True

    def probe(self, kind):
        """None: not due. Else whether the endpoint answered 2xx or 3xx."""
        spec = self.spec.get(kind)
        if not spec or 'httpGet' not in spec or not self.running():
            return None
        if time.monotonic() < self.probed.get(kind, 0):
            return None
        self.probed[kind] = time.monotonic() + max(spec.get('periodSeconds', 10), 1) * self.pod.kubelet.probe_scale
        port = spec['httpGet']['port']
        if isinstance(port, str):
            port = next(p['containerPort'] for p in self.spec.get('ports', []) if p.get('name') == port)
        try:
            c = http.client.HTTPConnection(self.pod.ip, port, timeout=spec.get('timeoutSeconds', 1))
            c.request('GET', spec['httpGet'].get('path', '/'))
            ok = 200 <= c.getresponse().status < 400
            c.close()
            return ok
        except (OSError, http.client.HTTPException):
            return False

    def mind(self):
        """Its probes. True when it must be restarted."""
        ready = self.probe('readinessProbe')
        if ready:
            self.ready, self.failed_ready = True, 0
        elif ready is not None:
            self.failed_ready += 1
            if self.failed_ready >= self.spec['readinessProbe'].get('failureThreshold', 3):
                self.ready = False
        live = self.probe('livenessProbe')
        if live is not None:
            self.failed_live = 0 if live else self.failed_live + 1
        return self.failed_live >= self.spec.get('livenessProbe', {}).get('failureThreshold', 3)

    def status(self):
        state = {'running': {'startedAt': self.started}} if self.running() else \
                {'terminated': {'exitCode': self.exit_code or 0, 'finishedAt': now(), 'startedAt': self.started}} \
                if self.exit_code is not None else {'waiting': {'reason': 'ContainerCreating'}}
        out = {'name': self.name, 'image': self.spec['image'], 'imageID': '', 'ready': self.ready and self.running(),
               'restartCount': self.restarts, 'started': self.running(), 'state': state}
        if self.limit:
            given = lambda kind: {**self.spec['resources'].get(kind, {}), 'memory': self.limit} # pylint: disable=unnecessary-lambda-assignment
            out['resources'] = {'limits': given('limits'), 'requests': self.spec['resources'].get('requests', {})}
            if self.pod.object.get('status', {}).get('qosClass') == 'Guaranteed':
                out['resources']['requests'] = given('requests')
        return out


class Pause:
    """PID 1 of the pod's namespace."""

    def __init__(self, folder):
        program = os.path.join(folder, 'pause')
        shutil.copy(shutil.which('sleep'), program)
        self.process = subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', program, 'infinity'],
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        self.child = 0
        while not self.child:
            assert self.process.poll() is None, 'no PID namespace: not root?'
            with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children', encoding='ascii') as f:
                self.child = int((f.read().split() or ['0'])[0])

    def stop(self):
        self.process.kill()
        self.process.wait()


class Pod:
    """One pod, in a thread of its own until it is gone."""

    def __init__(self, kubelet, obj):
        self.kubelet, self.object = kubelet, obj
        self.uid, self.name, self.namespace = (obj['metadata'][k] for k in ('uid', 'name', 'namespace'))
        self.ip = kubelet.next_ip()
        self.dir = os.path.join(kubelet.dir, self.uid)
        os.makedirs(self.dir)
        self.pause = Pause(self.dir)
        self.volumes = {}
        self.token_expires = 0
        self.told = None
        self.gone = False
        self.frozen = False # a node that is lost: nothing is done, nothing told
        self.stop_at = 0
        self.resize = () # condition and reason
        self.grace = None
        self.ends = [] # (container, exit code, when) of what was not asked to end by the pod's deletion
        self.started = now()
        spec = obj['spec']
        self.sidecars = [Container(self, c, True) for c in spec.get('initContainers', []) if c.get('restartPolicy') == 'Always']
        self.mains = [Container(self, c, False) for c in spec['containers']]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def containers(self):
        return self.sidecars + self.mains

    def container(self, name):
        return next(c for c in self.containers() if c.name == name)

    def spec_of(self, name):
        return next(c.spec for c in self.containers() if c.name == name)

    def url(self):
        return f'/api/v1/namespaces/{self.namespace}/pods/{self.name}'

    # ---- volumes ----

    def volume(self, name):
        return self.volumes.get(name)

    def make_volumes(self):
        for v in self.object['spec'].get('volumes', []):
            folder = self.path('volumes', v['name'])
            os.makedirs(folder, exist_ok=True)
            os.chmod(folder, 0o777 if 'emptyDir' in v else 0o755)
            self.volumes[v['name']] = folder
            if 'configMap' in v:
                self.write_config(folder, v['configMap'])
            for source in v.get('projected', {}).get('sources', []):
                self.project(folder, source)
        for at in (self.path('volumes'), self.dir, self.kubelet.dir):
            if os.path.isdir(at):
                os.chmod(at, 0o755)

    def write_config(self, folder, ref):
        status, answer = self.kubelet.api.ask('GET', f'/api/v1/namespaces/{self.namespace}/configmaps/{ref["name"]}')
        if status != 200:
            return
        names = {i['key']: i['path'] for i in ref.get('items', [])}
        for key, value in answer.get('data', {}).items():
            if not names or key in names:
                write_file(os.path.join(folder, names.get(key, key)), value.replace('@POD_IP@', self.ip))

    def project(self, folder, source):
        if 'serviceAccountToken' in source:
            self.put_token(os.path.join(folder, source['serviceAccountToken']['path']), source['serviceAccountToken'])
        elif 'configMap' in source:
            self.write_config(folder, source['configMap'])
        elif 'downwardAPI' in source:
            for item in source['downwardAPI']['items']:
                field = item.get('fieldRef', {}).get('fieldPath')
                if field == 'metadata.namespace':
                    write_file(os.path.join(folder, item['path']), self.namespace)

    def put_token(self, path, source):
        seconds = source.get('expirationSeconds', 3607)
        account = self.object['spec'].get('serviceAccountName', 'default')
        write_file(path, self.kubelet.plane.token(self.namespace, account, self.object, seconds))
        self.token_expires = time.monotonic() + TOKEN_REFRESH_RATIO * seconds

    def refresh_token(self):
        if self.token_expires and time.monotonic() > self.token_expires:
            self.make_volumes()

    # ---- status ----

    def gates(self, conditions):
        known = {c['type']: c['status'] for c in conditions}
        return all(known.get(g['conditionType']) == 'True' for g in self.object['spec'].get('readinessGates', []))

    def tell(self):
        containers_ready = all(c.ready and c.running() for c in self.containers())
        ready = containers_ready and self.gates(self.object.get('status', {}).get('conditions', []))
        conditions = [{'type': t, 'status': 'True' if v else 'False'} for t, v in
                      (('PodScheduled', True), ('Initialized', True), ('ContainersReady', containers_ready), ('Ready', ready))]
        over = self.mains and all(c.exit_code is not None and not c.running() for c in self.mains) and \
            self.object['spec'].get('restartPolicy', 'Always') != 'Always'
        status = {'phase': ('Succeeded' if all(c.exit_code == 0 for c in self.mains) else 'Failed') if over else 'Running',
                  'podIP': self.ip, 'podIPs': [{'ip': self.ip}], 'hostIP': '127.0.0.1', 'startTime': self.started,
                  'containerStatuses': [c.status() for c in self.mains],
                  'initContainerStatuses': [c.status() for c in self.sidecars]}
        if self.resize:
            conditions.append({'type': self.resize[0], 'status': 'True', 'reason': self.resize[1]})
        key = json.dumps([status, conditions], sort_keys=True)
        if key == self.told:
            return
        known = {c['type']: c for c in self.object.get('status', {}).get('conditions', [])}
        for c in conditions:
            old = known.get(c['type'])
            c['lastTransitionTime'] = old['lastTransitionTime'] if old and old['status'] == c['status'] and \
                old.get('lastTransitionTime') else now()
        conditions += [{'type': t, '$patch': 'delete'} for t in ('PodResizePending', 'PodResizeInProgress')
                       if t in known and t not in self.resize]
        try:
            self.object = self.kubelet.api.patch(self.url() + '/status', {'metadata': {'uid': self.uid}, 'status':
                                                 {**status, 'conditions': conditions}}, 'application/strategic-merge-patch+json')
            self.told = key
        except (ApiError, OSError, http.client.HTTPException):
            pass

    # ---- life ----

    def run(self):
        try:
            self.make_volumes()
            for c in self.containers():
                c.start()
            while not self.gone and not self.kubelet.ending:
                self.try_step()
                time.sleep(TICK_S)
        except (ApiError, OSError, http.client.HTTPException) as e:
            self.kubelet.notes.append(f'{self.name}: {type(e).__name__} {e}')
        finally:
            self.clear()

    def try_step(self):
        """A node goes on, whatever one step met."""
        try:
            if not self.frozen:
                self.step()
        except (ApiError, OSError, http.client.HTTPException) as e:
            self.kubelet.notes.append(f'{self.name}: {type(e).__name__} {e}')

    def step(self):
        if self.object['metadata'].get('deletionTimestamp') and not self.grace:
            self.grace = self.object['metadata'].get('deletionGracePeriodSeconds', 30) or 0.1
            self.stop_at = time.monotonic() + self.grace
            for c in self.mains:
                c.signal(signal.SIGTERM)
        if self.grace:
            self.step_down()
            return
        self.refresh_token()
        for c in self.containers():
            self.mind(c)
        self.follow_resize()
        self.tell()

    def mind(self, c):
        if c.reap():
            self.ends.append((c.name, c.exit_code, time.time()))
            c.next_start = time.monotonic() + min(10, 0.2 * 2 ** c.restarts)
        if not c.running():
            policy = 'Always' if c.sidecar else self.object['spec'].get('restartPolicy', 'Always')
            if policy == 'Always' and time.monotonic() >= c.next_start:
                c.restarts += 1
                c.start()
            return
        if c.mind() and not c.stopping:
            c.signal(signal.SIGTERM)
            c.stopping = time.monotonic() + self.object['spec'].get('terminationGracePeriodSeconds', 30)
        if c.stopping and time.monotonic() > c.stopping:
            c.signal(signal.SIGKILL)

    def follow_resize(self):
        """What the spec asks for is given, or not, as Kubelet.no_resize has it; what is under way is told before it is done."""
        for c in self.mains:
            wanted = next(s for s in self.object['spec']['containers'] if s['name'] == c.name) \
                .get('resources', {}).get('limits', {}).get('memory')
            if not wanted or wanted == c.limit:
                self.resize = ()
            elif self.namespace in self.kubelet.no_resize:
                self.resize = ('PodResizePending', self.kubelet.no_resize[self.namespace])
            elif not self.resize or self.resize[0] != 'PodResizeInProgress':
                self.resize = ('PodResizeInProgress', '')
            else:
                c.set_limit(wanted)

    def step_down(self):
        """First what serves, then the sidecars, SIGKILL at the end of the grace."""
        for c in self.containers():
            c.reap()
        mains = [c for c in self.mains if c.running()]
        if not mains:
            for c in self.sidecars:
                if c.running() and not c.stopping:
                    c.stopping = time.monotonic()
                    c.signal(signal.SIGTERM)
        if time.monotonic() > self.stop_at:
            for c in self.containers():
                c.signal(signal.SIGKILL)
        for c in self.containers():
            if c.running():
                c.ready = c.ready and c.mind() is not None
        if any(c.running() for c in self.containers()):
            self.tell()
            return
        try:
            self.kubelet.api.delete(self.url(), {'gracePeriodSeconds': 0, 'preconditions': {'uid': self.uid}})
        except ApiError as e:
            if e.status not in (404, 409):
                raise
        self.gone = True

    def clear(self):
        for c in self.containers():
            c.signal(signal.SIGCONT)
            c.signal(signal.SIGKILL)
        self.pause.stop()
        for c in self.containers():
            if c.process:
                c.process.wait()
            if self.kubelet.cgroup:
                group = os.path.join(self.kubelet.cgroup, f'{self.uid}-{c.name}')
                for _ in range(50):
                    try:
                        os.rmdir(group)
                        break
                    except FileNotFoundError:
                        break
                    except OSError:
                        time.sleep(0.02)
        self.kubelet.keep_logs(self)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.gone = True


def write_file(path, text):
    temporary = path + '.new'
    with open(temporary, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(temporary, 0o644)
    os.rename(temporary, path)


class Kubelet:
    def __init__(self, plane, images, environment=None, probe_scale=1.0):
        """images: what stands for an image (name without registry and tag) -> argv. environment(container) -> dict, added."""
        self.plane, self.api, self.images = plane, plane.api, images
        self.environment = environment or (lambda c: {})
        self.probe_scale = probe_scale
        self.no_resize = {} # namespace: Deferred or Infeasible
        self.full = set()   # namespaces for whose pods there is no room
        with open(images['plateau'][0] if 'plateau' in images else '/dev/null', 'rb') as f:
            self.sanitized = b'__asan_init' in f.read()
        self.dir = tempfile.mkdtemp(prefix='plateau-node-')
        self.logs = os.path.join(self.dir, 'logs')
        os.makedirs(self.logs)
        os.chmod(self.dir, 0o755)
        own = own_cgroup()
        self.cgroup = None
        if own and os.access(own, os.W_OK):
            self.cgroup = os.path.join(own, f'plateau-e2e-{os.getpid()}')
            os.makedirs(self.cgroup, exist_ok=True)
        self.pods, self.notes, self.waiting, self.count, self.ending = {}, [], [], 0, False
        self.lock = threading.Lock()
        self.api.post('/api/v1/nodes', {'apiVersion': 'v1', 'kind': 'Node', 'metadata': {'name': NODE, 'labels': {
            'kubernetes.io/hostname': NODE}}})
        self.api.patch(f'/api/v1/nodes/{NODE}/status', {'status': {'conditions': [
            {'type': 'Ready', 'status': 'True', 'lastHeartbeatTime': now(), 'lastTransitionTime': now(), 'reason': 'StandIn',
             'message': ''}], 'capacity': {'cpu': '64', 'memory': '64Gi', 'pods': '500'},
            'allocatable': {'cpu': '64', 'memory': '64Gi', 'pods': '500'}}}, 'application/strategic-merge-patch+json')
        threading.Thread(target=self.follow, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending = True
        for pod in list(self.pods.values()):
            pod.thread.join(20)
        if self.cgroup:
            try:
                os.rmdir(self.cgroup)
            except OSError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)

    def next_ip(self):
        with self.lock:
            self.count += 1
            net = ('198.51.100', '203.0.113')[self.count // 250 % 2]
            return f'{net}.{self.count % 250 + 1}'

    def follow(self):
        """Every pod there is: bound if nobody did, run if it is ours."""
        for kind, obj in self.api.watch('/api/v1/pods'):
            if self.ending:
                return
            for event, pod in [('ADDED', i) for i in obj['items']] if kind == 'SYNC' else [(kind, obj)]:
                try:
                    self.on_pod(event, pod)
                except (ApiError, OSError, http.client.HTTPException, AssertionError) as e:
                    self.notes.append(f'{pod["metadata"]["name"]}: {type(e).__name__} {e}')

    def on_pod(self, event, pod):
        uid = pod['metadata']['uid']
        known = self.pods.get(uid)
        if event == 'DELETED':
            if known:
                known.gone = True
            return
        if known:
            if not known.gone:
                known.object = pod
        elif pod['spec'].get('nodeName') == NODE and pod['status']['phase'] in ('Pending', 'Running'):
            self.pods[uid] = Pod(self, pod)
        elif not pod['spec'].get('nodeName') and not pod['spec'].get('nodeSelector'):
            if pod['metadata']['namespace'] in self.full:
                self.waiting.append(pod)
            else:
                self.bind(pod)

    def set_full(self, namespace, full):
        """Whether there is room; who waited for it gets it."""
        (self.full.add if full else self.full.discard)(namespace)
        waiting, self.waiting = self.waiting, []
        for pod in waiting:
            self.on_pod('ADDED', pod)

    def bind(self, pod):
        m = pod['metadata']
        status, answer = self.api.ask('POST', f'/api/v1/namespaces/{m["namespace"]}/pods/{m["name"]}/binding', {
            'apiVersion': 'v1', 'kind': 'Binding', 'metadata': {'name': m['name']},
            'target': {'apiVersion': 'v1', 'kind': 'Node', 'name': NODE}})
        if status >= 300 and status not in (404, 409):
            self.notes.append(f'bind {m["name"]}: {status} {answer}')

    def pod(self, name):
        return next(p for p in self.pods.values() if p.name == name and not p.gone)

    def running(self, prefix=''):
        return [p for p in list(self.pods.values()) if not p.gone and p.name.startswith(prefix)]

    def keep_logs(self, pod):
        for c in pod.containers():
            source = os.path.join(c.dir, 'log')
            if os.path.exists(source):
                shutil.copy(source, os.path.join(self.logs, f'{pod.name}.{c.name}.log'))

    def log(self, pod_name, container):
        """What it wrote, also after its pod's end."""
        for p in list(self.pods.values()):
            path = os.path.join(p.dir, container, 'log')
            if p.name == pod_name and os.path.exists(path):
                break
        else:
            path = os.path.join(self.logs, f'{pod_name}.{container}.log')
        try:
            with open(path, encoding='utf-8', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''
