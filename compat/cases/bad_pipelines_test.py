"""Pipelines that must be refused: by createStreamProcessor and by processStreamProcessor, with the same code, and the server goes on.

The rules are those of https://www.mongodb.com/docs/atlas/atlas-stream-processing/stream-aggregation/ and its pages per stage.
"""
import harness

INVALID = 420  # StreamProcessorInvalidOptions
UNSUPPORTED = 238  # a stage that Millrace does not have yet says that, before anything else
DOCUMENTS = {"$source": {"documents": [{"a": 1}]}}
SOLAR = {"$source": {"connectionName": "sample_stream_solar"}}
MERGE = {"$merge": {"into": {"connectionName": "local", "db": "bad", "coll": "bad"}}}
GROUP = {"$group": {"_id": None, "n": {"$sum": 1}}}
SECOND = {"size": 1, "unit": "second"}


def tumbling(**changes):
    return {"$tumblingWindow": {"interval": SECOND, "pipeline": [GROUP], **changes}}


def hopping(**changes):
    return {"$hoppingWindow": {"interval": SECOND, "hopSize": SECOND, "pipeline": [GROUP], **changes}}


def session(**changes):
    return {"$sessionWindow": {"gap": SECOND, "partitionBy": "$a", "pipeline": [GROUP], **changes}}


def between(*stages):
    return [DOCUMENTS, *stages, MERGE]


# What is wrong: pipeline, code or codes (420 if none is given).
CASES = {
    # What the documentation forbids by name
    "$$NOW": (between({"$addFields": {"x": "$$NOW"}}),),
    "$$CLUSTER_TIME": (between({"$addFields": {"x": "$$CLUSTER_TIME"}}),),
    "$$USER_ROLES": (between({"$match": {"$expr": {"$eq": ["$$USER_ROLES", []]}}}),),
    "$$SEARCH_META": (between({"$project": {"x": "$$SEARCH_META"}}),),
    "$group outside a window": (between(GROUP),),
    "$sort outside a window": (between({"$sort": {"a": 1}}),),
    "$limit outside a window": (between({"$limit": 1}),),
    "$count outside a window": (between({"$count": "n"}),),
    "$sort behind a window": (between(tumbling(), {"$sort": {"n": 1}}),),
    "two windows": (between(tumbling(), tumbling()),),
    "two windows of different kinds": (between(tumbling(), hopping()),),
    "a window inside a window": (between(tumbling(pipeline=[tumbling()])),),
    "$merge that is not last": ([DOCUMENTS, MERGE, {"$match": {}}],),
    "two sinks": ([DOCUMENTS, MERGE, MERGE],),
    "$merge inside a window": (between(tumbling(pipeline=[MERGE])),),
    "$setStreamMeta of a name outside stream": (between({"$setStreamMeta": {"foo": 1}}), (INVALID, UNSUPPORTED)),
    "$throttle without a limit": (between({"$throttle": {}}), (INVALID, UNSUPPORTED)),
    "$hoppingWindow without hopSize": (between({"$hoppingWindow": {"interval": SECOND, "pipeline": [GROUP]}}),),
    "an interval of 0": (between(tumbling(interval={"size": 0, "unit": "second"})),),
    "an interval of 1.5": (between(tumbling(interval={"size": 1.5, "unit": "second"})),),
    "a negative interval": (between(tumbling(interval={"size": -1, "unit": "second"})),),
    "an interval that is text": (between(tumbling(interval={"size": "1", "unit": "second"})),),
    "an interval in weeks": (between(tumbling(interval={"size": 1, "unit": "week"})),),
    "an interval without a unit": (between(tumbling(interval={"size": 1})),),
    "an interval with something else": (between(tumbling(interval={**SECOND, "colour": "red"})),),
    "no interval": (between({"$tumblingWindow": {"pipeline": [GROUP]}}),),
    "timeField that is a path": ([{"$source": {"documents": [{"t": 1}], "timeField": "$t"}}, MERGE],),
    "timeField of another operator": ([{"$source": {"documents": [{"t": 1}], "timeField": {"$add": ["$t", 1]}}}, MERGE],),
    "$skip in a window": (between(tumbling(pipeline=[{"$skip": 1}])),),
    "$cachedLookup with a pipeline": (between({"$cachedLookup": {"from": {"connectionName": "local", "db": "d", "coll": "c"}, "as": "x", "ttl": SECOND,
                                                                 "pipeline": []}}), (INVALID, UNSUPPORTED)),
    "$sessionWindow with a partitionBy of two": (between(session(partitionBy={"a": "$a", "b": "$b"})),),
    # Windows
    "a window without a pipeline": (between({"$tumblingWindow": {"interval": SECOND}}),),
    "a window of something unknown": (between(tumbling(boundaryType="eventTime")),),
    "a boundary of something unknown": (between(tumbling(boundary="wallClock")),),
    "processing time with lateness": (between(tumbling(boundary="processingTime", allowedLateness=SECOND)),),
    "processing time with idleTimeout": (between(tumbling(boundary="processingTime", idleTimeout=SECOND)),),
    "an offset in days": (between(tumbling(offset={"offsetFromUtc": 1, "unit": "day"})),),
    "$sessionWindow without gap": (between({"$sessionWindow": {"partitionBy": "$a", "pipeline": [GROUP]}}),),
    "$sessionWindow without partitionBy": (between({"$sessionWindow": {"gap": SECOND, "pipeline": [GROUP]}}),),
    # Ends of the pipeline
    "no $source": ([{"$match": {}}, MERGE],),
    "an empty $source": ([{"$source": {}}, MERGE],),
    "$source of nothing": ([{"$source": None}, MERGE],),
    "$source twice": ([DOCUMENTS, DOCUMENTS, MERGE],),
    "documents that are none": ([{"$source": {"documents": [1, 2]}}, MERGE],),
    "documents and a connection": ([{"$source": {"documents": [{}], "connectionName": "sample_stream_solar"}}, MERGE],),
    "an unknown source connection": ([{"$source": {"connectionName": "nowhere"}}, MERGE], None),
    "an unknown sink connection": ([DOCUMENTS, {"$merge": {"into": {"connectionName": "nowhere", "db": "d", "coll": "c"}}}], None),
    "a Kafka source without a topic": ([{"$source": {"connectionName": "broker"}}, MERGE],),
    "a collection without a database": ([{"$source": {"connectionName": "cluster", "coll": "c"}}, MERGE], (INVALID, UNSUPPORTED)),
    "an empty $merge": ([DOCUMENTS, {"$merge": {}}],),
    "$merge without a collection": ([DOCUMENTS, {"$merge": {"into": {"connectionName": "local", "db": "d"}}}],),
    "$merge into Kafka": ([DOCUMENTS, {"$merge": {"into": {"connectionName": "broker", "db": "d", "coll": "c"}}}],),
    "$merge into the solar sample": ([DOCUMENTS, {"$merge": {"into": {"connectionName": "sample_stream_solar", "db": "d", "coll": "c"}}}],),
    "$merge that fails when matched": ([DOCUMENTS, {"$merge": {**MERGE["$merge"], "whenMatched": "fail"}}],),
    "$merge that does the impossible": ([DOCUMENTS, {"$merge": {**MERGE["$merge"], "whenNotMatched": "replace"}}],),
    "$emit without a topic": ([DOCUMENTS, {"$emit": {"connectionName": "broker"}}],),
    "$emit into a database without time series": ([DOCUMENTS, {"$emit": {"connectionName": "local", "db": "d", "coll": "c"}}], (INVALID, UNSUPPORTED)),
    # Stages and what is in them
    "an unknown stage": (between({"$nonsense": {}}), 40324),
    "an unknown stage in a window": (between(tumbling(pipeline=[{"$nonsense": {}}])), 40324),
    "a stage without a dollar": (between({"match": {}}), 40324),
    "a stage with two names": (between({"$match": {}, "$project": {"a": 1}}), 40323),
    "an empty stage": (between({}), 40323),
    "$validate without a validator": (between({"$validate": {}}),),
    "$validate with an unknown action": (between({"$validate": {"validator": {}, "validationAction": "warn"}}),),
    "$where": (between({"$match": {"$where": "true"}}), None),
    "$text": (between({"$match": {"$text": {"$search": "x"}}}), None),
    "$near": (between({"$validate": {"validator": {"a": {"$near": [0, 0]}}}}), None),
    "an unknown predicate": (between({"$match": {"a": {"$nonsense": 1}}}), 2),
    "an unknown expression": (between({"$addFields": {"a": {"$nonsense": 1}}}), 168),
    "an unknown variable": (between({"$addFields": {"a": "$$nobody"}}), 17276),
    "an expression of the wrong arity": (between({"$addFields": {"a": {"$divide": [1]}}}), 16020),
    "an empty field path": (between({"$addFields": {"a": "$"}}), 16872),
    "an unknown accumulator": (between(tumbling(pipeline=[{"$group": {"_id": None, "n": {"$nonsense": 1}}}])), 15952),
    "$group without _id": (between(tumbling(pipeline=[{"$group": {"n": {"$sum": 1}}}])), 15955),
    "$project of both kinds": (between({"$project": {"a": 1, "b": 0}}), 31254),
    "$unwind of no path": (between({"$unwind": "a"}), 28818),
    "a negative $limit": (between(tumbling(pipeline=[{"$limit": -1}])), None),
    "an invalid regular expression": (between({"$match": {"a": {"$regex": "("}}}), 51091),
    "a stage for databases only": (between({"$out": "c"}), None),
}

NO_PIPELINES = {
    "a string": "$match", "a document": {"$match": {}}, "null": None, "a number": 5, "an empty array": [], "an array of numbers": [1, 2],
    "an array with a string": [DOCUMENTS, "$match", MERGE], "an array of arrays": [[DOCUMENTS]],
}


class BadPipelines(harness.ServerCase):
    connections = [harness.kafka("broker", "127.0.0.1:1"), harness.cluster("cluster", "mongodb://127.0.0.1:1/")]

    def tearDown(self):
        self.assertEqual(self.command({"ping": 1})["ok"], 1)
        self.assertIsNone(self.server.process.poll(), "the server is gone")
        self.assertEqual(self.names(), [], "something was created after all")

    def test_each_is_refused_by_create_and_by_process(self):
        for what, (pipeline, *code) in CASES.items():
            self.assertIsNone(self.server.process.poll(), "the server is gone before: " + what)
            with self.subTest(what):
                code = code[0] if code else INVALID
                created = self.refused({"createStreamProcessor": "bad", "pipeline": pipeline}, code)
                processed = self.refused({"processStreamProcessor": pipeline}, code)
                self.assertEqual(created["code"], processed["code"])
                self.assertGreater(min(len(created["errmsg"]), len(processed["errmsg"])), 10)
                self.assertEqual(self.command({"ping": 1})["ok"], 1)

    def test_connections_by_name(self):
        text = "connection named nowhere does not exist. Check sp.listConnections() for available connections"
        for what in ("an unknown source connection", "an unknown sink connection"):
            self.refused({"createStreamProcessor": "bad", "pipeline": CASES[what][0]}, None, text)

    def test_what_is_no_pipeline(self):
        for what, pipeline in NO_PIPELINES.items():
            with self.subTest(what):
                self.refused({"createStreamProcessor": "bad", "pipeline": pipeline}, (9, 14))
                self.refused({"processStreamProcessor": pipeline}, (9, 14))
        self.refused({"createStreamProcessor": "bad"}, (9, 40414))

    def test_a_sink_is_needed_only_to_stay(self):
        for pipeline in ([DOCUMENTS], [DOCUMENTS, {"$match": {}}]):
            self.refused({"createStreamProcessor": "bad", "pipeline": pipeline}, INVALID)
            self.assertEqual(len(self.process(pipeline)), 1)

    def test_deep_and_wide(self):
        """Depth is bounded by BSON's own limit, width by the size of a message: neither may cost more than the answer."""
        expression = 1
        for _ in range(150):
            expression = {"$abs": expression}
        try:
            self.process(between({"$addFields": {"a": expression}})[:2])
        except harness.pymongo.errors.OperationFailure as error:
            self.assertTrue(error.details["codeName"])
        wide = between({"$match": {"$or": [{"a": i} for i in range(20_000)]}})
        self.assertEqual(len(self.process(wide[:2])), 1)


if __name__ == "__main__":
    harness.main()
