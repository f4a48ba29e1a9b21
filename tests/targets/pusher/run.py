#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run the audio server under one allocator, its clients, and a table of what memory does. Ends by itself.

The server program is the same each time: --allocator sets its environment (LD_PRELOAD, MALLOC_ARENA_MAX), --profile
the length of a chunk. Exit status: 0 when the server ended with 0 in time and no client saw an error.
"""

import argparse
import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

try:
    import websockets
except ImportError:
    print("# skipped: python3-websockets is not installed")
    sys.exit(77)

import sockets  # noqa: E402

sockets.mend()
HERE = pathlib.Path(__file__).resolve().parent
STOP_SECONDS = 2.0

# The stream of the clients is the same in both: 1 s of 16 kHz PCM a message. What differs is the piece in which the
# server keeps it, and so how far apart the previews lie that stay.
PROFILES = {
    "trimmable": ["--chunk-bytes=32000", "--preview-bytes=640", "--window=16"],  # 1 s: holes of seven whole pages
    "pinned": ["--chunk-bytes=3200", "--preview-bytes=640", "--window=160", "--keep=40960"],  # 100 ms: not one page
}
PRELOADS = {"jemalloc": "libjemalloc.so", "tcmalloc": "libtcmalloc_minimal.so", "mimalloc": "libmimalloc.so"}


class Missing(Exception):
    pass


def preload_path(name):
    """Where the dynamic loader has the library; not installed: Missing."""
    listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^\s*" + re.escape(PRELOADS[name]) + r"\.[\d.]+ .*=> (\S+)$", listing, re.M)
    if not found:
        raise Missing(f"{PRELOADS[name]} is not installed")
    return found[0]


def environment(allocator):
    env = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "MALLOC_ARENA_MAX", "PYTHONMALLOC")}
    if allocator in PRELOADS:
        env["LD_PRELOAD"] = preload_path(allocator)
    elif allocator == "arena2":
        env["MALLOC_ARENA_MAX"] = "2"
    return env


def server_command(args, port):
    command = [sys.executable, str(HERE / "server.py"), f"--port={port}", *PROFILES[args.profile]]
    if args.single_thread:
        command.append("--single-thread")
    if args.leak:
        command.append(f"--leak={args.leak}")
    return command


def start_server(args, port=0):
    server = subprocess.Popen(server_command(args, port), env=environment(args.allocator), stdout=subprocess.PIPE)
    line = server.stdout.readline().decode()
    ready = re.match(r"ready pid=(\d+) port=(\d+)$", line)
    if not ready:
        server.kill()
        server.wait()
        raise RuntimeError(f"the server did not get ready: {line!r}")
    if args.pidfile:
        temporary = pathlib.Path(args.pidfile + ".new")
        temporary.write_text(f"{server.pid}\n")
        temporary.replace(args.pidfile)
    return server, int(ready.group(2))


def start_clients(args, port):
    command = [sys.executable, str(HERE / "clients.py"), f"--port={port}", f"--seconds={args.seconds}"]
    command += [f"--bytes-per-s={args.pace * 5.5e6}", f"--seed={args.seed}", f"--passers-by={args.passers_by}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment("glibc"))


async def ask(port, op):
    os.environ["no_proxy"] = "127.0.0.1"
    ws = await websockets.connect(f"ws://127.0.0.1:{port}/", compression=None, ping_interval=None)
    try:
        await ws.send(json.dumps({"op": "hello", "role": "admin"}))
        await ws.send(json.dumps({"op": op}))
        return json.loads(await asyncio.wait_for(ws.recv(), 30))
    finally:
        await ws.close()


def cpu_seconds(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mib(n):
    return "-" if n is None else f"{n / 2**20:.1f}"


COLUMNS = ("t_s", "rss", "in_use", "heap", "free", "arenas", "threads", "conns", "stream", "cpu_s")


def row(s, start, cpu):
    free = None if None in (s["heap_bytes"], s["inuse_bytes"]) else s["heap_bytes"] - s["inuse_bytes"]
    arenas = "-" if s["arenas"] is None else str(s["arenas"])
    cells = [f"{time.monotonic() - start:.0f}", mib(s["rss_bytes"]), mib(s["inuse_bytes"]), mib(s["heap_bytes"])]
    cells += [mib(free), arenas, str(s["threads"]), str(s["connections"]), mib(s["stream_bytes"])]
    return cells + ["-" if cpu is None else f"{cpu:.1f}"]


def show(cells):
    print(" ".join(f"{c:>8}" for c in cells), flush=True)


def note(args, what):
    print(f"# {args.allocator} {args.profile}: {what}", flush=True)


class Run:
    def __init__(self, args):
        self.args = args
        self.server, self.port = start_server(args)
        self.clients = start_clients(args, self.port)
        self.start = time.monotonic()
        self.ok = True

    def look(self, op="stat"):
        """Ask the server; one that is just being replaced has no answer. Return: None then."""
        try:
            return asyncio.run(ask(self.port, op))
        except (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException):
            return None

    def revive(self):
        """With --respawn: a server that ended is started again on its port, as a supervisor would."""
        status = self.server.poll()
        if status is None:
            return
        note(self.args, f"server {self.server.pid} ended with status {status}")
        if not self.args.respawn:
            self.ok = False
            raise InterruptedError
        self.server.stdout.close()
        self.server, _ = start_server(self.args, self.port)
        note(self.args, f"server {self.server.pid} started in its place")

    def watch(self):
        args, next_at = self.args, self.start
        note(args, f"server pid={self.server.pid} port={self.port}; MiB; figures of the server's own allocator")
        show(COLUMNS)
        while self.clients.poll() is None:
            self.revive()
            if time.monotonic() >= next_at:
                next_at += args.report
                s = self.look()
                if s:
                    show(row(s, self.start, cpu_seconds(self.server.pid)))
            self.trim_when_due()
            try:
                self.clients.wait(min(0.2, args.report))
            except subprocess.TimeoutExpired:
                pass

    def trim_when_due(self):
        due = [t for t in self.args.trim_at if time.monotonic() - self.start >= t]
        for t in due:
            self.args.trim_at.remove(t)
            answer = self.look("trim")
            if answer:
                keys = ("rss_before_bytes", "rss_after_bytes", "released_bytes", "took_ms")
                note(self.args, "malloc_trim(0) from within: " + json.dumps({k: answer[k] for k in keys}))

    def end(self):
        if self.clients.poll() is None:
            self.clients.send_signal(signal.SIGTERM)
        summary = self.clients.stdout.read().decode().strip()
        if self.clients.wait() != 0:
            self.ok = False
        note(self.args, f"clients: {summary}")
        if self.server.poll() is None:
            self.end_server()

    def end_server(self):
        if self.args.hold:
            time.sleep(self.args.hold)
        start = time.monotonic()
        self.server.send_signal(signal.SIGTERM)
        try:
            status = self.server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.server.kill()
            status = self.server.wait()
        self.ok = self.ok and status == 0
        note(self.args, f"server ended with status {status} after {time.monotonic() - start:.2f} s")


def arguments(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--allocator", choices=["glibc", "arena2", *PRELOADS], default="glibc")
    p.add_argument("--profile", choices=list(PROFILES), default="trimmable")
    p.add_argument("--seconds", type=float, default=75)
    p.add_argument("--pace", type=float, default=1.0, help="1: 5.5 MB of samples a second")
    p.add_argument("--report", type=float, default=5, help="seconds between two lines")
    p.add_argument("--trim-at", type=float, action="append", default=[], metavar="SECONDS",
                   help="malloc_trim(0) from within then, and what it gave; may be repeated")
    p.add_argument("--hold", type=float, default=0, metavar="SECONDS", help="keep the server after the clients")
    p.add_argument("--leak", type=int, default=0, metavar="BYTES_PER_S")
    p.add_argument("--passers-by", type=int, default=0, help="listeners per wave that leave again")
    p.add_argument("--single-thread", action="store_true")
    p.add_argument("--respawn", action="store_true", help="start a new server whenever one ends")
    p.add_argument("--pidfile", help="write the server's pid here, anew for each server")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args(argv)


def main():
    args = arguments(sys.argv[1:])
    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *_: sys.exit(1))
    try:
        run = Run(args)
    except Missing as e:
        print(f"# skipped: {e}")
        return 77
    try:
        run.watch()
    except InterruptedError:
        pass
    finally:
        run.end()
    return 0 if run.ok else 1


if __name__ == "__main__":
    sys.exit(main())
