"""What the end-to-end tests stand on: a millrace of their own, unmodified mongosh, a genuine mongod and a genuine Kafka broker.

A test program is a unittest file that ends in `harness.main()`; it is started as `NAME_test.py BINARY [unittest options]`. All it starts
listens on loopback on a free port, keeps its data in one temporary directory and is gone when the program ends, however it ends.
What a test needs and this machine does not have is said in one line and skipped; such a program ends with 77, so that it does not count as passed.

Debian's PyMongo and bson are used (packages python3-pymongo, python3-bson): they belong to /usr/bin/python3.
"""
import atexit
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77
try:
    import bson.json_util
    import pymongo
except ImportError:
    if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3") and os.access("/usr/bin/python3", os.X_OK):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("skipped: no pymongo and bson for Python (Debian: python3-pymongo, python3-bson)")
    sys.exit(SKIPPED)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MONGOSH = os.path.join(ROOT, "compat", "node_modules", ".bin", "mongosh")
BINARY = None       # set by main()
WORK = None         # the program's temporary directory
_ON_EXIT = []       # what still has to be stopped, last first


def available(program, package):
    if not (os.path.exists(program) or shutil.which(program)):
        raise unittest.SkipTest(f"no {os.path.basename(program)} ({package})")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, seconds, what):
    """Asks until the answer is truthy, and gives it; an AssertionError with the last answer when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}; last seen: {answer!r}")
        time.sleep(0.05)


# --- millrace ---------------------------------------------------------------------------------------------------------------------------

# The words of a fault that no test provokes; what a test provokes on purpose it names in `expected_log`.
FAULTS = re.compile(r"Sanitizer|runtime error:|terminate called|Assertion|Segmentation|core dumped| error | critical ", re.I)


class Millrace:
    """`connections`: a list in the Admin API's spelling. The data directory outlives stop(), so that start() is a restart."""

    def __init__(self, *options, connections=None, demo=False, expected_log=None):
        self.directory = tempfile.mkdtemp(prefix="millrace-", dir=WORK)
        self.expected_log = re.compile(expected_log) if expected_log else None
        self.process = None
        self.options = list(options)
        self.port = free_port()
        if not demo:
            self.options.append("--no-demo")
        if connections is not None:
            path = os.path.join(self.directory, "connections.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(connections, file)
            self.options += ["--connections", path]
        self.start()

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.port}/"

    @property
    def log_path(self):
        return os.path.join(self.directory, "stderr")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--port", str(self.port), "--data-dir", os.path.join(self.directory, "data"), "--log-level", "info", *self.options],
                stdout=subprocess.PIPE, stderr=log)
        _ON_EXIT.append(self.kill)
        line = read_line(self.process.stdout, 30)
        if f"listening on mongodb://127.0.0.1:{self.port}" not in line:
            raise AssertionError(f"millrace did not start; it said {line!r} and\n{self.log()}")
        return self

    def client(self, **options):
        return pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=10000, socketTimeoutMS=60000, **options)

    def stop(self):
        """SIGTERM; within 5 s, with code 0 and nothing faulty in the log."""
        if self.process is None:
            return
        started = time.monotonic()
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("millrace did not end within 20 s of SIGTERM; its log ends in\n" + self.log()[-2000:]) from None
        seconds = time.monotonic() - started
        rest = process.stdout.read().decode()
        process.stdout.close()
        faults = [line for line in self.log().splitlines()
                  if FAULTS.search(line) and not (self.expected_log and self.expected_log.search(line))]
        if code != 0 or faults or rest:
            raise AssertionError(f"millrace ended with {code}; further lines on stdout: {rest!r}; faults in its log: {faults}")
        if seconds > 5:
            raise AssertionError(f"millrace took {seconds:.1f} s to end")

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def read_line(stream, seconds):
    line = []
    reader = threading.Thread(target=lambda: line.append(stream.readline().decode()), daemon=True)
    reader.start()
    reader.join(seconds)
    return line[0] if line else ""


# --- mongosh ----------------------------------------------------------------------------------------------------------------------------

# `out(value)` hands a value to the test; `attempt(f)` what a command answers, or its error.
PRELUDE = """
function out(value) { print('@@ ' + EJSON.stringify(value === undefined ? null : value, {relaxed: false})); }
function attempt(f) { try { const answer = f(); return answer; } catch (e) { return {error: String(e), code: e.code, codeName: e.codeName, message: e.message}; } }
"""


def shell_environment():
    """A home of its own, in which nobody is asked about telemetry and nothing is reported."""
    home = os.path.join(WORK, "home")
    if not os.path.isdir(home):
        folder = os.path.join(home, ".mongodb", "mongosh")
        os.makedirs(folder)
        with open(os.path.join(folder, "config"), "w", encoding="utf-8") as file:
            json.dump({"userId": "6b0000000000000000000000", "telemetryAnonymousId": "6b0000000000000000000000", "enableTelemetry": False,
                       "disableGreetingMessage": True, "updateURL": "", "forceDisableTelemetry": True}, file)
    return {**os.environ, "HOME": home, "NO_COLOR": "1", "TERM": "dumb", "LANG": "C.UTF-8"}


class Shell:
    """A mongosh that runs a script. `values` are what the script handed over with out()."""

    def __init__(self, uri, script, quiet=True, typed=False):
        """`typed`: the script comes on standard input, line by line, as a user types it; results and prompts are printed."""
        available(MONGOSH, "npm ci in compat/")
        command = [MONGOSH, "--norc", uri] + (["--quiet"] if quiet else [])
        source = script
        if not typed:
            number, path = tempfile.mkstemp(suffix=".js", dir=WORK)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(PRELUDE + script)
            command += ["--file", path]
            source = ""
        self.output_path = tempfile.mkstemp(suffix=".out", dir=WORK)[1]
        with open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=shell_environment(),
                                            start_new_session=True)
        _ON_EXIT.append(self.kill)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(source.encode())
            self.process.stdin.close()

    @property
    def text(self):
        with open(self.output_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    @property
    def values(self):
        return [bson.json_util.loads(line[3:], json_options=JSON) for line in self.text.split("\n") if line.startswith("@@ ")]

    def interrupt(self):
        """Ctrl-C: the whole foreground group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds=60, code=0):
        try:
            ended = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"mongosh did not end within {seconds} s; it said\n{self.text}") from None
        if code is not None and ended != code:
            raise AssertionError(f"mongosh ended with {ended}; it said\n{self.text}")
        return self

    def kill(self):
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


# Numbers of Extended JSON stay what they are: int64 as Int64, int32 as int, double as float.
JSON = bson.json_util.JSONOptions(json_mode=bson.json_util.JSONMode.CANONICAL, tz_aware=True)


def mongosh(uri, script, seconds=60, **options):
    return Shell(uri, script, **options).wait(seconds)


# --- the genuine servers ----------------------------------------------------------------------------------------------------------------

def server_script(name, *arguments, seconds=120):
    """Runs compat/servers/NAME; the lines it printed. A server that cannot be had on this machine is a reason to skip."""
    result = subprocess.run([os.path.join(ROOT, "compat", "servers", name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
    if result.returncode != 0:
        lines = result.stderr.decode().strip().splitlines()
        raise unittest.SkipTest(lines[-1] if lines else f"{name} {arguments[0]} ended with {result.returncode}")
    return result.stdout.decode().splitlines()


class Mongod:
    """A replica set of one. PyMongo and millrace reach it under `uri`."""

    def __init__(self):
        self.port = free_port()
        self.directory = os.path.join(WORK, f"mongod-{self.port}")
        self.running = False
        server_script("mongod", "fetch", seconds=300)
        self.start()

    def start(self):
        self.uri = server_script("mongod", "start", "--port", str(self.port), "--dir", self.directory)[-1]
        self.running = True
        _ON_EXIT.append(self.kill)

    def client(self):
        return pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=20000)

    def stop(self):
        server_script("mongod", "stop", "--dir", self.directory)
        self.running = False

    def kill(self):
        if self.running:
            self.running = False
            subprocess.run([os.path.join(ROOT, "compat", "servers", "mongod"), "kill", "--dir", self.directory], check=False, timeout=30)


class Kafka:
    """One broker."""

    def __init__(self):
        available("kcat", "Debian: kcat")
        self.directory = os.path.join(WORK, "kafka")
        server_script("kafka", "fetch", seconds=300)
        self.bootstrap = server_script("kafka", "start", "--port", "0", "--dir", self.directory)[-1].split("=", 1)[1]
        _ON_EXIT.append(self.kill)

    def create_topic(self, topic, partitions):
        server_script("kafka", "topics", "--bootstrap-server", self.bootstrap, "--create", "--topic", topic, "--partitions", str(partitions))

    def produce(self, topic, partition, lines):
        """One record a line, in order, into one partition."""
        subprocess.run(["kcat", "-P", "-b", self.bootstrap, "-t", topic, "-p", str(partition), "-D", "\n", "-X", "acks=all"],
                       input="".join(line + "\n" for line in lines).encode(), check=True, timeout=60)

    def kill(self):
        subprocess.run([os.path.join(ROOT, "compat", "servers", "kafka"), "kill", "--dir", self.directory], check=False, timeout=30)


def cluster(name, uri=None):
    """A connection in the Admin API's spelling; without `uri` it means the local database."""
    return {"name": name, "type": "Cluster", "clusterName": name, **({"uri": uri} if uri else {})}


def kafka(name, bootstrap):
    return {"name": name, "type": "Kafka", "bootstrapServers": bootstrap, "security": {"protocol": "PLAINTEXT"}}


# --- test cases -------------------------------------------------------------------------------------------------------------------------

class Case(unittest.TestCase):
    """Helpers on top of unittest. `self.admin` is the admin database of `self.server`, if the class has one."""
    maxDiff = None
    server = None

    @property
    def admin(self):
        return self.client.admin

    def command(self, document, **more):
        return self.admin.command({**document, **more})

    def refused(self, document, code, text="", database=None):
        """The command fails with this code (or one of these; None: any), a codeName, and a message that holds the text."""
        try:
            reply = (database if database is not None else self.admin).command(document)
        except pymongo.errors.OperationFailure as error:
            details = error.details
            if code is not None:
                self.assertIn(details.get("code"), code if isinstance(code, tuple) else (code,), f"{document}: {details}")
            self.assertTrue(details.get("codeName"), details)
            self.assertIn(text, details["errmsg"])
            return details
        self.fail(f"{document} was accepted: {reply}")
        return None

    def state(self, name):
        return self.command({"getStreamProcessor": name})["state"]

    def stats(self, name, **options):
        return self.command({"getStreamProcessorStats": name, "options": options})["stats"]

    def drop_all(self):
        for name in self.names():
            with contextlib.suppress(pymongo.errors.OperationFailure):  # a temporary one may be gone meanwhile
                self.command({"dropStreamProcessor": name})

    def names(self):
        return [p["name"] for p in self.command({"listStreamProcessors": 1})["streamProcessors"]]

    def process(self, pipeline, options=None, seconds=20):
        """What sp.process() does: the documents until the cursor ends, then the drop."""
        started = self.command({"processStreamProcessor": pipeline, **({"options": options} if options else {})})
        documents, cursor, deadline = [], started["cursorId"], time.monotonic() + seconds
        while cursor != 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"process did not end within {seconds} s; so far {documents}")
            batch = self.command({"getMoreSampleStreamProcessor": started["name"], "cursorId": bson.int64.Int64(cursor)})
            self.assertEqual(batch["messages"], batch["nextBatch"])
            documents += batch["messages"]
            cursor = batch["cursorId"]
        with contextlib.suppress(pymongo.errors.OperationFailure):
            self.command({"dropStreamProcessor": started["name"]})
        return documents


class ServerCase(Case):
    """One millrace for the whole class; stopping it cleanly is part of the test."""
    connections = None
    options = ()
    expected_log = None

    @classmethod
    def setUpClass(cls):
        cls.server = Millrace(*cls.options, connections=cls.connections, expected_log=cls.expected_log)
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def setUp(self):
        self.assertIsNone(self.server.process.poll(), "millrace is gone: " + self.server.log()[-2000:])


class ReplicaSetCase(Case):
    """A genuine replica set for the whole class, and one millrace whose connection `cluster` it is."""

    @classmethod
    def setUpClass(cls):
        cls.mongod = Mongod()
        cls.database = cls.mongod.client()
        cls.server = Millrace(connections=[cluster("cluster", cls.mongod.uri)])
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.database.close()
        cls.server.stop()

    def tearDown(self):
        self.drop_all()

    def wait_for_documents(self, collection, expected, projection=None, seconds=30):
        """Until the collection holds these documents and no others; in the order of their _id, which all have."""
        expected = sorted(expected, key=lambda document: document["_id"])
        with contextlib.suppress(AssertionError):
            wait_until(lambda: list(collection.find({}, projection).sort("_id")) == expected, seconds, "the documents")
        self.assertEqual(list(collection.find({}, projection).sort("_id")), expected)


# --- the program ------------------------------------------------------------------------------------------------------------------------

class TimeIsOver(KeyboardInterrupt):
    """Of the kind that unittest does not take for a failure of one test."""


def stop_everything():
    while _ON_EXIT:
        with contextlib.suppress(Exception):
            _ON_EXIT.pop()()
    if WORK:
        shutil.rmtree(WORK, ignore_errors=True)


def main(limit_seconds=170):
    """BINARY is the first argument or $MILLRACE. The program ends itself after the limit, so that its servers end with it."""
    global BINARY, WORK
    arguments = sys.argv[1:]
    BINARY = os.path.abspath(arguments.pop(0)) if arguments and not arguments[0].startswith("-") and os.access(arguments[0], os.X_OK) else os.environ.get("MILLRACE")
    if not BINARY:
        sys.exit(f"usage: {sys.argv[0]} MILLRACE-BINARY [unittest options]")
    WORK = tempfile.mkdtemp(prefix="millrace-e2e-")
    atexit.register(stop_everything)

    def over(number, _):
        raise TimeIsOver(f"the program's time is over (signal {number})")

    limit = int(os.environ.get("MILLRACE_TEST_SECONDS", limit_seconds))
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, over)
    signal.alarm(limit)
    result = unittest.main(module="__main__", argv=[sys.argv[0], *arguments], verbosity=2, exit=False).result
    signal.alarm(0)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped else 0)
