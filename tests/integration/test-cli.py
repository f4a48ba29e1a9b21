#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The operator's command against fake daemons, real processes, pipes and terminals of several widths.

Arguments: the executable `plateau`, `plateau-probe`, the report layer's golden status document.
"""
import copy
import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unicodedata

import tap
from lib import DEADLINE_S, Skip, wait_until
from probelib import RESULTS

PLATEAU, PROBE, GOLDEN = sys.argv[1:4]
SGR = re.compile(rb'\x1b\[[0-9;]*m')
HOSTILE = 'a\x1b[31mb\nc\u202ed\x07'
with open(GOLDEN, encoding='utf-8') as golden_file:
    GOLDEN_DOCUMENT = json.load(golden_file)


def environment(**changes):
    env = {k: v for k, v in os.environ.items() if not k.startswith('LC_') and k not in ('NO_COLOR', 'PLATEAU_SOCKET')}
    env.update(LANG='C.UTF-8', TERM='xterm-256color', PLATEAU_PROBE=PROBE, TZ='UTC')
    env.update(changes)
    return env


def run(*args, stdin=b'', stdout=subprocess.PIPE, **changes):
    return subprocess.run([PLATEAU, *args], input=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=DEADLINE_S,
                          env=environment(**changes), check=False)


def expect(result, status, *texts):
    said = (result.stdout or b'') + result.stderr
    assert result.returncode == status, (result.args, result.returncode, said)
    for text in texts:
        assert text.encode() in said, (result.args, text, said)
    return result


class Daemon:
    """Listens on a unix socket and gives every client the same bytes, at once, slowly or never."""

    def __init__(self, answer, hang=False):
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.hang, self.held = hang, []
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, 's')
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                client.sendall(self.answer)
            except OSError:
                pass # it read enough
            if self.hang:
                self.held.append(client)
            else:
                client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for client in self.held:
            client.close()
        self.folder.cleanup()

    def status(self, *args, **changes):
        return run('status', '--socket', self.path, *args, **changes)


class Terminal:
    """A command on a pseudo-terminal of a given size."""

    def __init__(self, *args, columns=80, rows=24, **changes):
        self.master, slave = os.openpty()
        self.resize(columns, rows)
        self.process = subprocess.Popen([PLATEAU, *args], stdin=slave, stdout=slave, stderr=slave, close_fds=True,
                                        env=environment(**changes))
        os.close(slave)
        self.output = b''

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read_until(self, what, predicate):
        end = time.monotonic() + DEADLINE_S
        while not predicate(self.output):
            left = end - time.monotonic()
            assert left > 0, ('not in time', what, self.output[-2000:])
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                self.output += os.read(self.master, 65536)
            except OSError: # EIO: the other end is closed
                assert what == 'end' or predicate(self.output), ('it ended', what, self.output[-2000:])
                return

    def finish(self):
        self.read_until('end', lambda _: False)
        return self.process.wait(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        os.close(self.master)


class Child:
    """A process that grows by so many bytes for every line it is sent. Its command line ends with @mark."""
    PROGRAM = ('import sys\nheld = []\nprint("ready", flush=True)\n'
               'for line in sys.stdin:\n    held.append(b"x" * int(line))\n    print("grown", flush=True)\n')

    def __init__(self, mark='child'):
        self.process = subprocess.Popen([sys.executable, '-c', self.PROGRAM, mark], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b'ready\n'
        self.pid = self.process.pid

    def grow(self, n_bytes):
        self.process.stdin.write(b'%d\n' % n_bytes)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b'grown\n'

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Stream:
    """`plateau watch --json`, an object at a time."""

    def __init__(self, *args):
        self.process = subprocess.Popen([PLATEAU, 'watch', '--json', '--interval', '50ms', *args], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment())

    def next(self, predicate):
        while True:
            line = self.process.stdout.readline()
            assert line, ('it ended', self.process.stderr.read())
            found = json.loads(line)
            if predicate(found):
                return found

    def event(self, name):
        return self.next(lambda o: o['event'] == name)

    def finish(self):
        for line in self.process.stdout:
            json.loads(line)
        return self.process.wait(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.process.stderr.close()


def width(line):
    """Columns of a line without its styles."""
    text = SGR.sub(b'', line).decode('utf-8').rstrip('\r')
    assert '\x1b' not in text and all(c >= ' ' for c in text), text
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in text)


def plain(output):
    assert b'\x1b' not in output, output
    return output.decode()


# ---- status ----

def test_status_golden():
    """status draws the daemon's golden document"""
    with Daemon(GOLDEN_DOCUMENT) as d:
        text = plain(expect(d.status(), 0).stdout)
    for part in ('limit in 51 min (38 min to 1 h 20 min, 90 %)', 'firing', 'cooling down after the last time',
                 'gave back 270 MB', 'no such process now', 'pushgateway', '1 dropped', '+12.0 MB/min'):
        assert part in text, (part, text)


def test_status_json_is_untouched():
    """status --json prints the document byte by byte"""
    raw = json.dumps(GOLDEN_DOCUMENT, indent=1, ensure_ascii=False).encode() + b'\n'
    with Daemon(raw) as d:
        assert expect(d.status('--json'), 0).stdout == raw


def test_status_target_and_exit_code():
    """status --target chooses, --exit-code tells of an alert"""
    with Daemon(GOLDEN_DOCUMENT) as d:
        text = plain(expect(d.status('--target', 'absent'), 0).stdout)
        assert 'absent' in text and '4711' not in text, text
        expect(d.status('--target', 'nobody'), 6, "no target 'nobody'")
        expect(d.status('-e'), 1)
        expect(d.status('-e', '--target', 'absent'), 0)


def test_status_no_daemon():
    """status without a daemon says what to do, exit 3"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 's')
        expect(run('status', '--socket', path), 3, path, 'Is plateaud running?', 'plateau watch PID')
        expect(run('status', PLATEAU_SOCKET=path), 3, path)
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(path)
        expect(run('status', '--socket', path), 3, 'nobody listens')
        stale.close()
        expect(run('status', '--socket', '/' + 'x' * 120), 3, '107 bytes')


def test_status_not_allowed():
    """status on a socket of another user says so, exit 3"""
    if os.geteuid() != 0:
        raise Skip('needs root to become another user')
    with Daemon(GOLDEN_DOCUMENT) as d:
        os.chmod(d.folder.name, 0o755)
        os.chmod(d.path, 0o600)
        r = subprocess.run([PLATEAU, 'status', '--socket', d.path], env=environment(), capture_output=True, check=False,
                           timeout=DEADLINE_S, user=65534, group=65534, extra_groups=[])
    if r.returncode in (126, 127) or not os.access(PLATEAU, os.X_OK):
        raise Skip('the executable cannot be run by another user here')
    expect(r, 3, 'not for this user')


def test_status_bad_answers():
    """status refuses what is no status document, exit 65"""
    whole = json.dumps(GOLDEN_DOCUMENT).encode()
    cases = {
        'nothing': b'', 'cut': whole[:len(whole) // 2], 'no JSON': b'hello', 'a list': b'[]', 'empty': b'{}',
        'another version': b'{"schema_version": 99, "targets": []}', 'no targets': b'{"schema_version": 1}',
        'targets a number': b'{"schema_version": 1, "targets": 3}', 'a NUL': whole[:-1] + b'\0' + whole[-1:],
        'bad UTF-8': b'{"schema_version": 1, "targets": [], "x": "\xff"}',
        'doubled key': b'{"schema_version": 1, "schema_version": 1, "targets": []}',
        'huge': b'{"schema_version": 1, "targets": [' + b'1,' * (1 << 20) + b'1]}',
        'deep': b'[' * 100000,
    }
    for name, answer in cases.items():
        with Daemon(answer) as d:
            for args in ((), ('--json',)):
                r = d.status(*args)
                assert (r.returncode, r.stdout) == (65, b''), (name, args, r)
                assert len(r.stderr) < 400 and b'plateau status:' in r.stderr, (name, r.stderr)


def test_status_hang():
    """status gives up a daemon that does not finish, exit 5"""
    for answer in (b'', b'{"schema'):
        with Daemon(answer, hang=True) as d:
            expect(d.status('--timeout', '200ms'), 5, 'no answer in time')


def replaced(document, value):
    """Every leaf in turn replaced, keys kept: what a broken or hostile daemon may send."""
    if isinstance(document, dict):
        return {k: v if k == 'schema_version' else replaced(v, value) for k, v in document.items()}
    if isinstance(document, list):
        return [replaced(v, value) for v in document]
    return value


def test_status_hostile_values():
    """status survives every type and size of value in every place"""
    values = [None, True, 'x', HOSTILE, 'y' * 500, -1, 0, 1e300, -1e300, 18446744073709551615, [], {}, 0.5, '\u009b31m',
              10 ** 30]
    for value in values:
        with Daemon(replaced(GOLDEN_DOCUMENT, value)) as d:
            assert '\u009b' not in plain(expect(d.status(), 0).stdout)
    for key in GOLDEN_DOCUMENT['targets'][0]:
        for value in values:
            document = copy.deepcopy(GOLDEN_DOCUMENT)
            document['targets'] = document['targets'][:1]
            document['targets'][0][key] = value
            if key in ('limit', 'trend', 'decisions'):
                with Daemon(document) as d:
                    plain(expect(d.status(), 0).stdout)


def test_status_leaves_out_what_is_no_figure():
    """status shows no figure where the document has another type"""
    for value in (None, True, 'x', '7', -1, [], {}):
        document = copy.deepcopy(GOLDEN_DOCUMENT)
        target = document['targets'][0]
        document['targets'] = [target]
        for key in ('sample', 'limit', 'trend', 'last_actions', 'age_s', 'pid'):
            target[key] = replaced(target[key], value)
        with Daemon(document) as d:
            text = plain(expect(d.status(), 0).stdout).split('\n\n')[1]
        for part in ('usage', 'RSS', 'growth', 'limit in', 'pid', 'started', 'gave back', ' 0 '):
            assert part not in text, (value, part, text)


def test_status_names_are_neutralised():
    """status shows escapes, newlines and direction marks in names as text"""
    document = copy.deepcopy(GOLDEN_DOCUMENT)
    document['targets'][0].update(name=HOSTILE, comm=HOSTILE)
    document['sinks'][0].update(name=HOSTILE, last_error=HOSTILE)
    document['targets'][0]['decisions'][0]['reason_text'] = HOSTILE
    with Daemon(document) as d:
        text = plain(expect(d.status(), 0).stdout)
        assert text.count('a\\e[31mb\\nc\\u{202e}d\\x07') == 5, text
        with Terminal('status', '--socket', d.path, columns=200, NO_COLOR='1') as t:
            assert t.finish() == 0
            assert b'\x1b' not in t.output and b'\\e[31m' in t.output, t.output
        with Terminal('status', '--json', '--socket', d.path) as t:
            t.finish()
            assert b'\x1b' not in t.output, t.output


def test_status_widths():
    """status fits terminals of 40, 80 and 200 columns, in UTF-8 and ASCII"""
    document = copy.deepcopy(GOLDEN_DOCUMENT)
    document['targets'][0]['comm'] = '\u732b' * 5
    document['targets'][0]['name'] = 'n' * 60
    for source in (GOLDEN_DOCUMENT, document):
        for language in ('C.UTF-8', 'C'):
            for columns in (20, 40, 80, 200):
                with Daemon(source) as d, Terminal('status', '--socket', d.path, columns=columns, LANG=language) as t:
                    assert t.finish() == 0
                    lines = t.output.split(b'\n')
                assert len(lines) > 15
                for line in lines:
                    assert width(line) <= columns, (columns, line)
                assert language != 'C' or t.output.isascii(), t.output


def test_colour():
    """colour on a terminal only, and not with NO_COLOR or TERM=dumb"""
    with Daemon(GOLDEN_DOCUMENT) as d:
        for changes, coloured in (({}, True), ({'NO_COLOR': ''}, True), ({'NO_COLOR': '1'}, False),
                                  ({'TERM': 'dumb'}, False)):
            with Terminal('status', '--socket', d.path, **changes) as t:
                assert t.finish() == 0
                assert (b'\x1b[' in t.output) == coloured, (changes, t.output)
        plain(expect(d.status(), 0).stdout)
        plain(expect(run('help', 'watch'), 0).stdout)


def test_status_watch():
    """status --watch goes on while the daemon is away and ends by a signal"""
    with Daemon(GOLDEN_DOCUMENT) as d:
        p = subprocess.Popen([PLATEAU, 'status', '--watch', '--interval', '100ms', '--socket', d.path], env=environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        seen = 0
        while seen < 2:
            seen += p.stdout.readline().startswith(b'plateaud ')
    try:
        assert b'plateau status:' in p.stderr.readline()
        p.send_signal(signal.SIGINT)
        assert p.wait(DEADLINE_S) == 3 # what it saw last
    finally:
        p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()


def test_output_that_cannot_be_written():
    """a full disk is an error, exit 1"""
    with Daemon(GOLDEN_DOCUMENT) as d, open('/dev/full', 'wb') as full, Child() as c:
        expect(d.status(stdout=full), 1, 'standard output')
        expect(run('--version', stdout=full), 1, 'standard output')
        expect(run('watch', str(c.pid), '--interval', '50ms', stdout=full), 1)


# ---- watch ----

def test_watch_growth_and_end():
    """watch sees a process grow and end"""
    with Child() as c, Stream(str(c.pid), '--limit', '64GB') as s:
        assert s.event('started')['pid'] == c.pid
        first = s.event('sample')
        c.grow(32 << 20)
        grown = s.next(lambda o: (o['rss_bytes'] or 0) >= first['rss_bytes'] + (30 << 20))
        assert grown['rss_anon_bytes'] and grown['limit_bytes'] and grown['trend']['state'] == 'wait', grown
        c.end()
        ended = s.event('ended')
        assert ended['pid'] == c.pid and ended['rss_bytes'] is None, ended
        assert s.finish() == 0


def test_watch_absent():
    """watch PID of nobody is an error, exit 1"""
    c = Child()
    c.end()
    expect(run('watch', str(c.pid)), 1, f'no process {c.pid}')
    z = subprocess.Popen(['/bin/true'])
    wait_until('a zombie', lambda: b') Z ' in open(f'/proc/{z.pid}/stat', 'rb').read())
    expect(run('watch', str(z.pid)), 1)
    z.wait()


def test_watch_match_follows():
    """watch --match waits, follows a restart and ends by SIGTERM"""
    mark = f'mark-{os.getpid()}-of-cli'
    with Stream('--match', mark + '$') as s:
        s.event('absent')
        with Child(mark) as first:
            assert s.event('started')['pid'] == first.pid
            s.event('sample')
        assert s.event('ended')['pid'] == first.pid
        with Child(mark) as second:
            found = s.next(lambda o: o['event'] in ('started', 'restarted'))
            assert found['pid'] == second.pid and found['event'] == 'restarted', found
        s.process.send_signal(signal.SIGTERM)
        assert s.finish() == 0


def test_watch_lines():
    """watch writes plain lines into a pipe and ends by its count"""
    with Child() as c:
        text = plain(expect(run('watch', str(c.pid), '-n', '3', '-i', '50ms', '--limit', '64GB'), 0).stdout)
        lines = text.splitlines()
        assert len(lines) == 5 and lines[0].split()[:3] == ['TIME', 'RSS', 'ANON'], text
        assert all('no forecast yet: needs' in line for line in lines[2:]), text
        assert f'(pid {c.pid})' in lines[1]
        expect(run('watch', str(c.pid), '-n', '6', '-i', '50ms'), 0)


def test_watch_hostile_name():
    """watch neutralises the name that a process gave itself"""
    with Child('x\x1b[2Jy\nz') as c:
        text = plain(expect(run('watch', str(c.pid), '-n', '1'), 0).stdout)
        assert 'x\\e[2Jy\\nz' in text, text
        with Terminal('watch', str(c.pid), '-n', '1', columns=400) as t:
            assert t.finish() == 0
            assert b'x\x1b[2J' not in t.output and b'x\\e[2J' in t.output, t.output


def frames(output):
    """The complete screens of a live view, without their positioning."""
    parts = output.split(b'\x1b[H')[1:]
    return [p.split(b'\x1b[J')[0].replace(b'\x1b[K', b'') for p in parts if b'\x1b[J' in p]


def test_watch_live():
    """watch on a terminal draws a chart, follows its size, and leaves the screen as it was"""
    for language, dot in (('C.UTF-8', '\u2800'), ('C', '*')):
        with Child() as c, Terminal('watch', str(c.pid), '--limit', '1GB', '-i', '50ms', columns=200, rows=40,
                                    LANG=language) as t:
            t.read_until('frames', lambda o: len(frames(o)) > 3)
            assert t.output.startswith(b'\x1b[?1049h\x1b[?25l')
            for columns, rows in ((80, 24), (40, 15), (20, 5), (120, 30)):
                t.resize(columns, rows)
                t.process.send_signal(signal.SIGWINCH)
                n = len(frames(t.output))
                t.read_until('new frames', lambda o, n=n: len(frames(o)) > n + 4)
                lines = frames(t.output)[-1].split(b'\n')
                assert len(lines) <= rows and all(width(x) <= columns for x in lines), (columns, rows, lines)
            text = b'\n'.join(lines).decode()
            assert 'now' in text and 'RSS' in text
            assert any(ord(dot) < ord(x) < 0x2900 for x in text) if dot > '~' else text.isascii() and dot in text
            t.process.send_signal(signal.SIGINT)
            assert t.finish() == 0
            assert b'\x1b[?25h\x1b[?1049l' in t.output


# ---- reclaim ----

def reclaim(pid, *args):
    r = run('reclaim', '--json', *args, str(pid))
    answer = json.loads(r.stdout)
    if answer['reason'] == 'access':
        raise Skip('no right to ptrace here: ' + (answer['detail'] or ''))
    return r.returncode, answer


def test_reclaim_done():
    """reclaim tells figures, and its process still answers"""
    with Child() as c:
        c.grow(8 << 20)
        status, answer = reclaim(c.pid, '--find-timeout', '20s', '--timeout', '20s')
        assert (status, answer['result'], answer['reason']) == (0, 'ok', 'ok'), answer
        assert answer['pid'] == c.pid and answer['thread'] == 'borrowed' and answer['tid'] == c.pid, answer
        assert answer['released_bytes'] == answer['rss_before_bytes'] - answer['rss_after_bytes'], answer
        assert answer['allocator'].startswith('glibc') and answer['stop_usec'] > 0, answer
        c.grow(1 << 20)
        expect(run('reclaim', '--find-timeout', '20s', str(c.pid)), 0, 'reclaimed', 'released', 'malloc_trim')
        c.grow(1 << 20)


def test_reclaim_refused():
    """reclaim of a stopped process is refused with its reason, exit 4"""
    with Child() as c:
        os.kill(c.pid, signal.SIGSTOP)
        wait_until('stopped', lambda: b') T ' in open(f'/proc/{c.pid}/stat', 'rb').read())
        status, answer = reclaim(c.pid)
        assert (status, answer['result'], answer['reason']) == (4, 'refused', 'stopped'), answer
        assert answer['released_bytes'] is None and answer['rss_after_bytes'] is None, answer
        expect(run('reclaim', str(c.pid)), 4, 'refused', 'stopped', 'Nothing in the target was changed')


def test_reclaim_errors():
    """reclaim of nobody, or without a probe, is an error, exit 1"""
    c = Child()
    c.end()
    status, answer = reclaim(c.pid)
    assert (status, answer['result'], answer['reason']) == (1, 'error', 'gone'), answer
    with Child() as c:
        status, answer = reclaim(c.pid, '--probe', '/nonexistent/plateau-probe')
        assert (status, answer['result'], answer['reason']) == (1, 'error', 'internal'), answer
        assert 'plateau-probe' in answer['detail'], answer
        status, answer = reclaim(c.pid, '--probe', '/bin/true')
        assert (status, answer['result']) == (1, 'error') and 'ended' in answer['detail'], answer


# ---- tune ----

def test_tune():
    """tune tells the value before and after and what to expect of it; refused by another allocator, exit 4"""
    with Child() as c:
        r = run('tune', '--json', '--find-timeout', '20s', str(c.pid), 'mmap_threshold=1MiB')
        answer = json.loads(r.stdout)
        if answer['reason'] == 'access':
            raise Skip('no right to ptrace here: ' + (answer['detail'] or ''))
        assert (r.returncode, answer['result'], answer['call']) == (0, 'ok', 'mallopt'), answer
        assert (answer['setting'], answer['unit'], answer['value']) == ('mmap_threshold', 'bytes', 1 << 20), answer
        assert answer['before'] == 128 << 10 and answer['after'] == 1 << 20 and answer['arenas'] is None, answer
        assert answer['thread'] == 'borrowed' and answer['stop_usec'] > 0 and 'adapting' in answer['effect'], answer
        expect(run('tune', '-f', '20s', str(c.pid), 'trim_threshold=0'), 0, 'trim_threshold: 128 KiB', '0 B', 'held', 'mallopt')
        expect(run('tune', str(c.pid), 'dirty_decay_ms=1s'), 4, 'no_setting', 'jemalloc', 'Nothing in the target was changed')
        expect(run('reclaim', '--decay', str(c.pid)), 4, 'no_setting', "a decay is jemalloc's")
        c.grow(1 << 20)


# ---- check ----

def test_check():
    """check: 0 when fine, 78 with positions when wrong"""
    fine = b'targets:\n- name: a\n  match: {pid: 1}\n'
    expect(run('check', '-', stdin=fine), 0, 'fine, 1 target')
    assert expect(run('check', '-q', '-', stdin=fine), 0).stdout == b''
    dump = plain(expect(run('check', '--dump', '-', stdin=fine), 0).stdout)
    expect(run('check', '-', stdin=dump.encode()), 0, 'fine')
    expect(run('check', '-', stdin=b'targets:\n- name: a\n  match: {pid: -3}\n'), 78, ':3:', '-3')
    assert b'\x1b' not in expect(run('check', '-', stdin=b'targets: "\\e[31m"\n'), 78).stderr
    expect(run('check', '/nonexistent.yaml'), 78, 'nonexistent.yaml')
    assert '$schema' in json.loads(expect(run('check', '--schema'), 0).stdout)
    assert 'targets' in plain(expect(run('check', '--keys'), 0).stdout)


# ---- the command line itself ----

def test_usage_errors():
    """every wrong command line: exit 2, nothing on standard output, the value and what was expected"""
    cases = [
        (['bogus'], "unknown command 'bogus'"), (['statsu'], "did you mean 'status'"), (['re'], "did you mean 'reclaim'"),
        (['help', 'wach'], "did you mean 'watch'"), (['b\x1b[31m'], 'b\\e[31m'),
        (['status', 'word'], "'word'"), (['status', '--soket', 'x'], 'did you mean --socket'),
        (['status', '--socket'], 'expected PATH'), (['status', '--socket', ''], 'expected PATH'),
        (['status', '--json=1'], 'takes no value'), (['status', '--interval', '5'], 'a duration such as'),
        (['status', '--interval', '1ms'], 'expected 100 ms to'), (['status', '-Z'], "'-Z'"),
        (['watch'], 'got none'), (['watch', '1', '--main'], 'got several'), (['watch', '1', '2'], "'2'"),
        (['watch', 'abc'], "PID 'abc': expected a positive decimal number"), (['watch', '0'], "'0'"),
        (['watch', '--', '-5'], "'-5'"), (['watch', '1.5'], "'1.5'"), (['watch', ' 1'], "' 1'"),
        (['watch', '99999999999'], "'99999999999'"), (['watch', '1', '--limit', '5XB'], 'a size such as 4.5GB'),
        (['watch', '1', '--limit', '0'], "'0'"), (['watch', '1', '--count', '0'], 'at least 1'),
        (['watch', '1', '--count', 'x'], 'a whole number'), (['watch', '1', '--interval', '10us'], 'expected 50 ms to'),
        (['watch', '--match', '('], 'regular expression'), (['watch', '--exe', 'x' * 5000], 'at most'),
        (['reclaim'], 'expected PID'), (['reclaim', 'x\x1b[2J'], 'x\\e[2J'), (['reclaim', '1', '2'], "'2'"),
        (['reclaim', '1', '--timeout', '-1s'], "'-1s'"), (['reclaim', '1', '--timeout', '0'], "'0'"),
        (['tune'], 'expected PID NAME=VALUE'), (['tune', '1', 'x'], "'x': expected NAME=VALUE"),
        (['tune', '1', 'mmap_treshold=1'], 'did you mean mmap_threshold'), (['tune', '1', 'b\x1b[31m=1'], 'b\\e[31m'),
        (['tune', '1', 'qqqqqq=1'], 'there are arena_max,'), (['tune', '1', 'arena_max=0'], 'from 1 to 65536'),
        (['tune', '1', 'mmap_threshold=3GiB'], "'mmap_threshold=3GiB': expected a size from 4KiB"),
        (['tune', '1', 'dirty_decay_ms=soon'], 'a duration such as 10s'), (['tune', '1', 'background_thread='], 'on or off'),
        (['tune', 'x', 'arena_max=1'], "PID 'x'"), (['tune', '1', 'arena_max=1', 'arena_max=1'], "'arena_max=1'"),
        (['check'], 'expected a FILE'), (['check', 'a', 'b'], "'b'"),
    ]
    for args, text in cases:
        r = expect(run(*args), 2, text)
        assert r.stdout == b'' and b'Try: plateau help' in r.stderr and b'\x1b' not in r.stderr, (args, r)
    expect(run(), 2, 'COMMANDS')


def test_help():
    """help of every command: options, exit status, no line over 80 columns"""
    for command in ('status', 'watch', 'reclaim', 'tune', 'check', 'help'):
        for args in ((command, '--help'), ('help', command), (command, '-h')):
            text = plain(expect(run(*args), 0, 'SYNOPSIS', 'OPTIONS', 'EXIT STATUS').stdout)
            assert all(len(line) <= 80 for line in text.splitlines()), text
            if command in ('reclaim', 'tune'): # every reason with its sentence
                assert all(f'  {name} ' in text for name in RESULTS[1:]), text
    for args in (('--help',), ('help',), ('-h',)):
        text = plain(expect(run(*args), 0, 'status', 'watch', 'reclaim', 'check').stdout)
        assert all(len(line) <= 80 for line in text.splitlines()), text
    assert re.fullmatch(rb'plateau \d+\.\d+\.\d+\n', expect(run('--version'), 0).stdout)
    with Terminal('help', 'watch', columns=40) as t:
        assert t.finish() == 0 and all(width(line) <= 40 for line in t.output.split(b'\n')), t.output


if __name__ == '__main__':
    tap.main(globals())
