"""Damage to the data directory, hundreds of times: flipped bits, zeroed sectors, cut, swapped and outdated pages, old, foreign and empty files, a damaged
lock or state file. Each time the server is started on it and must come up, name what was damaged, and believe none of it: every document that it shows
is one that was written, or the right result of a processor, and what is missing is missing because the log says so. Where it cannot come up (a file that is none of its own) it says why and ends with 1.

    MILLRACE_TRIALS=200 MILLRACE_SEED=1 damage_test.py BINARY       or: scripts/damage_test.sh 5000

Trial n of a seed makes the same damage to the same kind of directory. The directory of a trial that fails is kept and its name printed.
"""
import collections
import concurrent.futures
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import harness
import pymongo  # harness has found the Python that has it
import window_model as model

TRIALS = int(os.environ.get("MILLRACE_TRIALS", "200"))
SEED = int(os.environ.get("MILLRACE_SEED", "1"))
ONLY = os.environ.get("MILLRACE_TRIAL")   # one trial by its number
WORKERS = 4
PAGE = 4096
DATABASE, STATE, LOCK, READERS = "millrace.mdb", "millrace.state", "millrace.lock", "millrace.mdb-lock"
BASE = 1_740_787_200_000
EVENTS = 1500
REPORTED = re.compile(r"was damaged: |is lost: ")
NOTHING_LEFT = "neither of its first two pages can be read"  # LMDB's roots: without them no page tells whether it is of today


# --- what the directories hold ------------------------------------------------------------------------------------------------------------

def events(name):
    source = random.Random(name)
    for number in range(EVENTS):
        behind = source.choice([0, 0, source.randrange(300)])
        yield {"at": BASE + number * 20 - behind, "key": f"k{source.randrange(5)}", "watts": source.randrange(1000), "number": number}


def window(kind, **more):
    fields = {"n": {"$sum": 1}, "total": {"$sum": "$watts"}, "mean": {"$avg": "$watts"}, "least": {"$min": "$watts"}, "most": {"$max": "$watts"}}
    identity = {"key": "$_id", "start": {"$toLong": {"$meta": "stream.window.start"}}, "end": {"$toLong": {"$meta": "stream.window.end"}}}
    return {kind: {**more, "allowedLateness": {"size": 100, "unit": "ms"},
                   "pipeline": [{"$group": {"_id": "$key", **fields}}, {"$project": {"_id": identity, **{f: 1 for f in fields}}}]}}


def ms(size):
    return {"size": size, "unit": "ms"}


PROCESSORS = {
    "tumbling": [window("$tumblingWindow", interval=ms(400))],
    "hopping": [window("$hoppingWindow", interval=ms(600), hopSize=ms(200))],
    "sessions": [window("$sessionWindow", gap=ms(150), partitionBy="$key")],
    "plain": [{"$match": {"watts": {"$lt": 900}}}, {"$project": {"_id": {"key": "$key", "start": "$number", "end": "$at"}, "watts": 1}}],
}


def expected(name):
    """(results, numbers of the dead letters)."""
    if name == "plain":
        return {(e["key"], e["number"], e["at"]): {"watts": e["watts"]} for e in events(name) if e["watts"] < 900}, set()
    oracle = {"tumbling": lambda: model.ExactHopping(400, 400, 100), "hopping": lambda: model.ExactHopping(600, 200, 100),
              "sessions": lambda: model.ExactSessions(150, 100)}[name]()
    for event in events(name):
        oracle.add(event["at"], event["key"], event["watts"], event["number"])
    oracle.move(BASE + 3_600_000)
    return oracle.results, set(oracle.late)


def item(number):
    source = random.Random(f"item {number}")
    return {"_id": number, "text": "x" * source.choice([10, 100, 1000, 9000 if number % 50 == 0 else 50]), "value": source.random(), "unique": f"u{number}"}


ITEMS = {number: item(number) for number in range(300)}
EXPECTED = {name: expected(name) for name in PROCESSORS}


# --- one server -------------------------------------------------------------------------------------------------------------------------

class Refused(Exception):
    pass


class Server:
    """On a directory of its own. `start()` raises Refused with what the server said as it ended with 1; every other end is an AssertionError."""

    def __init__(self, directory, user=None):
        self.directory, self.user, self.process = directory, user, None
        self.log_path = directory + ".log"

    def start(self, options=()):
        self.port = harness.free_port()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [harness.BINARY, "serve", "--port", str(self.port), "--data-dir", self.directory, "--log-level", "info", "--no-demo", "--checkpoint-interval-ms", "20",
                 "--connections", CONNECTIONS, *options],
                stdout=subprocess.PIPE, stderr=log, **({"user": self.user} if self.user is not None else {}))
        line = harness.read_line(self.process.stdout, 20)
        if "listening on" in line:
            return self
        code = self.process.wait(20)
        self.process.stdout.close()
        assert code == 1, f"it ended with {code}: {self.log()[-2000:]}"
        assert len(self.log().strip()) > 30, "it refused without a word"
        raise Refused(self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def client(self):
        return pymongo.MongoClient(f"mongodb://127.0.0.1:{self.port}/", serverSelectionTimeoutMS=10000, socketTimeoutMS=20000)

    def alive(self):
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log()[-2000:]}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self.process.stdout.close()
        assert code == 0, f"it ended with {code}: {self.log()[-2000:]}"

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None and not self.process.stdout.closed:
            self.process.stdout.close()


# --- damage -----------------------------------------------------------------------------------------------------------------------------

class Directory:
    """A copy of a template. `older`: the same directory at an earlier time."""

    def __init__(self, path, older):
        self.path, self.older = path, older

    def file(self, name=DATABASE):
        return os.path.join(self.path, name)

    def read(self, name=DATABASE, older=False):
        with open(os.path.join(self.older if older else self.path, name), "rb") as file:
            return bytearray(file.read())

    def write(self, content, name=DATABASE):
        with open(self.file(name), "wb") as file:
            file.write(content)

    def remove(self, name):
        os.unlink(self.file(name))


def flip(content, source, count, first=0, end=None):
    for _ in range(count):
        at = source.randrange(first, end or len(content))
        content[at] ^= 1 << source.randrange(8)
    return f"{count} bits"


def pages(content):
    return len(content) // PAGE


def flipped_bits(d, r):
    content = d.read()
    said = flip(content, r, r.choice([1, 1, 2, 8, 50]))
    d.write(content)
    return said


def flipped_in_page_headers(d, r):
    content = d.read()
    for _ in range(r.choice([1, 3])):
        page = r.randrange(pages(content)) * PAGE
        flip(content, r, 1, page, page + r.choice([16, 64]))
    d.write(content)


def flipped_in_metas(d, r):
    content = d.read()
    for page in r.choice([(0,), (1,), (0, 1)]):
        flip(content, r, r.choice([1, 4]), page * PAGE, page * PAGE + 160)
    d.write(content)


def overwritten_sectors(d, r):
    content = d.read()
    size = r.choice([512, 512, PAGE, 4 * PAGE])
    for _ in range(r.choice([1, 1, 3])):
        at = r.randrange(max(1, len(content) // size)) * size
        content[at:at + size] = r.choice([bytes(size), b"\xff" * size, r.randbytes(size)])[:len(content) - at]
    d.write(content)


def cut(d, r):
    content = d.read()
    length = r.choice([r.randrange(len(content)), r.randrange(pages(content)) * PAGE, len(content) - PAGE, len(content) - 1, 1, 100, PAGE, 2 * PAGE])
    d.write(content[:length])
    return f"to {length} of {len(content)}"


def longer(d, r):
    d.write(d.read() + r.choice([r.randbytes(r.randrange(1, 3 * PAGE)), bytes(PAGE), b"x"]))


def swapped_pages(d, r):
    content = d.read()
    a, b = (r.randrange(pages(content)) * PAGE for _ in range(2))
    content[a:a + PAGE], content[b:b + PAGE] = content[b:b + PAGE], content[a:a + PAGE]
    d.write(content)


def copied_page(d, r):
    content = d.read()
    a, b = (r.randrange(pages(content)) * PAGE for _ in range(2))
    content[a:a + PAGE] = content[b:b + PAGE]
    d.write(content)


def outdated_pages(d, r):
    content, old = d.read(), d.read(older=True)
    for _ in range(r.choice([1, 1, 5])):
        at = r.randrange(2, pages(old)) * PAGE
        content[at:at + PAGE] = old[at:at + PAGE]
    d.write(content)


def older_file(d, r):
    """Without the state file nobody can know that it is an older one; with it, it is damage."""
    d.write(d.read(older=True))
    how = r.choice(["state stays", "state removed", "state damaged", "readers' table removed"])
    if how == "state removed":
        d.remove(STATE)
    elif how == "state damaged":
        damaged_state(d, r)
    elif how == "readers' table removed" and os.path.exists(d.file(READERS)):
        d.remove(READERS)
    return how


def foreign_file(d, r):
    d.write(r.choice([b"hello\n", b"SQLite format 3\0" + bytes(8000), r.randbytes(50_000), b"\x7fELF" + r.randbytes(5000), bytes(2 * PAGE), bytes(10 * PAGE)]))
    if r.random() < 0.5:
        d.remove(STATE)


def empty_file(d, r):
    d.write(b"")
    if r.random() < 0.3:
        d.remove(STATE)


def missing_file(d, r):
    d.remove(DATABASE)


def damaged_state(d, r):
    content = d.read(STATE)
    kind = r.randrange(5)
    if kind == 0:
        flip(content, r, r.choice([1, 5]))
    elif kind == 1:
        content = content[:r.randrange(len(content))]
    elif kind == 2:
        content = bytearray(r.randbytes(r.choice([0, 72, 5000])))
    elif kind == 3:
        d.remove(STATE)
        return "removed"
    else:
        content = d.read(STATE, older=True)
    d.write(content, STATE)


def damaged_readers(d, r):
    d.write(r.choice([b"", b"x", r.randbytes(8192), bytes(8192), r.randbytes(100_000)]), READERS)


def damaged_lock(d, r):
    d.write(r.choice([b"", b"1\n", b"99999999999999999999\n", r.randbytes(5000)]), LOCK)


def unfinished_database(d, r):
    d.write(r.choice([b"", r.randbytes(5000), bytes(d.read()[:3 * PAGE])]), DATABASE + ".new")
    d.write(r.randbytes(100), DATABASE + ".new-lock")


def damaged_twice(d, r):
    flipped_bits(d, r)
    damaged_state(d, r)


# kind, how often, whether the server may refuse
KINDS = [
    (flipped_bits, 10, False),
    (flipped_in_page_headers, 8, False),
    (flipped_in_metas, 3, False),
    (overwritten_sectors, 8, False),
    (cut, 5, False),
    (longer, 1, False),
    (swapped_pages, 4, False),
    (copied_page, 4, False),
    (outdated_pages, 5, False),
    (older_file, 3, False),
    (foreign_file, 2, True),
    (empty_file, 1, True),
    (missing_file, 1, True),
    (damaged_state, 2, False),
    (damaged_readers, 1, False),
    (damaged_lock, 1, False),
    (unfinished_database, 1, False),
    (damaged_twice, 3, True),
]


# --- the test ---------------------------------------------------------------------------------------------------------------------------

def key_of(document):
    return tuple(document["_id"][field] for field in ("key", "start", "end"))


class Trial:
    """One damage, from the copy to the second start."""

    def __init__(self, number, templates):
        self.number = number
        self.random = random.Random(f"{SEED}/{number}")
        self.kind, _, self.may_refuse = self.random.choices(KINDS, [weight for _, weight, _ in KINDS])[0]
        self.template = self.random.choice(templates)
        self.path = os.path.join(harness.WORK, f"trial-{number}")
        self.outcome = ""

    def run(self):
        shutil.copytree(self.template["path"], self.path)
        said = self.kind(Directory(self.path, self.template["older"]), self.random)
        self.description = f"seed {SEED}, trial {self.number}: {self.kind.__name__} {said or ''} of '{self.template['name']}'"
        saved = self.path + ".as-found"
        shutil.copytree(self.path, saved)
        server = Server(self.path)
        try:
            self.judge(server)
        except Exception as error:
            kept = tempfile.mkdtemp(prefix="millrace-damaged-")
            shutil.move(saved, os.path.join(kept, "data"))
            raise AssertionError(f"{self.description}\nkept in {kept}/data\n{type(error).__name__}: {error}") from error
        finally:
            server.kill()
            for path in (self.path, saved):
                shutil.rmtree(path, ignore_errors=True)
        return self.kind.__name__, self.outcome

    def judge(self, server):
        try:
            server.start()
        except Refused as refused:
            self.outcome = "refused"
            outdated = self.kind is older_file and "older than it should be" in str(refused)  # specified: only its owner knows whether that is meant
            assert self.may_refuse or outdated or NOTHING_LEFT in str(refused), f"it refused: {refused}"
            assert self.path in str(refused), f"the reason names no file: {refused}"
            return
        reported = [line for line in server.log().splitlines() if REPORTED.search(line)]
        with server.client() as client:
            found = self.look(server, client, reported)
            self.works(client)
        server.alive()
        self.outcome = "damage reported" if reported else "sound"
        server.stop()
        server.start()
        again = [line for line in server.log().splitlines() if REPORTED.search(line)]
        assert not again, f"damaged again: {again}"
        with server.client() as client:
            self.compare_with_first(found, self.contents(client))
        server.stop()

    def processors(self, client):
        return {p["name"]: p for p in client.admin.command("listStreamProcessors")["streamProcessors"]}

    def contents(self, client):
        found = {"items": {d["_id"]: d for d in client.data.items.find()}}
        for name in PROCESSORS:
            found[name] = {key_of(d): {field: d[field] for field in d if field != "_id"} for d in client.out[name].find()}
            found[name + "Dead"] = {d["doc"].get("number", str(d["errInfo"])) for d in client.out[name + "Dead"].find()}
        return found

    def look(self, server, client, reported):
        """Waits until the processors that run have come to the end of their input, then compares everything."""
        deadline = time.monotonic() + 10
        fresh = "foreign" in self.kind.__name__ or "empty" in self.kind.__name__
        while True:
            states = self.processors(client)
            counts = {name: client.out[name].estimated_document_count() for name in PROCESSORS}
            coming_up = [name for name, p in states.items() if p["state"] == "PROVISIONING"]
            waiting = [name for name, p in states.items() if p["state"] == "STARTED" and name in PROCESSORS and counts[name] < len(EXPECTED[name][0])]
            if not waiting + coming_up or time.monotonic() > deadline:
                break
            # Where records are gone nobody can say how many there will be: until nothing changes for a while.
            if reported and not coming_up and self.quiet(client, counts):
                break
            time.sleep(0.05)
        found = self.contents(client)
        assert all(found["items"][number] == ITEMS[number] for number in found["items"]), "an item is not what was written"
        self.missing("items", len(ITEMS) - len(found["items"]), reported, fresh)
        for name, (results, dead) in EXPECTED.items():
            wrong = {key: value for key, value in found[name].items() if results.get(key) != value}
            assert not wrong, f"{len(wrong)} wrong results of {name}, as {list(wrong.items())[:2]}; right: {[results.get(k) for k in list(wrong)[:2]]}\n{reported}\n{server.log()[-1500:]}"
            assert found[name + "Dead"] <= dead, f"dead letters of {name} that are none: {list(found[name + 'Dead'] - dead)[:5]}"
            failed = name in states and states[name]["state"] == "FAILED"
            if failed:
                assert states[name].get("errorMsg"), f"{name} failed without a word"
                assert reported, f"{name} failed: {states[name]['errorMsg']}"
            self.missing(name, len(results) - len(found[name]), reported, fresh)
            self.missing(name + "Dead", len(dead - found[name + "Dead"]), reported, fresh)
            self.missing("processor " + name, name not in states, reported, fresh)
            if name in states:
                earlier = self.kind in (older_file, outdated_pages) or any("the last transaction" in line for line in reported)
                allowed = ("STARTED", "FAILED", "CREATED") if earlier else ("STARTED", "FAILED")
                assert states[name]["state"] in allowed, f"{name} is {states[name]['state']}: {states[name]['errorMsg']}"
        if not reported and not fresh:
            assert self.kind is older_file or len(client.data.items.index_information()) == 2, "an index is gone without a word"
        return found

    def quiet(self, client, counts):
        time.sleep(0.3)
        return all(client.out[name].estimated_document_count() == counts[name] for name in PROCESSORS)

    def missing(self, what, count, reported, fresh):
        assert count <= 0 or reported or fresh or self.kind is older_file, f"{count} of {what} are missing without a word"

    @staticmethod
    def works(client):
        """The server is of full use: it stores, and new processors run."""
        client.afterwards.things.insert_one({"_id": 1, "a": "b"})
        assert client.afterwards.things.find_one({}) == {"_id": 1, "a": "b"}
        pipeline = [{"$source": {"documents": [{"_id": 1, "x": 2}, {"_id": 2, "x": 3}]}}, {"$addFields": {"y": {"$multiply": ["$x", 2]}}},
                    {"$merge": {"into": {"connectionName": "here", "db": "afterwards", "coll": "results"}}}]
        client.admin.command({"createStreamProcessor": "afterwards", "pipeline": pipeline})
        client.admin.command({"startStreamProcessor": "afterwards"})
        harness.wait_until(lambda: client.afterwards.results.count_documents({}) == 2, 10, "the results of a new processor")
        assert list(client.afterwards.results.find().sort("_id")) == [{"_id": 1, "x": 2, "y": 4}, {"_id": 2, "x": 3, "y": 6}]

    @staticmethod
    def compare_with_first(first, second):
        for what, found in first.items():
            if isinstance(found, set):
                assert found <= second[what], f"{what}: after another restart some are gone"
                continue
            for key, value in found.items():
                assert second[what].get(key) == value, f"{what} {key}: after another restart {second[what].get(key)}, before {value}"


class Damage(harness.Case):
    @classmethod
    def setUpClass(cls):
        global CONNECTIONS
        print(f"damage_test: seed {SEED}, {TRIALS} trials", flush=True)
        CONNECTIONS = os.path.join(harness.WORK, "connections.json")
        with open(CONNECTIONS, "w", encoding="utf-8") as file:
            file.write('[{"name": "here", "type": "Cluster", "clusterName": "here"}]')
        os.chmod(harness.WORK, 0o755)  # one test runs the server as another user
        cls.templates = [cls.make_template(name, share, end) for name, share, end in (
            ("killed early", 0.1, "kill"), ("killed later", 0.5, "kill"), ("stopped", 0.3, "stop"), ("at the end", 1, "stop"))]

    @classmethod
    def make_template(cls, name, share, end):
        """A directory with data and with processors that have done part of their work."""
        path = os.path.join(harness.WORK, "template " + name)
        server = Server(path)
        harness._ON_EXIT.append(server.kill)
        server.start()
        with server.client() as client:
            client.data.items.create_index("unique", unique=True)
            client.data.items.insert_many([ITEMS[number] for number in range(200)])
            for processor, stages in PROCESSORS.items():
                source = {"$source": {"documents": [*events(processor), {"at": BASE + 3_600_000, "key": "none", "watts": 5000, "number": -1}], "timeField": {"$toDate": "$at"}}}
                stages = [{"$match": {"number": {"$gte": 0}}}, *stages]
                client.admin.command({"createStreamProcessor": processor,
                                      "pipeline": [source, *stages, {"$merge": {"into": {"connectionName": "here", "db": "out", "coll": processor}, "whenMatched": "replace"}}],
                                      "options": {"dlq": {"connectionName": "here", "db": "out", "coll": processor + "Dead"}}})
            client.admin.command({"startStreamProcessor": "sessions"})
        server.kill()  # after the client has gone, which would look for the server for a while
        shutil.copytree(path, path + " older")
        server.start()
        with server.client() as client:
            client.data.items.insert_many([ITEMS[number] for number in range(200, 300)])
            for processor in PROCESSORS:
                if processor != "sessions":
                    client.admin.command({"startStreamProcessor": processor})
            goal = share * sum(len(results) for results, _ in EXPECTED.values())
            while sum(client.out[processor].estimated_document_count() for processor in PROCESSORS) < goal:
                time.sleep(0.01)
            done = {p: client.out[p].estimated_document_count() for p in PROCESSORS}
        (server.kill if end == "kill" else server.stop)()
        print(f"  template '{name}': {os.path.getsize(os.path.join(path, DATABASE)) >> 10} KiB, then results: {done}", flush=True)
        return {"name": name, "path": path, "older": path + " older"}

    def test_damage(self):
        numbers = [int(ONLY)] if ONLY else range(TRIALS)
        outcomes = collections.Counter()
        failures = []
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for future in concurrent.futures.as_completed([pool.submit(Trial(number, self.templates).run) for number in numbers]):
                try:
                    outcomes[future.result()] += 1
                except AssertionError as error:
                    failures.append(str(error))
        for (kind, outcome), count in sorted(outcomes.items()):
            print(f"  {kind:26} {outcome:16} {count}")
        print(f"  {sum(outcomes.values())} trials passed in {time.monotonic() - started:.0f} s", flush=True)
        self.assertFalse(failures, f"{len(failures)} trials failed:\n" + "\n\n".join(failures[:10]))

    # --- without chance

    def copy(self, name):
        path = os.path.join(harness.WORK, name)
        shutil.copytree(next(t["path"] for t in self.templates if t["name"] == "at the end"), path)
        server = Server(path)
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        self.addCleanup(server.kill)
        return server

    def refuses(self, server, text):
        with self.assertRaises(Refused) as raised:
            server.start()
        self.assertIn(text, str(raised.exception))
        self.assertIn(server.directory, str(raised.exception))

    def sound(self, server):
        server.start()
        self.assertFalse([line for line in server.log().splitlines() if REPORTED.search(line)])
        with server.client() as client:
            self.assertEqual({d["_id"]: d for d in client.data.items.find()}, ITEMS)
        server.stop()

    def test_a_record_damaged_under_the_running_server(self):
        """It is noticed when it is read, and named; everything else is served; the next start lists it."""
        server = self.copy("under-way").start()
        path = os.path.join(server.directory, DATABASE)
        with open(path, "rb") as file:
            content = file.read()
        pattern = b"\x02unique\x00\x05\x00\x00\x00u150\x00"
        self.assertIn(pattern, content)
        with open(path, "r+b") as file:
            at = content.find(pattern)
            while at >= 0:
                file.seek(at + 13)
                file.write(b"9")
                at = content.find(pattern, at + 1)
        with server.client() as client:
            with self.assertRaises(pymongo.errors.OperationFailure) as raised:
                list(client.data.items.find())
            self.assertEqual((raised.exception.code, "damaged" in str(raised.exception)), (301, True), raised.exception)
            self.assertEqual(client.data.items.find_one({"_id": 10}), ITEMS[10])
            self.assertEqual(client.out.plain.count_documents({}), len(EXPECTED["plain"][0]))
            Trial.works(client)
        server.stop()
        server.start()
        self.assertIn("was damaged: ", server.log())
        with server.client() as client:
            self.assertEqual({d["_id"]: d for d in client.data.items.find()}, {number: one for number, one in ITEMS.items() if number != 150})
            client.data.items.insert_one(ITEMS[150])  # neither its _id nor its unique value is taken
        server.stop()

    def test_permissions(self):
        server = self.copy("permissions")
        if os.geteuid() == 0:  # root may read everything
            server.user = 65534
            for name in ["", *os.listdir(server.directory)]:
                os.chown(os.path.join(server.directory, name), 65534, 65534)
            if not os.access(harness.BINARY, os.X_OK) or subprocess.run([harness.BINARY, "--version"], user=65534, stdout=subprocess.DEVNULL, check=False).returncode != 0:
                self.skipTest("another user cannot run the binary")
        for name in (DATABASE, LOCK, STATE, ""):
            path = os.path.join(server.directory, name)
            mode = os.stat(path).st_mode
            os.chmod(path, 0)
            self.refuses(server, "ermission denied")
            os.chmod(path, mode)
        self.sound(server)

    def test_a_directory_in_the_place_of_a_file(self):
        server = self.copy("folders")
        for name in (DATABASE, LOCK, STATE):
            path = os.path.join(server.directory, name)
            os.rename(path, path + ".away")
            os.mkdir(path)
            self.refuses(server, name)
            os.rmdir(path)
            os.rename(path + ".away", path)
        self.sound(server)

    def test_two_servers_on_one_directory(self):
        server = self.copy("shared").start()
        second = Server(server.directory)
        second.log_path += ".second"
        self.refuses(second, f"process {server.process.pid}")
        with open(os.path.join(server.directory, LOCK), "w", encoding="utf-8") as lock:
            lock.write("nonsense")  # the lock is the kernel's: its text may say what it will
        self.refuses(second, "in use")
        server.stop()
        self.sound(server)


if __name__ == "__main__":
    harness.main(limit_seconds=max(200, 100 + TRIALS))
