"""The script of a public tour of stream processing, as its readers type it: a look at the solar stream, then a processor of their own.

The tour takes a connection of a database cluster for granted, MyOutputGoesHere; here it is the local database.
"""
import datetime
import re
import time

import harness

PROCESS = 'sp.process([{ "$source": { "connectionName": "sample_stream_solar" } }])\n'

CREATE = r"""
let sourceStream = {
  $source: {
    connectionName: "sample_stream_solar",
    timeField: {
      $dateFromString: {
        dateString: '$timestamp'
      }
    }
  }
}

let groupTemp = {
  $group: {
    _id: "$group_id",
    minTemp: {
      $min: "$obs.temp"
    },
    maxTemp: {
      $max: "$obs.temp"
    },
    avgTemp: {
      $avg: "$obs.temp"
    },
    stdevPTemp: {
      $stdDevPop: "$obs.temp"
    }
  }
}

let timeWindowPipeline = {
  $tumblingWindow: {
    interval: {
      size: NumberInt(3),
      unit: "second"
    },
    pipeline: [groupTemp]
  }
}

let finalOutput = {
  $merge: {
    into: {
      connectionName: "MyOutputGoesHere",
      db: "demo",
      coll: "groupTempStatsFromStreamProcessor"
    }
  }
}

let processor = sp.createStreamProcessor("myGroupTempStatsProcessor", [sourceStream, timeWindowPipeline, finalOutput])
"""


class Tour(harness.ServerCase):
    connections = [harness.cluster("MyOutputGoesHere"), harness.cluster("MyInputComesFromHere")]

    def check_solar(self, document):
        """The shape that the tour prints, in the order of its fields."""
        fields = list(document)
        self.assertEqual(fields[:5], ["device_id", "group_id", "timestamp", "max_watts", "event_type"], document)
        self.assertEqual(fields[-2:], ["_ts", "_stream_meta"], document)
        self.assertRegex(document["device_id"], r"^device_\d+$")
        self.assertRegex(document["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")
        self.assertEqual(document["_stream_meta"], {"source": {"type": "generated"}})
        self.assertIsInstance(document["_ts"], datetime.datetime)
        distance = document["_ts"] - datetime.datetime.fromisoformat(document["timestamp"]).replace(tzinfo=None)
        self.assertLess(abs(distance.total_seconds()), 5)
        if document["event_type"] == 0:
            self.assertEqual(list(document["obs"]), ["watts", "temp"])

    def test_process_with_a_limit(self):
        """The documents go to the screen, each over several lines; the shell is free again after the fourth."""
        shell = harness.mongosh(self.server.uri, PROCESS.replace("])", "], {limit: 4})"))
        self.assertEqual(len(re.findall(r"(?m)^  device_id: 'device_\d+',$", shell.text)), 4, shell.text)
        self.assertEqual(len(re.findall(r"source: \{\s*type: 'generated'\s*\}", shell.text)), 4, shell.text)
        self.assertEqual(len(re.findall(r"(?m)^  _ts: ISODate\('[^']+Z'\),$", shell.text)), 4, shell.text)
        self.assertEqual(self.names(), [])

    def test_shape_of_the_documents(self):
        documents = self.process([{"$source": {"connectionName": "sample_stream_solar"}}], {"limit": 5})
        self.assertEqual(len(documents), 5)
        for document in documents:
            self.check_solar(document)

    def test_metadata_survives_stages(self):
        """What a pipeline without a sink shows has them at its end, whatever a stage made of the document."""
        for stage in ({"$project": {"device_id": 1, "obs": 1}}, {"$replaceRoot": {"newRoot": "$obs"}}, {"$replaceWith": {"device": "$device_id"}}):
            document, = self.process([{"$source": {"connectionName": "sample_stream_solar"}}, {"$match": {"event_type": 0}}, stage], {"limit": 1})
            self.assertEqual(list(document)[-2:], ["_ts", "_stream_meta"], stage)
        document, = self.process([{"$source": {"connectionName": "sample_stream_solar"}}, {"$unset": ["_ts", "_stream_meta"]}], {"limit": 1})
        self.assertEqual({"_ts", "_stream_meta"} & set(document), set())

    def test_process_until_interrupted(self):
        """Ctrl-C: the temporary processor is gone a moment later."""
        shell = harness.Shell(self.server.uri, PROCESS)
        harness.wait_until(lambda: "device_id" in shell.text, 30, "readings in the shell")
        names = self.names()
        self.assertEqual(len(names), 1, names)
        shell.interrupt()
        harness.wait_until(lambda: not self.names(), 3, "the temporary processor to go")
        shell.wait(20, code=None)

    def test_process_in_a_shell_that_is_killed(self):
        """Nothing is said by the shell: its sockets close, no more."""
        shell = harness.Shell(self.server.uri, PROCESS)
        harness.wait_until(lambda: "device_id" in shell.text, 30, "readings in the shell")
        self.assertEqual(len(self.names()), 1)
        shell.kill()
        harness.wait_until(lambda: not self.names(), 3, "the temporary processor to go")

    def test_my_group_temp_stats_processor(self):
        target = self.client.demo.groupTempStatsFromStreamProcessor
        created, listed, reply = harness.mongosh(self.server.uri, CREATE + """
            const listed = () => db.adminCommand({listStreamProcessors: 1}).streamProcessors;
            out(listed()[0].state);
            let myProcessor = sp.getProcessor({name: 'myGroupTempStatsProcessor'});
            out(listed().map(p => p.name));
            out(myProcessor.start());
            """).values
        self.assertEqual((created, listed, reply["ok"]), ("CREATED", ["myGroupTempStatsProcessor"], 1))

        # The shell is gone; the processor is not. Windows of 3 s arrive 3 s (the default lateness) after they end.
        harness.wait_until(lambda: target.count_documents({}) >= 3, 60, "windows in the target")
        for document in target.find():
            self.assertEqual(set(document), {"_id", "minTemp", "maxTemp", "avgTemp", "stdevPTemp"})
            if document["minTemp"] is None:  # a window whose only events of this group had no reading
                continue
            self.assertLessEqual(document["minTemp"], document["avgTemp"])
            self.assertLessEqual(document["avgTemp"], document["maxTemp"])
            self.assertGreaterEqual(document["stdevPTemp"], 0)
            self.assertLessEqual(document["stdevPTemp"], (document["maxTemp"] - document["minTemp"]) / 2 + 1e-9)

        stats, = harness.mongosh(self.server.uri, "out(sp.myGroupTempStatsProcessor.stats())").values
        self.assertEqual((stats["name"], stats["state"], stats["stats"]["status"]), ("myGroupTempStatsProcessor", "STARTED", "running"))
        self.assertGreater(stats["stats"]["inputMessageCount"], 0)
        self.assertGreaterEqual(stats["stats"]["outputMessageCount"], 3)
        self.assertIn("watermark", stats["stats"])

        shell = harness.Shell(self.server.uri, "sp.myGroupTempStatsProcessor.sample()")
        harness.wait_until(lambda: re.search(r"stdevPTemp: ", shell.text), 30, "a window in sample()")
        self.assertRegex(shell.text, r"minTemp: ")
        shell.interrupt()
        shell.wait(20, code=None)

        stopped, state, before = harness.mongosh(self.server.uri, """
            out(sp.myGroupTempStatsProcessor.stop());
            out(db.adminCommand({listStreamProcessors: 1, filter: {name: 'myGroupTempStatsProcessor'}}).streamProcessors[0].state);
            out(sp.myGroupTempStatsProcessor.stats().stats.outputMessageCount);
            """).values
        self.assertEqual((stopped["ok"], state), (1, "STOPPED"))
        time.sleep(1.2)
        self.assertEqual(self.stats("myGroupTempStatsProcessor")["outputMessageCount"], before, "a stopped processor puts out nothing")

        again, = harness.mongosh(self.server.uri, "out(sp.myGroupTempStatsProcessor.start())").values
        self.assertEqual(again["ok"], 1)
        harness.wait_until(lambda: self.stats("myGroupTempStatsProcessor")["outputMessageCount"] > before, 30, "windows after the second start")
        dropped, left = harness.mongosh(self.server.uri, "out(sp.myGroupTempStatsProcessor.drop()); out(sp.listStreamProcessors().length);").values
        self.assertEqual((dropped["ok"], left), (1, 0))

    def test_get_processor_by_a_plain_name(self):
        """The tour's sp.getProcessor('name') is of older shells: today's loses the name, and the server says so."""
        answer, = harness.mongosh(self.server.uri, "out(attempt(() => sp.getProcessor('myGroupTempStatsProcessor').start()));").values
        self.assertIn("code", answer)
        self.assertEqual(self.command({"ping": 1})["ok"], 1)


if __name__ == "__main__":
    harness.main()
