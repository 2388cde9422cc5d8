"""Stream processors from creation to drop: which command may come when, what each answers, and what outlives the server."""
import datetime
import os
import sys
import time

import harness
import bson  # harness has found the Python that has it
from bson.int64 import Int64

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "wire"))
import wire_client

SOLAR = {"$source": {"connectionName": "sample_stream_solar"}}


def merge(coll, connection="local"):
    return {"$merge": {"into": {"connectionName": connection, "db": "lifecycle", "coll": coll}}}


def window(size=1, unit="day", pipeline=None, kind="$tumblingWindow", **more):
    return {kind: {"interval": {"size": size, "unit": unit}, "pipeline": pipeline or [{"$group": {"_id": None, "n": {"$sum": 1}}}], **more}}


# More state than --memory-limit-mb 1 allows: it fails as soon as it runs.
TOO_MUCH = [{"$source": {"documents": [{"pad": "x" * 50_000} for _ in range(60)]}},
            window(pipeline=[{"$group": {"_id": None, "all": {"$push": "$pad"}}}]), merge("tooMuch")]


class Lifecycle(harness.ServerCase):
    connections = [harness.cluster("kept")]
    options = ("--memory-limit-mb", "1")
    expected_log = "out of memory|418"

    def tearDown(self):
        self.drop_all()

    def create(self, name, pipeline=None, **options):
        return self.command({"createStreamProcessor": name, "pipeline": pipeline or [SOLAR, merge(name)], **({"options": options} if options else {})})

    def start(self, name, **options):
        return self.command({"startStreamProcessor": name, **options})

    def stop(self, name):
        return self.command({"stopStreamProcessor": name})

    def brought_into(self, state, name):
        self.create(name, TOO_MUCH if state == "FAILED" else None)
        if state != "CREATED":
            self.start(name)
        if state == "STOPPED":
            self.stop(name)
        harness.wait_until(lambda: self.state(name) == state, 10, f"{name} to be {state}")
        return name

    # --- which command where ------------------------------------------------------------------------------------------------------------

    def test_start_by_state(self):
        for state in ("CREATED", "STOPPED"):
            name = self.brought_into(state, "start" + state)
            self.assertEqual(self.start(name), {"ok": 1})
            self.assertEqual(self.state(name), "STARTED")
        self.assertEqual(self.start(self.brought_into("FAILED", "startFAILED")), {"ok": 1})
        self.refused({"startStreamProcessor": self.brought_into("STARTED", "startSTARTED")}, 125, "already started")

    def test_stop_by_state(self):
        for state in ("CREATED", "STOPPED"):
            self.refused({"stopStreamProcessor": self.brought_into(state, "stop" + state)}, 125, "not started")
        for state in ("STARTED", "FAILED"):
            name = self.brought_into(state, "stop" + state)
            self.assertEqual(self.stop(name), {"ok": 1})
            self.assertEqual(self.state(name), "STOPPED")

    def test_modify_by_state(self):
        for state, after in (("CREATED", "CREATED"), ("STOPPED", "STOPPED"), ("FAILED", "STOPPED")):
            name = self.brought_into(state, "modify" + state)
            self.assertEqual(self.command({"modifyStreamProcessor": name, "tier": "SP10"}), {"ok": 1})
            self.assertEqual(self.state(name), after)
        self.refused({"modifyStreamProcessor": self.brought_into("STARTED", "modifySTARTED"), "tier": "SP10"}, 125, "must be stopped")

    def test_drop_by_state(self):
        for state in ("CREATED", "STARTED", "STOPPED", "FAILED"):
            name = self.brought_into(state, "drop" + state)
            self.assertEqual(self.command({"dropStreamProcessor": name}), {"ok": 1})
            self.refused({"getStreamProcessor": name}, 125, "stream processor doesn't exist")

    def test_stats_get_and_list_in_every_state(self):
        for state, status in (("CREATED", "created"), ("STARTED", "running"), ("STOPPED", "stopped"), ("FAILED", "error")):
            name = self.brought_into(state, "stats" + state)
            reply = self.command({"getStreamProcessorStats": name})
            self.assertEqual((reply["name"], reply["state"], reply["stats"]["status"]), (name, state, status))
            entry, = self.command({"listStreamProcessors": 1, "filter": {"name": name}})["streamProcessors"]
            self.assertEqual(entry["state"], state)
            if state == "CREATED":
                self.assertEqual([reply["stats"][f] for f in ("inputMessageCount", "outputMessageCount", "dlqMessageCount")], [0, 0, 0])

    def test_sample_by_state(self):
        for state in ("CREATED", "STOPPED", "FAILED"):
            self.refused({"startSampleStreamProcessor": self.brought_into(state, "sample" + state)}, 125, "not started")
        reply = self.command({"startSampleStreamProcessor": self.brought_into("STARTED", "sampleSTARTED")})
        self.assertIsInstance(reply["cursorId"], Int64)
        self.assertGreater(reply["cursorId"], 0)
        self.assertEqual((reply["name"], reply["firstBatch"]), ("sampleSTARTED", []))

    def test_a_failure_is_told_and_cleared_by_the_next_start(self):
        self.brought_into("FAILED", "failing")
        reply = self.command({"getStreamProcessor": "failing"})
        self.assertIn("Worker out of memory", reply["errorMsg"])
        self.assertEqual((reply["errorCode"], reply["errorRetryable"], reply["hasStarted"]), (418, False, True))
        entry, = self.command({"listStreamProcessors": 1, "filter": {"state": "FAILED"}})["streamProcessors"]
        self.assertIn("Worker out of memory", entry["errorMsg"])
        self.command({"modifyStreamProcessor": "failing", "pipeline": [TOO_MUCH[0], merge("failing")], "resumeFromCheckpoint": False})
        self.start("failing")
        reply = self.command({"getStreamProcessor": "failing"})
        self.assertEqual((reply["state"], reply["errorMsg"]), ("STARTED", ""))
        self.assertNotIn("errorCode", reply)

    # --- replies ------------------------------------------------------------------------------------------------------------------------

    def test_get_stream_processor(self):
        """The Java driver decodes a reply only if all of these are there, with these types."""
        self.create("got", dlq={"connectionName": "kept", "db": "d", "coll": "dead"}, tier="SP10", streamMetaFieldName="meta")
        reply = self.command({"getStreamProcessor": "got"})
        types = {"id": str, "name": str, "state": str, "pipelineVersion": int, "enableAutoScaling": bool, "failoverEnabled": bool, "activeRegion": str,
                 "workspaceDefaultRegion": str, "modifiedBy": str, "hasStarted": bool, "errorMsg": str, "errorRetryable": bool,
                 "lastStateChange": datetime.datetime, "lastModifiedAt": datetime.datetime}
        self.assertEqual({field: type(reply[field]) for field in types}, types)
        self.assertRegex(reply["id"], "^[0-9a-f]{24}$")
        self.assertEqual((reply["name"], reply["state"], reply["pipelineVersion"], reply["hasStarted"], reply["errorMsg"]), ("got", "CREATED", 1, False, ""))
        self.assertEqual((reply["tier"], reply["streamMetaFieldName"], reply["dlq"]), ("SP10", "meta", {"connectionName": "kept", "db": "d", "coll": "dead"}))
        self.assertEqual(reply["pipeline"], [SOLAR, merge("got")])
        self.start("got")
        self.assertTrue(self.command({"getStreamProcessor": "got"})["hasStarted"])

    def test_stats(self):
        self.create("counted", [{"$source": {"documents": [{"_id": i, "pad": "y" * 1000} for i in range(20)]}}, {"$match": {"_id": {"$lt": 15}}}, merge("counted")])
        self.start("counted")
        harness.wait_until(lambda: self.stats("counted")["outputMessageCount"] == 15, 10, "15 documents")
        reply = self.command({"getStreamProcessorStats": "counted"})
        self.assertRegex(reply["ns"], r"^[0-9a-f]{24}\.[0-9a-f]{24}\.counted$")
        stats = reply["stats"]
        for field in ("scaleFactor", "inputMessageCount", "outputMessageCount", "dlqMessageCount"):
            self.assertIsInstance(stats[field], Int64, field)
        for field in ("inputMessageSize", "outputMessageSize", "dlqMessageSize", "stateSize", "memoryUsageBytes"):
            self.assertIsInstance(stats[field], float, field)
        self.assertEqual((stats["inputMessageCount"], stats["outputMessageCount"], stats["dlqMessageCount"]), (20, 15, 0))
        self.assertGreater(stats["inputMessageSize"], 20_000)
        self.assertNotIn("operatorStats", stats)
        self.assertNotIn("watermark", stats)
        self.assertEqual(reply["pipeline"][1], {"$match": {"_id": {"$lt": 15}}})

        for dialect in ({"options": {"verbose": True, "scale": 1024}}, {"verbose": True, "scale": 1024}):
            scaled = self.command({"getStreamProcessorStats": "counted", **dialect})["stats"]
            self.assertEqual(scaled["scaleFactor"], 1024)
            self.assertAlmostEqual(scaled["inputMessageSize"], stats["inputMessageSize"] / 1024)
            operators = {o["name"]: o for o in scaled["operatorStats"]}
            self.assertEqual(len(operators), 3, list(operators))
            self.assertEqual((operators["MatchOperator"]["inputMessageCount"], operators["MatchOperator"]["outputMessageCount"]), (20, 15))
            self.assertEqual(operators["MergeOperator"]["inputMessageCount"], 15)
            for operator in operators.values():
                self.assertIsInstance(operator["executionTimeMillis"], Int64)
        self.refused({"getStreamProcessorStats": "counted", "options": {"scale": 7}}, 72)

    def test_stats_of_a_window(self):
        self.create("windowed", [{"$source": {"documents": [{"at": Int64(5_000)}, {"at": Int64(61_000)}], "timeField": {"$toDate": "$at"}}}, window(1, "minute"), merge("windowed")])
        self.start("windowed")
        epoch = datetime.datetime(1970, 1, 1)
        stats = harness.wait_until(lambda: (lambda s: s if s["inputMessageCount"] == 2 else None)(self.stats("windowed", verbose=True)), 10, "two documents")
        self.assertEqual(stats["watermark"], epoch + datetime.timedelta(seconds=61))
        self.assertEqual(stats["minOpenWindowStartTime"], epoch)  # 3 s of lateness keep the first one open
        self.assertEqual(stats["maxOpenWindowStartTime"], epoch + datetime.timedelta(minutes=1))
        self.assertGreater(stats["stateSize"], 0)

    # --- options ------------------------------------------------------------------------------------------------------------------------

    def documents_seen(self, name):
        return self.stats(name)["inputMessageCount"]

    def test_both_dialects_of_a_clean_start(self):
        self.create("again", [{"$source": {"documents": [{"_id": 1}, {"_id": 2}, {"_id": 3}]}}, merge("again")])
        self.start("again")
        harness.wait_until(lambda: self.documents_seen("again") == 3, 10, "three documents")
        self.stop("again")
        self.start("again")  # resumes: the documents are behind it
        time.sleep(0.5)
        self.assertEqual(self.documents_seen("again"), 3)
        for round_, dialect in enumerate(({"resumeFromCheckpoint": False}, {"options": {"resumeFromCheckpoint": False}}, {"options": {"clearCheckpoints": True}}), 2):
            self.stop("again")
            self.start("again", **dialect)
            harness.wait_until(lambda: self.documents_seen("again") == 3 * round_, 10, f"the documents once more after {dialect}")

    def test_options_of_start(self):
        self.create("options")
        self.refused({"startStreamProcessor": "options", "workers": 0}, 72)
        self.refused({"startStreamProcessor": "options", "options": {"startAfter": {"_data": "00"}, "startAtOperationTime": bson.Timestamp(1, 1)}}, 72)
        self.refused({"startStreamProcessor": "options", "tier": "SP7"}, 72)
        self.refused({"startStreamProcessor": "options", "colour": "red"}, 40415, "colour")
        self.refused({"startStreamProcessor": "options", "options": {"colour": "red"}}, 40415, "colour")
        self.refused({"startStreamProcessor": "options", "options": "red"}, 14)
        self.assertEqual(self.state("options"), "CREATED")
        self.start("options", workers=2, tier="SP5", autoscaling={"enabled": True, "minTier": "SP5", "maxTier": "SP30"})
        reply = self.command({"getStreamProcessor": "options"})
        self.assertEqual((reply["tier"], reply["effectiveTier"], reply["enableAutoScaling"]), ("SP5", "SP5", True))
        self.assertEqual(self.command({"listStreamProcessors": 1})["streamProcessors"][0]["workers"], 2)
        self.stop("options")
        self.start("options", options={"enableAutoScaling": False})
        self.assertFalse(self.command({"getStreamProcessor": "options"})["enableAutoScaling"])

    def test_options_of_create(self):
        base = {"createStreamProcessor": "made", "pipeline": [SOLAR, merge("made")]}
        for dlq in ({"connectionName": "kept", "db": "d"}, {"connectionName": "kept", "db": "d", "coll": 5}, "kept", {"connectionName": "kept", "db": "d", "coll": "c", "x": 1}):
            self.refused({**base, "options": {"dlq": dlq}}, (72, 14))
        self.refused({**base, "options": {"dlq": {"connectionName": "nowhere", "db": "d", "coll": "c"}}}, None, "connection named nowhere does not exist")
        self.refused({**base, "options": {"dlq": {"connectionName": "sample_stream_solar", "db": "d", "coll": "c"}}}, 72)
        self.refused({**base, "options": {"tier": "SP31"}}, 72)
        self.refused({**base, "options": {"unheardOf": 1}}, 40415, "unheardOf")
        self.refused({**base, "unheardOf": 1}, 40415, "unheardOf")
        self.assertEqual(self.names(), [])
        self.command({**base, "options": None})
        self.assertEqual(self.names(), ["made"])

    def test_generic_arguments_are_no_unknown_fields(self):
        self.command({"createStreamProcessor": "generic", "pipeline": [SOLAR, merge("generic")], "comment": "why", "maxTimeMS": 5000, "apiVersion": "1",
                      "writeConcern": {"w": "majority"}, "readConcern": {"level": "local"}})
        self.assertEqual(self.names(), ["generic"])

    # --- names --------------------------------------------------------------------------------------------------------------------------

    def test_names(self):
        for name in ("a", "A", "x" * 64, "with-hyphen", "with.stop", "_under", "process", "7"):
            self.create(name)
            self.assertEqual(self.command({"getStreamProcessor": name})["name"], name)
        self.refused({"createStreamProcessor": "a", "pipeline": [SOLAR, merge("a")]}, 125, "stream processor already exists")
        for name in ("", None, 5, ["a"]):
            self.refused({"createStreamProcessor": name, "pipeline": [SOLAR, merge("a")]}, 9)
        for name in ("x" * 65, "with space", "with/slash", "ünder", "semi;colon", "$a"):
            self.refused({"createStreamProcessor": name, "pipeline": [SOLAR, merge("a")]}, 72)
        self.assertEqual(self.names(), ["a", "A", "x" * 64, "with-hyphen", "with.stop", "_under", "process", "7"])

    def test_names_in_the_shell(self):
        self.create("a-b.c")
        self.create("process")
        values = harness.mongosh(self.server.uri, "out(sp['a-b.c'].start().ok); out(sp.getProcessor({name: 'process'}).start().ok); out(sp['a-b.c'].stats().state);").values
        self.assertEqual(values, [1, 1, "STARTED"])

    def test_missing_processors(self):
        for command in ("startStreamProcessor", "stopStreamProcessor", "modifyStreamProcessor", "dropStreamProcessor", "getStreamProcessor",
                        "getStreamProcessorStats", "startSampleStreamProcessor"):
            self.refused({command: "nobody"}, 125, "stream processor doesn't exist")
        self.refused({"getMoreSampleStreamProcessor": "nobody", "cursorId": Int64(5)}, 43)

    def test_admin_only(self):
        for command in ("createStreamProcessor", "listStreamProcessors", "getStreamProcessor", "processStreamProcessor", "listStreamConnections"):
            self.refused({command: 1}, 13, "admin database", database=self.client.test)

    # --- modify -------------------------------------------------------------------------------------------------------------------------

    def modified(self, current, **change):
        return self.command({"modifyStreamProcessor": current, **change})

    def stopped_once(self, name, *stages):
        source = {"$source": {"documents": [{"at": Int64(5_000), "v": 1}], "timeField": {"$toDate": "$at"}}}
        self.create(name, [source, *stages, merge(name)])
        self.start(name)
        self.stop(name)
        return source

    def test_modify_what_fits_the_state(self):
        source = self.stopped_once("fits", window(1, "minute"))
        self.assertEqual(self.modified("fits", pipeline=[source, {"$match": {"v": 1}}, window(1, "minute"), merge("elsewhere")])["ok"], 1)
        reply = self.command({"getStreamProcessor": "fits"})
        self.assertEqual((reply["state"], reply["pipelineVersion"], len(reply["pipeline"])), ("STOPPED", 2, 4))
        self.start("fits")

    def test_modify_what_does_not_fit_the_state(self):
        source = self.stopped_once("unfit", window(1, "minute"))
        other = {"$source": {"documents": [{"at": Int64(7_000), "v": 1}], "timeField": {"$toDate": "$at"}}}
        for change in ([other, window(1, "minute"), merge("unfit")], [source, window(2, "minute"), merge("unfit")], [source, merge("unfit")],
                       [source, window(1, "minute", kind="$hoppingWindow", hopSize={"size": 30, "unit": "second"}), merge("unfit")]):
            self.refused({"modifyStreamProcessor": "unfit", "pipeline": change}, 72)
            self.assertEqual(self.command({"getStreamProcessor": "unfit"})["pipelineVersion"], 1)
            self.assertEqual(self.modified("unfit", pipeline=change, resumeFromCheckpoint=False)["ok"], 1)
            self.modified("unfit", pipeline=[source, window(1, "minute"), merge("unfit")], resumeFromCheckpoint=False)
            self.command({"dropStreamProcessor": "unfit"})
            self.stopped_once("unfit", window(1, "minute"))

    def test_modify_a_window_without_group_or_sort(self):
        source = self.stopped_once("bare", window(1, "minute", [{"$match": {"v": 1}}]))
        change = [source, {"$match": {"v": 2}}, window(1, "minute", [{"$match": {"v": 1}}]), merge("bare")]
        self.refused({"modifyStreamProcessor": "bare", "pipeline": change}, 72)
        self.assertEqual(self.modified("bare", options={"resumeFromCheckpoint": False, "pipeline": change})["ok"], 1)

    def test_modify_name_and_dead_letters(self):
        self.create("before", dlq={"connectionName": "kept", "db": "d", "coll": "dead"})
        self.create("taken")
        self.refused({"modifyStreamProcessor": "before", "name": "taken"}, 125, "already exists")
        self.modified("before", name="before")
        self.modified("before", name="after", dlq={})
        self.assertEqual(self.names(), ["after", "taken"])
        self.assertNotIn("dlq", self.command({"getStreamProcessor": "after"}))
        self.modified("after", options={"dlq": {"connectionName": "local", "db": "d", "coll": "dead"}})
        self.assertEqual(self.command({"getStreamProcessor": "after"})["dlq"]["connectionName"], "local")
        self.refused({"modifyStreamProcessor": "after", "pipeline": []}, 9)
        self.refused({"modifyStreamProcessor": "after", "pipeline": [SOLAR, {"$nonsense": 1}, merge("x")]}, 40324)
        self.assertEqual(self.command({"getStreamProcessor": "after"})["pipeline"], [SOLAR, merge("before")])

    def test_modify_in_the_shell(self):
        self.create("typed")
        values = harness.mongosh(self.server.uri, """
            const sink = coll => ({$merge: {into: {connectionName: 'local', db: 'lifecycle', coll}}});
            const source = {$source: {connectionName: 'sample_stream_solar'}};
            out(sp.typed.modify([source, sink('one')]));
            out(sp.typed.modify([source, sink('two')], {resumeFromCheckpoint: false, tier: 'SP10'}));
            out(sp.typed.modify({name: 'renamed', tier: 'SP30'}));
            out(db.adminCommand({getStreamProcessor: 'renamed'}).pipelineVersion);
            """).values
        self.assertEqual([v["ok"] for v in values[:3]] + values[3:], [1, 1, 1, 3])

    # --- samples and temporary processors -----------------------------------------------------------------------------------------------

    def more(self, name, cursor, **options):
        return self.command({"getMoreSampleStreamProcessor": name, "cursorId": Int64(cursor), **options})

    def test_sample(self):
        self.create("sampled")
        self.start("sampled")
        first = self.command({"startSampleStreamProcessor": "sampled", "limit": 3})
        cursor, documents = first["cursorId"], []
        deadline = time.monotonic() + 30
        while cursor and time.monotonic() < deadline:
            asked = time.monotonic()
            batch = self.more("sampled", cursor, batchSize=2)
            self.assertLess(time.monotonic() - asked, 3)
            self.assertEqual(batch["messages"], batch["nextBatch"])
            self.assertIsInstance(batch["cursorId"], Int64)
            self.assertLessEqual(len(batch["messages"]), 2)
            documents += batch["messages"]
            cursor = batch["cursorId"]
        self.assertEqual((cursor, len(documents)), (0, 3))
        self.assertIn("device_id", documents[0])

    def test_sample_cursors(self):
        self.create("cursors")
        self.create("other")
        self.start("cursors")
        self.start("other")
        one = self.command({"startSampleStreamProcessor": "cursors"})["cursorId"]
        two = self.command({"startSampleStreamProcessor": "cursors"})["cursorId"]
        self.assertNotEqual(one, two)
        self.refused({"getMoreSampleStreamProcessor": "cursors", "cursorId": Int64(12345)}, 43)
        self.refused({"getMoreSampleStreamProcessor": "other", "cursorId": one}, 43)
        self.refused({"getMoreSampleStreamProcessor": "cursors", "cursorId": one, "batchSize": -1}, None)
        self.assertEqual(self.command({"getMoreSampleStreamProcessor": "cursors", "cursorID": float(one)} if one < 2**53 else
                                      {"getMoreSampleStreamProcessor": "cursors", "cursorID": one})["cursorId"], one)
        self.stop("cursors")
        ended = harness.wait_until(lambda: self.more("cursors", two)["cursorId"] == 0, 5, "the cursor of a stopped processor to end")
        self.assertTrue(ended)

    def test_process_ends_by_itself(self):
        started = time.monotonic()
        documents = self.process([{"$source": {"documents": [{"a": 1}, {"a": 2}, {"a": 3}]}}, {"$match": {"a": {"$gt": 1}}}, {"$project": {"_id": 0, "a": 1}}])
        self.assertEqual([d["a"] for d in documents], [2, 3])
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(self.names(), [])

    def test_process_writes_its_sink_too(self):
        documents = self.process([{"$source": {"documents": [{"_id": 1}, {"_id": 2}]}}, {"$addFields": {"seen": True}}, merge("processed")])
        self.assertEqual([d["_id"] for d in documents], [1, 2])
        self.assertEqual(list(self.client.lifecycle.processed.find().sort("_id", 1)), [{"_id": 1, "seen": True}, {"_id": 2, "seen": True}])

    def test_temporary_processor_goes_at_its_limit(self):
        started = self.command({"processStreamProcessor": [{"$source": {"documents": [{"a": i} for i in range(9)]}}], "options": {"limit": 4}})
        documents, cursor = [], started["cursorId"]
        while cursor:
            batch = self.more(started["name"], cursor)
            documents += batch["messages"]
            cursor = batch["cursorId"]
        self.assertEqual(len(documents), 4)
        harness.wait_until(lambda: started["name"] not in self.names(), 3, "the temporary processor to go, though nobody drops it")

    def test_temporary_processor_goes_with_its_session(self):
        client = self.server.client()
        with client.start_session() as session:
            client.admin.command({"processStreamProcessor": [SOLAR]}, session=session)
            self.assertEqual(len(self.names()), 1)
            client.admin.command({"endSessions": [session.session_id]})
            harness.wait_until(lambda: not self.names(), 2, "the temporary processor to go")
        client.close()

    def test_temporary_processor_goes_with_its_socket(self):
        connection = wire_client.Connection(self.server.port)
        reply = connection.command({"processStreamProcessor": [SOLAR]})
        self.assertEqual(self.names(), [reply["name"]])
        connection.socket.close()
        harness.wait_until(lambda: not self.names(), 2, "the temporary processor to go")

    def test_temporary_processors_are_listed_sampled_and_never_stored(self):
        started = self.command({"processStreamProcessor": [SOLAR]})
        entry, = self.command({"listStreamProcessors": 1})["streamProcessors"]
        self.assertEqual((entry["name"], entry["state"]), (started["name"], "STARTED"))
        self.assertEqual(self.command({"dropStreamProcessor": started["name"]})["ok"], 1)
        self.refused({"getMoreSampleStreamProcessor": started["name"], "cursorId": started["cursorId"]}, 43)


class Restart(harness.Case):
    """A restart of the server: definitions are there again, and what ran runs."""

    def setUp(self):
        self.server = harness.Millrace(connections=[harness.cluster("kept")])
        self.client = self.server.client()
        for name, pipeline in (("running", [SOLAR, merge("running")]), ("made", [SOLAR, merge("made")]),
                               ("done", [{"$source": {"documents": [{"_id": i} for i in range(50)]}}, merge("done")])):
            self.command({"createStreamProcessor": name, "pipeline": pipeline, "options": {"dlq": {"connectionName": "kept", "db": "d", "coll": name}}})
        for name in ("running", "done"):
            self.command({"startStreamProcessor": name})
        harness.wait_until(lambda: self.client.lifecycle.done.count_documents({}) == 50, 10, "fifty documents")
        harness.wait_until(lambda: self.client.lifecycle.running.count_documents({}) > 0, 10, "readings")

    def tearDown(self):
        self.client.close()
        self.server.stop()

    def everything(self):
        return {p["name"]: {k: p[k] for k in ("id", "pipeline", "options")} for p in self.command({"listStreamProcessors": 1})["streamProcessors"]}

    def check_after_restart(self, before):
        self.assertEqual(self.everything(), before)
        self.assertEqual(self.names(), ["running", "made", "done"])
        harness.wait_until(lambda: self.command({"getStreamProcessorStats": "running"})["stats"]["status"] == "running", 10, "it to run")
        self.assertEqual((self.state("running"), self.state("made"), self.state("done")), ("STARTED", "CREATED", "STARTED"))
        count = self.client.lifecycle.running.count_documents({})
        harness.wait_until(lambda: self.client.lifecycle.running.count_documents({}) > count, 10, "new readings")
        self.assertEqual(self.client.lifecycle.done.count_documents({}), 50)

    def test_after_a_stop(self):
        before = self.everything()
        self.server.stop()
        self.server.start()
        self.check_after_restart(before)
        self.assertEqual(self.stats("done")["inputMessageCount"], 50, "the counters went on, and the documents were not read again")

    def test_after_a_crash(self):
        before = self.everything()
        self.server.kill()
        self.server.start()
        self.check_after_restart(before)

    def test_a_stopped_one_stays_stopped(self):
        self.command({"stopStreamProcessor": "running"})
        self.command({"dropStreamProcessor": "made"})
        self.server.stop()
        self.server.start()
        self.assertEqual(self.names(), ["running", "done"])
        self.assertEqual(self.state("running"), "STOPPED")
        count = self.client.lifecycle.running.count_documents({})
        time.sleep(1.5)
        self.assertEqual(self.client.lifecycle.running.count_documents({}), count)

    def test_temporary_ones_are_gone(self):
        self.command({"processStreamProcessor": [SOLAR]})
        self.assertEqual(len(self.names()), 4)
        self.server.stop()
        self.server.start()
        self.assertEqual(self.names(), ["running", "made", "done"])


if __name__ == "__main__":
    harness.main(limit_seconds=280)
