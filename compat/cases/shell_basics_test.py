"""mongosh against a fresh millrace: the banner, `show dbs`, the local database, the registry, the list of processors, errors by name."""
import unittest

import harness

CONNECTIONS = [
    harness.cluster("warehouse", "mongodb://127.0.0.1:1/"),
    harness.cluster("kept"),
    harness.kafka("events", "127.0.0.1:1"),
]

# What mongosh itself says before the prompt: the version block, and a word about the Node.js it runs on.
CLIENT_LINES = ("Current Mongosh Log ID:", "Connecting to:", "Using MongoDB:", "Using Mongosh:", "For mongosh info see:",
                "Deprecation warnings:", "- Using mongosh with Node.js versions", "See https://www.mongodb.com/docs/mongodb-shell/install/")


class ShellBasics(harness.ServerCase):
    connections = CONNECTIONS

    def shell(self, script):
        return harness.mongosh(self.server.uri, script).values

    def test_no_banner_beyond_the_version_block(self):
        shell = harness.Shell(self.server.uri, "db.hello().ok\nshow dbs\n", quiet=False, typed=True).wait()
        before, _, after = shell.text.partition("test> ")
        foreign = [line for line in before.splitlines() if line.strip() and not line.strip().startswith(CLIENT_LINES)]
        self.assertEqual(foreign, [])
        self.assertRegex(before, r"Using MongoDB:\t\t\d+\.\d+\.\d+\n")
        self.assertEqual(after.splitlines()[0].strip(), "1")
        self.assertNotIn("Error", after)

    def test_show_dbs_and_collections(self):
        shell = harness.Shell(self.server.uri, "use shown\ndb.one.insertOne({a: 1})\nshow dbs\nshow collections\n", typed=True).wait()
        self.assertRegex(shell.text, r"(?m)^(shown> )?shown +\d+\.\d\d [KM]iB$")
        self.assertRegex(shell.text, r"(?m)^(shown> )?one$")
        self.assertNotIn("Error", shell.text)

    def test_crud(self):
        values = self.shell("""
            const c = db.getSiblingDB('crud').things;
            out(c.insertMany([{_id: 1, n: 5, t: 'e'}, {_id: 2, n: 3, t: 'c'}, {_id: 3, n: 9, t: 'i'}, {_id: 4, n: 1, t: 'a'}]));
            out(c.find({n: {$gt: 1}}, {t: 0}).sort({n: -1}).limit(2).toArray());
            out(c.updateOne({_id: 2}, {$set: {n: 30, 'deep.er': true}, $inc: {seen: 1}}));
            out(c.findOne({_id: 2}));
            out(c.updateOne({_id: 9}, {$set: {n: 0}}, {upsert: true}));
            out(c.replaceOne({_id: 4}, {replaced: true}));
            out(c.countDocuments({n: {$exists: true}}));
            out(c.deleteMany({n: {$lt: 6}}));
            out(c.find().sort({_id: 1}).toArray());
            out(c.distinct('t'));
            out(c.findOneAndUpdate({_id: 3}, {$mul: {n: 2}}, {returnDocument: 'after'}));
            out(c.estimatedDocumentCount());
            out(c.drop());
            out(db.getSiblingDB('crud').getCollectionNames());
            """)
        self.assertEqual(values, [
            {"acknowledged": True, "insertedIds": {"0": 1, "1": 2, "2": 3, "3": 4}},
            [{"_id": 3, "n": 9}, {"_id": 1, "n": 5}],
            {"acknowledged": True, "insertedId": None, "matchedCount": 1, "modifiedCount": 1, "upsertedCount": 0},
            {"_id": 2, "n": 30, "t": "c", "deep": {"er": True}, "seen": 1},
            {"acknowledged": True, "insertedId": 9, "matchedCount": 0, "modifiedCount": 0, "upsertedCount": 1},
            {"acknowledged": True, "insertedId": None, "matchedCount": 1, "modifiedCount": 1, "upsertedCount": 0},
            4,
            {"acknowledged": True, "deletedCount": 2},
            [{"_id": 2, "n": 30, "t": "c", "deep": {"er": True}, "seen": 1}, {"_id": 3, "n": 9, "t": "i"}, {"_id": 4, "replaced": True}],
            ["c", "i"],
            {"_id": 3, "n": 18, "t": "i"},
            3,
            True,
            [],
        ])

    def test_unique_index(self):
        values = self.shell("""
            const c = db.getSiblingDB('unique').users;
            out(c.createIndex({email: 1}, {unique: true}));
            out(c.insertOne({_id: 1, email: 'a@b.c'}));
            out(attempt(() => c.insertOne({_id: 2, email: 'a@b.c'})));
            out(attempt(() => c.insertOne({_id: 1, email: 'other'})));
            out(c.insertOne({_id: 3, email: 'c@b.a'}));
            out(attempt(() => c.updateOne({_id: 3}, {$set: {email: 'a@b.c'}})));
            out(c.getIndexes());
            out(c.countDocuments());
            """)
        self.assertEqual(values[0], "email_1")
        for number, index in ((2, "email_1"), (3, "_id_"), (5, "email_1")):
            self.assertEqual(values[number]["code"], 11000, values[number])
            self.assertIn("E11000 duplicate key error collection: unique.users index: " + index, values[number]["message"])
        self.assertEqual([(i["name"], i["key"], i.get("unique", False)) for i in values[6]], [("_id_", {"_id": 1}, False), ("email_1", {"email": 1}, True)])
        self.assertEqual(values[7], 2)

    def test_find_in_batches(self):
        values = self.shell("""
            const c = db.getSiblingDB('batches').many;
            c.insertMany([...Array(250).keys()].map(i => ({_id: i})));
            out(c.find().sort({_id: 1}).toArray().map(d => d._id));
            out(c.find({_id: {$gte: 200}}).batchSize(7).toArray().length);
            out(c.aggregate([{$match: {_id: {$lt: 10}}}, {$group: {_id: null, s: {$sum: '$_id'}}}]).toArray());
            """)
        self.assertEqual(values, [list(range(250)), 50, [{"_id": None, "s": 45}]])

    def test_list_connections(self):
        everything, one, none = self.shell("out(sp.listConnections()); out(sp.listConnections({type: 'kafka'})); out(sp.listConnections({name: 'nobody'}));")
        self.assertEqual({c["name"]: c["type"] for c in everything},
                         {"warehouse": "atlas", "kept": "atlas", "events": "kafka", "sample_stream_solar": "inmemory", "local": "atlas"})
        self.assertEqual([c["name"] for c in one], ["events"])
        self.assertEqual(none, [])
        self.assertNotIn("mongodb://", str(everything))

    def test_list_stream_processors_by_filter(self):
        values = self.shell("""
            const sink = {$merge: {into: {connectionName: 'local', db: 'd', coll: 'c'}}};
            const source = {$source: {connectionName: 'sample_stream_solar'}};
            sp.createStreamProcessor('alpha', [source, sink]);
            sp.createStreamProcessor('alphabet', [source, sink], {dlq: {connectionName: 'kept', db: 'd', coll: 'dead'}});
            sp.createStreamProcessor('beta', [source, sink]);
            sp.beta.start();
            const names = f => sp.listStreamProcessors(f).map(p => p.name);
            out(names());
            out(names({name: {$regex: '^alpha'}}));
            out(names({'options.dlq.connectionName': 'kept'}));
            out(names({state: {$in: ['STARTED', 'FAILED']}}));
            out(names({$or: [{name: 'beta'}, {'pipeline.0.$source.connectionName': 'nothing'}]}));
            out(names({state: 'started'}));
            out(attempt(() => names({$nonsense: 1})));
            out(db.adminCommand({listStreamProcessors: 1, filter: {name: 'alphabet'}}).streamProcessors[0]);
            sp.alpha.drop(); sp.alphabet.drop(); sp.beta.drop();
            out(names());
            """)
        self.assertEqual(values[:6], [["alpha", "alphabet", "beta"], ["alpha", "alphabet"], ["alphabet"], ["beta"], ["beta"], []])
        self.assertEqual(values[6]["code"], 2, values[6])
        entry = values[7]
        self.assertEqual((entry["name"], entry["state"], entry["errorMsg"], entry["options"]),
                         ("alphabet", "CREATED", "", {"dlq": {"connectionName": "kept", "db": "d", "coll": "dead"}}))
        self.assertRegex(entry["id"], "^[0-9a-f]{24}$")
        self.assertEqual(len(entry["pipeline"]), 2)
        self.assertEqual({"start", "stop", "drop", "stats", "modify", "sample"} & set(entry), set())
        self.assertEqual(values[8], [])

    def test_list_workspace_defaults(self):
        reply, = self.shell("out(sp.listWorkspaceDefaults());")
        self.assertEqual({k: reply[k] for k in ("ok", "defaultTierSize", "maxTierSize")}, {"ok": 1, "defaultTierSize": "SP30", "maxTierSize": "SP50"})

    def test_errors_are_shown_by_name(self):
        values = self.shell("""
            out(attempt(() => db.adminCommand({noSuchThing: 1})));
            out(attempt(() => sp.nobody.start()));
            out(attempt(() => sp.createStreamProcessor('x', [{$source: {connectionName: 'nowhere'}}, {$merge: {into: {connectionName: 'local', db: 'd', coll: 'c'}}}])));
            out(attempt(() => sp.createStreamProcessor('x', [])));
            out(attempt(() => db.getSiblingDB('d').c.find({$nonsense: 1}).toArray()));
            out(attempt(() => db.runCommand({listStreamProcessors: 1})));
            """)
        expected = [(59, "CommandNotFound", "no such command: 'noSuchThing'"),
                    (125, "CommandFailed", "stream processor doesn't exist"),
                    (None, None, "connection named nowhere does not exist. Check sp.listConnections() for available connections"),
                    (9, "FailedToParse", ""),
                    (2, "BadValue", "$nonsense"),
                    (13, "Unauthorized", "admin database")]
        for value, (code, name, text) in zip(values, expected):
            self.assertIn(text, value["message"])
            if code is not None:
                self.assertEqual((value["code"], value["codeName"]), (code, name), value)
            self.assertTrue(value["codeName"], value)


if __name__ == "__main__":
    harness.main()
