#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""plateau explain --call on real JVMs: each figure beside the one that jcmd brings, which asks the same in its own way.

Arguments: plateau, plateau-probe, the agent that leaves a JVM with holes in its native heap.
"""
import contextlib
import fcntl
import glob
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios

import tap
from lib import DEADLINE_S, Skip

PLATEAU, PROBE, AGENT = map(os.path.abspath, sys.argv[1:4])
MIB = 1 << 20
NMT = '-XX:NativeMemoryTracking=summary'
UNITS = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}


def jdks():
    """One folder for each JDK that is installed: a Java runtime alone has no jcmd to compare with."""
    found = {os.path.dirname(os.path.realpath(path)) for path in glob.glob('/usr/lib/jvm/*/bin/jcmd')}
    if not found:
        raise Skip('no JDK is installed: there is no jcmd')
    return sorted(found)


class Jvm:
    """Ready when it has said @until; in a folder of its own."""

    def __init__(self, jdk, *args, until='password', options=()):
        self.jdk = jdk
        self.folder = tempfile.TemporaryDirectory(prefix='plateau-java-')
        self.process = subprocess.Popen(
            [f'{jdk}/java', '-Xmx64m', *options, *(args or ('-m', 'java.base/sun.security.tools.keytool.Main', '-genkeypair',
             '-alias', 'x', '-keystore', 'none'))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=self.folder.name, env={**os.environ, 'LC_ALL': 'C'})
        self.pid = self.process.pid
        self.read(until)

    def read(self, until):
        seen = ''
        while until not in seen:
            assert select.select([self.process.stdout], [], [], DEADLINE_S)[0], seen
            more = os.read(self.process.stdout.fileno(), 4096).decode()
            if not more:
                raise EOFError(seen)
            seen += more

    def ask(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        self.read('done')

    def jcmd(self, *command):
        return subprocess.run([f'{self.jdk}/jcmd', str(self.pid), *command], capture_output=True, text=True,
                              timeout=DEADLINE_S, check=True).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()
        with contextlib.suppress(FileNotFoundError): # one that is killed leaves it behind
            os.unlink(f'/tmp/.java_pid{self.pid}')
        self.folder.cleanup()


def started(jdk, *options):
    """A JVM that waits; None where this one has not got what the options say."""
    try:
        return Jvm(jdk, options=options)
    except EOFError:
        return None


def explain(pid, *args):
    done = subprocess.run([PLATEAU, 'explain', '--json', '--probe', PROBE, *args, str(pid)], capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def screen(pid, *args):
    return subprocess.run([PLATEAU, 'explain', '--probe', PROBE, *args, str(pid)], capture_output=True, text=True,
                          timeout=DEADLINE_S * 2, check=True, env={**os.environ, 'COLUMNS': '80'}).stdout


def near(told, own, slack, what):
    assert abs(told - own) <= slack, (what, told, own)


def size(number, unit):
    return int(number) * UNITS[unit]


def used_by_jcmd(text):
    """Of the heap, all of its generations: whatever says how much is used on a line that begins with its name."""
    lines = [line for line in text.splitlines() if re.match(r' ?(\S.*(total|Heap).* used \d|\s*\d+. max,)', line)
             and 'Metaspace' not in line]
    return sum(size(*(re.search(r'used (\d+)([KMG])', line) or re.search(r'(\d+)([KMG]) used', line)).groups()) for line in lines)


def categories_by_jcmd(text):
    return {name.strip(): (int(reserved), int(committed)) for name, reserved, committed
            in re.findall(r'^- +([A-Za-z ]+)\(reserved=(\d+), committed=(\d+)', text, re.M)}


def compare_nmt(nmt, text):
    own = categories_by_jcmd(text)
    total = re.search(r'Total: reserved=(\d+), committed=(\d+)', text)
    told = {c['name']: c for c in nmt['categories']}
    assert told.keys() == own.keys(), (told.keys(), own.keys())
    for name, (reserved, committed) in own.items():
        slack = 16 * MIB if name in ('Arena Chunk', 'Compiler') else MIB # what jcmd's attach has compiled, and what goes
        near(told[name]['reserved_bytes'], reserved, 4 * MIB if name == 'Thread' else slack, name)
        near(told[name]['committed_bytes'], committed, slack, name)
    near(nmt['committed_bytes'], int(total[2]), 16 * MIB, 'committed')
    assert told['Java Heap']['reserved_bytes'] == own['Java Heap'][0], own # of ZGC a multiple of -Xmx
    assert sum(c['malloc_bytes'] for c in nmt['categories']) == nmt['malloc_bytes'], nmt
    malloc = re.search(r'malloc: (\d+)', text) # not told by every JDK
    if malloc:
        near(nmt['malloc_bytes'], int(malloc[1]), 16 * MIB, 'malloc')
    near(nmt['threads'], int(re.search(r'\(threads? #(\d+)\)', text)[1]), 2, 'threads')
    near(nmt['classes'], int(re.search(r'\(classes #(\d+)\)', text)[1]), 50, 'classes')
    stack = re.search(r'\(stack: reserved=(\d+), committed=(\d+)', text)
    near(nmt['stack_committed_bytes'], int(stack[2]), MIB, 'stacks')


@tap.deadline(300)
def test_figures():
    """heap, metaspace and native memory of every JDK and collector: what jcmd says"""
    for jdk in jdks():
        for collector in ('G1', 'Serial', 'Parallel', 'Z', 'Shenandoah'):
            t = started(jdk, f'-XX:+Use{collector}GC', NMT)
            if not t:
                print(f'# {jdk} has no {collector}')
                continue
            with t:
                java = explain(t.pid, '--call')['java']
                assert java['call']['result'] == 'ok' and java['call']['detail'] is None, java['call']
                heap, text = java['heap'], t.jcmd('GC.heap_info')
                assert heap['collector'].startswith(collector) and heap['reserved_bytes'] == 64 * MIB, heap
                near(heap['used_bytes'], used_by_jcmd(text), 4 * MIB, text) # an attach allocates there too
                assert 0 < heap['used_bytes'] < heap['committed_bytes'], heap
                both = re.findall(r'(\d+) bytes used\.', t.jcmd('VM.metaspace', 'basic', 'scale=1'))[-1]
                near(java['metaspace']['used_bytes'], int(both), MIB, 'metaspace')
                text = t.jcmd('VM.native_memory', 'summary', 'scale=1')
                assert java['nmt_enabled'] is True
                compare_nmt(java['nmt'], text)
                near(heap['committed_bytes'], categories_by_jcmd(text)['Java Heap'][1], 0, 'heap committed')
                print(f'# {jdk} {collector}: {java["call"]["total_usec"]} us for the last question')


@tap.deadline(120)
def test_not_tracked():
    """without Native Memory Tracking: null, and what would tell it; without --call nobody attaches"""
    for jdk in jdks():
        with Jvm(jdk) as t:
            java = explain(t.pid)['java']
            assert java['call'] is None and java['heap'] is None and java['metaspace'] is None, java
            assert java['nmt'] is None and java['nmt_enabled'] is None and java['heap_reserved_bytes'] == 64 * MIB, java
            assert not os.path.exists(f'/tmp/.java_pid{t.pid}')
            java = explain(t.pid, '--call')['java']
            assert java['nmt_enabled'] is False and java['nmt'] is None, java
            assert java['malloc_beyond_nmt_bytes'] is None and java['heap']['used_bytes'] > 0, java
            text = screen(t.pid, '--call')
            assert NMT in text and 'heap: ' in text and 'metaspace: ' in text, text


@tap.deadline(120)
def test_beyond():
    """what a native library holds is in malloc's heap and not in the JVM's own account: told, to what malloc rounds up"""
    for jdk in jdks():
        beyond = []
        for mib in (1, 256):
            with Jvm(jdk, options=(NMT, '-XX:+UseSerialGC', f'-agentpath:{AGENT}={mib}')) as t:
                for _ in range(10): # what the attach started may go on meanwhile: then nothing is told
                    e = explain(t.pid, '--call')
                    assert e['survey']['complete'], e['survey']
                    if e['java']['malloc_beyond_nmt_bytes'] is not None:
                        break
                beyond.append(e['java']['malloc_beyond_nmt_bytes'])
                held = e['heap']['in_use_bytes'] + e['heap']['mmapped_bytes']
                assert beyond[-1] == max(0, held - e['java']['nmt']['malloc_bytes']), e['java']
        kept = 255 * MIB // 20 # one block of 20; and the table of all of them
        near(beyond[1] - beyond[0], kept, 0.1 * kept, (jdk, beyond))
        assert beyond[0] < 2 * MIB < beyond[1], beyond


def test_refused():
    """a JVM that cannot answer is told with its reason, and the survey stands"""
    with Jvm(jdks()[0]) as t:
        t.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, t.pid, os.WSTOPPED | os.WNOWAIT)
        e = explain(t.pid, '--call')
        assert e['java']['call']['result'] == 'refused' and e['java']['call']['detail'] == 'it is stopped', e['java']
        assert e['java']['heap'] is None and e['rss_bytes'] > 0 and e['java']['heap_reserved_bytes'] == 64 * MIB, e['java']
        assert 'not asked: it is stopped' in screen(t.pid, '--call')
        t.process.send_signal(signal.SIGCONT)
    with subprocess.Popen(['sleep', '60']) as t:
        assert explain(t.pid, '--call')['java'] is None
        t.kill()


GROW = '''
import java.io.*;
import java.util.*;
public class Grow {
    static final List<Object> kept = new ArrayList<>();
    static byte[] code;
    static class Loader extends ClassLoader {
        Class<?> make() { return defineClass("Small", code, 0, code.length); }
    }
    static void grow(int what) throws Exception {
        if (what == 'k')
            for (int i = 0; i < 16; i++)
                kept.add(new byte[64 << 10]);
        else if (what == 'c')
            for (int i = 0; i < 100; i++)
                kept.add(new Loader().make());
        else if (what == 't') {
            Thread t = new Thread(() -> { try { Thread.sleep(Long.MAX_VALUE); } catch (InterruptedException e) { } });
            t.setDaemon(true);
            t.start();
        }
    }
    public static void main(String[] args) throws Exception {
        code = new FileInputStream(args[0]).readAllBytes();
        System.out.println("ready");
        for (int c; (c = System.in.read()) >= 0; ) {
            grow(c);
            if (c == 10)
                System.out.println("done");
        }
    }
}
class Small { int a; String b() { return "b" + a; } }
'''


def grown(t, line, *args):
    '''What explain says while the program gets @line again and again.'''
    with subprocess.Popen([PLATEAU, 'explain', '--probe', PROBE, '--call', '--diff', '3', *args, str(t.pid)],
                          stdout=subprocess.PIPE, text=True) as asked:
        while asked.poll() is None:
            t.ask(line)
            try:
                asked.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        assert asked.returncode == 0
        return asked.stdout.read()


@tap.deadline(300)
def test_growth():
    """a heap that is filled below its bound is no leak, and says how far it may go; classes and threads are told as such"""
    for jdk in jdks():
        with tempfile.TemporaryDirectory(prefix='plateau-java-') as folder:
            source = os.path.join(folder, 'Grow.java')
            with open(source, 'w', encoding='ascii') as f:
                f.write(GROW)
            subprocess.run([f'{jdk}/javac', '-d', folder, source], check=True, timeout=DEADLINE_S * 2)
            with Jvm(jdk, '-Xmx512m', '-cp', folder, 'Grow', os.path.join(folder, 'Small.class'), until='ready',
                     options=(NMT,)) as t:
                v = json.loads(grown(t, 'k', '--json'))['verdict']
                assert v['kind'] == 'warm_up' and v['part'] == 'java_heap' and v['remedy'] == 'none', v
                assert 'of the 537 MB that it may come to' in v['text'], v
                text = grown(t, 'ct')
                since = text[text.index('java since'):]
                assert 'metaspace used +' in since and 'classes more' in since and 'threads more' in since, text


def test_width():
    """its lines fit on a terminal of 80 columns"""
    with Jvm(jdks()[-1], options=(NMT, f'-agentpath:{AGENT}=256')) as t:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 60, 80, 0, 0))
        with subprocess.Popen([PLATEAU, 'explain', '--call', '--probe', PROBE, str(t.pid)], stdout=slave,
                              env={**os.environ, 'NO_COLOR': '1', 'LC_ALL': 'C.UTF-8', 'TERM': 'xterm'}):
            os.close(slave)
            text = b''
            while True:
                try:
                    text += os.read(master, 65536)
                except OSError: # the other side is closed
                    break
            os.close(master)
        lines = text.decode().replace('\r', '').splitlines()
        begin = next(i for i, line in enumerate(lines) if line.startswith('java  '))
        inside = lines[begin:next(i for i, line in enumerate(lines) if i > begin and not line.strip())]
        assert all(len(line) <= 80 for line in lines) and not any('…' in line for line in inside), lines
        for word in ('heap: ', ' at most', 'metaspace: ', ' from malloc', 'threads', 'JNI, native libraries'):
            assert word in '\n'.join(inside), (word, inside)
        for line in inside:
            print('# ' + line)


if __name__ == '__main__':
    tap.main(globals())
