"""The main job on genuine systems: JSON events from three partitions of a Kafka topic, filtered, checked, gathered in windows of 10 s,
merged into a collection of a MongoDB replica set; faulty records in its dead letter collection. Typed into mongosh, and compared with what
Python computes from the same events.
"""
import collections
import datetime
import json
import random

import harness

BASE = datetime.datetime(2025, 3, 1)
PARTITIONS = 3
PROCESSOR = """
sp.createStreamProcessor('main', [
  {$source: {connectionName: 'events', topic: '%(topic)s', timeField: {$toDate: '$at'}, config: {auto_offset_reset: 'earliest'}}},
  {$match: {kind: 'reading'}},
  {$validate: {validator: {$jsonSchema: {required: ['device', 'value'], properties: {value: {bsonType: ['int', 'double']}}}}, validationAction: 'dlq'}},
  {$tumblingWindow: {
    interval: {size: 10, unit: 'second'},
    pipeline: [
      {$group: {_id: '$device', n: {$sum: 1}, total: {$sum: '$value'}, least: {$min: '$value'}, most: {$max: '$value'}, mean: {$avg: '$value'}}},
      {$project: {_id: {device: '$_id', start: {$meta: 'stream.window.start'}}, n: 1, total: 1, least: 1, most: 1, mean: 1}}
    ]}},
  {$merge: {into: {connectionName: 'target', db: 'main', coll: '%(topic)s'}, whenMatched: 'replace', whenNotMatched: 'insert'}}
], {dlq: {connectionName: 'target', db: 'main', coll: '%(topic)sDead'}});
out(sp.main.start());
"""


def ms(seconds):
    return int((BASE - datetime.datetime(1970, 1, 1)).total_seconds() * 1000 + seconds * 1000)


class Events:
    """Events of some minutes in three partitions, in order within each; the same for the same seed."""

    def __init__(self, seed, count):
        source = random.Random(seed)
        self.lines = [[] for _ in range(PARTITIONS)]   # what is produced
        self.accepted = []                             # (at, device, value)
        self.dead = collections.Counter()
        at = [0.0] * PARTITIONS
        for number in range(count):
            partition = source.randrange(PARTITIONS)
            at[partition] += source.expovariate(1) * 240 * PARTITIONS / count
            self.add(source, partition, at[partition], number)
        self.end = max(at)

    def add(self, source, partition, at, number):
        event = {"at": ms(at), "kind": "reading", "device": f"d{source.randrange(7)}", "value": source.choice([source.randrange(1000), source.randrange(8000) / 8]),
                 "number": number, "ballast": {"a": [1, {"b": None}], "text": "ä\"\\\u2028" * source.randrange(3)}}
        dice = source.random()
        if dice < 0.1:
            event["kind"] = "noise"
        elif dice < 0.14:
            event["value"] = source.choice(["12", None, [1]])
            self.dead[number] += 1
        elif dice < 0.16:
            del event["device"]
            self.dead[number] += 1
        elif dice < 0.19:
            self.lines[partition].append(json.dumps(event, ensure_ascii=False).rstrip("}") + f" broken {number}")
            self.dead[f"broken {number}"] += 1
            return
        else:
            self.accepted.append((event["at"], event["device"], event["value"]))
        self.lines[partition].append(json.dumps(event, ensure_ascii=source.random() < 0.5))

    def total(self):
        return sum(len(lines) for lines in self.lines)

    def closing(self):
        """An event per partition, far ahead and of no kind that counts: the watermark passes every window."""
        return json.dumps({"at": ms(self.end + 3600), "kind": "noise"})

    def expected(self):
        windows = collections.defaultdict(list)
        for at, device, value in self.accepted:
            windows[device, at // 10_000].append(value)
        return {(device, datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=10 * window)):
                {"n": len(values), "total": sum(values), "least": min(values), "most": max(values), "mean": sum(values) / len(values)}
                for (device, window), values in windows.items()}


class KafkaToMongodb(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.kafka = harness.Kafka()
        cls.mongod = harness.Mongod()
        cls.target = cls.mongod.client().main
        cls.server = harness.Millrace(connections=[harness.kafka("events", cls.kafka.bootstrap), harness.cluster("target", cls.mongod.uri)])
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def tearDown(self):
        self.drop_all()

    def create(self, topic):
        self.kafka.create_topic(topic, PARTITIONS)
        self.assertEqual(harness.mongosh(self.server.uri, PROCESSOR % {"topic": topic}).values[0]["ok"], 1)

    def consumed(self, count, seconds=60):
        """Broken records never become documents; they are counted as dead letters at the source."""
        def done():
            stats = self.stats("main", verbose=True)
            read = sum(p["currentOffset"] for p in stats["kafkaPartitions"])
            return stats if read >= count else None
        return harness.wait_until(done, seconds, f"{count} records to be read")

    def check(self, topic, events, exactly=True):
        expected = events.expected()
        harness.wait_until(lambda: self.target[topic].count_documents({}) >= len(expected), 60, "the windows in the target")
        harness.wait_until(lambda: self.target[topic + "Dead"].count_documents({}) >= sum(events.dead.values()), 30, "the dead letters")
        found = {(d["_id"]["device"], d["_id"]["start"]): {k: d[k] for k in ("n", "total", "least", "most", "mean")} for d in self.target[topic].find()}
        self.assertEqual(set(found), set(expected))
        for key, values in expected.items():
            self.assertEqual(found[key], values, key)
        dead = collections.Counter()
        for letter in self.target[topic + "Dead"].find():
            self.assertEqual(letter["processorName"], "main")
            self.assertTrue(letter["errInfo"]["reason"])
            source = letter["_stream_meta"]["source"]
            self.assertEqual((source["type"], source["topic"]), ("kafka", topic))
            self.assertIn(source["partition"], range(PARTITIONS))
            self.assertIsInstance(source["offset"], int)
            if letter["operatorName"] == "ValidateOperator":
                self.assertEqual(letter["errInfo"]["reason"], "Input document found to be invalid in $validate stage")
                dead[letter["doc"]["number"]] += 1
            else:
                self.assertEqual(letter["operatorName"], "KafkaConsumerOperator")
                text = json.dumps(letter["doc"], default=lambda b: b.decode() if isinstance(b, bytes) else str(b))
                dead["broken " + text.split("broken ")[-1].rstrip('"}')] += 1
        self.assertEqual(dead if exactly else set(dead), events.dead if exactly else set(events.dead))

    def test_straight_through(self):
        events = Events(1, 6000)
        self.create("straight")
        for partition, lines in enumerate(events.lines):
            self.kafka.produce("straight", partition, lines)
        self.consumed(events.total())
        for partition in range(PARTITIONS):
            self.kafka.produce("straight", partition, [events.closing()])
        self.check("straight", events)
        stats = self.consumed(events.total() + PARTITIONS)
        self.assertEqual(len(stats["kafkaPartitions"]), PARTITIONS)
        harness.wait_until(lambda: self.stats("main")["kafkaTotalOffsetLag"] == 0, 10, "no lag")
        self.assertEqual(stats["outputMessageCount"], len(events.expected()))
        self.assertEqual(stats["dlqMessageCount"], sum(events.dead.values()))

        # A document behind the watermark is no loss either: it is a dead letter.
        late = json.dumps({"at": ms(0), "kind": "reading", "device": "late", "value": 1})
        self.kafka.produce("straight", 0, [late])
        letter = harness.wait_until(lambda: self.target.straightDead.find_one({"doc.device": "late"}), 20, "the late document")
        self.assertEqual((letter["errInfo"]["reason"], letter["operatorName"]), ("Input document arrived late.", "TumblingWindowOperator"))

    def test_across_a_stop_and_a_start(self):
        """Stopped with open windows, events produced meanwhile, started again: every window as if nothing had been."""
        self.interrupted("stopped", 2, lambda: self.assertEqual(
            harness.mongosh(self.server.uri, "out(sp.main.stop())").values[0]["ok"], 1), lambda: self.assertEqual(
                harness.mongosh(self.server.uri, "out(sp.main.start())").values[0]["ok"], 1))

    def test_across_a_restart_of_the_server(self):
        self.interrupted("restarted", 3, self.server.stop, self.server.start)

    def test_across_a_crash_of_the_server(self):
        """kill -9: the windows are right all the same; a dead letter may be there twice."""
        self.interrupted("crashed", 4, self.server.kill, self.server.start, exactly=False)

    def from_the_end(self, topic, stop, start):
        """`auto_offset_reset: latest` means the end as it was at the first start, not at the next."""
        self.kafka.create_topic(topic, PARTITIONS)
        self.kafka.produce(topic, 0, ['{"_id": "before"}'])
        self.command({"createStreamProcessor": "main", "pipeline": [{"$source": {"connectionName": "events", "topic": topic}},
                                                                    {"$merge": {"into": {"connectionName": "target", "db": "main", "coll": topic}}}]})
        self.command({"startStreamProcessor": "main"})
        stop()
        for partition in range(PARTITIONS):
            self.kafka.produce(topic, partition, [json.dumps({"_id": f"after {partition}"})])
        start()
        harness.wait_until(lambda: self.target[topic].count_documents({}) >= PARTITIONS, 20, "the records after the first start")
        self.assertEqual(sorted(d["_id"] for d in self.target[topic].find()), [f"after {partition}" for partition in range(PARTITIONS)])

    def test_stop_right_after_the_first_start(self):
        self.from_the_end("stoppedEarly", lambda: self.command({"stopStreamProcessor": "main"}), lambda: self.command({"startStreamProcessor": "main"}))

    def test_crash_right_after_the_first_start(self):
        self.from_the_end("crashedEarly", self.server.kill, self.server.start)

    def test_stats_without_a_run(self):
        """What a source reports does not depend on its run: stopped, and after a restart of the server, the partitions stand where they stood."""
        events = Events(5, 300)
        self.create("resting")
        for partition, lines in enumerate(events.lines):
            self.kafka.produce("resting", partition, lines)
        running = self.consumed(events.total())["kafkaPartitions"]
        offsets = [(p["partition"], p["currentOffset"]) for p in running]
        self.command({"stopStreamProcessor": "main"})
        for moment in ("stopped", "the server restarted"):
            stats = self.stats("main")
            self.assertEqual([(p["partition"], p["currentOffset"]) for p in stats["kafkaPartitions"]], offsets, moment)
            self.assertEqual([p["checkpointOffset"] for p in stats["kafkaPartitions"]], [offset for _, offset in offsets], moment)
            self.assertNotIn("kafkaTotalOffsetLag", stats, "the brokers are not asked")
            self.server.stop()
            self.server.start()

    def interrupted(self, topic, seed, stop, start, exactly=True):
        events = Events(seed, 3000)
        self.create(topic)
        thirds = [[lines[:len(lines) // 3], lines[len(lines) // 3:2 * len(lines) // 3], lines[2 * len(lines) // 3:]] for lines in events.lines]
        produced = 0
        for third in range(3):
            if third == 1:
                stop()
            for partition, lines in enumerate(thirds):
                self.kafka.produce(topic, partition, lines[third])
                produced += len(lines[third])
            if third == 1:
                start()
            self.consumed(produced)
        for partition in range(PARTITIONS):
            self.kafka.produce(topic, partition, [events.closing()])
        self.check(topic, events, exactly)
        if exactly:
            self.assertEqual(self.stats("main")["dlqMessageCount"], sum(events.dead.values()))


if __name__ == "__main__":
    harness.main(limit_seconds=280)
