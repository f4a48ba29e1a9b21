# SPDX-License-Identifier: Apache-2.0
"""One real program under client load, and `plateau reclaim` into it again and again: drive(program, tools) -> Result.

Run as root, a program runs as `nobody` where that user can read it: some refuse to be root, and none needs to be. All
that was started is a descendant of this process, also what a program left behind (PR_SET_CHILD_SUBREAPER), and is ended
by its number.
"""
import contextlib
import ctypes
import json
import os
import pwd
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'integration'))
from lib import DEADLINE_S, Skip, wait_until  # noqa: E402
from programs import TABLE, Program, Start  # noqa: E402,F401

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
START_S = 60
BUILD_S = 300
STOP_S = 10
APART_S = (0.0, 0.02)   # between two calls
TRIES = 4               # of a call that found no safe thread, was before another's end, or came to a process that ended
TRANSIENT = ('no_safe_thread', 'in_flight', 'gone')
SCRATCH_LOW32 = '50726000' # what a scratch mapping's address ends in
libc = ctypes.CDLL(None)


@dataclass
class Tools:
    plateau: str
    probe: str
    reclaims: int = 10
    control_s: float = 1.0  # load alone, to compare with
    cache: str = None       # for compilers, kept from run to run


@dataclass
class Result:
    """What came out. Units are in the names; `load` and `control` are phases of load.py."""
    name: str
    version: str = ''
    allocators: set = field(default_factory=set)
    replies: list = field(default_factory=list)
    control: dict = None
    load: dict = None
    processes: int = 0
    gone: set = field(default_factory=set) # of these, those that ended under the load
    wrong: list = field(default_factory=list) # what must not be

    def count(self, reason):
        return sum(r['reason'] == reason for r in self.replies)

    def refusals(self):
        """{reason: how often}"""
        return {r: self.count(r) for r in sorted({r['reason'] for r in self.replies} - {'ok'})}

    def details(self):
        """What was said of the refusals, without what differs from call to call."""
        return {f'{r["reason"]}: {r["detail"]}' for r in self.replies if r['reason'] != 'ok' and r['detail']}

    def released_bytes(self):
        return sum(r['released_bytes'] or 0 for r in self.replies)

    def stops_usec(self):
        """The longest stop of each call, sorted; a JVM that trims by itself is never stopped."""
        return sorted(r['stop_max_usec'] for r in self.replies if r['reason'] == 'ok' and r['stop_max_usec'])

    def quantile(self, q):
        stops = self.stops_usec()
        return stops[min(len(stops) - 1, int(len(stops) * q))] if stops else None


class Place:
    """A folder and a user for one program."""

    def __init__(self, tools, path):
        self.tools = tools
        self.folder = tempfile.mkdtemp(prefix='plateau-programs-')
        self.user = nobody() if os.geteuid() == 0 and readable_by_all(path) else None
        self.give(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def give(self, path):
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def write(self, name, content):
        with open(self.path(name), 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        self.give(self.path(name))
        return self.path(name)

    def copy(self, path):
        with open(path, 'rb') as f:
            return self.write(os.path.basename(path), f.read())

    def cache(self, name):
        path = os.path.join(self.tools.cache or self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def popen(self, argv, **kwargs):
        """As the program's user, dead when we are."""
        if self.user:
            kwargs.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        environment = {'PATH': os.environ.get('PATH', os.defpath), 'LC_ALL': 'C.UTF-8', 'HOME': self.folder}
        return subprocess.Popen(argv, cwd=self.folder, stdin=subprocess.DEVNULL, env=environment, start_new_session=True,
                                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM), **kwargs)

    def run(self, *argv):
        """A step before the start, as the program's user."""
        with open(self.path('steps'), 'ab') as log:
            process = self.popen(argv, stdout=log, stderr=log)
            if process.wait(START_S):
                raise AssertionError(f'{argv[0]} failed: {tail(log.name)}')

    def build(self, *argv, env=None):
        """A compiler's run: as ourselves, it may live in our home; what it makes is for the program's user."""
        try:
            subprocess.run(argv, check=True, capture_output=True, text=True, timeout=BUILD_S, cwd=self.folder,
                           env={**os.environ, **(env or {})})
        except subprocess.CalledProcessError as e:
            print(f'# {argv[0]}: ' + e.stderr.strip().replace('\n', '\n# '), flush=True)
            raise

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def nobody():
    return pwd.getpwnam('nobody')


def readable_by_all(path):
    """Can any user get at a program, through all its folders?"""
    path = os.path.realpath(path)
    while path != '/':
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def tail(path, lines=5):
    with open(path, encoding='utf-8', errors='replace') as f:
        return ' | '.join(f.read().strip().splitlines()[-lines:])


def children_of_all():
    """{pid: pids of its children}, of all processes."""
    children = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/stat', 'rb') as f:
                    fields = f.read().rsplit(b')', 1)[1].split()
            except (OSError, IndexError):
                continue
            if fields[0] != b'Z':
                children.setdefault(int(fields[1]), []).append(int(name))
    return children


def tree_of(pid):
    """The process and its descendants, zombies left out; oldest first."""
    children, found = children_of_all(), [pid]
    for parent in found:
        found += sorted(children.get(parent, []))
    return found


def title(pid):
    try:
        with open(f'/proc/{pid}/cmdline', encoding='utf-8', errors='replace') as f:
            return f.read().replace('\0', ' ').strip()
    except OSError:
        return ''


class Server:
    """The program, from its start until nothing of it is left."""

    def __init__(self, program, place, path):
        self.place = place
        self.start: Start = program.start(place, path)
        self.log = open(place.path('output'), 'w+', encoding='utf-8', errors='replace')
        self.process = place.popen(self.start.argv, stdout=self.log, stderr=self.log)
        try:
            self.address = self.start.address or self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def said(self):
        return tail(self.log.name)

    def alive(self):
        return self.process.poll() is None

    def wait_ready(self):
        def port():
            assert self.alive(), f'it ended with {self.process.returncode}: {self.said()}'
            with open(self.log.name, encoding='utf-8', errors='replace') as f:
                found = re.search(r'^ready (\d+)$', f.read(), re.M)
            return found and found.group(1)
        return wait_until('it is ready', port, START_S)

    def pids(self):
        tree = tree_of(self.process.pid)
        return [pid for pid in tree if not (self.start.leave and re.search(self.start.leave, title(pid)))]

    def stop(self):
        """SIGTERM, then SIGKILL to all that is left; orphans are ours by now."""
        tree = tree_of(self.process.pid)
        if self.alive():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        left = set(tree) & set(tree_of(os.getpid()))
        for pid in left - {self.process.pid} | ({self.process.pid} if self.alive() else set()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        for pid in left - {self.process.pid}:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self.log.close()


class Load:
    """load.py, and what it says of each phase."""

    def __init__(self, server, client):
        self.server = server
        self.process = wait_until(f'it answers ({client})', lambda: self.connect(server, client), START_S)

    def connect(self, server, client):
        assert server.alive(), f'it ended with {server.process.returncode}: {server.said()}'
        if server.address.startswith('/') and not os.path.exists(server.address.split('?')[0]):
            return None
        process = subprocess.Popen([sys.executable, os.path.join(HERE, 'load.py'), client, server.address],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.line(process)
        if line:
            return process
        self.said = process.stderr.read().strip()[-300:]
        end(process)
        return None

    @staticmethod
    def line(process):
        """The next object; None: there is none."""
        if not select.select([process.stdout], [], [], DEADLINE_S)[0]:
            end(process)
            raise AssertionError('the load does not answer')
        text = process.stdout.readline()
        return json.loads(text) if text else None

    def phase(self):
        """Ends a phase; its figures."""
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return self.line(self.process)

    def stop(self):
        end(self.process)


def end(process):
    process.kill()
    process.wait()
    for f in (process.stdin, process.stdout, process.stderr):
        f.close()


def reclaim(tools, pid):
    """The answer of `plateau reclaim PID --json`, asked by ourselves: if we are root, of another user's process."""
    argv = [tools.plateau, 'reclaim', '--json', '--probe', tools.probe, str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S)
    if not done.stdout:
        raise AssertionError(f'plateau reclaim ended with {done.returncode} and said {done.stderr[-300:]!r}')
    return json.loads(done.stdout)


def reclaim_all(tools, server, result):
    """One process after the other, in turn. A refusal that may be another one a moment later is asked again."""
    pids = []
    for _ in range(tools.reclaims):
        for attempt in range(TRIES):
            pids = pids or server.pids()
            reply = reclaim(tools, pids.pop(0))
            if reply['reason'] == 'access':
                raise Skip(f'no right to trace here: {reply["detail"]}')
            result.replies.append(reply)
            if reply['allocator']:
                result.allocators.add(reply['allocator'])
            if reply['reason'] not in TRANSIENT:
                break
        time.sleep(random.uniform(*APART_S))


def scratch_maps(pids):
    """{pid: how many} of our mappings are in processes that live."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f'/proc/{pid}/maps', encoding='utf-8', errors='replace') as f:
                found[pid] = sum(line.split('-')[0].endswith(SCRATCH_LOW32) for line in f)
    return {pid: n for pid, n in found.items() if n}


def unmap_left(tools, server):
    """A process that is too busy to lend a thread for it keeps its scratch mapping: until the next call at latest."""
    for pid in scratch_maps(server.pids()):
        for _ in range(TRIES):
            if reclaim(tools, pid)['reason'] not in TRANSIENT:
                break


def judge(program, tools, result, server):
    """What must not be, into result.wrong."""
    wrong, got = result.wrong, result.count(program.want)
    odd = {r: n for r, n in result.refusals().items() if r != program.want and r not in TRANSIENT}
    if got < tools.reclaims:
        wrong.append(f'{program.want}: {got} times of {tools.reclaims}')
    if odd:
        details = {r['reason']: r['detail'] for r in result.replies if r['reason'] in odd}
        wrong.append(f'other answers: {odd} {details}')
    unsaid = [r['detail'] for r in result.replies
              if r['reason'] == program.want and program.says not in (r['detail'] or '')]
    if unsaid:
        wrong.append(f'it said {unsaid[0]!r}, not {program.says!r}')
    for phase in (result.control, result.load):
        if phase is None:
            wrong.append('the load ended')
        elif phase['errors'] or not phase['answers']:
            wrong.append(f'clients: {phase["answers"]} answers, {phase["errors"]} errors, first: {phase["first_error"]}')
    if not server.alive():
        wrong.append(f'it ended with {server.process.returncode}: {server.said()}')
    if result.gone:
        wrong.append(f'processes of it ended: {sorted(result.gone)}: {server.said()}')
    kept = scratch_maps(server.pids())
    if kept:
        wrong.append(f'scratch memory is left in {kept}')
    threads = {r['thread'] for r in result.replies if r['reason'] == 'ok'}
    if program.threads and threads - {program.threads}:
        wrong.append(f'called on {threads}, not on {program.threads}')


def version_of(program, path):
    """The first thing like a version in what the program says of itself."""
    done = subprocess.run([path, *program.version], capture_output=True, text=True, timeout=DEADLINE_S)
    found = re.search(r'\d+(\.\d+)+', done.stdout + done.stderr)
    return found.group(0) if found else '?'


def drive(program: Program, tools: Tools) -> Result:
    """Raises Skip where the program is not there."""
    path = program.find()
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    result = Result(program.name, version_of(program, path))
    place = Place(tools, path)
    with contextlib.ExitStack() as stack:
        stack.callback(place.remove)
        server = Server(program, place, path)
        stack.callback(server.stop)
        load = Load(server, program.client)
        stack.callback(load.stop) # also when it has ended
        time.sleep(tools.control_s / 2) # the load's own warm-up, judged with the rest but not compared
        first = load.phase()
        time.sleep(tools.control_s)
        result.control = load.phase()
        if result.control and first:
            result.control.update(errors=result.control['errors'] + first['errors'],
                                  first_error=first['first_error'] or result.control['first_error'])
        pids = set(server.pids())
        result.processes = len(pids)
        reclaim_all(tools, server, result)
        result.load = load.phase()
        result.gone = pids - set(server.pids())
        load.stop()
        unmap_left(tools, server)
        judge(program, tools, result, server)
    return result


def milliseconds(usec):
    return '-' if usec is None else f'{usec / 1000:.1f}'
