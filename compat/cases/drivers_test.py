"""The current Node.js driver and Debian's PyMongo: connecting, data, cursors in small batches, and the stream processing commands in the
dialects of drivers. Neither may have a reason to warn.
"""
import os
import shutil
import subprocess
import time
import warnings

import harness
import bson  # harness has found the Python that has it
import pymongo

SOLAR = {"$source": {"connectionName": "sample_stream_solar"}}
LOG = {"$emit": {"connectionName": "__testLog"}}


class NodeDriver(harness.ServerCase):
    def run_node(self, *arguments):
        harness.available("node", "Debian: nodejs")
        harness.available(os.path.join(harness.ROOT, "compat", "node_modules", "mongodb"), "npm ci in compat/")
        result = subprocess.run([shutil.which("node"), "--trace-warnings", os.path.join(harness.ROOT, "compat", "cases", "node_driver.mjs"), self.server.uri, *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, cwd=harness.WORK)
        self.assertEqual((result.returncode, result.stderr.decode()), (0, ""))
        return bson.json_util.loads(result.stdout.decode())

    def check(self, seen, suffix=""):
        expected = {
            "inserted": 103, "batches": list(range(103)), "limited": [{"_id": i} for i in (83, 73, 63, 53, 43)], "updated": 10, "upserted": "new",
            "bulk": [1, 1, 1], "found": {"_id": "b", "x": 6}, "counted": 20, "estimated": 104, "distinct": list(range(10)),
            "aggregated": [{"_id": 8, "s": 10}, {"_id": 9, "s": 10}], "index": "by_m", "indexes": ["_id_", "by_m"], "unordered": [11000, 1],
            "state": "STARTED", "sampled": 2, "stats": 1024, "statsUnderOptions": ["SampleDataSourceOperator", "LogSinkOperator"], "long": 0,
            "int64": 9007199254740993,
        }
        self.assertEqual({k: seen[k] for k in expected}, expected)
        self.assertEqual(seen["deleted"], 10 + 11 + 11 + 10 + 10 + 1)  # _id 0 was deleted before; 'new' has n: 1
        self.assertEqual((seen["duplicate"]["code"], "E11000" in seen["duplicate"]["message"]), (11000, True))
        self.assertEqual((seen["again"]["code"], seen["again"]["codeName"]), (125, "CommandFailed"))
        self.assertEqual((seen["missing"]["code"], seen["missing"]["codeName"]), (125, "CommandFailed"))
        self.assertIn(["things" + suffix, "collection"], seen["collections"])
        self.assertIn("node", seen["databases"])
        self.assertGreater(seen["heartbeats"]["succeeded"], 0)
        self.assertEqual(seen["heartbeats"]["failed"], 0)

    def test_plain(self):
        self.check(self.run_node())

    def test_compressed(self):
        self.check(self.run_node("zlib"), "zlib")


class PyMongo(harness.ServerCase):
    def setUp(self):
        super().setUp()
        catcher = warnings.catch_warnings(record=True)
        self.warned = catcher.__enter__()
        self.addCleanup(catcher.__exit__, None, None, None)
        warnings.simplefilter("always")

    def tearDown(self):
        self.assertEqual([str(w.message) for w in self.warned], [])

    def test_data(self):
        c = self.client.py.things
        self.assertEqual(c.insert_many([{"_id": i, "n": i % 7, "at": bson.Int64(i) * 2**40} for i in range(50)]).inserted_ids, list(range(50)))
        self.assertEqual([d["_id"] for d in c.find(batch_size=2).sort("_id", 1)], list(range(50)))
        self.assertEqual([d["_id"] for d in c.find({"n": 3}, {"n": 1}).sort([("n", 1), ("_id", -1)]).skip(1).limit(3)], [38, 31, 24])
        self.assertEqual(c.update_many({"n": 1}, {"$inc": {"n": 100}}).modified_count, 7)
        self.assertEqual(c.find_one_and_delete({"_id": 49})["_id"], 49)
        self.assertEqual(c.find_one_and_replace({"_id": 48}, {"r": 1}, return_document=pymongo.ReturnDocument.AFTER), {"_id": 48, "r": 1})
        self.assertEqual(c.count_documents({"n": 101}), 7)
        self.assertEqual(c.find_one({"_id": 5})["at"], 5 * 2**40)
        self.assertEqual(sorted(c.distinct("n")), [0, 2, 3, 4, 5, 6, 101])
        self.assertEqual(c.create_index([("n", 1), ("_id", -1)]), "n_1__id_-1")
        self.assertEqual(set(c.index_information()), {"_id_", "n_1__id_-1"})
        result = c.bulk_write([pymongo.InsertOne({"_id": "x"}), pymongo.DeleteMany({"n": 0}), pymongo.UpdateOne({"_id": "y"}, {"$set": {"z": 1}}, upsert=True)])
        self.assertEqual((result.inserted_count, result.upserted_count), (1, 1))
        with self.assertRaises(pymongo.errors.DuplicateKeyError):
            c.insert_one({"_id": "x"})
        self.assertEqual(self.client.py.list_collection_names(), ["things"])
        c.drop()
        self.assertEqual(self.client.py.list_collection_names(), [])

    def test_cursor_left_behind(self):
        c = self.client.pyLeft.left
        c.insert_many([{"_id": i} for i in range(30)])
        cursor = c.find(batch_size=3)
        next(cursor)
        cursor_id = cursor.cursor_id
        cursor.close()
        def gone():
            try:
                self.client.pyLeft.command({"getMore": cursor_id, "collection": "left"})
                return False
            except pymongo.errors.OperationFailure as error:
                return error.code == 43
        harness.wait_until(gone, 5, "the cursor to be killed")

    def test_stream_processors(self):
        self.command({"createStreamProcessor": "ofPython", "pipeline": [SOLAR, LOG], "options": {"failover": False}})
        self.command({"startStreamProcessor": "ofPython", "options": {"clearCheckpoints": False, "enableAutoScaling": False}, "workers": 1})
        sample = self.command({"startSampleStreamProcessor": "ofPython"})
        self.assertEqual(sample["firstBatch"], [])
        documents, deadline = [], time.monotonic() + 20
        while len(documents) < 3 and time.monotonic() < deadline:
            batch = self.command({"getMoreSampleStreamProcessor": "ofPython", "cursorId": sample["cursorId"], "batchSize": 2})
            documents += batch["nextBatch"]
        self.assertGreaterEqual(len(documents), 3)
        stats = self.command({"getStreamProcessorStats": "ofPython", "options": {"verbose": True, "scale": 1}})["stats"]
        self.assertEqual([o["name"] for o in stats["operatorStats"]], ["SampleDataSourceOperator", "LogSinkOperator"])
        self.assertGreater(stats["outputMessageCount"], 0)
        self.command({"stopStreamProcessor": "ofPython"})
        self.command({"dropStreamProcessor": "ofPython"})

    def test_many_clients(self):
        """Connections are cheap, and nothing is left of them."""
        for _ in range(30):
            with self.server.client() as client:
                self.assertEqual(client.admin.command("ping")["ok"], 1)
        harness.wait_until(lambda: self.command({"serverStatus": 1})["connections"]["current"] < 10, 5, "their connections to be gone")


if __name__ == "__main__":
    harness.main()
