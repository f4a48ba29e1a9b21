# SPDX-License-Identifier: Apache-2.0
"""Pods of two containers by `podman kube play`, in an image store of the tests' own.

podman is no kubelet (no probes, no services), but what a sidecar meets is the real thing: one PID namespace, a cgroup and
a root of its own, capabilities, the seccomp filter, a memory limit that kills.
"""
import atexit
import fcntl
import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import zlib

from boxlib import SOURCE, Skip, cache, need, run

from lib import free_port, wait_until

# Some containers may not raise limits: what is asked for must not exceed what they have.
CONTAINERS_CONF = '''[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
netns = "host"
pids_limit = 0
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
'''

POD = '''apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  hostNetwork: true
  shareProcessNamespace: true
  restartPolicy: Never
  volumes: [{{name: config, hostPath: {{path: {folder}, type: Directory}}}}]
  containers:
  - name: main
    image: localhost/plateau-test-main:latest
    imagePullPolicy: Never
    command: [/bin/sh, -c, 'mkfifo /tmp/p; exec 3<>/tmp/p; exec /mkgrow {grow} <&3']
    resources: {{limits: {{memory: {limit_mib}Mi}}}}
    securityContext: {{runAsUser: {main_uid}, capabilities: {{{main_drop}}}}}
'''
SIDECAR = '''  - name: plateau
    image: localhost/plateau-test:{target}
    imagePullPolicy: Never
    env: [{{name: PLATEAU_LOG_FORMAT, value: json}}, {env}]
    resources: {{limits: {{memory: 32Mi}}}}
    securityContext: {{runAsUser: {uid}, capabilities: {{drop: [ALL], add: [{add}]}}}}
    volumeMounts: [{{name: config, mountPath: /etc/plateau, readOnly: true}}]
'''
# The runtime's default filter refuses calls by errno and kills for none, and no sidecar may read it; ours is the same.
CONFIG = '''targets: [{{name: main, match: {{main: true}}}}]
sample: {{interval_max: 2s, survey_interval: 1s}}
policy:
  startup_grace: 0s
  alert: {{used: 40%, for: 0s}}
  reclaim: {{used: 50%, for: 0s, cooldown: 10s, lasts: 1s, settle: 0s, allow_runtime_seccomp: {seccomp}}}
report: {{listen: "127.0.0.1:{port}"}}
'''


class Podman:
    """The store, the images, and what is to be taken away again."""

    def __init__(self):
        need(podman='podman', buildah='buildah', runc='runc', conmon='conmon', netavark='netavark',
             mmdebstrap='mmdebstrap', catatonit='catatonit')
        if os.geteuid() != 0:
            raise Skip('containers with limits need root here')
        self.dir = tempfile.TemporaryDirectory(prefix='plateau-pods-')
        atexit.register(self.close)
        conf = pathlib.Path(self.dir.name, 'containers.conf')
        conf.write_text(CONTAINERS_CONF)
        self.env = {**os.environ, 'CONTAINERS_CONF': str(conf)}
        # A store knows its run root, so that is always the same; conmon's sockets are below it, and 108 bytes are all
        # that a socket's path may have.
        store = str(cache('storage'))
        self.run_root = f'/run/plateau-e2e-{zlib.crc32(store.encode()):08x}'
        self.store = ['--root', store, '--runroot', self.run_root]
        self.lock = open(cache('storage.lock'), 'w', encoding='ascii') # one run at a time: until the process ends
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.tags, self.pods = [], []
        self.remove(self.podman('pod', 'ps', '--filter', 'name=^plateau-test-', '--format', '{{.Name}}').split()) # was killed

    def podman(self, *argv, **kwargs):
        return run('podman', *self.store, *argv, env=self.env, cwd=self.dir.name, **kwargs)

    def remove(self, pods):
        """Whichever of them are there: without --ignore one that is not keeps podman from all others."""
        pods = list(pods)
        if pods:
            self.podman('pod', 'rm', '-f', '-t', '0', '--ignore', *pods, ok=False, deadline_s=300)

    def buildah(self, *argv, **kwargs):
        return run('buildah', *self.store, *argv, env=self.env, cwd=SOURCE, **kwargs)

    def base(self):
        """Debian, by its own tools: no registry is asked. Return: its name."""
        with open('/etc/os-release', encoding='utf-8') as f:
            release = dict(line.rstrip('\n').replace('"', '').split('=', 1) for line in f if '=' in line)
        suite = release['VERSION_CODENAME'] if release['ID'] == 'debian' else 'bookworm'
        name = f'localhost/plateau-test-base:{suite}'
        if self.podman('images', '-q', name):
            return name
        tar = cache(f'base-{suite}-{platform.machine()}.tar')
        if not tar.exists():
            part = f'{tar}.part.tar'
            r = subprocess.run(['mmdebstrap', '--variant=minbase', suite, part], capture_output=True, text=True,
                               timeout=600)
            if r.returncode != 0:
                raise Skip(f'no base image: {r.stderr.strip()[-200:]}')
            os.rename(part, tar)
        self.podman('import', tar, name, deadline_s=120)
        return name

    def images(self, mkgrow):
        """Builds all: the targets of our Dockerfile, and the main container's."""
        base = self.base()
        for target in ('plain', 'filecap'):
            tag = f'localhost/plateau-test:{target}'
            self.tags.append(tag)
            self.buildah('bud', '--isolation', 'chroot', '--network', 'host', '--layers', '--build-arg', f'BASE={base}',
                         '--target', target, '-t', tag, '-f', 'deploy/images/Dockerfile', '.', deadline_s=1500)
        main = self.buildah('from', '--pull-never', base).strip()
        try:
            self.buildah('copy', '--chmod', '755', main, mkgrow, '/mkgrow')
            self.tags.append('localhost/plateau-test-main:latest')
            self.buildah('commit', main, self.tags[-1])
        finally:
            self.buildah('rm', main)

    def close(self):
        self.remove(p.name for p in self.pods)
        if self.tags:
            run('podman', *self.store, 'rmi', '-f', *self.tags, env=self.env, ok=False)
        shutil.rmtree(self.dir.name, ignore_errors=True)


class Pod:
    """A leaking main container with a limit, and our sidecar beside it where `uid` says as whom. It stays until the store is
    closed; `with` tells its last words when what is in it fails."""

    def __init__(self, podman, grow, uid=None, add='', target='plain', main_uid=1000, main_drop='drop: [ALL]', limit_mib=96,
                 seccomp='true', env=''):
        self.podman, self.port, self.limit = podman, free_port(), limit_mib << 20
        self.name = f'plateau-test-{os.getpid()}-{self.port}'
        folder = pathlib.Path(podman.dir.name, self.name)
        folder.mkdir()
        (folder / 'plateau.yaml').write_text(CONFIG.format(port=self.port, seccomp=seccomp))
        text = POD.format(name=self.name, folder=folder, grow=grow, limit_mib=limit_mib, main_uid=main_uid,
                          main_drop=main_drop)
        if uid is not None:
            text += SIDECAR.format(uid=uid, add=add, target=target, env=env)
        os.chmod(podman.dir.name, 0o755)
        self.yaml = folder.with_suffix('.yaml')
        self.yaml.write_text(text)

    def start(self):
        self.podman.podman('kube', 'play', self.yaml)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            for e in self.log()[-40:]:
                print('#', e['event'], e['message'], flush=True)

    def state(self, container='main'):
        """(running, exit code)"""
        said = self.podman.podman('inspect', '--format', '{{.State.Running}} {{.State.ExitCode}}',
                                  f'{self.name}-{container}').split()
        return said[0] == 'true', int(said[1])

    def log(self):
        """What the sidecar logged, one object a line; it writes to standard error."""
        r = subprocess.run(['podman', *self.podman.store, 'logs', f'{self.name}-plateau'], capture_output=True,
                           text=True, errors='replace', env=self.podman.env, timeout=30)
        return [json.loads(line) for line in (r.stdout + r.stderr).splitlines() if line.startswith('{')]

    def events(self, name, n=1, deadline_s=60):
        """The first n lines of this event, as soon as they are there."""
        def there():
            found = [e for e in self.log() if e['event'] == name]
            return found[:n] if len(found) >= n else None
        return wait_until(f'{n} of {name}', there, deadline_s)

    def doctor(self):
        """What `plateau doctor` finds there: {'section/name': finding}, and the tier of access."""
        said = self.podman.podman('exec', '-e', 'KUBERNETES_SERVICE_HOST=127.0.0.1', f'{self.name}-plateau', '/usr/bin/plateau',
                                  'doctor', '--json', ok=False)
        document = json.loads(said)
        for f in document['findings']:
            print(f'# {f["mark"]} {f["section"]}/{f["name"]}: {f["text"]}' + (f' -> {f["change"]}' if f['change'] else ''))
        return {f'{f["section"]}/{f["name"]}': f for f in document['findings']}, document['tier']

    def target(self):
        """The daemon's status, asked by the command in the image."""
        said = self.podman.podman('exec', f'{self.name}-plateau', '/usr/bin/plateau', 'status', '--json')
        return json.loads(said)['targets'][0]
