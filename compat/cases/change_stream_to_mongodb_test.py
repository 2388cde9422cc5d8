"""A change stream of one collection of a genuine replica set, merged into another collection there. Typed into mongosh; the target is compared
with what Python has written down of the same changes.
"""
import random

import harness

# The last state of every document, also of those that are gone. `updateLookup`: the document as it is when the change is read.
LATEST = """
sp.createStreamProcessor('latest', [
  {$source: {connectionName: 'cluster', db: 'shop', coll: '%(coll)s', config: {fullDocument: 'updateLookup'}}},
  {$project: {_id: '$documentKey._id', last: '$operationType', doc: '$fullDocument'}},
  {$merge: {into: {connectionName: 'cluster', db: 'copies', coll: '%(coll)s'}, whenMatched: 'replace', whenNotMatched: 'insert'}}
], {dlq: {connectionName: 'cluster', db: 'copies', coll: '%(coll)sDead'}});
out(sp.latest.start());
"""

# Every change, with the document as it was right after it: the collection keeps post-images.
JOURNAL = """
sp.createStreamProcessor('journal', [
  {$source: {connectionName: 'cluster', db: 'shop', coll: '%(coll)s', config: {fullDocument: 'whenAvailable'}}},
  {$addFields: {seenAs: {$meta: 'stream.source.type'}}},
  {$merge: {into: {connectionName: 'cluster', db: 'copies', coll: '%(coll)sJournal'}, whenMatched: 'replace', whenNotMatched: 'insert'}}
]);
out(sp.journal.start());
"""


class Shop:
    """Changes the collection, and keeps its own account of what happened."""

    def __init__(self, collection, seed):
        self.collection = collection
        self.random = random.Random(seed)
        self.documents = {}
        self.journal = []   # (operation, _id, the document after it)
        self.next_id = 0

    def change(self, count):
        for _ in range(count):
            dice = self.random.random()
            if dice < 0.4 or not self.documents:
                self.next_id += 1
                document = {"_id": self.next_id, "stock": self.random.randrange(100), "tags": [self.random.choice("abc")]}
                self.collection.insert_one(document)
                self.note("insert", document)
                continue
            key = self.random.choice(sorted(self.documents))
            document = dict(self.documents[key])
            if dice < 0.7:
                document["stock"] += 1
                document["tags"] = document["tags"] + ["x"]
                self.collection.update_one({"_id": key}, {"$inc": {"stock": 1}, "$push": {"tags": "x"}})
                self.note("update", document)
            elif dice < 0.85:
                document = {"_id": key, "stock": -1, "tags": [], "replaced": True}
                self.collection.replace_one({"_id": key}, document)
                self.note("replace", document)
            else:
                self.collection.delete_one({"_id": key})
                self.note("delete", {"_id": key})

    def note(self, operation, document):
        if operation == "replace" and self.documents.get(document["_id"]) == document:
            return  # the server notices that nothing changed
        self.journal.append((operation, document["_id"], None if operation == "delete" else document))
        if operation == "delete":
            del self.documents[document["_id"]]
        else:
            self.documents[document["_id"]] = document

    def latest(self):
        state = {}
        for operation, key, _ in self.journal:
            state[key] = {"_id": key, "last": operation}
        for key, document in self.documents.items():
            state[key]["doc"] = document
        return state


class ChangeStreamToMongodb(harness.ReplicaSetCase):
    def create(self, script, coll, post_images=False):
        self.database.shop.create_collection(coll, **({"changeStreamPreAndPostImages": {"enabled": True}} if post_images else {}))
        self.assertEqual(harness.mongosh(self.server.uri, script % {"coll": coll}).values[0]["ok"], 1)
        return Shop(self.database.shop[coll], coll)

    def check_latest(self, shop, coll):
        self.wait_for_documents(self.database.copies[coll], shop.latest().values())
        self.assertEqual(list(self.database.copies[coll + "Dead"].find()), [])

    def test_latest_state(self):
        shop = self.create(LATEST, "straight")
        shop.change(400)
        self.check_latest(shop, "straight")
        stats = self.stats("latest")
        self.assertEqual((stats["inputMessageCount"], stats["dlqMessageCount"]), (len(shop.journal), 0))
        self.assertIn("_data", stats["changeStreamState"])

    def test_latest_state_across_a_stop_and_a_start(self):
        shop = self.create(LATEST, "stopped")
        shop.change(150)
        harness.wait_until(lambda: self.stats("latest")["inputMessageCount"] >= 50, 30, "some changes")
        harness.mongosh(self.server.uri, "sp.latest.stop()")
        shop.change(150)
        harness.mongosh(self.server.uri, "sp.latest.start()")
        shop.change(150)
        self.check_latest(shop, "stopped")

    def test_latest_state_across_a_restart_of_the_server(self):
        shop = self.create(LATEST, "restarted")
        shop.change(100)
        self.server.stop()
        shop.change(100)
        self.server.start()
        shop.change(100)
        self.check_latest(shop, "restarted")

    def test_crash_right_after_the_first_start(self):
        """What changes after the start is the processor's, even if no checkpoint was due yet."""
        shop = self.create(LATEST, "crashedEarly")
        self.server.kill()
        shop.change(100)
        self.server.start()
        self.check_latest(shop, "crashedEarly")

    def test_stop_right_after_the_first_start(self):
        """Nothing was read yet, and still the place is kept."""
        shop = self.create(LATEST, "stoppedEarly")
        self.command({"stopStreamProcessor": "latest"})
        shop.change(100)
        self.command({"startStreamProcessor": "latest"})
        self.check_latest(shop, "stoppedEarly")

    def test_crashes(self):
        shop = self.create(LATEST, "crashed")
        for _ in range(3):
            shop.change(100)
            self.server.kill()
            shop.change(20)
            self.server.start()
        self.check_latest(shop, "crashed")

    def check_journal(self, shop, coll):
        target = self.database.copies[coll + "Journal"]
        harness.wait_until(lambda: target.count_documents({}) >= len(shop.journal), 30, "all changes")
        entries = list(target.find().sort("_id._data", 1))
        self.assertEqual([(e["operationType"], e["documentKey"]["_id"], e.get("fullDocument")) for e in entries], shop.journal)
        for entry in entries:
            self.assertEqual((entry["ns"], entry["seenAs"]), ({"db": "shop", "coll": coll}, "atlas"))
            self.assertTrue({"clusterTime", "wallTime"} <= set(entry), entry)
            self.assertEqual("updateDescription" in entry, entry["operationType"] == "update")

    def test_journal_with_post_images(self):
        shop = self.create(JOURNAL, "imaged", post_images=True)
        shop.change(200)
        self.check_journal(shop, "imaged")

    def test_journal_across_a_stop_and_a_start(self):
        shop = self.create(JOURNAL, "imagedStopped", post_images=True)
        shop.change(80)
        harness.mongosh(self.server.uri, "sp.journal.stop()")
        shop.change(80)
        harness.mongosh(self.server.uri, "sp.journal.start()")
        shop.change(80)
        self.check_journal(shop, "imagedStopped")


if __name__ == "__main__":
    harness.main(limit_seconds=280)
