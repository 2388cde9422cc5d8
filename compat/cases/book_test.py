"""The listings of a book's chapter on stream processing, statement by statement as printed (their comments left out).

Where a listing names a connection that its reader has to provide, there is one here: a genuine mongod for the change stream (15.3), a
genuine Kafka broker for the topic (15.4), the local database for the targets.
"""
import time

import harness

LISTING_15_2 = """
let processor = []
let source = {$source:{}}
processor = [source]
sp.process(processor)
let sink = {$merge: {}}
processor = [source, sink]
processor = [source, stageA, stageB, ..., sink]
sp.createStreamProcessor('myProcessor', processor);
sp.myProcessor.start();
"""

LISTING_15_3_SOURCE = """
let processor = [] //
let source = {
    $source: {
        connectionName: "myMongoConnection",
        db: "myDB",
        coll: "myCollection"
    }
} //
processor = [source] //
"""

LISTING_15_3 = """
let validate = {
    $validate: {
        validator: {
            $and: [
                {
                    name: { $exists: true, $type: "string" }
                },
                {
                    age: { $exists: true, $type: "int", $gte: 18 }
                },
                {
                    email: { $exists: true, $regex: "^.+@.+\\\\..+$" }
                }
            ]
        },
        validationAction: "discard"
    }
}
processor.push(validate) //
let sink = {
    $merge: {
        into: {
            connectionName: "validatedDataConnection",
            db: "validatedDB",
            coll: "validatedCollection"
        }
    }
} //
processor.push(sink) //
sp.createStreamProcessor('validatedProcessor', processor)
sp.validatedProcessor.start()
"""

LISTING_15_4 = """
let processor = [] //
let source = {
    $source: {
        connectionName: "salesDataConnection",
        topic: "dailySales"
    }
} //
processor = [source] //
let validate = {
    $validate: {
        validator: {
            $and: [
                {
                    productId: { $exists: true, $type: "string" },
                },
                {
                    quantity: { $exists: true, $type: "int", $gte: 1 },
                },
                {
                    price: { $exists: true, $type: "double", $gte: 0 }
                }
            ]
        },
        validationAction: "dlq"
    }
} //
processor.push(validate) //
let sink = {
    $merge: {
        into: {
            connectionName: "validatedSalesData",
            db: "salesDB",
            coll: "validatedSales"
        }
    }
} //
processor.push(sink) //
sp.createStreamProcessor('salesDataProcessor', processor) //
sp.salesDataProcessor.start()
"""

LISTING_15_7 = """
let source = {
    $source: {
        "documents": [
            { sensor: "A", temp: 45 }, // HIGH warning
            { sensor: "B", temp: 5 }   // LOW warning
        ]
    }
}
let project = {$project: {sensor: 1, warning: {$switch: {branches: [
    {case: {$gte: ["$temp", 40]}, then: "HIGH"}, {case: {$lte: ["$temp", 10]}, then: "LOW"}], default: "none"}}}}
let filter = {$match: {warning: {$ne: "none"}}}
sp.process([source, project, filter])
"""

SECTION_15_6_6 = """
let s = {
  $source: { connectionName: "sample_stream_solar", timeField: { $dateFromString: { dateString: '$timestamp' } } }
}
let t = {
  $tumblingWindow: {
    interval: { size: 10, unit: "second" },
    pipeline: [
      {
        $group: {
          _id: "$group_id",
          avg_watts: { $avg: "$obs.watts" },
          max_temp: { $max: "$obs.temp" }
        }
      }
    ]
  }
}
let m = { $merge: { into: { connectionName: "myConn", db: "spiDB", coll: "spiColl" } } }
sp.createStreamProcessor("calcStats", [s, t, m])
sp.calcStats.start()
"""


class Book(harness.ServerCase):
    """What needs nothing but mongosh."""
    connections = [harness.cluster("myConn")]

    def test_listing_15_2(self):
        """Placeholders only: each statement that reaches the server is refused with the reason, and the next one is answered."""
        shell = harness.Shell(self.server.uri, LISTING_15_2, typed=True).wait()
        self.assertRegex(shell.text, r"MongoServerError\[StreamProcessorInvalidOptions\]: .*\$source", shell.text)
        self.assertIn("SyntaxError", shell.text)  # the listing's "..."
        self.assertRegex(shell.text, r"MongoServerError\[CommandFailed\]: .*stream processor doesn't exist", shell.text)
        self.assertEqual(self.names(), [])

    def test_listing_15_7(self):
        """The shell prints both documents and is free again by itself, without a wait for more."""
        started = time.monotonic()
        shell = harness.mongosh(self.server.uri, LISTING_15_7)
        lines = [line.strip(" ,") for line in shell.text.splitlines()]
        for line in ("sensor: 'A'", "warning: 'HIGH'", "sensor: 'B'", "warning: 'LOW'"):
            self.assertEqual(lines.count(line), 1, shell.text)
        self.assertLess(lines.index("warning: 'HIGH'"), lines.index("warning: 'LOW'"))
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(self.names(), [])

    def test_section_15_6_6(self):
        harness.mongosh(self.server.uri, SECTION_15_6_6)
        target = self.client.spiDB.spiColl
        sampled = harness.Shell(self.server.uri, "sp.calcStats.sample()")
        harness.wait_until(lambda: target.count_documents({}) >= 2, 60, "the first window of 10 s")
        for document in target.find():
            self.assertEqual(set(document), {"_id", "avg_watts", "max_temp"})
            self.assertIsInstance(document["_id"], int)
        harness.wait_until(lambda: "avg_watts" in sampled.text, 30, "sample() to show a window")
        sampled.interrupt()
        sampled.wait(20, code=None)
        reply, = harness.mongosh(self.server.uri, "out(sp.calcStats.stats());").values
        stats = reply["stats"]
        self.assertEqual((reply["state"], stats["status"], stats["dlqMessageCount"]), ("STARTED", "running", 0))
        self.assertGreaterEqual(stats["outputMessageCount"], 2)
        self.assertGreater(stats["inputMessageSize"], 0)
        self.assertGreater(stats["stateSize"], 0)
        self.assertIn("watermark", stats)
        self.command({"dropStreamProcessor": "calcStats"})


class BookChangeStream(harness.Case):
    """Listing 15.3 over a genuine replica set."""

    @classmethod
    def setUpClass(cls):
        cls.mongod = harness.Mongod()
        cls.source = cls.mongod.client()
        cls.server = harness.Millrace(connections=[harness.cluster("myMongoConnection", cls.mongod.uri), harness.cluster("validatedDataConnection")])
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    PEOPLE = [{"_id": 1, "name": "Ada", "age": 36, "email": "ada@example.org"}, {"_id": 2, "name": "Kid", "age": 7, "email": "kid@example.org"},
              {"_id": 3, "name": "Bob", "age": 40, "email": "nonsense"}, {"_id": 4, "name": 5, "age": 50, "email": "e@x.y"},
              {"_id": 5, "name": "Eve", "age": 18.5, "email": "e@x.y"}, {"_id": 6, "name": "Zoe", "age": 18, "email": "zoe@x.y"}]

    def tearDown(self):
        self.command({"dropStreamProcessor": "validatedProcessor"})
        self.source.myDB.myCollection.delete_many({})

    def test_listing_15_3(self):
        """As printed it validates the change events themselves, which have no name: all are discarded, none is a dead letter."""
        harness.mongosh(self.server.uri, LISTING_15_3_SOURCE + LISTING_15_3)
        self.source.myDB.myCollection.insert_many(self.PEOPLE)
        stats = harness.wait_until(lambda: (lambda s: s if s["inputMessageCount"] == 6 else None)(self.stats("validatedProcessor", verbose=True)), 20, "six events")
        self.assertEqual((stats["outputMessageCount"], stats["dlqMessageCount"]), (0, 0))
        validate = next(o for o in stats["operatorStats"] if o["name"] == "ValidateOperator")
        self.assertEqual((validate["inputMessageCount"], validate["outputMessageCount"]), (6, 0))
        self.assertEqual(self.client.validatedDB.validatedCollection.count_documents({}), 0)

    def test_listing_15_3_over_the_documents(self):
        """With the document taken out of the event first, the valid ones arrive."""
        harness.mongosh(self.server.uri, LISTING_15_3_SOURCE + "processor.push({$replaceRoot: {newRoot: '$fullDocument'}})\n" + LISTING_15_3)
        self.source.myDB.myCollection.insert_many(self.PEOPLE)
        target = self.client.validatedDB.validatedCollection
        harness.wait_until(lambda: self.stats("validatedProcessor")["inputMessageCount"] == 6 and target.count_documents({}) >= 2, 20, "two valid documents")
        self.assertEqual(list(target.find().sort("_id", 1)), [self.PEOPLE[0], self.PEOPLE[5]])
        self.assertEqual(self.stats("validatedProcessor")["dlqMessageCount"], 0)


class BookKafka(harness.Case):
    """Listing 15.4 over a genuine Kafka broker."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = harness.Kafka()
        cls.kafka.create_topic("dailySales", 1)
        cls.server = harness.Millrace(connections=[harness.kafka("salesDataConnection", cls.kafka.bootstrap), harness.cluster("validatedSalesData")])
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.stop()

    def test_listing_15_4(self):
        self.kafka.produce("dailySales", 0, ['{"productId": "too early", "quantity": 1, "price": 1.5}'])  # before the start: not read
        harness.mongosh(self.server.uri, LISTING_15_4)
        self.kafka.produce("dailySales", 0, [
            '{"productId": "a", "quantity": 2, "price": 9.99}',
            '{"productId": "b", "quantity": 0, "price": 9.99}',
            '{"productId": 7, "quantity": 1, "price": 9.99}',
            '{"quantity": 1, "price": 9.99}',
            '{"productId": "c", "quantity": 1, "price": 0.5}',
            '{"productId": "d", "quantity": 1, "price": 3}',
            'not JSON at all',
        ])
        target = self.client.salesDB.validatedSales
        stats = harness.wait_until(lambda: (lambda s: s if s["outputMessageCount"] + s["dlqMessageCount"] == 7 else None)(self.stats("salesDataProcessor")),
                                   30, "seven records")
        self.assertEqual((stats["outputMessageCount"], stats["dlqMessageCount"]), (2, 5))
        harness.wait_until(lambda: target.count_documents({}) == 2, 10, "two sales")
        self.assertEqual([{k: v for k, v in d.items() if k != "_id"} for d in target.find().sort("productId", 1)],
                         [{"productId": "a", "quantity": 2, "price": 9.99}, {"productId": "c", "quantity": 1, "price": 0.5}])
        self.command({"dropStreamProcessor": "salesDataProcessor"})


if __name__ == "__main__":
    harness.main()
