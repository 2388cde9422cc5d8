"""A MongoDB wire protocol client that hides nothing: BSON with exact types, messages built by hand, raw replies.

Python's standard library only. int is int32 (int64 beyond its range), Int64 is int64, float is double, bytes is binData 0,
Binary, ObjectId and Date are what they say, Raw is an encoded document put in as it is.
"""
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
import zlib

OP_REPLY, OP_QUERY, OP_COMPRESSED, OP_MSG = 1, 2004, 2012, 2013
CHECKSUM, MORE_TO_COME, EXHAUST_ALLOWED = 1, 2, 1 << 16


class Int64(int):
    pass


class Raw(bytes):
    pass


class ObjectId(bytes):
    pass


class Binary(bytes):
    subtype = 0

    @classmethod
    def uuid(cls, data):
        value = cls(data)
        value.subtype = 4
        return value


class Date(int):
    pass


def element(name, value):
    def e(type_number, payload):
        return bytes([type_number]) + name.encode() + b"\0" + payload

    if value is None:
        return e(10, b"")
    if isinstance(value, bool):
        return e(8, b"\1" if value else b"\0")
    if isinstance(value, Int64):
        return e(18, struct.pack("<q", value))
    if isinstance(value, Date):
        return e(9, struct.pack("<q", value))
    if isinstance(value, int):
        return e(16, struct.pack("<i", value)) if -2**31 <= value < 2**31 else e(18, struct.pack("<q", value))
    if isinstance(value, float):
        return e(1, struct.pack("<d", value))
    if isinstance(value, str):
        data = value.encode() + b"\0"
        return e(2, struct.pack("<i", len(data)) + data)
    if isinstance(value, Raw):
        return e(3, bytes(value))
    if isinstance(value, ObjectId):
        return e(7, bytes(value))
    if isinstance(value, bytes):
        return e(5, struct.pack("<iB", len(value), getattr(value, "subtype", 0)) + bytes(value))
    if isinstance(value, dict):
        return e(3, encode(value))
    if isinstance(value, (list, tuple)):
        return e(4, encode({str(i): v for i, v in enumerate(value)}))
    raise TypeError(type(value))


def encode(document):
    if isinstance(document, bytes):
        return bytes(document)
    body = b"".join(element(k, v) for k, v in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def decode(data):
    document, at = {}, 4
    (size,) = struct.unpack_from("<i", data)
    assert size == len(data) and data[-1] == 0, "a document's length is wrong"
    while at < size - 1:
        kind = data[at]
        end = data.index(b"\0", at + 1)
        name = data[at + 1:end].decode()
        at = end + 1
        if kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            (n,) = struct.unpack_from("<i", data, at)
            value, at = data[at + 4:at + 3 + n].decode(), at + 4 + n
        elif kind in (3, 4):
            (n,) = struct.unpack_from("<i", data, at)
            value, at = decode(data[at:at + n]), at + n
            value = list(value.values()) if kind == 4 else value
        elif kind == 5:
            n, subtype = struct.unpack_from("<iB", data, at)
            value, at = Binary(data[at + 5:at + 5 + n]), at + 5 + n
            value.subtype = subtype
        elif kind == 7:
            value, at = ObjectId(data[at:at + 12]), at + 12
        elif kind == 8:
            value, at = data[at] == 1, at + 1
        elif kind == 9:
            value, at = Date(struct.unpack_from("<q", data, at)[0]), at + 8
        elif kind == 10:
            value = None
        elif kind == 16:
            value, at = struct.unpack_from("<i", data, at)[0], at + 4
        elif kind == 18:
            value, at = Int64(struct.unpack_from("<q", data, at)[0]), at + 8
        else:
            raise ValueError(f"type {kind} of {name}")
        document[name] = value
    return document


CRC_TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    CRC_TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def body(document):
    return b"\0" + encode(document)


def sequence(identifier, documents):
    data = identifier.encode() + b"\0" + b"".join(encode(d) for d in documents)
    return b"\1" + struct.pack("<i", len(data) + 4) + data


def message(op_code, payload, request_id=1):
    return struct.pack("<iiii", 16 + len(payload), request_id, 0, op_code) + payload


def op_msg(*sections, flags=0, request_id=1, checksum=None):
    """Sections are documents or encoded sections. checksum: True for the right one, or a number."""
    payload = struct.pack("<I", flags | (CHECKSUM if checksum is not None else 0))
    payload += b"".join(s if isinstance(s, bytes) else body(s) for s in sections)
    if checksum is None:
        return message(OP_MSG, payload, request_id)
    data = message(OP_MSG, payload + b"\0\0\0\0", request_id)[:-4]
    return data + struct.pack("<I", crc32c(data) if checksum is True else checksum)


def op_query(namespace, document, flags=0, n_return=-1, request_id=1):
    payload = struct.pack("<i", flags) + namespace.encode() + b"\0" + struct.pack("<ii", 0, n_return) + encode(document)
    return message(OP_QUERY, payload, request_id)


def op_compressed(inner, compressor=2, size=None, data=None, original=None):
    """`inner`: a whole message."""
    data = {0: lambda b: b, 2: zlib.compress}[compressor](inner[16:]) if data is None else data
    original = struct.unpack_from("<i", inner, 12)[0] if original is None else original
    payload = struct.pack("<iiB", original, len(inner) - 16 if size is None else size, compressor) + data
    return message(OP_COMPRESSED, payload, struct.unpack_from("<i", inner, 4)[0])


class Reply:
    def __init__(self, data):
        self.length, self.request_id, self.response_to, self.op_code = struct.unpack_from("<iiii", data)
        self.compressor = None
        if self.op_code == OP_COMPRESSED:
            self.op_code, size, self.compressor = struct.unpack_from("<iiB", data, 16)
            inner = zlib.decompress(data[25:]) if self.compressor == 2 else None
            assert inner is not None and len(inner) == size
            data = data[:16] + inner
        if self.op_code == OP_MSG:
            (self.flags,) = struct.unpack_from("<I", data, 16)
            assert data[20] == 0, "the first section of a reply is not kind 0"
            self.document_bytes = data[21:]
        else:
            assert self.op_code == OP_REPLY, self.op_code
            self.flags, self.cursor, self.start, self.returned = struct.unpack_from("<iqii", data, 16)
            self.document_bytes = data[36:]
        # decode() insists on the exact length: a checksum or a second section would show here.
        self.document = decode(self.document_bytes)


class Closed(Exception):
    pass


class Connection:
    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.socket.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed()
            data += more
        return data

    def reply(self):
        header = self.read(16)
        return Reply(header + self.read(struct.unpack_from("<i", header)[0] - 16))

    def ask(self, data):
        self.send(data)
        return self.reply()

    def command(self, document, *sections, **options):
        return self.ask(op_msg({**document, "$db": document.get("$db", "admin")}, *sections, **options)).document

    def read_to_end(self):
        data = b""
        try:
            while True:
                more = self.socket.recv(65536)
                if not more:
                    return data
                data += more
        except ConnectionResetError:
            return data

    def is_silent(self, seconds=0.2):
        """True if nothing comes for a while and the connection stays open."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1)
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(10)


class Server:
    """A millrace of its own on a free port, with a data directory of its own."""

    def __init__(self, binary, *options):
        self.directory = tempfile.TemporaryDirectory(prefix="millrace-test-")
        self.log = open(os.path.join(self.directory.name, "log"), "w+b")
        started = time.monotonic()
        self.process = subprocess.Popen(
            [binary, "--port", "0", "--no-demo", "--data-dir", os.path.join(self.directory.name, "data"), "--log-level", "debug", *options],
            stdout=subprocess.PIPE, stderr=self.log)
        self.line = self.process.stdout.readline().decode()
        self.start_seconds = time.monotonic() - started
        if "listening on mongodb://" not in self.line:
            raise RuntimeError("the server did not start: " + self.log_text())
        self.port = int(self.line.split("mongodb://")[1].split()[0].rsplit(":", 1)[1])

    def log_text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def connect(self):
        return Connection(self.port)

    def stop(self, number=signal.SIGTERM):
        """The exit code and how long it took."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return code, time.monotonic() - started

    def close(self):
        self.stop()
        self.process.stdout.close()
        self.log.close()
        self.directory.cleanup()
