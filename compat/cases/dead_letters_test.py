"""The tour's demo of the dead letter queue: readings of which some fail validation, a window over the others, and where the faulty ones go."""
import datetime

import harness
import bson  # harness has found the Python that has it

REASON = "Input document found to be invalid in $validate stage"

# x must be an integer from 1 to 42: four readings are, four are not.
SCRIPT = r"""
let source = {
  $source: {
    documents: [{x: 0}, {x: 1}, {x: 3.14}, {x: 2}, {x: "22"}, {x: 3}, {y: "no x at all"}, {x: 4}]
  }
}

let validate = {
  $validate: {
    validator: {
      $jsonSchema: {
        required: ["x"],
        properties: {
          x: { bsonType: "int", minimum: 1, maximum: 42 }
        }
      }
    },
    validationAction: "dlq"
  }
}

let window = {
  $tumblingWindow: {
    interval: { size: 3, unit: "second" },
    idleTimeout: { size: 1, unit: "second" },
    pipeline: [{
      $group: {
        _id: "allOfThem",
        theSum: { $sum: "$x" },
        theValues: { $push: "$x" }
      }
    }]
  }
}
"""

FAULTY = [{"x": 0}, {"x": 3.14}, {"x": "22"}, {"y": "no x at all"}]
RESULT = {"_id": "allOfThem", "theSum": 10, "theValues": [1, 2, 3, 4]}


class DeadLetters(harness.ServerCase):
    connections = [harness.cluster("MyOutputGoesHere"), harness.cluster("MyDeadLetters")]

    def test_a_processor_with_a_dead_letter_collection(self):
        script = SCRIPT + """
            let sink = {$merge: {into: {connectionName: 'MyOutputGoesHere', db: 'demo', coll: 'dlqDemo'}}};
            sp.createStreamProcessor('dlqDemo', [source, validate, window, sink],
                                     {dlq: {connectionName: 'MyDeadLetters', db: 'demo', coll: 'dead'}});
            out(sp.dlqDemo.start());
            """
        # Eight documents at once can still fall on both sides of a boundary: the clock is not asked for permission.
        for _ in range(3):
            before = datetime.datetime.utcnow() - datetime.timedelta(milliseconds=1)
            self.assertEqual(harness.mongosh(self.server.uri, script).values[0]["ok"], 1)
            harness.wait_until(lambda: self.client.demo.dlqDemo.count_documents({}), 20, "the window's result")
            harness.wait_until(lambda: self.client.demo.dead.count_documents({}) >= 4, 10, "the dead letters")
            result = list(self.client.demo.dlqDemo.find())
            if result == [RESULT]:
                break
            self.command({"dropStreamProcessor": "dlqDemo"})
            self.client.drop_database("demo")
        self.assertEqual(result, [RESULT])
        letters = list(self.client.demo.dead.find())
        self.assertEqual([letter["doc"] for letter in letters], FAULTY)
        for letter in letters:
            self.assertIsInstance(letter["_id"], bson.ObjectId)
            self.assertIsInstance(letter["dlqTime"], datetime.datetime)
            self.assertTrue(before <= letter["dlqTime"] <= datetime.datetime.utcnow() + datetime.timedelta(seconds=1), letter)
            self.assertEqual(letter["processorName"], "dlqDemo")
            self.assertTrue(letter["instanceName"])
            self.assertEqual(letter["operatorName"], "ValidateOperator")
            self.assertEqual(letter["errInfo"], {"reason": REASON})
            self.assertEqual(letter["_stream_meta"]["source"]["type"], "generated")
            self.assertEqual(set(letter), {"_id", "dlqTime", "processorName", "instanceName", "operatorName", "errInfo", "doc", "_stream_meta"})
        stats = self.stats("dlqDemo")
        self.assertEqual((stats["inputMessageCount"], stats["outputMessageCount"], stats["dlqMessageCount"]), (8, 1, 4))
        self.assertGreater(stats["dlqMessageSize"], 0)
        self.command({"dropStreamProcessor": "dlqDemo"})

    def test_process_shows_dead_letters_in_the_shell(self):
        shell = harness.mongosh(self.server.uri, SCRIPT + "sp.process([source, validate]);")
        self.assertEqual(shell.text.count("_dlqMessage: {"), 4, shell.text)
        self.assertEqual(shell.text.count(f"reason: '{REASON}'"), 4, shell.text)
        self.assertEqual(self.names(), [])

    def test_form_of_a_dead_letter_in_process(self):
        documents = self.process([{"$source": {"documents": [{"x": 0}, {"x": 1}]}}, {"$validate": {"validator": {"x": {"$gte": 1}}, "validationAction": "dlq"}}])
        letter = next(d["_dlqMessage"] for d in documents if "_dlqMessage" in d)
        self.assertEqual(letter["doc"]["x"], 0)
        self.assertEqual(letter["errInfo"]["reason"], REASON)
        self.assertEqual(letter["_stream_meta"]["source"]["type"], "generated")
        self.assertTrue(letter["workspaceName"])
        self.assertTrue(letter["processorName"])
        self.assertIsInstance(letter["dlqTime"], datetime.datetime)
        self.assertEqual([d["x"] for d in documents if "_dlqMessage" not in d], [1])

    def test_discarded_and_uncollected_dead_letters(self):
        """`discard` is no dead letter; `dlq` without a collection is counted and gone."""
        for action, dead in (("discard", 0), ("dlq", 1), (None, 0)):
            validate = {"validator": {"x": {"$gte": 1}}, **({"validationAction": action} if action else {})}
            self.command({"createStreamProcessor": "uncollected", "pipeline": [
                {"$source": {"documents": [{"_id": 1, "x": 0}, {"_id": 2, "x": 1}]}}, {"$validate": validate},
                {"$merge": {"into": {"connectionName": "local", "db": "demo", "coll": "uncollected"}}}]})
            self.command({"startStreamProcessor": "uncollected"})
            stats = harness.wait_until(lambda: (lambda s: s if s["outputMessageCount"] == 1 else None)(self.stats("uncollected")), 10, "one result")
            self.assertEqual(stats["dlqMessageCount"], dead, action)
            self.command({"dropStreamProcessor": "uncollected"})

    def tearDown(self):
        self.drop_all()

    def test_expression_errors_and_late_documents(self):
        self.command({"createStreamProcessor": "faults", "pipeline": [
            {"$source": {"documents": [{"at": bson.Int64(t), "d": d} for t, d in ((1000, 1), (2000, 0), (25000, 1), (3000, 1), (40000, 1))],
                         "timeField": {"$toDate": "$at"}}},
            {"$addFields": {"q": {"$divide": [1, "$d"]}}},
            {"$tumblingWindow": {"interval": {"size": 10, "unit": "second"}, "allowedLateness": 0, "pipeline": [{"$group": {"_id": "all", "n": {"$sum": 1}}}]}},
            {"$merge": {"into": {"connectionName": "local", "db": "demo", "coll": "faults"}}}],
            "options": {"dlq": {"connectionName": "MyDeadLetters", "db": "demo", "coll": "faultsDead"}}})
        self.command({"startStreamProcessor": "faults"})
        dead = self.client.demo.faultsDead
        harness.wait_until(lambda: dead.count_documents({}) >= 2, 10, "two dead letters")
        letters = {letter["operatorName"]: letter for letter in dead.find()}
        self.assertEqual(set(letters), {"AddFieldsOperator", "TumblingWindowOperator"})
        self.assertEqual(letters["AddFieldsOperator"]["doc"], {"at": 2000, "d": 0})
        self.assertIn("divide by zero", letters["AddFieldsOperator"]["errInfo"]["reason"])
        self.assertEqual(letters["TumblingWindowOperator"]["doc"], {"at": 3000, "d": 1, "q": 1.0})
        self.assertEqual(letters["TumblingWindowOperator"]["errInfo"]["reason"], "Input document arrived late.")
        self.command({"dropStreamProcessor": "faults"})


if __name__ == "__main__":
    harness.main()
