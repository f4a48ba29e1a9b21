# SPDX-License-Identifier: Apache-2.0
"""Small clients of real servers, in the standard library alone. Each asks number n of a sequence and knows the answer.

A client has send(n) and receive(n), so that several can have a request under way at once. receive() raises Wrong when
the answer differs in content, order or count from what it must be; whatever the socket raises is an error as well.
"""
import hashlib
import socket
import struct

ANSWER_S = 20


class Wrong(Exception):
    """An answer that is not the right one."""


def pattern(n, size):
    """Bytes that belong to n alone: a piece moved, lost or doubled is seen."""
    word = b'%d.' % n
    return (word * (size // len(word) + 1))[:size]


class Client:
    """A connection, by unix socket ('/path') or to a port of loopback."""

    def __init__(self, address, number):
        self.number = number
        if str(address).startswith('/'):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            address = ('127.0.0.1', int(address))
        self.socket.settimeout(ANSWER_S)
        try:
            self.socket.connect(address)
            self.file = self.socket.makefile('rb')
            self.greet()
        except BaseException:
            self.close()
            raise

    def greet(self):
        """What the protocol wants before the first request."""

    def close(self):
        if hasattr(self, 'file'):
            self.file.close()
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data)

    def read(self, n):
        data = self.file.read(n)
        if len(data) != n:
            raise Wrong(f'the connection ended {n - len(data)} bytes early')
        return data

    def line(self):
        data = self.file.readline()
        if not data.endswith(b'\n'):
            raise Wrong('the connection ended')
        return data.rstrip(b'\r\n')

    def same(self, what, got, want):
        if got != want:
            raise Wrong(f'{what}: {got[:80]!r} instead of {want[:80]!r}' if isinstance(got, bytes)
                        else f'{what}: {got!r} instead of {want!r}')


class Http(Client):
    """The servers in servers/: the answer to n has n % 200 + 1 lines, which say n and the answer's number on its
    connection."""

    def greet(self):
        self.answers = 0

    def send(self, n):
        self.write(b'GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n' % n)

    def body(self):
        status = self.line()
        if not status.startswith(b'HTTP/1.1 200'):
            raise Wrong(f'status {status!r}')
        length = None
        for raw in iter(self.line, b''):
            key, _, value = raw.partition(b':')
            if key.lower() == b'content-length':
                length = int(value)
        if length is None:
            raise Wrong('no Content-Length')
        return self.read(length)

    def receive(self, n):
        self.answers += 1
        self.same('body', self.body(), b'%d %d plateau\n' % (n, self.answers) * (n % 200 + 1))


class HttpFile(Http):
    """A static file server with FILES files, see file_content()."""
    FILES = 40

    @staticmethod
    def file_content(n):
        return pattern(n, 100 + n * 2_000)

    def send(self, n):
        Http.send(self, n % self.FILES)

    def receive(self, n):
        self.same('file', self.body(), self.file_content(n % self.FILES))


class Redis(Client):
    """Values of many sizes in a ring of keys, a counter, a list; all in one pipeline."""
    KEYS = 300

    def command(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b'-':
            raise Wrong(rest.decode(errors='replace'))
        if kind == b'$':
            return None if rest == b'-1' else self.read(int(rest) + 2)[:-2]
        return int(rest) if kind == b':' else rest

    def greet(self):
        self.count = 0
        self.write(self.command('DEL', f'count{self.number}'))
        self.reply()

    def send(self, n):
        key, size = f'k{self.number}.{n % self.KEYS}', n * 7919 % 30_000
        self.write(self.command('SET', key, pattern(n, size)) + self.command('INCR', f'count{self.number}') +
                   self.command('GET', key) + self.command('DEL', f'k{self.number}.{n * 31 % self.KEYS}'))

    def receive(self, n):
        self.count += 1
        self.same('SET', self.reply(), b'OK')
        self.same('INCR', self.reply(), self.count)
        self.same('GET', self.reply(), pattern(n, n * 7919 % 30_000))
        self.reply()


class Memcached(Client):
    """As Redis, in memcached's text protocol."""
    KEYS = 300

    def greet(self):
        self.count = 0
        self.write(b'set count%d 0 0 1\r\n0\r\n' % self.number)
        self.same('set', self.line(), b'STORED')

    def send(self, n):
        value = pattern(n, n * 7919 % 30_000)
        key = b'k%d.%d' % (self.number, n % self.KEYS)
        self.write(b'set %s 0 0 %d\r\n%s\r\nincr count%d 1\r\nget %s\r\n' % (key, len(value), value, self.number, key))

    def receive(self, n):
        self.count += 1
        want = pattern(n, n * 7919 % 30_000)
        self.same('set', self.line(), b'STORED')
        self.same('incr', self.line(), b'%d' % self.count)
        self.same('get', self.line(), b'VALUE k%d.%d 0 %d' % (self.number, n % self.KEYS, len(want)))
        self.same('value', self.read(len(want) + 2), want + b'\r\n')
        self.same('end', self.line(), b'END')


class Postgres(Client):
    """Protocol 3, simple queries: a row is inserted and read again, and a sort of some thousand texts is summed up."""
    SQL = ('INSERT INTO t{c} VALUES ({n}, repeat(\'{n}.\', {r})); SELECT length(v), md5(v) FROM t{c} WHERE n = {n}; '
           'SELECT count(*) FROM t{c}; '
           'SELECT count(DISTINCT md5((g % 700 + {n})::text)) FROM generate_series(1, 1500) g')

    def greet(self):
        words = b'user\0plateau\0database\0postgres\0\0'
        self.write(struct.pack('>II', 8 + len(words), 196608) + words)
        self.until_ready()
        self.count = 0
        self.ask(f'DROP TABLE IF EXISTS t{self.number}; CREATE TABLE t{self.number} (n int PRIMARY KEY, v text)')
        self.until_ready()

    def ask(self, sql):
        data = sql.encode() + b'\0'
        self.write(b'Q' + struct.pack('>I', 4 + len(data)) + data)

    def until_ready(self):
        """The rows of all answers, as lists of text."""
        rows, wrong = [], None
        while True:
            kind, length = struct.unpack('>cI', self.read(5))
            data = self.read(length - 4)
            if kind == b'D':
                rows.append(self.row(data))
            elif kind == b'E':
                wrong = data.replace(b'\0', b' ').decode(errors='replace')
            elif kind == b'Z':
                break
        if wrong:
            raise Wrong(wrong)
        return rows

    @staticmethod
    def row(data):
        out, at = [], 2
        for _ in range(struct.unpack_from('>H', data)[0]):
            size = struct.unpack_from('>i', data, at)[0]
            out.append(data[at + 4:at + 4 + size].decode())
            at += 4 + max(size, 0)
        return out

    def send(self, n):
        self.ask(self.SQL.format(c=self.number, n=n, r=n % 3000))

    def receive(self, n):
        self.count += 1
        text = b'%d.' % n * (n % 3000)
        self.same('rows', self.until_ready(),
                  [[str(len(text)), hashlib.md5(text).hexdigest()], [str(self.count)], ['700']])


class MySql(Client):
    """Text protocol of MySQL 4.1, no password: as Postgres, a statement a packet."""
    CAPABILITIES = 0x0200 | 0x8000 | 0x80000 # PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH

    def packet(self):
        header = self.read(4)
        data = self.read(int.from_bytes(header[:3], 'little'))
        self.sequence = header[3] + 1
        if data[:1] == b'\xff':
            raise Wrong(data[3:].decode(errors='replace'))
        return data

    def put(self, data, sequence=0):
        self.write(len(data).to_bytes(3, 'little') + bytes([sequence]) + data)

    def greet(self):
        self.count = 0
        self.packet()
        self.put(struct.pack('<IIB23x', self.CAPABILITIES, 1 << 24, 33) + b'root\0\0mysql_native_password\0',
                 self.sequence)
        if self.packet()[:1] == b'\xfe':
            self.put(b'', self.sequence)
            self.packet()
        for sql in ('CREATE DATABASE IF NOT EXISTS d', f'DROP TABLE IF EXISTS d.t{self.number}',
                    f'CREATE TABLE d.t{self.number} (n int PRIMARY KEY, v longtext) ENGINE=InnoDB'):
            self.put(b'\x03' + sql.encode())
            self.packet()

    @staticmethod
    def text(data, at):
        """(a length-encoded string, where it ends)"""
        size, at = data[at], at + 1
        if size == 0xfc:
            size, at = int.from_bytes(data[at:at + 2], 'little'), at + 2
        return data[at:at + size], at + size

    def rows(self):
        columns, out = self.packet()[0], []
        for _ in range(columns + 1): # their end is a packet of its own
            self.packet()
        while True:
            data = self.packet()
            if data[:1] == b'\xfe' and len(data) < 9:
                return out
            row, at = [], 0
            for _ in range(columns):
                field, at = self.text(data, at)
                row.append(field.decode())
            out.append(row)

    def send(self, n):
        self.put(f"\x03INSERT INTO d.t{self.number} VALUES ({n}, repeat('{n}.', {n % 3000}))".encode())

    def receive(self, n):
        self.count += 1
        text = b'%d.' % n * (n % 3000)
        self.same('INSERT', self.packet()[:2], b'\0\1')
        self.put(f'\x03SELECT length(v), md5(v) FROM d.t{self.number} WHERE n = {n}'.encode())
        self.same('row', self.rows(), [[str(len(text)), hashlib.md5(text).hexdigest()]])
        self.put(f'\x03SELECT count(*) FROM (SELECT v FROM d.t{self.number} WHERE n > {n - 200} ORDER BY v LIMIT 500) x'
                 .encode())
        self.same('count', self.rows(), [[str(min(self.count, 200))]])


class Mqtt(Client):
    """Protocol 3.1.1: publishes with QoS 1 to a topic that it has subscribed to itself."""

    def greet(self):
        name = b'plateau%d' % self.number
        self.topic = b'topic/%d' % self.number
        self.send_packet(0x10, b'\0\4MQTT\4\2\0\0' + struct.pack('>H', len(name)) + name)
        self.same('CONNACK', self.packet(), (0x20, b'\0\0'))
        self.send_packet(0x82, struct.pack('>HH', 1, len(self.topic)) + self.topic + b'\1')
        self.same('SUBACK', self.packet(), (0x90, b'\0\1\1'))

    def send_packet(self, kind, data):
        size, length = len(data), b''
        while True:
            size, digit = size >> 7, size & 127
            length += bytes([digit | (0x80 if size else 0)])
            if not size:
                break
        self.write(bytes([kind]) + length + data)

    def packet(self):
        kind, size, shift = self.read(1)[0], 0, 0
        while True:
            digit = self.read(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return kind, self.read(size)

    def send(self, n):
        self.send_packet(0x32, struct.pack('>H', len(self.topic)) + self.topic + struct.pack('>H', n % 65535 + 1) +
                         pattern(n, n * 7919 % 20_000))

    def receive(self, n):
        acknowledged = delivered = False
        while not (acknowledged and delivered):
            kind, data = self.packet()
            if kind == 0x40:
                self.same('PUBACK', data, struct.pack('>H', n % 65535 + 1))
                acknowledged = True
            else:
                self.same('kind', kind, 0x32)
                at = 2 + len(self.topic)
                self.same('message', data[at + 2:], pattern(n, n * 7919 % 20_000))
                self.send_packet(0x40, data[at:at + 2])
                delivered = True


class FastCgi(Client):
    """One connection a request, to servers/server.php: as Http, with nothing to count on a connection."""

    def __init__(self, address, number):
        self.address, self.script = address.split('?')
        self.number = number

    def close(self):
        if hasattr(self, 'socket'):
            Client.close(self)

    def send(self, n):
        Client.__init__(self, self.address, self.number)
        pairs = {b'SCRIPT_FILENAME': self.script.encode(), b'REQUEST_METHOD': b'GET', b'QUERY_STRING': b'n=%d' % n}
        params = b''.join(bytes([len(k), len(v)]) + k + v for k, v in pairs.items())
        self.write(self.record(1, b'\0\1\0\0\0\0\0\0') + self.record(4, params) + self.record(4, b'') +
                   self.record(5, b''))

    @staticmethod
    def record(kind, data):
        return struct.pack('>BBHHBB', 1, kind, 1, len(data), 0, 0) + data

    def receive(self, n):
        out = b''
        while True:
            _, kind, _, size, padding, _ = struct.unpack('>BBHHBB', self.read(8))
            data = self.read(size + padding)[:size]
            if kind == 6:
                out += data
            elif kind == 7:
                raise Wrong(data.decode(errors='replace'))
            elif kind == 3:
                break
        self.same('end', data[4], 0)
        self.same('body', out.partition(b'\r\n\r\n')[2], b'%d plateau\n' % n * (n % 200 + 1))
        self.close()


CLIENTS = {c.__name__: c for c in (Http, HttpFile, Redis, Memcached, Postgres, MySql, Mqtt, FastCgi)}
