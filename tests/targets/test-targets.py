#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The targets do what they say, as TAP: usage test-targets.py MKLEAK RECEIVER [NAME...]"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

MKLEAK, RECEIVER = sys.argv[1], sys.argv[2]
DEADLINE_SECONDS = 60
MIB = 1 << 20


class Target:
    def __init__(self, *args):
        self.p = subprocess.Popen([MKLEAK, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # an event that does not come ends the test, and never hangs it
        self.timer = threading.Timer(DEADLINE_SECONDS, self.p.kill)
        self.timer.start()
        self.ready = self.line()
        assert self.ready["_"] == "ready" and int(self.ready["pid"]) == self.p.pid, self.ready

    def line(self):
        text = self.p.stdout.readline()
        assert text.endswith("\n"), f"ended: {text!r}"
        word, *pairs = text.split()
        return dict((p.split("=", 1) for p in pairs), _=word)

    def ask(self, letter):
        self.p.stdin.write(letter)
        self.p.stdin.flush()
        return self.line()

    def status(self):
        s = self.ask("?")
        assert s["_"] == "status" and s["ok"] == "1", s
        return s

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.stdin.close()
        status = self.p.wait()
        self.timer.cancel()
        self.p.stdout.close()
        assert status == 0, f"exit status {status}"


def every_target_is_ready_answers_and_ends():
    names = [l.split()[0] for l in run("--list").splitlines() if l[:2] == "  " and l[2] != " "]
    assert len(names) >= 16, names
    for name in (n for n in names if n not in ("vanish", "fpu")):
        with Target(name) as t:
            t.status()


def run(*args):
    return subprocess.run([MKLEAK, *args], capture_output=True, text=True, timeout=DEADLINE_SECONDS).stdout


def wrong_arguments_are_refused():
    for args in (["nope"], ["steady", "foo=1"], ["steady", "size_mib=x"], ["fragment", "hole_bytes=999999"]):
        r = subprocess.run([MKLEAK, *args], capture_output=True, stdin=subprocess.DEVNULL, timeout=DEADLINE_SECONDS)
        assert r.returncode == 2, (args, r)


def a_leak_grows_in_use():
    with Target("leak", "bytes_per_s=100000000", "limit_mib=8") as t:
        s = t.status()
        while int(s["loops"]) < 7 * MIB:
            s = t.status()
        assert int(s["rss_bytes"]) > 7 * MIB and int(s.get("uordblks", 8 * MIB)) > 7 * MIB, s


def trimmable_holes_go_back_and_small_ones_do_not():
    for target in ("fragment", "fragment-threads"):
        with Target(target, "size_mib=32") as t:
            s, r = t.status(), t.ask("t")
            assert int(s.get("fordblks", 32 * MIB)) > 30 * MIB, s
            assert int(r["rss_before_bytes"]) - int(r["rss_after_bytes"]) > 20 * MIB, r
            t.status()
    with Target("fragment", "size_mib=32", "hole_bytes=1000") as t:
        r = t.ask("t")
        assert int(r["rss_before_bytes"]) - int(r["rss_after_bytes"]) < MIB, r


def every_waiter_wakes_with_the_right_result():
    with Target("epoll-eintr", "timeout_ms=20") as t:
        assert int(t.ask("w")["n"]) == int(t.ask("w")["n"]) == 16
        s = t.status()
        assert s["eintr"] == "0" and s["wakes"] == "32", s


def every_seat_gets_its_messages():
    with Target("unseen", "every_ms=10") as t:
        t.p.stdin.write("k")
        t.p.stdin.flush()
        seats = iter(t.line, None)
        for s in seats:
            if s["_"] == "seats":
                break
            assert s["eintr"] == s["lost"] == s["wrong"] == s["early"] == "0", s
        assert int(s["n"]) > 40, s


def a_stop_shows_in_the_gap_of_the_ticker():
    with Target("ticker") as t:
        t.ask("r")
        os.kill(t.p.pid, signal.SIGSTOP)
        os.waitpid(t.p.pid, os.WUNTRACED)
        ready, _, _ = select.select([t.p.stdout], [], [], 0.05)
        assert not ready
        os.kill(t.p.pid, signal.SIGCONT)
        end = time.monotonic() + DEADLINE_SECONDS # it may have ticked once before it was stopped
        s = t.status()
        while int(s["gap_max_usec"]) < 49000 and time.monotonic() < end:
            s = t.status()
        assert int(s["gap_max_usec"]) >= 49000, s


def exec_keeps_the_pid():
    with Target("exec-self") as t:
        assert t.ask("x") == dict(t.ready, generation="1")
        t.status()


def registers_survive_a_read():
    r = subprocess.run([MKLEAK, "fpu"], input="??q", capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert r.returncode == 77 or (r.returncode == 0 and r.stdout.count(" ok=1 ") == 2), r


def vanishes():
    assert "ready" in run("vanish")
    r = subprocess.run([MKLEAK, "vanish", "how=kill"], capture_output=True, timeout=DEADLINE_SECONDS)
    assert r.returncode == -signal.SIGKILL, r
    with Target("vanish", "how=main-thread") as t:
        with open(f"/proc/{t.p.pid}/stat", encoding="ascii") as f:
            assert ") Z " in f.read()
        t.status()


class Receiver:
    def __init__(self, *args):
        self.p = subprocess.Popen([sys.executable, RECEIVER, *args], stdout=subprocess.PIPE, text=True)
        self.timer = threading.Timer(DEADLINE_SECONDS, self.p.kill)
        self.timer.start()
        self.port = int(self.p.stdout.readline().split("port=")[1])

    def post(self, path, body=b'{"a": 1}', timeout=20):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return opener.open(request, timeout=timeout).status
        except urllib.error.HTTPError as e:
            with e:
                return e.code
        except Exception as e:
            return type(e).__name__

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.terminate()
        status = self.p.wait()
        self.timer.cancel()
        self.p.stdout.close()
        assert status == 0, status


def the_receiver_answers_as_told():
    with tempfile.TemporaryDirectory() as d, Receiver("--answers=500,503:2,ok", f"--control={d}/how") as r:
        assert [r.post("/a") for _ in range(4)] == [500, 503, 200, 200]
        with open(d + "/how", "w", encoding="ascii") as f:
            f.write("429\n")
        assert r.post("/b") == 429
        assert r.post("/b?answer=204") == 204
        assert r.post("/b?answer=slow:0.1") == 200
        assert r.post("/b?answer=drip:0.1") == 200
        assert r.post("/b?answer=garbage") == "BadStatusLine"
        assert r.post("/b?answer=close") == "RemoteDisconnected"
        assert r.post("/b?answer=hang", timeout=0.2) == "TimeoutError"
        assert r.post("/c?answer=ok", b"\xff\n\x1b not json") == 200
        lines = [json.loads(r.p.stdout.readline()) for _ in range(12)]
        assert [l["n"] for l in lines] == list(range(1, 13)), lines
        assert lines[0]["json"] == {"a": 1} and lines[0]["headers"]["content-length"] == "8", lines[0]
        assert lines[11]["text"] == "\\xff\n\x1b not json", lines[11]


TESTS = [
    every_target_is_ready_answers_and_ends,
    wrong_arguments_are_refused,
    a_leak_grows_in_use,
    trimmable_holes_go_back_and_small_ones_do_not,
    every_waiter_wakes_with_the_right_result,
    every_seat_gets_its_messages,
    a_stop_shows_in_the_gap_of_the_ticker,
    exec_keeps_the_pid,
    registers_survive_a_read,
    vanishes,
    the_receiver_answers_as_told,
]


def main():
    tests = [t for t in TESTS if not sys.argv[3:] or t.__name__ in sys.argv[3:]]
    print(f"1..{len(tests)}")
    failed = 0
    for i, t in enumerate(tests, 1):
        try:
            t()
            print(f"ok {i} - {t.__name__}", flush=True)
        except Exception as e:  # any: a test must not take the others with it
            failed += 1
            print(f"not ok {i} - {t.__name__}\n# {type(e).__name__}: {str(e)[:400]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
