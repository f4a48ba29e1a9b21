# SPDX-License-Identifier: Apache-2.0
"""What a process costs, read from /proc; and starting the processes that are measured."""
import os
import signal
import statistics
import subprocess
import tempfile
import time


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def tree_of(pid):
    """The process and all its descendants."""
    children = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                fields = read(f'/proc/{name}/stat').rsplit(')', 1)[1].split()
            except (OSError, IndexError):
                continue
            children.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def memory(pid):
    """(RSS, private, private and written to) in bytes, by a walk of the page tables: exact, unlike statm's batched counters
    (proc(5)). Private pages of files become shared when somebody else maps the file; written ones never do."""
    fields = {}
    for line in read(f'/proc/{pid}/smaps_rollup').splitlines()[1:]:
        key, value = line.split(':')
        fields[key] = int(value.split()[0]) * 1024
    return fields['Rss'], fields['Private_Clean'] + fields['Private_Dirty'], fields['Private_Dirty']


def rss(pid):
    """RSS in bytes, cheaply."""
    return int(read(f'/proc/{pid}/statm').split()[1]) * os.sysconf('SC_PAGESIZE')


def activity(pid):
    """(CPU nanoseconds, context switches) of all threads that live. A thread that ended took its share with it."""
    cpu = switches = 0
    for tid in os.listdir(f'/proc/{pid}/task'):
        try:
            cpu += int(read(f'/proc/{pid}/task/{tid}/schedstat').split()[0])
            for line in read(f'/proc/{pid}/task/{tid}/status').splitlines():
                if line.startswith(('voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches')):
                    switches += int(line.split()[1])
        except OSError:
            continue
    return cpu, switches


def theil_sen(points):
    """Median of the slopes between all pairs of (x, y)."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] != a[0]]
    return statistics.median(slopes) if slopes else 0.0


def kilobytes(n):
    return f'{n / 1000:,.0f} kB'


def duration(text):
    """Seconds of "90", "90s", "10m"."""
    units = {'s': 1, 'm': 60, 'h': 3600}
    return float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)


class Child:
    """A process in the foreground with its output in a file; ended, and waited for, by stop()."""

    def __init__(self, name, argv, env=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.log = tempfile.NamedTemporaryFile(mode='w+', suffix=f'-{name}.log')
        try:
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=self.log, stderr=self.log,
                                            env={**os.environ, **(env or {})}, start_new_session=True)
        except OSError as e:
            self.process, self.error = None, f'cannot be started: {e.strerror}'

    def pid(self):
        return self.process.pid

    def dead(self):
        """Why it does not run, or None."""
        if not self.process:
            return self.error
        if self.process.poll() is None:
            return None
        said = [line for line in read(self.log.name).splitlines() if line.strip()]
        return f'ended with status {self.process.returncode}: {said[-1] if said else "said nothing"}'

    def stop(self):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_target(mkleak, arguments):
    """A mkleak target that holds its stdin open; it prints one line when it is ready."""
    process = subprocess.Popen([mkleak, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line.startswith('ready'):
        process.kill()
        process.wait()
        raise RuntimeError(f'{mkleak} {" ".join(arguments)}: "{line.strip()}" instead of "ready"')
    return process


def start_python_target(size_mib):
    """Where mkleak is not built: holds @size_mib of touched memory."""
    code = ('import sys; m = bytearray(b"x") * (int(sys.argv[1]) << 20); print("ready", flush=True); '
            'sys.stdin.read()')
    return start_target('/usr/bin/python3', ['-c', code, str(size_mib)])


def stop_target(process):
    """End of its stdin ends it."""
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def plateaud_config(folder, pid, interval):
    """A configuration that samples one process and neither serves nor pushes nor acts."""
    path = os.path.join(folder, f'plateau-{interval}.yaml')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(f'targets:\n  - name: bench\n    match:\n      pid: {pid}\n'
                f'sample:\n  interval: {interval}\n'
                f'policy:\n  dry_run: true\n'
                f'socket: {folder}/plateau-{interval}.sock\n')
    return path


def wait_alive(children, seconds):
    """Let them start; nobody is measured while it loads."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not all(c.dead() for c in children):
        time.sleep(0.1)
