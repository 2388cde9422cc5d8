"""What Compass sends, screen by screen, replayed through PyMongo; the replies are looked at for what Compass reads of them, types included.

The commands were recorded from Compass 1.x and read in its public sources (packages data-service, compass-crud, compass-aggregations,
compass-indexes, compass-schema-validation, compass-serverstats of github.com/mongodb-js/compass). Compass itself is not needed.
"""
import datetime
import json
import uuid
from collections import OrderedDict

import harness
import bson  # harness has found the Python that has it
from bson.int64 import Int64

NUMBER = (int, float)  # where Compass takes any of BSON's types of numbers


def command_of(name, value, **fields):
    """A command document in the order given."""
    return OrderedDict([(name, value), *fields.items()])


def sum_of(field):
    return {"$sum": {"$toDouble": f"$storageStats.{field}"}}


COLLECTION_STATS = [
    {"$collStats": {"storageStats": {}}},
    {"$group": {"_id": None, "capped": {"$first": "$storageStats.capped"}, "count": {"$sum": "$storageStats.count"}, "size": sum_of("size"), "storageSize": sum_of("storageSize"),
                "totalIndexSize": sum_of("totalIndexSize"), "freeStorageSize": sum_of("freeStorageSize"),
                "unscaledCollSize": {"$sum": {"$multiply": [{"$toDouble": "$storageStats.avgObjSize"}, {"$toDouble": "$storageStats.count"}]}},
                "nindexes": {"$max": "$storageStats.nindexes"}}},
    {"$addFields": {"avgObjSize": {"$cond": {"if": {"$ne": ["$count", 0]}, "then": {"$divide": ["$unscaledCollSize", {"$toDouble": "$count"}]}, "else": 0}}}}]
INDEX_SIZES = [
    {"$collStats": {"storageStats": {}}}, {"$project": {"indexSizes": {"$objectToArray": "$storageStats.indexSizes"}}}, {"$unwind": "$indexSizes"},
    {"$group": {"_id": "$indexSizes.k", "size": {"$sum": {"$toDouble": "$indexSizes.v"}}}}]
INDEX_USE = [{"$indexStats": {}}, {"$project": {"name": 1, "usageHost": "$host", "usageCount": "$accesses.ops", "usageSince": "$accesses.since", "building": 1}}]


def index_progress(namespace):
    progress = {"$cond": {"if": {"$and": [{"$eq": [{"$type": "$progress"}, "object"]}, {"$gt": ["$progress.total", 0]}]},
                          "then": {"$divide": ["$progress.done", "$progress.total"]}, "else": "$$REMOVE"}}
    return [{"$currentOp": {"allUsers": True, "localOps": False}},
            {"$match": {"ns": namespace, "active": True, "command.createIndexes": {"$exists": True}}}, {"$sort": {"secs_running": -1}}, {"$unwind": "$command.indexes"},
            {"$group": {"_id": "$command.indexes.name", "progress": {"$first": progress}, "msg": {"$first": "$msg"}}}]


class Compass(harness.ServerCase):
    def setUp(self):
        super().setUp()
        self.db = self.client.shop
        self.client.drop_database("shop")
        self.db.things.insert_many([{"_id": i, "a": i, "s": "x" * i, "tags": [i % 3]} for i in range(130)])
        self.db.things.create_index("a")

    # --- helpers ------------------------------------------------------------------------------------------------------------------------

    def run_command(self, database, name, value, **fields):
        return database.command(command_of(name, value, **fields))

    def first_batch(self, reply, namespace):
        """The documents of a cursor's first reply; its id is an int64 always, or the Node driver fails."""
        self.assertEqual(set(reply["cursor"]), {"firstBatch", "id", "ns"})
        self.assertIsInstance(reply["cursor"]["id"], Int64)
        self.assertEqual(reply["cursor"]["ns"], namespace)
        self.assertIsInstance(reply["ok"], float)
        return reply["cursor"]["firstBatch"]

    def aggregate(self, target, pipeline, database=None, namespace=None, **options):
        database = database if database is not None else self.db
        namespace = namespace or (f"{database.name}.{target}" if isinstance(target, str) else f"{database.name}.$cmd.aggregate")
        return self.first_batch(self.run_command(database, "aggregate", target, pipeline=pipeline, cursor={}, **options), namespace)

    def has(self, document, **types):
        """The fields at these paths (`__` for a dot) are there and of these types; None: whatever type."""
        for path, kind in types.items():
            value = document
            for name in path.split("__"):
                self.assertIn(name, value, f"{path} of {document}")
                value = value[name]
            if kind is not None:
                self.assertIsInstance(value, kind, path)
                self.assertTrue(kind is bool or not isinstance(value, bool), path)

    # --- connecting ---------------------------------------------------------------------------------------------------------------------

    def test_connect(self):
        """connectionStatus, hostInfo and buildInfo must succeed: Compass refuses a server that fails one of them."""
        status = self.run_command(self.admin, "connectionStatus", 1, showPrivileges=True)
        self.assertEqual(status["authInfo"], {"authenticatedUsers": [], "authenticatedUserRoles": [], "authenticatedUserPrivileges": []})
        host = self.run_command(self.admin, "hostInfo", 1)
        self.has(host, system__cpuArch=str, system__numCores=int, system__memSizeMB=int, os__type=str, os__name=str, os__version=str, extra__versionString=str, extra__cpuFrequencyMHz=str)
        self.assertEqual(host["os"]["type"], "Linux")
        self.assertGreater(host["system"]["numCores"], 0)
        build = self.run_command(self.admin, "buildInfo", 1)
        self.assertRegex(build["version"], r"^8\.0\.\d+$")  # no end-of-life notice, and as hello's wire version says
        self.assertEqual(build["versionArray"][:2], [8, 0])
        self.assertEqual(build["modules"], [])  # else it is taken for the Enterprise edition
        self.assertEqual(self.run_command(self.admin, "getParameter", 1, featureCompatibilityVersion=1)["featureCompatibilityVersion"], {"version": "8.0"})

    def test_it_is_genuine_and_not_atlas(self):
        """The signs of other products, by which Compass shows a banner or an Atlas badge."""
        build = self.run_command(self.admin, "buildInfo", 1)
        self.assertEqual({"ferretdb", "dataLake", "_t"} & set(build), set())
        self.assertNotIn("enterprise", build["gitVersion"])
        foo = self.refused({"getParameter": "foo"}, 72, "no option found to get")
        self.assertNotIn("documentdb", foo["errmsg"])
        self.refused({"atlasVersion": 1}, 59, "no such command: 'atlasVersion'")
        options = self.run_command(self.admin, "getCmdLineOpts", 1)
        self.assertNotIn("documentdb", json.dumps(options["argv"]))
        local = [{"$match": {"managedClusterType": "atlasCliLocalDevCluster"}}, {"$group": {"_id": 1, "n": {"$sum": 1}}}]
        self.assertEqual(self.aggregate("atlascli", local, database=self.admin), [])

    def test_a_single_server(self):
        hello = self.run_command(self.admin, "hello", 1)
        self.assertEqual((hello["isWritablePrimary"], hello["maxWireVersion"]), (True, 25))
        self.assertEqual({"setName", "hosts", "msg"} & set(hello), set())

    def test_after_connecting(self):
        databases = self.run_command(self.admin, "listDatabases", 1, nameOnly=True)["databases"]
        self.assertIn({"name": "shop"}, databases)
        stats = self.run_command(self.db, "dbStats", 1)
        self.has(stats, collections=NUMBER, objects=NUMBER, indexes=NUMBER, storageSize=NUMBER, dataSize=NUMBER, indexSize=NUMBER)
        self.assertEqual((stats["db"], stats["collections"], stats["objects"], stats["indexes"]), ("shop", 1, 130, 2))
        self.test_performance()  # the same two calls tell whether that tab is shown

    # --- databases and collections ------------------------------------------------------------------------------------------------------

    def collection(self, name):
        """What Compass asks whenever it needs one collection's details."""
        entry, = self.first_batch(self.run_command(self.db, "listCollections", 1, filter={"name": name}), "shop.$cmd.listCollections")
        return entry

    def test_collections_of_a_database(self):
        self.run_command(self.db, "create", "view", viewOn="things", pipeline=[{"$match": {"a": 1}}])
        reply = self.run_command(self.db, "listCollections", 1, filter={}, cursor={}, nameOnly=False, authorizedCollections=False)
        entries = {entry["name"]: entry for entry in self.first_batch(reply, "shop.$cmd.listCollections")}
        self.assertEqual(set(entries) - {"system.views"}, {"things", "view"})  # system.* is hidden
        things = entries["things"]
        self.has(things, type=str, options=dict, info__readOnly=bool, info__uuid=uuid.UUID, idIndex__key=dict)
        self.assertEqual((things["type"], things["info"]["readOnly"], things["idIndex"]["name"]), ("collection", False, "_id_"))
        view = entries["view"]
        self.assertEqual((view["type"], view["options"]["viewOn"], view["options"]["pipeline"]), ("view", "things", [{"$match": {"a": 1}}]))
        self.assertTrue(view["info"]["readOnly"])

    def test_sizes_of_a_collection(self):
        stats, = self.aggregate("things", COLLECTION_STATS)
        self.has(stats, capped=bool, count=NUMBER, size=float, storageSize=float, totalIndexSize=float, freeStorageSize=float, nindexes=NUMBER, avgObjSize=float)
        self.assertEqual((stats["count"], stats["nindexes"], stats["capped"]), (130, 2, False))
        self.assertAlmostEqual(stats["avgObjSize"], stats["size"] / 130, delta=1)
        raw, = self.aggregate("things", [{"$collStats": {"storageStats": {}}}])
        self.has(raw["storageStats"], size=NUMBER, count=NUMBER, avgObjSize=NUMBER, storageSize=NUMBER, freeStorageSize=NUMBER, capped=bool, nindexes=NUMBER, totalIndexSize=NUMBER,
                 indexSizes=dict, totalSize=NUMBER, scaleFactor=NUMBER)

    def test_sizes_of_a_new_database_and_of_a_view(self):
        stats = self.run_command(self.client.nothing, "dbStats", 1)
        self.assertEqual((stats["collections"], stats["objects"], stats["dataSize"]), (0, 0, 0))
        self.refused(command_of("aggregate", "nothing", pipeline=COLLECTION_STATS, cursor={}), 26, "Collection [shop.nothing] not found", database=self.db)  # shown as N/A
        self.run_command(self.db, "create", "view", viewOn="things", pipeline=[])
        self.refused(command_of("aggregate", "view", pipeline=COLLECTION_STATS, cursor={}), 166, "is a view, not a collection", database=self.db)

    def test_create_rename_drop(self):
        """There is no command to create a database: its first collection does it."""
        new = self.client.shop2
        self.client.drop_database("shop2")
        self.assertEqual(self.run_command(new, "create", "first", capped=True, size=4096)["ok"], 1)
        self.assertIn("shop2", [d["name"] for d in self.run_command(self.admin, "listDatabases", 1, nameOnly=True)["databases"]])
        self.refused(command_of("create", "first"), 48, "already exists", database=new)
        self.assertEqual(self.run_command(self.admin, "renameCollection", "shop2.first", to="shop2.second", dropTarget=False)["ok"], 1)
        self.refused(command_of("renameCollection", "shop2.first", to="shop2.third"), 26)
        self.assertEqual(self.run_command(new, "drop", "second")["ns"], "shop2.second")
        self.assertEqual(self.run_command(new, "dropDatabase", 1)["ok"], 1)
        self.assertNotIn("shop2", [d["name"] for d in self.run_command(self.admin, "listDatabases", 1, nameOnly=True)["databases"]])

    # --- documents ----------------------------------------------------------------------------------------------------------------------

    def documents(self, **more):
        reply = self.run_command(self.db, "find", "things", filter=more.pop("filter", {}), projection={"_id": 0, "__doc": "$$ROOT", "__size": {"$bsonSize": "$$ROOT"}},
                                 skip=more.pop("skip", 0), limit=25, **more, maxTimeMS=60000)
        return self.first_batch(reply, "shop.things")

    def test_open_a_collection(self):
        self.assertEqual(self.collection("things")["type"], "collection")
        self.refused(command_of("aggregate", "things", pipeline=[{"$listSearchIndexes": {}}], cursor={}), 40324, "Unrecognized pipeline stage name: '$listSearchIndexes'", database=self.db)
        self.assertEqual(len(self.aggregate("things", [{"$limit": 10}], maxTimeMS=60000)), 10)  # from which it learns the fields
        shards = self.run_command(self.client.config, "find", "collections", filter={"_id": "shop.things", "unsplittable": {"$ne": True}}, projection={"key": 1, "_id": 0})
        self.assertEqual(self.first_batch(shards, "config.collections"), [])

    def test_a_page_of_documents(self):
        page = self.documents()
        self.assertEqual([row["__doc"]["_id"] for row in page], list(range(25)))
        self.assertEqual([set(row) for row in page], [{"__doc", "__size"}] * 25)
        self.assertEqual([row["__size"] for row in page], [len(bson.encode(row["__doc"])) for row in page])
        self.assertEqual([row["__doc"]["_id"] for row in self.documents(skip=125)], list(range(125, 130)))
        self.assertEqual([row["__doc"]["_id"] for row in self.documents(filter={"a": {"$gte": 100}}, sort={"a": -1}, skip=25)], [104, 103, 102, 101, 100])
        self.assertEqual([row["__doc"]["_id"] for row in self.documents(filter={"s": "XX"}, collation={"locale": "simple"}, hint={"a": 1})], [])
        self.assertEqual(self.aggregate("things", [{"$match": {}}, {"$count": "count"}], hint="_id_", maxTimeMS=5000), [{"count": 130}])
        self.assertEqual(self.aggregate("things", [{"$match": {"a": {"$gte": 100}}}, {"$count": "count"}], maxTimeMS=5000), [{"count": 30}])

    def test_an_unusable_filter_is_shown_with_its_error(self):
        self.refused(command_of("find", "things", filter={"$nope": 1}), 2, "$nope", database=self.db)
        self.refused(command_of("find", "things", filter={"a": {"$nope": 1}}), 2, "$nope", database=self.db)

    def test_edit_a_document(self):
        self.assertEqual(self.run_command(self.db, "insert", "things", documents=[{"_id": "new", "a": Int64(5)}], ordered=True), {"n": 1, "ok": 1.0})
        # One changed field; the old value is part of the query, so that a change by somebody else is noticed.
        edit = {"query": {"_id": "new", "a": Int64(5)}, "update": {"$set": {"a": 6}}, "new": True, "remove": False, "upsert": False}
        self.assertEqual(self.run_command(self.db, "findAndModify", "things", **edit)["value"], {"_id": "new", "a": 6})
        self.assertIsNone(self.run_command(self.db, "findAndModify", "things", **edit)["value"])  # "changed in the background"
        # The JSON view: the whole document.
        whole = {"query": {"_id": "new"}, "update": {"_id": "new", "b": [1]}, "new": True, "remove": False, "upsert": False}
        self.assertEqual(self.run_command(self.db, "findAndModify", "things", **whole)["value"], {"_id": "new", "b": [1]})
        self.assertEqual(self.run_command(self.db, "delete", "things", deletes=[{"q": {"_id": "new"}, "limit": 1}]), {"n": 1, "ok": 1.0})

    def test_a_refused_insert(self):
        reply = self.db.command(command_of("insert", "things", documents=[{"_id": 1}], ordered=True), check=False)
        error, = reply["writeErrors"]
        self.assertEqual((reply["n"], error["index"], error["code"]), (0, 0, 11000))
        self.assertRegex(error["errmsg"], r"^E11000 duplicate key error collection: shop\.things index: _id_ dup key: \{ _id: 1 \}")

    def test_bulk_update_and_delete(self):
        """The preview needs transactions, which a single server has not; the update itself does not."""
        reply = self.run_command(self.db, "update", "things", updates=[{"q": {"a": {"$lt": 10}}, "u": {"$set": {"b": 1}}, "multi": True}])
        self.assertEqual((reply["n"], reply["nModified"]), (10, 10))
        self.assertEqual(self.run_command(self.db, "delete", "things", deletes=[{"q": {"b": 1}, "limit": 0}])["n"], 10)

    def test_import_and_export(self):
        for ordered in (True, False):
            documents = [{"_id": f"{ordered}{i}", "i": i} for i in range(1000)]
            self.assertEqual(self.run_command(self.db, "insert", "imported", documents=documents, ordered=ordered)["n"], 1000)
        exported = list(self.db.imported.find({}, {"i": 1}))
        self.assertEqual((len(exported), exported[0]), (2000, {"_id": "True0", "i": 0}))

    def test_cancel(self):
        """The cursor is closed and its session killed; either is enough."""
        with self.client.start_session() as session:
            left = self.db.command(command_of("find", "things", batchSize=2), session=session)["cursor"]["id"]
            self.assertEqual(self.run_command(self.admin, "killSessions", [{"id": session.session_id["id"]}])["ok"], 1)
        self.refused(command_of("getMore", left, collection="things"), 43, "", database=self.db)
        reply = self.run_command(self.db, "find", "things", batchSize=2)
        cursor = reply["cursor"]["id"]
        self.assertNotEqual(cursor, 0)
        killed = self.run_command(self.db, "killCursors", "things", cursors=[cursor])
        self.assertEqual((killed["cursorsKilled"], killed["cursorsNotFound"], killed["cursorsAlive"], killed["cursorsUnknown"]), ([cursor], [], [], []))
        self.assertIsInstance(killed["cursorsKilled"][0], Int64)
        self.refused(command_of("getMore", cursor, collection="things"), 43, f"cursor id {cursor} not found", database=self.db)

    # --- schema, aggregations, explain --------------------------------------------------------------------------------------------------

    def test_schema(self):
        reply = self.run_command(self.db, "aggregate", "things", pipeline=[{"$match": {"a": {"$gte": 5}}}, {"$sample": {"size": 1000}}], cursor={}, allowDiskUse=True, maxTimeMS=60000)
        documents = self.first_batch(reply, "shop.things")
        if reply["cursor"]["id"]:
            more = self.run_command(self.db, "getMore", reply["cursor"]["id"], collection="things")
            self.assertEqual(more["cursor"]["id"], 0)
            documents += more["cursor"]["nextBatch"]
        self.assertEqual(sorted(d["_id"] for d in documents), list(range(5, 130)))

    def test_preview_of_stages(self):
        preview = {"comment": "Aggregation preview", "allowDiskUse": True, "maxTimeMS": 60000}
        self.assertEqual(len(self.aggregate("things", [{"$limit": 10}], **preview)), 10)
        self.assertEqual([d["_id"] for d in self.aggregate("things", [{"$match": {"a": {"$gt": 120}}}, {"$limit": 10}], **preview)], list(range(121, 130)))
        groups = self.aggregate("things", [{"$limit": 100000}, {"$group": {"_id": {"$first": "$tags"}, "n": {"$sum": 1}}}, {"$limit": 10}], **preview)
        self.assertEqual(sorted((g["_id"], g["n"]) for g in groups), [(0, 44), (1, 43), (2, 43)])
        self.refused(command_of("aggregate", "things", pipeline=[{"$nope": 1}, {"$limit": 10}], cursor={}), 40324, "Unrecognized pipeline stage name: '$nope'", database=self.db)
        self.refused(command_of("aggregate", "things", pipeline=[{"$project": {"a": {"$nope": 1}}}, {"$limit": 10}], cursor={}), None, "$nope", database=self.db)

    def test_run_a_pipeline(self):
        run = {"comment": "Run aggregation", "maxTimeMS": 60000}
        pipeline = [{"$match": {"a": {"$gte": 50}}}, {"$project": {"a": 1}}]
        self.assertEqual([d["_id"] for d in self.aggregate("things", [*pipeline, {"$limit": 20}], **run)], list(range(50, 70)))
        self.assertEqual([d["_id"] for d in self.aggregate("things", [*pipeline, {"$skip": 20}, {"$limit": 20}], **run)], list(range(70, 90)))
        self.assertEqual(self.aggregate("things", [*pipeline, {"$count": "count"}], **run), [{"count": 80}])
        self.assertEqual(self.aggregate("things", [{"$match": {"a": 1}}, {"$out": "copied"}], **run), [])
        self.assertEqual(self.db.copied.count_documents({}), 1)
        self.assertEqual(self.aggregate("things", [{"$match": {"a": 2}}, {"$merge": {"into": "copied"}}], **run), [])
        self.assertEqual(self.db.copied.count_documents({}), 2)

    def has_plan(self, explained, namespace):
        self.has(explained, queryPlanner__namespace=str, queryPlanner__winningPlan__stage=str)
        self.assertIn("parsedQuery", explained["queryPlanner"])
        self.assertEqual(explained["queryPlanner"]["namespace"], namespace)
        self.assertNotIn("stages", explained)

    def test_explain_a_query(self):
        query = command_of("find", "things", filter={"a": 7}, skip=0, limit=0, maxTimeMS=60000)
        explained = self.run_command(self.db, "explain", query, verbosity="executionStats", maxTimeMS=60000)
        self.has_plan(explained, "shop.things")
        stats = explained["executionStats"]
        self.has(stats, executionSuccess=bool, nReturned=NUMBER, executionTimeMillis=NUMBER, totalKeysExamined=NUMBER, totalDocsExamined=NUMBER, executionStages__stage=str,
                 executionStages__nReturned=NUMBER, executionStages__executionTimeMillisEstimate=NUMBER, executionStages__docsExamined=NUMBER)
        self.assertEqual((stats["executionSuccess"], stats["nReturned"], stats["totalKeysExamined"], stats["totalDocsExamined"]), (True, 1, 1, 1))
        plan = explained["queryPlanner"]["winningPlan"]
        self.assertEqual((plan["stage"], plan["inputStage"]["stage"], plan["inputStage"]["indexName"]), ("FETCH", "IXSCAN", "a_1"))
        unindexed = self.run_command(self.db, "explain", command_of("find", "things", filter={"s": "x"}), verbosity="queryPlanner")  # the insight beside the query bar
        self.has_plan(unindexed, "shop.things")
        self.assertEqual(unindexed["queryPlanner"]["winningPlan"]["stage"], "COLLSCAN")
        self.assertNotIn("executionStats", unindexed)

    def test_explain_a_pipeline(self):
        pipeline = command_of("aggregate", "things", pipeline=[{"$match": {"a": 1}}, {"$sort": {"s": 1}}], cursor={}, maxTimeMS=60000)
        for verbosity in ("queryPlanner", "executionStats"):
            explained = self.run_command(self.db, "explain", pipeline, verbosity=verbosity, maxTimeMS=60000)
            self.has_plan(explained, "shop.things")
            self.assertEqual("executionStats" in explained, verbosity == "executionStats")

    # --- indexes and validation ---------------------------------------------------------------------------------------------------------

    def test_indexes(self):
        indexes = self.first_batch(self.run_command(self.db, "listIndexes", "things", cursor={}), "shop.things")
        self.assertEqual(indexes, [{"v": 2, "key": {"_id": 1}, "name": "_id_"}, {"v": 2, "key": {"a": 1}, "name": "a_1"}])
        sizes = {row["_id"]: row["size"] for row in self.aggregate("things", INDEX_SIZES)}
        self.assertEqual(set(sizes), {"_id_", "a_1"})
        self.assertTrue(all(isinstance(size, float) and size > 0 for size in sizes.values()), sizes)
        self.db.things.find_one({"a": 5})
        use = {row["name"]: row for row in self.aggregate("things", INDEX_USE)}
        self.assertEqual(set(use), {"_id_", "a_1"})
        self.has(use["a_1"], usageHost=str, usageCount=NUMBER, usageSince=datetime.datetime)
        self.assertGreaterEqual(use["a_1"]["usageCount"], 1)
        self.assertEqual(self.aggregate(1, index_progress("shop.things"), database=self.admin), [])

    def test_change_indexes(self):
        made = self.run_command(self.db, "createIndexes", "things", indexes=[{"name": "s_1", "key": {"s": 1}, "hidden": True}])
        self.assertEqual((made["numIndexesBefore"], made["numIndexesAfter"]), (2, 3))
        changed = self.run_command(self.db, "collMod", "things", index={"name": "s_1", "hidden": False})
        self.assertEqual((changed["hidden_old"], changed["hidden_new"]), (True, False))
        self.assertEqual(self.run_command(self.db, "dropIndexes", "things", index="s_1")["nIndexesWas"], 3)
        self.refused(command_of("dropIndexes", "things", index="s_1"), 27, "index not found with name [s_1]", database=self.db)
        self.refused(command_of("dropIndexes", "things", index="_id_"), 72, "cannot drop _id index", database=self.db)
        self.refused(command_of("createIndexes", "things", indexes=[{"name": "t", "key": {"s": "nope"}}]), None, "", database=self.db)
        self.refused(command_of("listIndexes", "missing", cursor={}), 26, "ns does not exist: shop.missing", database=self.db)

    def test_validation(self):
        rule = {"$jsonSchema": {"required": ["a"]}}
        saved = self.run_command(self.db, "collMod", "things", validator=rule, validationAction="error", validationLevel="strict")
        self.assertEqual(saved["ok"], 1)
        self.assertEqual(self.collection("things")["options"], {"validator": rule, "validationLevel": "strict", "validationAction": "error"})
        self.assertEqual(len(self.aggregate("things", [{"$sample": {"size": 1000}}, {"$match": rule}, {"$limit": 1}])), 1)
        self.assertEqual(self.aggregate("things", [{"$sample": {"size": 1000}}, {"$match": {"$nor": [rule]}}, {"$limit": 1}]), [])
        reply = self.db.command(command_of("insert", "things", documents=[{"b": 1}], ordered=True), check=False)
        error, = reply["writeErrors"]
        self.assertEqual((error["code"], error["errmsg"]), (121, "Document failed validation"))
        self.assertIn("errInfo", error)

    # --- performance --------------------------------------------------------------------------------------------------------------------

    def test_performance(self):
        status = self.run_command(self.admin, "serverStatus", 1)
        self.has(status, localTime=datetime.datetime, mem__virtual=NUMBER, mem__resident=NUMBER, network__bytesIn=NUMBER, network__bytesOut=NUMBER, connections__current=NUMBER,
                 **{f"opcounters__{name}": NUMBER for name in ("insert", "query", "update", "delete", "command", "getmore")},
                 **{f"globalLock__{queue}__{kind}": NUMBER for queue in ("activeClients", "currentQueue") for kind in ("readers", "writers")})
        operations = self.aggregate(1, [{"$currentOp": {"allUsers": True, "idleConnections": False, "truncateOps": False}}], database=self.admin)
        own, = [op for op in operations if op["ns"] == "admin.$cmd.aggregate"]
        self.has(own, ns=str, op=str, opid=NUMBER, active=bool, secs_running=NUMBER, microsecs_running=NUMBER, waitingForLock=bool, client=str, command=dict)
        self.assertEqual((own["active"], own["command"]["aggregate"]), (True, 1))
        self.assertEqual(self.run_command(self.admin, "top", 1)["totals"]["note"], "all times in microseconds")

    def test_kill_an_operation(self):
        self.assertEqual(self.run_command(self.admin, "killOp", 1, op=5)["info"], "attempting to kill op")
        self.refused(command_of("killOp", 1, id=5), 4, 'Missing expected field "op"')  # as MongoDB answers what Compass sends


if __name__ == "__main__":
    harness.main()
