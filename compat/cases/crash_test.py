"""kill -9, again and again: the server is killed at random points while events come from a Kafka broker, from a change stream and from documents, through
tumbling, hopping and session windows, into the local database and into a genuine mongod. After the last kill every input is brought to its end, and the
targets and the dead letters are compared with what Python computes from the same input (window_model.py): nothing lost, doubled or altered.

    MILLRACE_KILLS=50 MILLRACE_SEED=1 crash_test.py BINARY       or: scripts/crash_test.sh 500

The seed decides what is produced, when each kill comes, how, and the checkpoint interval of each run of the server. Promised of dead letters: each is there
at least once, and the copies that a crash causes differ in nothing but `_id` and `dlqTime`.
"""
import collections
import heapq
import json
import os
import random
import re
import signal
import statistics
import subprocess
import threading
import time

import harness
import pymongo  # harness has found the Python that has it
import window_model as model

KILLS = int(os.environ.get("MILLRACE_KILLS", "50"))
SEED = int(os.environ.get("MILLRACE_SEED", "1"))
SLICES_PER_KILL = 8
SLICE_SECONDS = 0.1
SLICE_MS = 1000       # of event time
PARTITIONS = 3
BASE = 1_740_787_200_000  # 2025-03-01
FAR = 3_600_000
GAP = 6000
LATENESS = 3000       # the default
DISORDER = 2500       # less than the lateness: in the topic nothing is ever late, so that the result does not depend on how partitions interleave
EXACT_LATENESS = 1000
DOCUMENTS = 3000

GROUP = {"n": {"$sum": 1}, "total": {"$sum": "$watts"}, "mean": {"$avg": "$watts"}, "least": {"$min": "$watts"}, "most": {"$max": "$watts"}}
SUMMARY = {field: 1 for field in GROUP}
IDENTITY = {"key": "$_id", "start": {"$toLong": {"$meta": "stream.window.start"}}, "end": {"$toLong": {"$meta": "stream.window.end"}}}
CHECK = {"$validate": {"validator": {"$jsonSchema": {"required": ["watts"], "properties": {"watts": {"bsonType": ["int", "long", "double"]}}}},
                       "validationAction": "dlq"}}


def seconds(size_ms):
    return {"size": size_ms, "unit": "ms"}


def inner(key):
    return [{"$group": {"_id": key, **GROUP}}, {"$project": {"_id": IDENTITY, **SUMMARY}}]


def tumbling(interval, key, lateness=None):
    return {"$tumblingWindow": {"interval": seconds(interval), "pipeline": inner(key), **allowed(lateness)}}


def hopping(interval, hop, key, lateness=None):
    return {"$hoppingWindow": {"interval": seconds(interval), "hopSize": seconds(hop), "pipeline": inner(key), **allowed(lateness)}}


def session(key, lateness=None):
    return {"$sessionWindow": {"gap": seconds(GAP), "partitionBy": key, "pipeline": inner(key), **allowed(lateness)}}


def allowed(lateness):
    return {} if lateness is None else {"allowedLateness": seconds(lateness)}


def watts(source):
    return source.choice([source.randrange(1000), source.randrange(8000) / 8])  # sums of eighths are exact


def faulty(source, event):
    """Makes the event one that becomes a dead letter. True: also of no event time, so that the watermark does not see it."""
    dice = source.randrange(3)
    if dice == 0:
        event["watts"] = source.choice(["12", None, [1]])
    elif dice == 1:
        del event["watts"]
    else:
        event["at"] = source.choice(["yesterday", None, {"a": 1}])
    return dice == 2


# --- what is produced -------------------------------------------------------------------------------------------------------------------

class Partition:
    """One partition of the topic. Readings are at most DISORDER behind. Calls make up sessions; one may come late only if those before and after it in
    its session do not, and the first of a session never does: so each joins a session that is open."""

    def __init__(self, number, seed):
        self.number, self.source = number, random.Random(f"{seed}/{number}")
        self.now = 0
        self.count = 0
        self.waiting = []    # (when it is sent, tie, event)
        self.readings, self.calls = [], []
        self.dead, self.dead_at_the_source = set(), set()
        self.sent = 0
        self.devices = [{"at": self.source.randrange(10_000), "left": 5, "first": True, "delayed": False} for _ in range(6)]

    def event(self, at, kind, delay, **fields):
        self.count += 1
        event = {"at": BASE + at, "kind": kind, "number": f"{self.number}:{self.count}", **fields}
        heapq.heappush(self.waiting, (at + delay, self.count, event))
        return event

    def slice(self):
        """The lines of the next second of event time."""
        source, until = self.source, self.now + SLICE_MS
        for _ in range(50):
            at = source.randrange(self.now, until)
            event = self.event(at, "reading", source.choice([0, 0, source.randrange(DISORDER)]), device=f"d{source.randrange(10)}", watts=watts(source))
            if source.random() < 0.03:
                self.dead.add(event["number"])
                if faulty(source, event):
                    self.dead_at_the_source.add(event["number"])
            else:
                self.readings.append((event["at"], event["device"], event["watts"]))
        for name, device in enumerate(self.devices):
            while device["at"] < until:
                self.call(source, f"p{self.number}c{name}", device)
        self.event(source.randrange(self.now, until), "noise", 0)
        self.now = until
        lines = []
        while self.waiting and self.waiting[0][0] < until:
            lines.append(json.dumps(heapq.heappop(self.waiting)[2]))
        if source.random() < 0.3:
            self.count += 1
            lines.append(f'{{"at": {BASE + self.now}, "kind": "reading", broken {self.number}:{self.count}')
            self.dead.add(f"{self.number}:{self.count}")
            self.dead_at_the_source.add(f"{self.number}:{self.count}")
        return lines

    def call(self, source, name, device):
        at = device["at"]
        device["delayed"] = not device["first"] and device["left"] > 0 and not device["delayed"] and source.random() < 0.4
        event = self.event(at, "call", source.randrange(1, DISORDER) if device["delayed"] else 0, device=name, watts=watts(source))
        self.calls.append((event["at"], name, event["watts"]))
        device["first"] = device["left"] == 0
        if device["left"] > 0:
            device["left"] -= 1
            device["at"] = at + source.choice([0, 1, source.randrange(GAP // 3)])
        else:
            device["left"] = source.randrange(12)
            device["at"] = at + GAP + source.choice([0, 1, source.randrange(4 * GAP)])  # exactly the gap is another session

    def rest(self):
        lines = [json.dumps(entry[2]) for entry in sorted(self.waiting, key=lambda entry: entry[:2])]
        return lines + [json.dumps({"at": BASE + self.now + FAR, "kind": "noise", "number": "last"})]


class Stream:
    """One partition whose order is known: also late documents are computed exactly. `models` see each event as the processors do."""

    def __init__(self, seed, prefix, models):
        self.source, self.prefix, self.models = random.Random(seed), prefix, models
        self.now, self.count = 0, 0
        self.dead, self.accepted = set(), []

    def events(self, count, advance_ms):
        for _ in range(count):
            yield self.event()
            self.now += self.source.randrange(2 * advance_ms // count + 1)

    def event(self):
        source = self.source
        behind = source.choice([0, 0, 0, source.randrange(2000), source.randrange(12_000)])
        self.count += 1
        event = {"at": BASE + self.now - behind, "number": f"{self.prefix}:{self.count}", "device": f"d{source.randrange(4)}", "watts": watts(source), "kind": "reading"}
        if source.random() < 0.03:
            self.dead.add(event["number"])
            at = event["at"]
            if not faulty(source, event):
                self.move(at)
        elif source.random() < 0.05:
            event["kind"] = "noise"
            self.move(event["at"])
        else:
            self.accepted.append(event)
            for one in self.models:
                one.add(event["at"], event["device"], event["watts"], event["number"])
        return event

    def move(self, at):
        for one in self.models:
            one.move(at)

    def last(self):
        self.count += 1
        self.move(BASE + self.now + FAR)
        return {"at": BASE + self.now + FAR, "kind": "noise", "number": f"{self.prefix}:{self.count}"}


class Load(threading.Thread):
    """Produces slice after slice into the topic and the watched collection, whatever happens to the server meanwhile."""

    def __init__(self, kafka, collection):
        super().__init__(daemon=True)
        self.partitions = [Partition(number, SEED) for number in range(PARTITIONS)]
        self.hopping = model.ExactHopping(10_000, 2000, EXACT_LATENESS)
        self.sessions = model.ExactSessions(GAP, EXACT_LATENESS)
        self.stream = Stream(f"{SEED}/changes", "c", [self.hopping, self.sessions])
        self.collection = collection
        self.producers = [subprocess.Popen(["kcat", "-P", "-b", kafka.bootstrap, "-t", "events", "-p", str(number), "-D", "\n", "-X", "enable.idempotence=true", "-X", "linger.ms=5", "-X", "log_level=3"],
                                           stdin=subprocess.PIPE) for number in range(PARTITIONS)]
        self.failure = None

    def send(self, partition, lines):
        partition.sent += len(lines)
        producer = self.producers[partition.number].stdin
        producer.write("".join(line + "\n" for line in lines).encode())
        producer.flush()

    def run(self):
        try:
            for _ in range(KILLS * SLICES_PER_KILL):
                started = time.monotonic()
                for partition in self.partitions:
                    self.send(partition, partition.slice())
                self.collection.insert_many(list(self.stream.events(25, SLICE_MS)))
                time.sleep(max(0.0, SLICE_SECONDS - (time.monotonic() - started)))
            for partition in self.partitions:
                self.send(partition, partition.rest())
                self.producers[partition.number].stdin.close()
            self.collection.insert_one(self.stream.last())
            for producer in self.producers:
                assert producer.wait(60) == 0, "kcat failed"
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error


# --- the server that is killed ----------------------------------------------------------------------------------------------------------

class Victim(harness.Millrace):
    """`start()` with another checkpoint interval each time; how long it and its processors took."""

    def __init__(self, source, **more):
        self.source = source
        self.listening_seconds = []
        self.resumed_seconds = []
        self.log_at = 0
        super().__init__("--checkpoint-interval-ms", "50", **more)

    def spawn(self):
        self.options[1] = str(self.source.choice([10, 50, 50, 200, 1000]))
        self.log_at = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [harness.BINARY, "serve", "--port", str(self.port), "--data-dir", os.path.join(self.directory, "data"), "--log-level", "info", *self.options],
                stdout=subprocess.PIPE, stderr=log)
        self.spawned = time.monotonic()

    def start(self):
        self.spawn()
        harness._ON_EXIT.append(self.kill)
        line = harness.read_line(self.process.stdout, 30)
        if f"listening on mongodb://127.0.0.1:{self.port}" not in line:
            raise AssertionError(f"millrace did not start; it said {line!r} and\n{self.log()[-3000:]}")
        self.listening_seconds.append(time.monotonic() - self.spawned)
        return self

    def wait_resumed(self, names, limit=30):
        """Until the log of this run names each processor as started."""
        def all_started():
            with open(self.log_path, "rb") as log:
                log.seek(self.log_at)
                started = set(re.findall(r"stream processor (\S+) started", log.read().decode(errors="replace")))
            return names <= started
        deadline = time.monotonic() + limit
        while not all_started():
            assert time.monotonic() < deadline, f"{names} did not resume within {limit} s\n{self.log()[-3000:]}"
            time.sleep(0.005)
        self.resumed_seconds.append(time.monotonic() - self.spawned)

    def kill(self):
        super().kill()
        if self.process is not None and self.process.stdout and not self.process.stdout.closed:
            self.process.stdout.close()


# --- the test ---------------------------------------------------------------------------------------------------------------------------

def key_of(document):
    return tuple(document["_id"][field] for field in ("key", "start", "end"))


def name_of(letter):
    """Of what was faulty: its number, also in the text that was no JSON."""
    doc = letter["doc"]
    doc = doc.get("fullDocument", doc) if isinstance(doc, dict) else doc
    if isinstance(doc, dict) and "number" in doc:
        return doc["number"]
    return re.search(r"broken (\w+:\d+)", json.dumps(doc, default=lambda b: b.decode() if isinstance(b, bytes) else str(b))).group(1)


class Crash(harness.Case):
    @classmethod
    def setUpClass(cls):
        print(f"crash_test: seed {SEED}, {KILLS} kills", flush=True)
        cls.kafka = harness.Kafka()
        cls.mongod = harness.Mongod()
        cls.database = cls.mongod.client()
        cls.kafka.create_topic("events", PARTITIONS)
        cls.database.load.create_collection("changes")
        cls.random = random.Random(f"{SEED}/kills")
        cls.server = Victim(cls.random, connections=[harness.kafka("kafka", cls.kafka.bootstrap), harness.cluster("cluster", cls.mongod.uri), harness.cluster("here")])
        cls.client = cls.server.client()
        cls.expected_documents = {}   # name → (connection, collection, results, dead letters)
        cls.documents_done = 0

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def collection(self, connection, name):
        return (self.database if connection == "cluster" else self.client).crash[name]

    def create(self, name, source, stages, target, dlq):
        self.command({"createStreamProcessor": name,
                      "pipeline": [{"$source": source}, *stages,
                                   {"$merge": {"into": {"connectionName": target, "db": "crash", "coll": name}, "whenMatched": "replace", "whenNotMatched": "insert"}}],
                      "options": {"dlq": {"connectionName": dlq, "db": "crash", "coll": name + "Dead"}}})
        self.command({"startStreamProcessor": name})

    def create_processors(self):
        topic = {"connectionName": "kafka", "topic": "events", "timeField": {"$toDate": "$at"}, "config": {"auto_offset_reset": "earliest"}}
        changes = {"connectionName": "cluster", "db": "load", "coll": "changes", "timeField": {"$toDate": "$fullDocument.at"}}
        document = {"$replaceRoot": {"newRoot": "$fullDocument"}}
        reading, call = {"$match": {"kind": "reading"}}, {"$match": {"kind": "call"}}
        self.create("topicTumbling", topic, [reading, CHECK, tumbling(1000, "$device")], "cluster", "here")
        self.create("topicHopping", topic, [reading, CHECK, hopping(30_000, 2000, "$device")], "here", "cluster")
        self.create("topicSessions", topic, [call, CHECK, session("$device")], "here", "here")
        self.create("changesHopping", changes, [document, reading, CHECK, hopping(10_000, 2000, "$device", EXACT_LATENESS)], "here", "here")
        self.create("changesSessions", changes, [document, reading, CHECK, session("$device", EXACT_LATENESS)], "cluster", "cluster")
        self.lasting = {"topicTumbling", "topicHopping", "topicSessions", "changesHopping", "changesSessions"}

    def create_documents(self):
        """A processor over documents, created and started under the eyes of the killer. What was answered with ok must outlive the kill."""
        number = len(self.expected_documents)
        kind = number % 3
        oracle = [model.ExactHopping(1000, 1000, EXACT_LATENESS), model.ExactSessions(GAP, EXACT_LATENESS), None][kind]
        stream = Stream(f"{SEED}/documents/{number}", f"x{number}", [oracle] if oracle else [])
        documents = list(stream.events(DOCUMENTS, 60_000)) + [stream.last()]
        window = [[tumbling(1000, "$device", EXACT_LATENESS)], [session("$device", EXACT_LATENESS)],
                  [{"$project": {"_id": {"key": "$device", "start": "$number", "end": "$at"}, "watts": 1}}]][kind]
        target = ["here", "cluster", "here"][kind]
        name = f"documents{number}"
        source = {"documents": documents, "timeField": {"$toDate": "$at"}}
        self.create(name, source, [{"$match": {"kind": "reading"}}, CHECK, *window], target, ["cluster", "here", "here"][kind])
        if oracle:
            results, dead = oracle.results, stream.dead | set(oracle.late)
        else:
            results = {(e["device"], e["number"], e["at"]): {"watts": e["watts"]} for e in stream.accepted}
            dead = stream.dead
        self.expected_documents[name] = (target, ["cluster", "here", "here"][kind], results, dead)

    # --- killing

    def cycle(self, number):
        """One run of the server, from its start to its death."""
        how = self.random.random()
        if how < 0.15:  # a second crash, before the server has come up
            self.server.spawn()
            time.sleep(self.random.uniform(0, 0.08))
            self.server.kill()
            return "while starting"
        self.server.start()
        wait = how < 0.75
        if wait:
            self.server.wait_resumed(self.lasting)
        if number % 3 == 0:
            self.create_documents()
            time.sleep(self.random.uniform(0, 0.25))
        else:
            time.sleep(self.random.uniform(0, self.random.choice([0.1, 0.9])))
        if how > 0.9:
            self.server.process.send_signal(signal.SIGTERM)
            time.sleep(self.random.uniform(0, 0.05))
        self.server.kill()
        return "while stopping" if how > 0.9 else "under load" if wait else "while resuming"

    def test_kill_9(self):
        self.create_processors()
        load = Load(self.kafka, self.database.load.changes)
        load.start()
        kinds = collections.Counter()
        time.sleep(0.3)
        self.server.kill()
        kinds["under load"] += 1
        for number in range(1, KILLS):
            kinds[self.cycle(number)] += 1
            if number % 10 == 0:
                print(f"  {number} kills, {time.process_time():.0f} s of CPU", flush=True)
        self.server.start()
        self.server.wait_resumed(self.lasting)
        load.join(120)
        self.assertIsNone(load.failure)
        self.assertFalse(load.is_alive())
        self.report_times(kinds)
        self.letters_expected = self.letters_found = 0
        for name in self.lasting:
            self.check(name, *self.expected(name, load))
        for name, (target, dlq, results, dead) in self.expected_documents.items():
            self.check(name, target, dlq, results, dead)
        print(f"  {self.letters_expected} dead letters, {self.letters_found - self.letters_expected} copies of them after crashes", flush=True)
        self.server.stop()
        self.server.start()
        self.server.wait_resumed(self.lasting)
        for name in self.lasting:  # nothing is done again
            self.check(name, *self.expected(name, load))
        self.check_counters(load)
        self.client.close()  # after the server's end it would look for it for a while
        self.server.stop()

    def report_times(self, kinds):
        accepting, resumed = sorted(self.server.listening_seconds), sorted(self.server.resumed_seconds)
        print(f"  {KILLS} kills ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}), {len(self.expected_documents)} processors over documents", flush=True)
        for what, times in (("accepting", accepting), ("all processors running", resumed)):
            print(f"  start to {what}: median {statistics.median(times) * 1000:.0f} ms, longest {times[-1] * 1000:.0f} ms of {len(times)}", flush=True)
        # The machine may be busy with other tests: the limit is for the ordinary case, and for the others a large multiple.
        self.assertLess(statistics.median(resumed), 1.0)
        self.assertLess(resumed[-1], 10.0)

    # --- judging

    def expected(self, name, load):
        readings = [e for partition in load.partitions for e in partition.readings]
        faulty_ones = set().union(*(partition.dead for partition in load.partitions))
        at_the_source = set().union(*(partition.dead_at_the_source for partition in load.partitions))
        return {
            "topicTumbling": lambda: ("cluster", "here", model.tumbling(readings, 1000), faulty_ones),
            "topicHopping": lambda: ("here", "cluster", model.hopping(readings, 30_000, 2000), faulty_ones),
            "topicSessions": lambda: ("here", "here", model.sessions([e for p in load.partitions for e in p.calls], GAP), at_the_source),
            "changesHopping": lambda: ("here", "here", load.hopping.results, load.stream.dead | set(load.hopping.late)),
            "changesSessions": lambda: ("cluster", "cluster", load.sessions.results, load.stream.dead | set(load.sessions.late)),
        }[name]()

    def check(self, name, target, dlq, results, dead):
        def complete():
            return self.collection(target, name).count_documents({}) >= len(results) and len(self.letters(dlq, name)) >= len(dead)
        deadline = time.monotonic() + 60
        while not complete() and time.monotonic() < deadline and self.state(name) == "STARTED":
            time.sleep(0.1)
        letters = self.letters(dlq, name)
        self.letters_expected += len(dead)
        self.letters_found += sum(len(copies) for copies in letters.values())
        problems = self.compare(self.collection(target, name), results) + self.compare_letters(letters, dead)
        if problems:
            time.sleep(1)  # a result that was written too early may still be overwritten
            problems = self.compare(self.collection(target, name), results) + self.compare_letters(self.letters(dlq, name), dead)
        if problems:
            stats = self.stats(name, verbose=True)
            self.fail(f"seed {SEED}, {name} ({self.state(name)}): " + "\n".join(problems) + f"\nstats: {stats}\n{self.server.log()[-3000:]}")

    @staticmethod
    def compare(collection, expected):
        found = {key_of(d): {field: d[field] for field in d if field != "_id"} for d in collection.find()}
        problems = []
        groups = {
            "lost": [key for key in expected if key not in found],
            "invented": [key for key in found if key not in expected],
            "doubled": [key for key in expected if key in found and found[key].get("n", 0) > expected[key].get("n", 0)],
            "altered": [key for key in expected if key in found and found[key].get("n", 0) <= expected[key].get("n", 0) and found[key] != expected[key]],
        }
        for what, keys in groups.items():
            if keys:
                examples = "; ".join(f"{key}: found {found.get(key)}, expected {expected.get(key)}" for key in sorted(keys, key=str)[:3])
                problems.append(f"{len(keys)} of {len(expected)} results {what}: {examples}")
        return problems

    def letters(self, dlq, name):
        """name of the faulty one → its letters without what differs between copies."""
        found = collections.defaultdict(list)
        for letter in self.collection(dlq, name + "Dead").find():
            del letter["_id"], letter["dlqTime"]
            found[name_of(letter)].append(letter)
        return found

    @staticmethod
    def compare_letters(found, expected):
        problems = []
        for what, names in (("lost", expected - set(found)), ("invented", set(found) - expected),
                            ("copied with differences", {n for n, copies in found.items() if any(copy != copies[0] for copy in copies)}),
                            ("written more often than there were crashes", {n for n, copies in found.items() if len(copies) > KILLS + 1})):
            if names:
                problems.append(f"{len(names)} of {len(expected)} dead letters {what}: {[(n, found.get(n)) for n in sorted(names)[:2]]}")
        return problems

    def check_counters(self, load):
        """They are part of the checkpoint: what was read again after a crash is not counted twice."""
        produced = {"topic": sum(partition.sent for partition in load.partitions), "changes": load.stream.count}
        for name in sorted(self.lasting):
            counted = self.stats(name)["inputMessageCount"]
            self.assertEqual(counted, produced["topic" if name.startswith("topic") else "changes"], name)


if __name__ == "__main__":
    harness.main(limit_seconds=max(180, 120 + 4 * KILLS))
