#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: one audio server under glibc twice and under jemalloc once, plateau beside them, real collectors behind it.

Started by deploy/demo. Exit status 0 only if everything that it is meant to show was seen.
"""
import argparse
import http.server
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PUSHER = ROOT / 'tests' / 'targets' / 'pusher' / 'run.py'
MB = 1_000_000
# name, allocator, profile of the workload, limit in MB, what it is there to show
SERVERS = (
    ('trimmable', 'glibc', 'trimmable', 180, 'freed memory lies in whole pages: malloc_trim returns it'),
    ('pinned', 'glibc', 'pinned', 260, 'freed memory is pinned by small survivors: only a new process helps'),
    ('jemalloc', 'jemalloc', 'trimmable', 180, 'the same program, load and limit as "trimmable", under jemalloc'),
)
CONFIG = """\
targets:
{targets}
sample: {{interval: 500ms, survey_interval: 5s, survey_interval_min: 3s, survey_budget: 2%}}
trend: {{min_span: 5s}}
policy:               # minutes and hours in earnest; seconds here, so that all of it fits a demo
  startup_grace: 5s
  alert: {{used: 70%, eta: 30s, for: 2s}}
  reclaim: {{used: 75%, eta: 4s, for: 1s, cooldown: 10s, min_yield_bytes: 8MB, strikes: 1, settle: 2s}}
  rotate: {{used: 90%, eta: 2s, for: 1s, cooldown: 20s, max: 3, window: 1h, method: signal, wait: 2s}}
report:
  pushgateway: {{url: "http://127.0.0.1:{gateway}", job: demo, instance: demo, interval: 2s, timeout: 1s, delete_on_exit: false}}
  webhook: {{url: "http://127.0.0.1:{receiver}/alerts"}}
log: {{format: json}}
socket: {socket}
"""


class Style:
    def __init__(self, enabled):
        self.enabled = enabled

    def __call__(self, code, text):
        return f'\033[{code}m{text}\033[0m' if self.enabled else text


def megabytes(n):
    return f'{n / MB:.0f} MB'


def duration(seconds):
    if seconds is None:
        return 'never'
    return f'{seconds:.0f} s' if seconds < 120 else f'{seconds / 60:.0f} min'


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Receiver(http.server.BaseHTTPRequestHandler):
    """Where the alerts go: a plain HTTP server, as a pager's or a chat's would be."""
    got = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.got.put(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Demo:
    def __init__(self, args, style):
        self.args, self.style = args, style
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='plateau-demo-'))
        self.processes = []
        self.events = queue.Queue()
        self.series = {name: [] for name, *_ in SERVERS}
        self.seen = {}
        self.start = time.monotonic()

    # ---- processes

    def spawn(self, argv, **kwargs):
        process = subprocess.Popen([str(a) for a in argv], **kwargs)
        self.processes.append(process)
        return process

    def start_all(self):
        gateway, receiver = free_port(), http.server.ThreadingHTTPServer(('127.0.0.1', 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        self.gateway = f'http://127.0.0.1:{gateway}'
        self.spawn([shutil.which('prometheus-pushgateway'), f'--web.listen-address=127.0.0.1:{gateway}', '--persistence.file='],
                   cwd=self.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name, allocator, profile, _, _ in SERVERS:
            with open(self.dir / f'{name}.log', 'wb') as log:
                self.spawn(['/usr/bin/python3', PUSHER, '--allocator', allocator, '--profile', profile, '--respawn', '--pidfile',
                            self.dir / f'{name}.pid', '--seconds', self.args.seconds, '--report', 5],
                           stdout=log, stderr=log)
        targets = '\n'.join(f'  - {{name: {name}, match: {{pidfile: {self.dir / name}.pid}}, limit: {limit}MB}}'
                            for name, _, _, limit, _ in SERVERS)
        config = CONFIG.format(targets=targets, gateway=gateway, receiver=receiver.server_port, socket=self.dir / 'plateau.sock')
        (self.dir / 'plateau.yaml').write_text(config)
        print(config)
        self.daemon = self.spawn([self.args.bin / 'plateaud', '--config', self.dir / 'plateau.yaml'], stderr=subprocess.PIPE,
                                 env={**os.environ, 'PLATEAU_PROBE': str(self.args.bin / 'plateau-probe')})
        threading.Thread(target=self.read_log, daemon=True).start()

    def stop_all(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def read_log(self):
        for line in self.daemon.stderr:
            try:
                self.events.put(json.loads(line))
            except ValueError:
                self.events.put({'event': 'text', 'message': line.decode(errors='replace').rstrip()})

    # ---- what is shown

    def say(self, text, code=None):
        stamp = f'{time.monotonic() - self.start:5.1f} s  '
        print(stamp + (self.style(code, text) if code else text), flush=True)

    def mark(self, what):
        self.seen[what] = self.seen.get(what, 0) + 1

    def status(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(self.dir / 'plateau.sock'))
                data = b''
                while chunk := s.recv(65536):
                    data += chunk
            return json.loads(data)['targets']
        except (OSError, ValueError):
            return []

    def show_target(self, t):
        sample, trend, limit = t['sample'], t['trend'], t['limit']
        if not t['present'] or not sample:
            return f'{t["name"]:<10} not there'
        rss, most = sample['rss_bytes'], limit['bytes']
        self.series[t['name']].append((time.monotonic() - self.start, rss))
        filled = min(24, round(24 * rss / most))
        text = f'{t["name"]:<10} {"#" * filled}{"." * (24 - filled)} {megabytes(rss):>7} of {megabytes(most)}'
        if trend['state'] == 'growing':
            text += f'  growing {trend["slope_bytes_per_s"] / MB:.1f} MB/s'
            if trend['eta_s'] is not None:
                text += f', limit in {duration(trend["eta_s"])} ({duration(trend["eta_lo_s"])} to {duration(trend["eta_hi_s"])})'
                self.mark('forecast')
        elif trend['state'] != 'wait':
            text += f'  {trend["state"]}'
        return text

    def show_event(self, e):
        kind, name = e['event'], e.get('target')
        if kind == 'reclaim.done' and e['result'] == 'skipped':
            self.say(f'>> {name}: nothing called: {e["detail"]}', '33')
        elif kind == 'reclaim.skip' and e['reason'] == 'little_gain':
            self.say(f'>> {name}: nothing called: a look just before foretold too little', '33')
        elif kind == 'target.verdict':
            if e['verdict'] != 'unknown': # a first look does not tell growth
                self.say(f'>> {e["message"]}', '36')
        elif kind == 'reclaim.done' and e['result'] not in ('ok', 'partial'):
            self.say(f'>> {name}: reclaim {e["result"]}: {e["detail"]}', '33')
        elif kind == 'reclaim.done':
            gave = max(0, e['before_bytes'] - e['after_bytes'])
            self.say(f'>> {name}: malloc_trim inside the live process: RSS {megabytes(e["before_bytes"])} -> '
                     f'{megabytes(e["after_bytes"])} ({megabytes(gave)} back); a thread was held {e["stop_usec"]} us, '
                     f'the call took {e["duration_usec"] / 1000:.1f} ms', '32')
            self.mark('reclaim')
            if gave > 8 * MB:
                self.mark('reclaim gave')
        elif kind == 'rotate.act':
            self.say(f'>> {name}: reclaim cannot hold it: rotating (SIGTERM, connections are told to come back)', '33')
        elif kind == 'rotate.done':
            self.say(f'>> {name}: rotated: {e["detail"]}', '33')
            self.mark('rotation')
        elif kind == 'target.restarted':
            self.say(f'>> {name}: the new process is watched, pid {e["pid"]}', '33')
        elif kind in ('text', 'daemon.failed', 'probe.missing', 'probe.died', 'sample.failed'):
            self.say(f'!! {e["message"]}', '31')

    def show_alert(self, body):
        data = body.get('data', {})
        summary = (data.get('annotations') or {}).get('summary', '')
        what = body.get('type', '?').replace('plateau.', '')
        if what.startswith('alert'):
            self.say(f'<< webhook received {what}: {summary}', '35')
            self.mark('alert')

    def drain(self):
        for q, show in ((self.events, self.show_event), (Receiver.got, self.show_alert)):
            while True:
                try:
                    show(q.get_nowait())
                except queue.Empty:
                    break

    def watch(self):
        end, next_line = self.start + self.args.seconds, self.start + 3
        while time.monotonic() < end:
            try:
                self.show_event(self.events.get(timeout=0.2))
            except queue.Empty:
                pass
            self.drain()
            if self.daemon.poll() is not None:
                raise SystemExit(f'plateaud ended with {self.daemon.returncode}')
            if time.monotonic() >= next_line:
                next_line += 4
                for t in self.status():
                    self.say(self.show_target(t))

    def chart(self):
        """RSS over time, one row a server, as eighths of its limit."""
        width = 64
        for name, allocator, _, limit, what in SERVERS:
            points = self.series[name]
            row = ''
            for i in range(width):
                at = self.args.seconds * (i + 0.5) / width
                near = min(points, key=lambda p: abs(p[0] - at), default=None)
                row += ' ' if not near else '▁▂▃▄▅▆▇█'[min(7, int(8 * near[1] / (limit * MB)))]
            print(f'{name:<10} {row}  limit {limit} MB, {allocator}: {what}')

    def show_metrics(self):
        page = urllib.request.urlopen(self.gateway + '/metrics', timeout=10).read().decode()
        wanted = ('plateau_target_resident_bytes', 'plateau_reclaimed_bytes_total', 'plateau_rotations_total',
                  'plateau_forecast_time_to_limit_seconds')
        for line in page.splitlines():
            if line.startswith(wanted):
                print('  ' + line)
                self.mark('metrics')

    def finish(self):
        print(self.style('1', '\n== 4. plateau status'))
        subprocess.run([self.args.bin / 'plateau', 'status', '--socket', self.dir / 'plateau.sock'], check=False)
        print(self.style('1', '\n== 5. what the Pushgateway has'))
        self.show_metrics()
        print(self.style('1', f'\n== 6. RSS over {self.args.seconds} s'))
        self.chart()
        self.compare()
        print(self.style('1', '\n== 7. what was shown'))
        wanted = {'forecast': 'a forecast with bounds', 'alert': 'an alert at its receiver', 'reclaim gave': 'a reclaim that gave memory back',
                  'rotation': 'a rotation where reclaim could not hold it', 'metrics': 'metrics in the Pushgateway'}
        for key, text in wanted.items():
            print(f'  {"seen" if self.seen.get(key) else "NOT SEEN":<9} {text}')
        return 0 if all(self.seen.get(key) for key in wanted) else 1

    def compare(self):
        """The same load under glibc and jemalloc: how far each went, as measured."""
        glibc, jemalloc = (max(p[1] for p in self.series[name]) for name in ('trimmable', 'jemalloc'))
        late = [p for p in self.series['jemalloc'] if p[0] > self.args.seconds / 3]
        rate = (late[-1][1] - late[0][1]) / (late[-1][0] - late[0][0])
        print(f'the same program and load: glibc reached {megabytes(glibc)} in spite of reclaim; jemalloc {megabytes(jemalloc)} without '
              f'any, and grew by {rate / MB:.2f} MB/s in the last two thirds')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bin', type=pathlib.Path, required=True)
    parser.add_argument('--seconds', type=int, default=75)
    demo = Demo(parser.parse_args(), Style(sys.stdout.isatty() and 'NO_COLOR' not in os.environ))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        demo.start_all()
        demo.watch()
        return demo.finish()
    finally:
        demo.stop_all()


if __name__ == '__main__':
    sys.exit(main())
