"""What people type: the examples of MongoDB's manual of Atlas Stream Processing and of the public example repositories, with the sources and
sinks that exist here. https://www.mongodb.com/docs/atlas/atlas-stream-processing/ and https://github.com/mongodb/ASP_example
"""
import unittest

import bson
import harness
import pymongo

SOLAR = """
let s = {$source: {connectionName: 'sample_stream_solar'}};
let g = {$group: {_id: '$group_id', max_temp: {$max: '$obs.temp'}, avg_watts: {$avg: '$obs.watts'}, max_watts: {$max: '$obs.watts'},
                  min_watts: {$min: '$obs.watts'}}};
let t = {$tumblingWindow: {interval: {size: NumberInt(10), unit: 'second'}, pipeline: [g]}};
let m = {$merge: {into: {connectionName: 'local', db: 'solarDb', coll: 'solarColl'}}};
"""


class FirstSteps(unittest.TestCase):
    """The manual's first processor is called solarDemo, as the ready-made one is."""

    def setUp(self):
        self.server = harness.Millrace(demo=True)
        self.client = self.server.client()
        self.admin = self.client.admin

    def tearDown(self):
        self.client.close()
        self.server.stop()

    def pipeline(self):
        return self.admin.command({"getStreamProcessor": "solarDemo"})["pipeline"]

    def test_the_ready_made_one_gives_way(self):
        ready_made = self.pipeline()
        shell = harness.mongosh(self.server.uri, SOLAR + """
            out(attempt(() => sp.createStreamProcessor('solarDemo', [s, t])));
            sp.createStreamProcessor('solarDemo', [s, t, m]);
            out(sp.listStreamProcessors().map(p => [p.name, p.state]));
            out(sp.solarDemo.start());
            out(attempt(() => sp.createStreamProcessor('solarDemo', [s, t, m])));
        """)
        refused, listed, started, again = shell.values
        self.assertEqual(refused["code"], 420)
        self.assertEqual(listed, [["solarDemo", "CREATED"]])
        self.assertEqual(started, {"ok": 1})
        self.assertEqual(again["codeName"], "CommandFailed")
        self.assertIn("already exists", again["message"])
        self.assertNotEqual(self.pipeline(), ready_made)

    def test_what_is_refused_leaves_it(self):
        ready_made = self.pipeline()
        with self.assertRaises(pymongo.errors.OperationFailure):
            self.admin.command({"createStreamProcessor": "solarDemo", "pipeline": [{"$match": {}}]})
        self.assertEqual(self.pipeline(), ready_made)
        self.assertEqual(self.admin.command({"getStreamProcessor": "solarDemo"})["state"], "STARTED")

    def test_one_that_was_changed_stays(self):
        self.admin.command({"stopStreamProcessor": "solarDemo"})
        self.admin.command({"modifyStreamProcessor": "solarDemo", "dlq": {"connectionName": "local", "db": "d", "coll": "q"}})
        with self.assertRaisesRegex(pymongo.errors.OperationFailure, "already exists"):
            self.admin.command({"createStreamProcessor": "solarDemo", "pipeline": self.pipeline()})


class LocalExamples(harness.ServerCase):
    """Those that need no other server."""

    def shell(self, script):
        return harness.mongosh(self.server.uri, script).values

    def test_lateness_of_size_0(self):
        for lateness in ({"size": 0, "unit": "second"}, {"size": bson.Int64(0), "unit": "ms"}, 0):
            with self.subTest(lateness=lateness):
                results = self.process([
                    {"$source": {"documents": [{"t": bson.Int64(second * 1000)} for second in (1, 2, 10)], "timeField": {"$toDate": "$t"}}},
                    {"$tumblingWindow": {"interval": {"size": 10, "unit": "second"}, "allowedLateness": lateness,
                                         "pipeline": [{"$group": {"_id": None, "n": {"$sum": 1}}}]}},
                    {"$project": {"n": 1}}])
                self.assertEqual([result["n"] for result in results], [2])
        self.refused({"processStreamProcessor": [
            {"$source": {"documents": []}},
            {"$tumblingWindow": {"interval": {"size": 0, "unit": "second"}, "pipeline": [{"$group": {"_id": None}}]}}]}, 420, "interval.size")

    def test_dynamic_collections_and_deletes(self):
        self.client.routes.countData.insert_one({"_id": 9, "isActive": 1})
        self.process([
            {"$source": {"documents": [{"_id": 1, "speed": -1}, {"_id": 2, "speed": 50}, {"_id": 3, "speed": 200}]}},
            {"$merge": {"into": {"connectionName": "local", "db": "routes", "coll": {"$switch": {
                "branches": [{"case": {"$expr": {"$lt": ["$speed", 0]}}, "then": "speed_error"},
                             {"case": {"$expr": {"$gte": ["$speed", 100]}}, "then": "speed_fast"}], "default": "speed_normal"}}}}}])
        self.assertEqual([self.client.routes[c].find_one()["_id"] for c in ("speed_error", "speed_normal", "speed_fast")], [1, 2, 3])
        self.process([
            {"$source": {"documents": [{"_id": 9, "isActive": 0}, {"_id": 10, "isActive": 1}]}},
            {"$merge": {"into": {"connectionName": "local", "db": "routes", "coll": "countData"},
                        "whenMatched": {"$cond": {"if": {"$eq": ["$isActive", 0]}, "then": "delete", "else": "merge"}}, "whenNotMatched": "insert"}}])
        self.assertEqual([d["_id"] for d in self.client.routes.countData.find()], [10])

    def test_an_element_of_an_array_is_replaced(self):
        spec = self.client.arrays.spec
        spec.insert_one({"_id": 1, "subsarray": [{"speciality_id": "000", "description": "spec1"}, {"speciality_id": "001", "description": "spec2"}]})
        self.shell("""
            let s = {$source: {documents: [{_id: 1, speciality_id: '000', description: 'new_desc'}]}};
            let m = {$merge: {into: {connectionName: 'local', db: 'arrays', coll: 'spec'}, on: ['_id'], let: {specid: '$speciality_id', desc: '$description'},
              whenMatched: [{$addFields: {subsarray: {$filter: {input: '$subsarray', as: 'subsarray', cond: {$ne: ['000', '$$subsarray.speciality_id']}}}}},
                            {$addFields: {subsarray: {$concatArrays: ['$subsarray', [{speciality_id: '$$specid', description: '$$desc'}]]}}}],
              whenNotMatched: 'insert'}};
            sp.process([s, m]);
        """)
        self.assertEqual(spec.find_one()["subsarray"],
                         [{"speciality_id": "001", "description": "spec2"}, {"speciality_id": "000", "description": "new_desc"}])

    def test_nulls_are_filtered_out(self):
        results = self.process([
            {"$source": {"documents": [{"name": "joe", "test": None, "more": "stuff"}, {"name": "john", "test": 1, "more": None}]}},
            {"$project": {"_id": 0, "item": {"$filter": {"input": {"$objectToArray": "$$ROOT"}, "cond": {"$and": [{"$ne": ["$$this.v", None]}]}}}}},
            {"$project": {"new": {"$arrayToObject": "$item"}}},
            {"$replaceRoot": {"newRoot": "$new"}}])
        self.assertEqual([{k: v for k, v in r.items() if not k.startswith("_")} for r in results],
                         [{"name": "joe", "more": "stuff"}, {"name": "john", "test": 1}])

    def test_later_stages_are_refused_by_name(self):
        for stage in ("$lookup", "$https", "$externalFunction", "$cachedLookup", "$setStreamMeta", "$throttle", "$vectorSearch"):
            with self.subTest(stage=stage):
                self.refused({"processStreamProcessor": [{"$source": {"documents": []}}, {stage: {}}]}, 238, stage)

    def test_what_one_server_cannot_keep(self):
        """Drivers ask for it in good faith: the answer is that of a mongod that stands alone, and nothing is written."""
        things = self.client.alone.things
        for w in (2, "tag"):
            with self.assertRaisesRegex(pymongo.errors.OperationFailure, "cannot use"):
                things.with_options(write_concern=pymongo.WriteConcern(w=w)).insert_one({"_id": 1})
        things.with_options(write_concern=pymongo.WriteConcern(w="majority", j=True, wtimeout=1000)).insert_one({"_id": 2})
        self.assertEqual([d["_id"] for d in things.find()], [2])
        for watched in (self.client, self.client.alone, things):
            with self.assertRaisesRegex(pymongo.errors.OperationFailure, "only supported on replica sets"):
                watched.watch()


class OnGenuineServers(harness.ReplicaSetCase):
    """Change streams of a replica set, as the manual has them."""

    def create_started(self, name, pipeline):
        self.command({"createStreamProcessor": name, "pipeline": pipeline})
        self.command({"startStreamProcessor": name})

    def test_streaming_materialized_view(self):
        db = self.database.sample_supplies
        db.create_collection("sales", changeStreamPreAndPostImages={"enabled": True})
        db.sales.insert_many([{"_id": n, "purchaseMethod": "Phone" if n % 2 else "Online", "status": "completed"} for n in range(1, 5)])
        db.sales.aggregate([{"$match": {"status": "completed"}}, {"$group": {"_id": "$purchaseMethod", "active_count": {"$sum": 1}}},
                            {"$merge": {"into": "sales_by_channel", "whenMatched": "replace", "whenNotMatched": "insert"}}])

        def change(operation, *conditions, then):
            return {"case": {"$and": [{"$eq": ["$operationType", operation]}, *({"$eq": list(c)} for c in conditions)]}, "then": then}

        epoch = {"$toDate": bson.Int64(0)}
        self.create_started("sales_stats_sp", [
            {"$source": {"connectionName": "cluster", "db": "sample_supplies", "coll": "sales",
                         "config": {"fullDocument": "required", "fullDocumentBeforeChange": "required"}}},
            {"$addFields": {
                "_delta": {"$switch": {"branches": [
                    change("insert", ("$fullDocument.status", "completed"), then=1),
                    change("update", ("$fullDocumentBeforeChange.status", "completed"), ("$fullDocument.status", "returned"), then=-1),
                    change("delete", ("$fullDocumentBeforeChange.status", "completed"), then=-1)], "default": 0}},
                "_channel": {"$ifNull": ["$fullDocument.purchaseMethod", "$fullDocumentBeforeChange.purchaseMethod"]}}},
            {"$match": {"_delta": {"$ne": 0}}},
            {"$tumblingWindow": {"boundary": "processingTime", "interval": {"size": 1, "unit": "second"}, "pipeline": [
                {"$group": {"_id": "$_channel", "active_count": {"$sum": "$_delta"}, "windowStart": {"$first": {"$meta": "stream.window.start"}}}}]}},
            {"$merge": {"into": {"connectionName": "cluster", "db": "sample_supplies", "coll": "sales_by_channel"}, "whenMatched": [{"$set": {
                "active_count": {"$cond": [{"$gt": ["$$new.windowStart", {"$ifNull": ["$lastWindowStart", epoch]}]},
                                           {"$add": ["$active_count", "$$new.active_count"]}, "$active_count"]},
                "lastWindowStart": {"$max": [{"$ifNull": ["$lastWindowStart", epoch]}, "$$new.windowStart"]}}}], "whenNotMatched": "insert"}}])
        db.sales.insert_one({"_id": 9, "purchaseMethod": "Phone", "status": "completed"})
        db.sales.update_one({"_id": 2}, {"$set": {"status": "returned"}})
        db.sales.update_one({"_id": 4}, {"$set": {"note": "of no effect"}})
        db.sales.insert_one({"_id": 10, "purchaseMethod": "In store", "status": "completed"})
        self.wait_for_documents(db.sales_by_channel, [{"_id": channel, "active_count": count} for channel, count in (("Phone", 3), ("Online", 1), ("In store", 1))],
                                {"active_count": 1})

    def test_a_copy_that_follows_deletes(self):
        db = self.database.replicas
        deleted = {"$eq": [{"$meta": "stream.source.operationType"}, "delete"]}
        db.create_collection("replicate", changeStreamPreAndPostImages={"enabled": True})
        self.create_started("clone", [
            {"$source": {"connectionName": "cluster", "db": "replicas", "coll": "replicate", "config": {"fullDocument": "required"},
                         "initialSync": {"enable": False}}},
            {"$replaceRoot": {"newRoot": {"$cond": {"if": deleted, "then": "$documentKey", "else": "$fullDocument"}}}},
            {"$merge": {"into": {"connectionName": "cluster", "db": "replicas", "coll": "replicate_test"},
                        "whenMatched": {"$cond": {"if": deleted, "then": "delete", "else": "replace"}},
                        "whenNotMatched": {"$cond": {"if": deleted, "then": "discard", "else": "insert"}}}}])
        db.replicate.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}])
        db.replicate.update_one({"_id": 1}, {"$set": {"a": 9}})
        db.replicate.delete_one({"_id": 2})
        db.replicate.insert_one({"_id": 3})
        self.wait_for_documents(db.replicate_test, [{"_id": 1, "a": 9}, {"_id": 3}])

    def test_initial_sync_is_refused_by_name(self):
        source = {"connectionName": "cluster", "db": "d", "coll": "c"}
        sink = {"$merge": {"into": {"connectionName": "cluster", "db": "d", "coll": "o"}}}
        for options, text in (({"enable": True}, "$source.initialSync is not supported"), ({}, "$source.initialSync.enable is required"),
                              ({"enable": False, "bogus": 1}, "bogus"), ({"enable": False, "parallelism": 0}, "parallelism")):
            with self.subTest(options=options):
                self.refused({"createStreamProcessor": "sync", "pipeline": [{"$source": {**source, "initialSync": options}}, sink]}, 420, text)

    def test_collections_by_pattern(self):
        self.create_started("pipes", [
            {"$source": {"connectionName": "cluster", "db": "patterns", "config": {"pipeline": [
                {"$match": {"$expr": {"$regexMatch": {"input": "$ns.coll", "regex": "pipe_.*", "options": "i"}}}}]}}},
            {"$merge": {"into": {"connectionName": "local", "db": "patterns", "coll": "seen"}}}])
        for name in ("other", "pipe_x", "PIPE_y"):
            self.database.patterns[name].insert_one({"_id": name})
        harness.wait_until(lambda: self.client.patterns.seen.count_documents({}) == 2, 20, "two changes")
        self.assertEqual({d["ns"]["coll"] for d in self.client.patterns.seen.find()}, {"pipe_x", "PIPE_y"})

    def test_the_manuals_modifications(self):
        values = harness.mongosh(self.server.uri, """
            const into = c => ({$merge: {into: {connectionName: 'cluster', db: 'testout', coll: c}}});
            const source = {$source: {connectionName: 'cluster', db: 'test', coll: 'test'}};
            sp.createStreamProcessor('foo', [source, into('testout')]);
            out(sp.foo.start()); out(sp.foo.stop());
            out(sp.foo.modify([source, {$match: {operationType: 'insert'}}, into('testout2')])); out(sp.foo.start()); out(sp.foo.stop());
            out(attempt(() => sp.foo.modify([{$source: {...source.$source, config: {startAtOperationTime: new Date(Date.now() - 60000)}}}, into('testout2')])).code);
            out(sp.foo.modify([{$source: {...source.$source, config: {startAtOperationTime: new Date(Date.now() - 1000)}}}, into('testout2')],
                              {resumeFromCheckpoint: false}));
            out(sp.foo.start()); out(sp.foo.stop()); out(sp.foo.modify({dlq: {}})); out(sp.foo.start()); out(sp.foo.stop());
            let pipeline = sp.foo.stats().pipeline; pipeline[0]['$source']['config']['fullDocument'] = 'whenAvailable';
            out(sp.foo.modify(pipeline, {resumeFromCheckpoint: false})); out(sp.foo.start());
            out(sp.foo.stats().pipeline[0].$source.config.fullDocument); out(sp.foo.drop());
        """).values
        self.assertEqual([v for v in values if v != {"ok": 1}], [72, "whenAvailable"])


class OnKafka(harness.Case):
    """Keys, headers, tombstones and topics by expression, through a genuine broker."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = harness.Kafka()
        cls.server = harness.Millrace(connections=[harness.kafka("kafka", cls.kafka.bootstrap)])
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def emit(self, documents, topic, config=None):
        self.process([{"$source": {"documents": documents}}, {"$emit": {"connectionName": "kafka", "topic": topic, **({"config": config} if config else {})}}])

    def read(self, topic, count, *stages, **config):
        return self.process([{"$source": {"connectionName": "kafka", "topic": topic, "config": {"auto_offset_reset": "earliest", **config}}}, *stages],
                            {"limit": count})

    def test_headers(self):
        self.emit([{"test": 1}], "headertest", {"headers": {"$objectToArray": {"type": {"$meta": "stream.source.type"}}}})
        read = self.read("headertest", 1, {"$addFields": {"headers": {"$arrayToObject": {"$meta": "stream.source.headers"}}}},
                         {"$addFields": {"converted": {"$convert": {"input": "$headers.type", "to": "string", "format": "utf8"}}}}, group_id="test4")
        self.assertEqual([(r["test"], r["converted"]) for r in read], [(1, "generated")])

    def test_tombstones_and_keys(self):
        self.emit([{"opType": "delete", "case": "1"}, {"opType": "x", "case": "2"}], "tombstone_test",
                  {"tombstoneWhen": {"$eq": ["delete", "$opType"]}, "key": "$case", "keyFormat": "string"})
        read = self.read("tombstone_test", 2, {"$addFields": {"k": {"$meta": "stream.source.key"}}}, keyFormat="string")
        self.assertEqual([(r["k"], r.get("opType")) for r in read], [("1", None), ("2", "x")])

    def test_topics_by_expression(self):
        self.emit([{"a": 1, "t": "x"}, {"a": 2, "t": "y"}], {"$concat": ["$t", "out"]})
        read = self.read(["xout", "yout"], 2, {"$addFields": {"from": {"$meta": "stream.source.topic"}, "at": {"$meta": "stream.source.offset"}}})
        self.assertEqual(sorted((r["from"], r["a"], r["at"]) for r in read), [("xout", 1, 0), ("yout", 2, 0)])


if __name__ == "__main__":
    harness.main()
