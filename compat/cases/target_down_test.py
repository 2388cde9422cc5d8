"""$merge into a mongod that is down: the processor waits, reads no further than its bounded queues, gives up after a bounded time and says why;
started again when the target is back, nothing is missing.
"""
import time

import harness

TOTAL = 30_000
SCRIPT = """
sp.createStreamProcessor('copy', [
  {$source: {connectionName: 'from', db: 'd', coll: 'source'}},
  {$match: {operationType: 'insert'}},
  {$replaceRoot: {newRoot: '$fullDocument'}},
  {$merge: {into: {connectionName: 'to', db: 'd', coll: 'copy'}}}
]);
out(sp.copy.start());
"""


class TargetDown(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.source, cls.target = harness.Mongod(), harness.Mongod()
        cls.server = harness.Millrace(connections=[harness.cluster("from", cls.source.uri), harness.cluster("to", cls.target.uri)],
                                      expected_log="copy|27017|mongo|connect|server selection|No suitable servers")
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def memory_mb(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))

    def test_nothing_is_lost(self):
        self.assertEqual(harness.mongosh(self.server.uri, SCRIPT).values[0]["ok"], 1)
        collection = self.source.client().d.source
        collection.insert_many([{"_id": i} for i in range(100)])
        harness.wait_until(lambda: self.target.client().d.copy.count_documents({}) == 100, 20, "the first hundred")
        memory = self.memory_mb()
        self.target.stop()
        for first in range(100, TOTAL, 1000):
            collection.insert_many([{"_id": i, "ballast": "x" * 3000} for i in range(first, min(first + 1000, TOTAL))])
        asked = time.monotonic()
        self.assertEqual(self.command({"ping": 1})["ok"], 1)
        self.assertLess(time.monotonic() - asked, 1, "others are served meanwhile")
        read = self.stats("copy")["inputMessageCount"]
        self.assertLess(read, TOTAL, "the source is held back")

        harness.wait_until(lambda: self.state("copy") == "FAILED", 90, "the processor to give up")
        reply = self.command({"getStreamProcessor": "copy"})
        self.assertTrue(reply["errorRetryable"])
        self.assertRegex(reply["errorMsg"], rf"127\.0\.0\.1:{self.target.port}|[Cc]onnection refused|[Nn]o suitable servers")
        listed, = self.command({"listStreamProcessors": 1, "filter": {"state": "FAILED"}})["streamProcessors"]
        self.assertEqual(listed["errorMsg"], reply["errorMsg"])
        self.assertLess(self.memory_mb(), memory + 150, "what was not written did not pile up")

        self.target.start()
        started, = harness.mongosh(self.server.uri, "out(sp.copy.start())").values
        self.assertEqual(started["ok"], 1)
        copy = self.target.client().d.copy
        harness.wait_until(lambda: copy.count_documents({}) >= TOTAL, 90, "everything in the target")
        self.assertEqual(sorted(d["_id"] for d in copy.find({}, {"_id": 1})), list(range(TOTAL)))
        reply = self.command({"getStreamProcessor": "copy"})
        self.assertEqual((reply["state"], reply["errorMsg"]), ("STARTED", ""))


if __name__ == "__main__":
    harness.main(limit_seconds=280)
