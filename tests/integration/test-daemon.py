# SPDX-License-Identifier: Apache-2.0
"""plateaud end to end on real processes: watch, forecast, alert, reclaim, rotate, reload, stop."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from daemonlib import Daemon
from lib import DEADLINE_S, Receiver, free_port, get, need, run_tests, wait_until
from probelib import Target

PLATEAUD, PROBE, MKLEAK, CONFIG_DIR, PLATEAU, MKGROW = sys.argv[1:7]
MIB = 1 << 20
FAST = 'sample: {interval: 100ms, search_interval: 100ms}\ntrend: {min_span: 1s}\n'
QUIET = 'policy: {startup_grace: 0, alert: {enabled: false}, reclaim: {enabled: false}, rotate: {enabled: false}}\n'


def daemon(config, **kwargs):
    return Daemon(PLATEAUD, PROBE, config, **kwargs)


def one_target(pid, extra=''):
    return f'targets: [{{name: t, match: {{pid: {pid}}}{extra}}}]\n'


def rss_of(pid):
    with open(f'/proc/{pid}/statm', encoding='ascii') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGESIZE')


def test_watches():
    """samples a real process: RSS as the kernel says, PSS by the probe, metrics, health, status"""
    with Target(MKLEAK, 'steady', 'size_mib=64') as t, daemon(one_target(t.pid, ', limit: 1GiB') + FAST + QUIET) as d:
        d.event('target.started', pid=t.pid)
        s = d.wait_status('a sample and a PSS', lambda s: s['targets'][0]['sample'] and
                          d.metrics().get('plateau_target_proportional_bytes'))
        assert s['targets'][0]['pid'] == t.pid and s['targets'][0]['present'], s
        rss = int(d.proc(t.pid)['VmRSS'].split()[0]) * 1024
        m = d.metrics()
        (seen,) = m['plateau_target_resident_bytes'].values()
        assert abs(seen - rss) < 4 * MIB and seen > 64 * MIB, (seen, rss)
        (limit,) = m['plateau_target_limit_bytes'].values()
        assert limit == 1 << 30
        for path in ('/healthz', '/ready', '/alive'):
            status, _, body = d.get(path)
            assert status == 200, (path, body)
        assert s['kubernetes'] is None and 'plateau_pod_ready' not in m, s


def test_life_of_a_target():
    """absent, started, ended, restarted, by pidfile: each an event, never an end of ours"""
    with tempfile.TemporaryDirectory() as tmp:
        pidfile = os.path.join(tmp, 'pid')
        with daemon(f'targets: [{{name: t, match: {{pidfile: {pidfile}}}}}]\n' + FAST + QUIET) as d:
            d.event('target.absent')
            for event in ('target.started', 'target.restarted'):
                with Target(MKLEAK, 'steady', 'size_mib=4') as t:
                    with open(pidfile + '.new', 'w', encoding='ascii') as f:
                        f.write(f'{t.pid}\n')
                    os.rename(pidfile + '.new', pidfile)
                    d.event(event, pid=t.pid)
                d.event('target.ended')
            assert d.target()['present'] is False


def test_exec():
    """a process that executes another program is the same process, and its trend begins anew"""
    with subprocess.Popen(['/bin/sh', '-c', 'read x; exec sleep 1000'], stdin=subprocess.PIPE) as p:
        with daemon(one_target(p.pid) + FAST + QUIET) as d:
            d.event('target.started', pid=p.pid)
            p.stdin.write(b'go\n')
            p.stdin.flush()
            d.event('target.execed', pid=p.pid, comm='sleep')
        p.kill()


def test_alert_fires_and_resolves():
    """a leak: forecast, alert to the webhook before the limit, the same id when it is resolved"""
    with Receiver() as receiver, Target(MKLEAK, 'leak', 'bytes_per_s=20000000', 'limit_mib=2000') as t:
        config = (one_target(t.pid, ', limit: 600MB') + FAST +
                  'policy: {startup_grace: 0, alert: {eta: 1h, used: 99%, for: 0}, '
                  'reclaim: {enabled: false}, rotate: {enabled: false}}\n'
                  f'report: {{listen: "127.0.0.1:@PORT@", webhook: {{url: "{receiver.url}/hook"}}}}\n')
        with daemon(config) as d:
            d.event('alert.act', reason='eta')
            r = receiver.next()
            fired = r.json()
            assert r.method == 'POST' and r.path == '/hook' and fired['type'] == 'plateau.alert.firing', vars(r)
            data = fired['data']
            assert data['status'] == 'firing' and data['forecast'], data
            fit = d.target()['trend']
            assert 1e7 < fit['slope_bytes_per_s'] < 4e7, fit
            assert fit['kind'] == 'leak' and fit['proof'] != 'none', fit
            t.process.kill()
            t.process.wait()
            t.process.returncode = 0
            d.event('target.ended')
            resolved = receiver.next().json()
            assert resolved['type'] == 'plateau.alert.resolved' and resolved['data']['id'] == data['id'], resolved


def test_reclaim():
    """fragmented memory: malloc_trim runs inside the target, is measured, and the policy hears of it"""
    with Target(MKLEAK, 'fragment-threads', 'size_mib=128') as t:
        config = (one_target(t.pid, ', limit: 160MiB') + FAST +
                  'policy: {startup_grace: 0, alert: {enabled: false}, rotate: {enabled: false}, '
                  'reclaim: {used: 60%, for: 0, cooldown: 1h}}\n')
        with daemon(config) as d:
            d.event('reclaim.act', reason='used')
            done = d.event('reclaim.done')
            assert done['result'] == 'ok' and done['released_bytes'] > 80 * MIB, done
            assert done['before_bytes'] - done['after_bytes'] > 80 * MIB, done
            m = d.metrics()
            assert sum(m['plateau_reclaimed_bytes_total'].values()) > 80 * MIB
            last = d.target()['last_actions']['reclaim']
            assert abs(last['predicted_bytes'] - last['released_bytes']) <= 0.05 * last['released_bytes'], last
        assert t.ask('w')['ok'] == '1'
        status = t.ask('?')
        assert status['ok'] == '1' and status['eintr'] == '0', status


def test_pinned_is_not_trimmed():
    """free memory that a trim would not give back: nothing is called, the outcome says why, rotation comes at once"""
    with Target(MKLEAK, 'fragment', 'size_mib=64', 'hole_bytes=1000') as t:
        config = (one_target(t.pid, f', limit: {rss_of(t.pid) * 2}B') + FAST +
                  'policy: {startup_grace: 0, alert: {enabled: false}, '
                  'reclaim: {used: 30%, eta: none, for: 0, cooldown: 1h, settle: 1h}, '
                  'rotate: {used: 35%, eta: none, for: 0, method: signal, wait: 20s}}\n')
        with daemon(config) as d:
            done = d.event('reclaim.done')
            assert done['result'] == 'skipped' and done['stop_usec'] == 0 and done['released_bytes'] == 0, done
            assert done['detail'].startswith('a trim would give back ') and done['detail'].endswith('is free: pinned'), done
            d.event('rotate.act', reason='used')
            done = d.event('rotate.done')
            assert done['result'] == 'ok', done
            assert t.process.wait(DEADLINE_S) == -signal.SIGTERM
            t.process.returncode = 0
            last = d.target()['last_actions']['reclaim']
            assert last['predicted_bytes'] < MIB and last['released_bytes'] is None, last


def test_verdict_of_pinned():
    """a survey of its own: the figures as metrics, the verdict in the status document and in plateau status"""
    with Target(MKLEAK, 'fragment', 'size_mib=64', 'hole_bytes=1000') as t, daemon(one_target(t.pid) + FAST + QUIET) as d:
        d.event('target.verdict', verdict='pinned_fragmentation')
        seen = d.target()
        told = seen['diagnosis']
        assert seen['verdict'] == 'pinned fragmentation' and told['kind'] == 'pinned_fragmentation', seen
        assert told['trimmable_bytes'] < MIB and told['free_bytes'] > 20 * MIB and told['remedies'], told
        m = d.metrics()
        kinds = {labels: v for labels, v in m['plateau_verdict'].items() if v == 1}
        assert list(kinds) == ['target="t",kind="pinned_fragmentation"'], m['plateau_verdict']
        assert m['plateau_heap_free_bytes'] == {'target="t"': told['free_bytes']}, m
        assert m['plateau_heap_trimmable_bytes'] == {'target="t"': told['trimmable_bytes']}, m
        shown = subprocess.run([PLATEAU, 'status', '--socket', d.socket_path], capture_output=True, text=True,
                               timeout=DEADLINE_S, check=False).stdout
        assert 'pinned fragmentation' in shown and "is free in malloc's heap" in shown, shown
        own = t.ask('?')
        assert told['free_bytes'] == int(own['fordblks']) and own['eintr'] == '0', (told, own)


def test_verdicts_of_many():
    """many targets at once: none stands behind the others, and each gets the verdict of its cause"""
    causes = {'leak-small': 'live_growth', 'leak-large': 'live_growth', 'leak-mmap': 'live_growth', 'leak-threads': 'stacks',
              'fragment-trimmable': 'trimmable', 'fragmented': 'pinned_fragmentation', 'arenas': 'pinned_fragmentation',
              'map-file': 'files', 'shared': 'shared_memory', 'steady': 'steady'}
    with contextlib.ExitStack() as stack:
        pids = {cause: stack.enter_context(Target(MKGROW, cause, '20')).pid for cause in causes}
        config = 'targets:\n' + ''.join(f'  - {{name: {cause}, match: {{pid: {pid}}}}}\n' for cause, pid in pids.items())
        config += FAST.replace('100ms}', '100ms, survey_interval: 500ms, survey_budget: 10%, smaps_budget: 10%}', 1)
        d = stack.enter_context(daemon(config + QUIET))
        d.event('target.verdict')

        def judged(status):
            told = {t['name']: t['diagnosis'] or {'kind': None, 'looks': 0} for t in status['targets']}
            return all(told[cause]['looks'] > 2 and told[cause]['kind'] == kind for cause, kind in causes.items())
        try:
            d.wait_status('each has its verdict', judged)
        except AssertionError:
            raise AssertionError({t['name']: t['diagnosis'] for t in d.status()['targets']}) from None
        assert all(t['counters']['surveys_failed_total'] == 0 for t in d.status()['targets'])


def test_verdict_in_alert():
    """a leak: surveys come oftener while the limit nears, and the alert says what it is that grows"""
    with Receiver() as receiver, Target(MKLEAK, 'leak', 'bytes_per_s=8000000', 'limit_mib=2000') as t:
        config = (one_target(t.pid, ', limit: 1GB') + FAST.replace('100ms}', '100ms, survey_interval: 1d, '
                  'survey_interval_min: 300ms, survey_budget: 10%}', 1) +
                  f'policy: {{startup_grace: 0, alert: {{bytes: {rss_of(t.pid) + 48 * MIB}B, used: none, '
                  'eta: none, for: 0}, reclaim: {enabled: false}, rotate: {enabled: false}}\n'
                  f'report: {{listen: "127.0.0.1:@PORT@", webhook: {{url: "{receiver.url}/hook"}}}}\n')
        with daemon(config) as d:
            d.event('target.verdict', verdict='live_growth')
            data = receiver.next().json()['data']
            told = data['diagnosis']
            assert data['annotations']['verdict'] == 'live growth' and told['kind'] == 'live_growth', data
            assert told['part'] == 'heap_in_use' and 4e6 < told['part_bytes_per_s'] < 16e6, told
            assert 3 <= told['looks'] <= 8, told
            counters = d.target()['counters']
            assert counters['surveys_total'] >= told['looks'] and counters['surveys_failed_total'] == 0, counters


def test_rotate_by_signal():
    """what reclaim cannot hold is rotated: SIGTERM, its end is waited for, the breaker stops the next"""
    with tempfile.TemporaryDirectory() as tmp:
        pidfile = os.path.join(tmp, 'pid')
        config = (f'targets: [{{name: t, match: {{pidfile: {pidfile}}}, limit: 40MiB}}]\n' + FAST +
                  'policy: {startup_grace: 0, alert: {enabled: false}, reclaim: {enabled: false}, '
                  'rotate: {used: 60%, for: 0, cooldown: 10s, max: 1, window: 1h, method: signal, wait: 20s}}\n')
        with daemon(config) as d:
            for event in ('rotate.act', 'rotate.skip'):
                with Target(MKLEAK, 'steady', 'size_mib=32') as t:
                    with open(pidfile + '.new', 'w', encoding='ascii') as f:
                        f.write(f'{t.pid}\n')
                    os.rename(pidfile + '.new', pidfile)
                    if event == 'rotate.act':
                        d.event(event, reason='used')
                        done = d.event('rotate.done')
                        assert done['result'] == 'ok' and done['method'] == 'signal', done
                        assert t.process.wait(DEADLINE_S) == -signal.SIGTERM
                        t.process.returncode = 0
                    else:
                        d.event(event, reason='breaker')
                        assert t.process.poll() is None


def test_rotate_by_deadline():
    """rotates when the limit is nearer than a rotation takes; the hook is told how long that is, and it is learned"""
    with tempfile.TemporaryDirectory() as tmp, Target(MKLEAK, 'leak', 'bytes_per_s=8000000', 'limit_mib=2000') as t:
        out = os.path.join(tmp, 'out')
        config = (one_target(t.pid, ', limit: 200MiB') + FAST +
                  'policy: {startup_grace: 0, alert: {enabled: false}, reclaim: {enabled: false}, rotate: {used: none, '
                  f'for: 0, cooldown: 1h, method: hook, hook: [/usr/bin/tee, {out}], '
                  'needs: {drain: 15s, startup: 10s, retries: 0, margin: 5s}}}\n')
        with daemon(config) as d:
            act = d.event('rotate.act', reason='deadline')
            assert act['rotation_needs_s'] == 30 and act['eta_lo_s'] <= 30, act
            d.event('rotate.done')
            deadline = d.target()['deadline']
            assert deadline['needs_s'] == 30 and deadline['drain']['learned_from'] == 1, deadline
            assert deadline['drain']['needs_s'] == 15 > deadline['drain']['learned_s'], deadline
            needs = d.metrics()['plateau_rotation_needs_seconds']
            assert {k.split('need="')[1].split('"')[0]: v for k, v in needs.items()} == {
                'drain': 15, 'startup': 10, 'retries': 0, 'margin': 5}, needs
        with open(out, encoding='utf-8') as f:
            decision = json.load(f)
        assert decision['trigger'] == 'deadline' and decision['rotation_needs_s'] == decision['threshold'] == 30, decision


def test_maintenance():
    """what is not urgent waits for the maintenance window, and says so"""
    with Target(MKLEAK, 'steady', 'size_mib=32') as t:
        week = time.gmtime()
        day = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')[(week.tm_wday + 3) % 7]
        config = (one_target(t.pid, ', limit: 48MiB') + FAST +
                  f'policy: {{startup_grace: 0, maintenance: {{allow: ["{day} 12:00-12:30"]}}, alert: {{enabled: false}}, '
                  'reclaim: {used: 50%, for: 0}, rotate: {enabled: false}}\n')
        with daemon(config) as d:
            d.event('reclaim.skip', reason='window')
            assert d.wait_status('a wait', lambda s: s['targets'][0]['decisions'][1]['wait_s'])
            assert d.target()['counters']['actions_total']['reclaim'] == {
                k: 0 for k in d.target()['counters']['actions_total']['reclaim']}


def test_rotate_by_hook():
    """the hook gets the decision as JSON on stdin and needs no shell"""
    with tempfile.TemporaryDirectory() as tmp, Target(MKLEAK, 'steady', 'size_mib=32') as t:
        out = os.path.join(tmp, 'out')
        config = (one_target(t.pid, ', limit: 40MiB') + FAST +
                  'policy: {startup_grace: 0, alert: {enabled: false}, reclaim: {enabled: false}, rotate: {used: 60%, '
                  f'for: 0, cooldown: 1h, method: hook, hook: [/usr/bin/tee, {out}]}}}}\n')
        with daemon(config) as d:
            done = d.event('rotate.done')
            assert done['result'] == 'ok' and done['method'] == 'hook', done
        with open(out, encoding='utf-8') as f:
            decision = json.load(f)
        assert '"used"' in json.dumps(decision) and str(t.pid) in json.dumps(decision), decision


def test_dry_run():
    """dry run: decided, logged, counted, not done"""
    with Target(MKLEAK, 'steady', 'size_mib=32') as t:
        config = (one_target(t.pid, ', limit: 40MiB') + FAST +
                  'policy: {dry_run: true, startup_grace: 0, alert: {enabled: false}, reclaim: {used: 50%, for: 0}, '
                  'rotate: {used: 60%, for: 0, method: signal}}\n')
        with daemon(config) as d:
            d.event('rotate.skip', reason='dry_run')
            d.wait_status('three more ticks', lambda s, first=[]: first.append(0) or len(first) > 3)
            assert t.process.poll() is None
            assert t.ask('?')['ok'] == '1'


def test_reload():
    """SIGHUP: a wrong file changes nothing, a right one all, and the target's history stays"""
    with Target(MKLEAK, 'steady', 'size_mib=8') as t, daemon(one_target(t.pid, ', limit: 1GiB') + FAST + QUIET) as d:
        d.event('target.started')
        d.write(one_target(t.pid, ', limit: 2GiB') + FAST + QUIET + 'nonsense: 1\n')
        d.process.send_signal(signal.SIGHUP)
        problem = d.event('config.problem')
        assert 'nonsense' in problem['message'] and 'plateau.yaml:' in problem['message'], problem
        d.event('config.kept')
        (limit,) = d.metrics()['plateau_target_limit_bytes'].values()
        assert limit == 1 << 30
        d.write(one_target(t.pid, ', limit: 2GiB') + FAST + QUIET)
        d.process.send_signal(signal.SIGHUP)
        d.event('config.reloaded')
        wait_until('the new limit', lambda: list(d.metrics().get('plateau_target_limit_bytes', {}).values()) == [2 << 30])


def test_pushgateway():
    """pushes to a real Pushgateway, and deletes its group at a clean stop"""
    program = need('prometheus-pushgateway')
    port = free_port()
    url = f'http://127.0.0.1:{port}'
    with subprocess.Popen([program, f'--web.listen-address=127.0.0.1:{port}', '--persistence.file='], stderr=subprocess.DEVNULL) as gateway:
        try:
            def ready():
                try:
                    return get(url + '/-/ready')[0] == 200
                except OSError:
                    return False
            wait_until('the gateway', ready)
            with Target(MKLEAK, 'steady', 'size_mib=8') as t:
                config = (one_target(t.pid) + FAST + QUIET +
                          f'report: {{pushgateway: {{url: "{url}", job: demo, instance: i, interval: 1s}}}}\n')
                with daemon(config) as d:
                    wait_until('a push', lambda: b'plateau_target_resident_bytes' in get(url + '/metrics')[2])
                    assert b'job="demo"' in get(url + '/metrics')[2]
                    d.process.terminate()
                    assert d.process.wait(DEADLINE_S) == 0
            assert b'plateau_target_resident_bytes' not in get(url + '/metrics')[2]
        finally:
            gateway.terminate()


def test_sinks_down():
    """collector and receiver down: sampling and deciding go on, and the stop is clean"""
    port = free_port()
    with Target(MKLEAK, 'steady', 'size_mib=32') as t:
        config = (one_target(t.pid, ', limit: 40MiB') + FAST +
                  'policy: {startup_grace: 0, alert: {used: 50%, for: 0}, reclaim: {enabled: false}, rotate: {enabled: false}}\n'
                  f'report: {{pushgateway: {{url: "http://127.0.0.1:{port}", interval: 1s}}, '
                  f'webhook: {{url: "http://127.0.0.1:{port}/"}}}}\n')
        with daemon(config) as d:
            d.event('alert.act')
            assert 'refused' in d.event('sink.failing', sink='webhook')['error']
            sinks = d.wait_status('a failed attempt', lambda s: all(k['failed_total'] for k in s['sinks']))['sinks']
            assert len(sinks) == 2 and all(k['last_error'] for k in sinks), sinks
            n = d.target()['counters']['samples_total']
            d.wait_status('more samples', lambda s: s['targets'][0]['counters']['samples_total'] > n + 3)


def test_stop_in_mid_action():
    """SIGTERM while a hook hangs and a receiver never answers: a clean stop all the same"""
    with Receiver([Receiver.HANG] * 9) as receiver, Target(MKLEAK, 'steady', 'size_mib=32') as t:
        config = (one_target(t.pid, ', limit: 40MiB') + FAST +
                  'policy: {startup_grace: 0, alert: {used: 50%, for: 0}, reclaim: {enabled: false}, '
                  'rotate: {used: 60%, for: 0, method: hook, hook: [/bin/sleep, "1000"], hook_timeout: 15m}}\n'
                  f'report: {{webhook: {{url: "{receiver.url}/"}}}}\n')
        with daemon(config) as d:
            d.event('rotate.act')
            receiver.next()
            d.process.terminate()
            d.event('rotate.done', result='cancelled')
            assert d.process.wait(DEADLINE_S) == 0


def test_privileges():
    """plateaud keeps no capability, the probe SYS_PTRACE alone"""
    with Target(MKLEAK, 'steady') as t, daemon(one_target(t.pid) + FAST + QUIET) as d:
        probe = d.event('probe.ready')
        status = d.proc()
        for key in ('CapEff', 'CapPrm', 'CapInh', 'CapAmb'):
            assert int(status[key], 16) == 0, (key, status[key])
        assert status['NoNewPrivs'].strip() == '1'
        assert int(d.proc(probe['pid'])['CapEff'], 16) & ~(1 << 19) == 0


def test_probe_dies():
    """the probe is killed: said, replaced, and sampling never stopped"""
    with Target(MKLEAK, 'steady') as t, daemon(one_target(t.pid) + FAST + QUIET) as d:
        probe = d.event('probe.ready')
        os.kill(probe['pid'], signal.SIGKILL)
        d.event('probe.died')
        assert d.event('probe.ready')['pid'] != probe['pid']
        n = d.target()['counters']['samples_total']
        d.wait_status('more samples', lambda s: s['targets'][0]['counters']['samples_total'] > n + 3)


def test_service_manager():
    """READY, STATUS, WATCHDOG, RELOADING with its clock, STOPPING: in this order"""
    with tempfile.TemporaryDirectory() as tmp, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, \
            Target(MKLEAK, 'steady') as t:
        path = os.path.join(tmp, 'notify')
        s.bind(path)
        s.settimeout(DEADLINE_S)

        def until(want):
            while True:
                message = s.recv(4096).decode()
                if want in message:
                    return message

        env = {'NOTIFY_SOCKET': path, 'WATCHDOG_USEC': '1000000'}
        with daemon(one_target(t.pid) + FAST + QUIET, env=env) as d:
            until('READY=1')
            until('WATCHDOG=1')
            d.process.send_signal(signal.SIGHUP)
            assert 'MONOTONIC_USEC=' in until('RELOADING=1')
            until('READY=1')
            d.process.terminate()
            until('STOPPING=1')
            assert d.process.wait(DEADLINE_S) == 0


def test_command_line():
    """exit codes: 64 usage, 66 no file, 78 wrong file; --check-config and --dump-config"""
    def run(*args, text=None):
        return subprocess.run([PLATEAUD, *args], input=text, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert run('--nonsense').returncode == 64
    assert run('--config', '/nonexistent.yaml').returncode == 66
    wrong = run('--check-config', '--config', '-', text='targets: [{match: {pid: -3}}]\n')
    assert wrong.returncode == 78 and ':1:' in wrong.stderr and '-3' in wrong.stderr, wrong
    for name in sorted(os.listdir(CONFIG_DIR)):
        if name.endswith('.yaml'):
            good = run('--check-config', '--config', os.path.join(CONFIG_DIR, name))
            assert good.returncode == 0, (name, good.stderr)
    dump = run('--dump-config', '--config', '-', text='targets: [{match: {pid: 3}}]\n')
    assert dump.returncode == 0, dump
    again = run('--check-config', '--config', '-', text=dump.stdout)
    assert again.returncode == 0, again


def test_status_command():
    """plateau status reads what a real daemon says"""
    with Target(MKLEAK, 'steady', 'size_mib=8') as t, daemon(one_target(t.pid, ', limit: 1GiB') + FAST + QUIET) as d:
        d.event('target.started') # the socket is there before the first tick
        d.wait_status('a sample', lambda s: s['targets'][0]['sample'])
        shown = subprocess.run([PLATEAU, 'status', '--socket', d.socket_path], capture_output=True, text=True,
                               timeout=DEADLINE_S, check=False)
        assert shown.returncode == 0 and f'pid {t.pid}' in shown.stdout and '1.07 GB' in shown.stdout, shown
        raw = subprocess.run([PLATEAU, 'status', '--json', '--socket', d.socket_path], capture_output=True, text=True,
                             timeout=DEADLINE_S, check=False)
        assert json.loads(raw.stdout)['targets'][0]['pid'] == t.pid, raw


def test_two_daemons():
    """a second daemon on the same socket is refused and harms nothing"""
    with Target(MKLEAK, 'steady') as t, daemon(one_target(t.pid) + FAST + QUIET) as d:
        d.event('daemon.ready')
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as f:
            f.write(one_target(t.pid) + f'socket: {d.socket_path}\n')
            f.flush()
            second = subprocess.run([PLATEAUD, '--config', f.name], capture_output=True, timeout=DEADLINE_S, check=False,
                                    env={**os.environ, 'PLATEAU_PROBE': PROBE})
        assert second.returncode == 69, second
        assert d.status()['targets'][0]['pid'] == t.pid


if __name__ == '__main__':
    run_tests([v for k, v in list(globals().items()) if k.startswith('test_')])
