"""The two servers that are compared, and one connection to each: OP_MSG by hand, because the replies are compared as bytes."""
import os
import socket
import struct
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), "cases"))
import harness  # noqa: E402  (also finds Debian's Python when this one has no bson)
from bson_values import read, write  # noqa: E402


class Failed(Exception):
    """A command's reply was an error."""

    def __init__(self, reply):
        super().__init__(f"{reply.get('code')}: {reply.get('errmsg')}")
        self.code = int(reply.get("code", 0))
        self.message = reply.get("errmsg", "")


class ConnectionLost(Exception):
    def __init__(self, name, why):
        super().__init__(f"{name} {why}")
        self.name = name


class Connection:
    """send() and then receive(): between the two the other server can work as well."""

    def __init__(self, name, uri):
        self.name = name
        host, port = uri.split("//", 1)[1].split("@")[-1].split("/")[0].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = 0

    def send(self, command):
        body = command if isinstance(command, bytes) else write(command)
        self.request += 1
        self.socket.sendall(struct.pack("<iiiiIB", len(body) + 21, self.request, 0, 2013, 0, 0) + body)

    def receive_raw(self):
        length = struct.unpack("<i", self._exactly(4))[0]
        return self._exactly(length - 4)[17:]

    def receive(self):
        return read(self.receive_raw())

    def _exactly(self, count):
        parts = []
        while count:
            try:
                part = self.socket.recv(min(count, 1 << 20))
            except OSError as error:
                raise ConnectionLost(self.name, f"does not answer: {error}") from None
            if not part:
                raise ConnectionLost(self.name, "closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def command(self, command):
        """The reply; an error of the command or of one of its writes is raised."""
        self.send(command)
        return checked(self.receive())


def checked(reply):
    if not reply.get("ok"):
        raise Failed(reply)
    for error in reply.get("writeErrors", ()):
        raise Failed(error)
    return reply


def start_genuine():
    """A connection to MILLRACE_REAL_MONGODB, else to a standalone mongod of compat/servers that ends with this program."""
    uri = os.environ.get("MILLRACE_REAL_MONGODB")
    if not uri:
        use_test_commands(harness.server_script("mongod", "fetch", seconds=300)[-1])
        directory = os.path.join(harness.WORK, "genuine")
        uri = harness.server_script("mongod", "start", "--standalone", "--port", str(harness.free_port()), "--dir", directory)[-1]
        harness._ON_EXIT.append(lambda: harness.server_script("mongod", "kill", "--dir", directory))
    connection = Connection("mongod", uri)
    # The engine behind the language as it is documented; 6.0's second one (SBE) has faults and error codes of its own.
    for parameter in ({"internalQueryFrameworkControl": "forceClassicEngine"}, {"internalQueryForceClassicEngine": True}):
        try:
            connection.command({"setParameter": 1, **parameter, "$db": "admin"})
            break
        except Failed:
            continue
    return connection


def use_test_commands(binary):
    """The script starts what MONGOD names: here the same server with its test commands, which can turn its optimizer off."""
    if "MONGOD" in os.environ:
        return
    wrapper = os.path.join(harness.WORK, "mongod-with-test-commands")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec "{binary}" --setParameter enableTestCommands=1 "$@"\n')
    os.chmod(wrapper, 0o755)
    os.environ["MONGOD"] = wrapper


class WithoutOptimizer:
    """with WithoutOptimizer(connection): pipelines and predicates are computed as they are written. Needs --setParameter enableTestCommands=1."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        self._switch("alwaysOn")

    def __exit__(self, *_):
        self._switch("off")

    def _switch(self, mode):
        for name in ("disablePipelineOptimization", "disableMatchExpressionOptimization"):
            self.connection.command({"configureFailPoint": name, "mode": mode, "$db": "admin"})


def version_of(connection):
    return connection.command({"buildInfo": 1, "$db": "admin"})["version"]


def start_millrace():
    """A connection to MILLRACE_URI, else to a server of harness.BINARY that ends with this program."""
    return Connection("millrace", os.environ.get("MILLRACE_URI") or harness.Millrace().uri)
