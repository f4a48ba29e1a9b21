# SPDX-License-Identifier: Apache-2.0
"""plateau doctor on real processes: what it finds, what it says to change, and its exit statuses."""
import json
import os
import socket
import subprocess
import sys
import tempfile

import tap
from lib import Skip, free_port

PLATEAU, PROBE = sys.argv[1:3]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(('PLATEAU_', 'KUBERNETES_'))}
POD = {'KUBERNETES_SERVICE_HOST': '192.0.2.1', 'KUBERNETES_SERVICE_PORT': '443'}


class Program:
    """A process to look at."""

    def __enter__(self):
        self.process = subprocess.Popen(['/bin/sleep', '1000'])
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def doctor(*args, code=0, env=None, user=None):
    """(findings by (section, name), the whole document)"""
    command = [PLATEAU, 'doctor', '--json', '--probe', PROBE, *args]
    done = subprocess.run(command, env={**CLEAN, **(env or {})}, user=user, group=user,
                          extra_groups=[] if user else None, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    document = json.loads(done.stdout)
    return {(f['section'], f['name']): f for f in document['findings']}, document


def config(folder, text):
    path = os.path.join(folder, 'plateau.yaml')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    return path


def test_own_process():
    """a process of ours: found by pid and by pattern, and what may be done to it agrees with what is found"""
    with Program() as p:
        found, document = doctor('--pid', str(p.pid))
        assert document['pid'] == p.pid and document['well'] and not document['in_pod'], document
        assert found['target', 'process']['text'].startswith(f'sleep, pid {p.pid}, uid {os.geteuid()}'), found
        assert document['tier'] == 'call' if found['access', 'call']['mark'] == 'good' else 'read', document
        assert found['rotate', 'signal']['mark'] == 'good'
        assert found['rotate', 'method']['change'] == 'policy: {rotate: {method: signal}}'
        _, document = doctor('--match', '^/bin/sleep 1000$')
        assert document['pid'] > 0


def test_nothing_is_changed():
    """the process is neither stopped nor given memory of ours"""
    def maps(pid):
        with open(f'/proc/{pid}/maps', encoding='utf-8') as f:
            return f.read()

    with Program() as p:
        doctor('--pid', str(p.pid))
        before = maps(p.pid)
        doctor('--pid', str(p.pid))
        with open(f'/proc/{p.pid}/status', encoding='utf-8') as f:
            status = dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)
        assert maps(p.pid) == before and status['TracerPid'] == '0' and status['State'].startswith('S'), status


def test_another_user():
    """without access: what denies it, and the line for a host and for a pod"""
    if os.geteuid() != 0:
        raise Skip('needs root, to become another user')
    with Program() as p:
        try:
            found, document = doctor('--pid', str(p.pid), user=65534)
        except PermissionError as e:
            raise Skip(f'the build cannot be run by another user: {e}') from None
        assert document['tier'] == 'status', document
        assert 'uid 0' in found['access', 'read']['text'] and 'root' in found['access', 'read']['change'], found
        assert found['rotate', 'signal']['mark'] == 'none', found
        found, _ = doctor('--pid', str(p.pid), user=65534, env=POD, code=1)
        assert 'runAsUser: 0' in found['access', 'read']['change'], found
        assert 'SYS_PTRACE' in found['access', 'read']['change'], found


def test_no_process():
    """nobody there is an answer of its own"""
    found, document = doctor('--match', '^no such program$', code=6)
    assert document['tier'] == 'none' and document['pid'] is None and found['target', 'process']['change'], found


def test_usage():
    """nothing said is no guess; two ways to say it are one too many"""
    for args in ([], ['--pid', '1', '--match', 'x'], ['--pid', '0'], ['word']):
        env = {**CLEAN, 'PLATEAU_CONFIG': '/nonexistent'}
        done = subprocess.run([PLATEAU, 'doctor', *args], env=env, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 2 and 'plateau help doctor' in done.stderr, (args, done)


def test_wrong_config():
    """a configuration that is wrong is told as plateau check tells it"""
    with tempfile.TemporaryDirectory() as folder:
        path = config(folder, 'targets: [{match: {pid: 1}, pcik: x}]')
        done = subprocess.run([PLATEAU, 'doctor', '-c', path], env=CLEAN, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 78 and 'did you mean pick' in done.stderr, done


def test_sinks():
    """a sink that takes connections is well, one that does not is not; nothing is sent, and no secret is shown"""
    with Program() as p, tempfile.TemporaryDirectory() as folder, socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen(1)
        text = (f'targets: [{{match: {{pid: {p.pid}}}}}]\nreport:\n  pushgateway: {{url: "http://127.0.0.1:{s.getsockname()[1]}"}}\n'
                f'  webhook: {{url: "http://127.0.0.1:{free_port()}/secret-token"}}\n')
        found, document = doctor('--config', config(folder, text), code=1)
        assert found['sinks', 'pushgateway']['mark'] == 'good', found
        assert found['sinks', 'webhook']['mark'] == 'bad' and 'refused' in found['sinks', 'webhook']['text'], found
        assert 'secret-token' not in json.dumps(document)
        s.settimeout(30)
        c, _ = s.accept()
        with c:
            assert c.recv(1) == b''


def test_pod():
    """in a pod: what the manifest does not provide is said with its line"""
    with Program() as p, tempfile.TemporaryDirectory() as folder:
        path = config(folder, f'targets: [{{match: {{pid: {p.pid}}}, limit: 1GiB}}]\n'
                              'policy: {rotate: {method: kubernetes}}\n')
        env = {**POD, 'PLATEAU_SERVICEACCOUNT_DIR': folder, 'PLATEAU_POD_UID': 'u', 'PLATEAU_NAMESPACE': 'shop'}
        found, _ = doctor('-c', path, env=env, code=1)
        assert found['pod', 'environment']['mark'] == 'bad', found
        assert 'PLATEAU_POD_NAME: metadata.name' in found['pod', 'environment']['change'], found
        assert 'PLATEAU_POD_UID' not in found['pod', 'environment']['text'], found
        assert found['pod', 'token']['mark'] == 'bad', found
        found, _ = doctor('-c', path, code=1)
        assert found['pod', 'cluster']['mark'] == 'bad', found


tap.main(globals())
