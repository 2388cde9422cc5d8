"""The disk is full, or the file size limit is reached, or the disk answers with errors: the server stays up, a write that cannot be stored says so, a processor
that cannot go on ends in FAILED with the cause; after room is made it goes on where it was, and nothing is lost. The limit of the file size is the process's own
(RLIMIT_FSIZE: anybody may have it); a full file system needs the right to mount a tmpfs, and a disk with errors a C compiler (gcc).
"""
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import unittest.mock

import harness
import pymongo  # harness has found the Python that has it

DOCUMENTS = 4000
PIPELINE = [
    {"$source": {"documents": [{"_id": number, "text": "x" * 300, "at": 1_740_787_200_000 + number * 10} for number in range(DOCUMENTS)], "timeField": {"$toDate": "$at"}}},
    {"$match": {"_id": {"$gte": 0}}},
]
WINDOW = {"$tumblingWindow": {"interval": {"size": 100, "unit": "ms"}, "pipeline": [
    {"$group": {"_id": None, "n": {"$sum": 1}, "texts": {"$push": "$text"}}}, {"$project": {"_id": {"$toLong": {"$meta": "stream.window.start"}}, "n": 1, "texts": 1}}]}}
FAULT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
/* Writing and syncing the database fails with EIO while the file $FAULT is there. */
static int faulty(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  if (!strstr(path, "millrace.mdb") || access(getenv("FAULT"), F_OK) != 0) return 0;
  errno = EIO;
  return 1;
}
ssize_t pwrite(int fd, const void* p, size_t n, off_t at) {
  static ssize_t (*real)(int, const void*, size_t, off_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwrite");
  return faulty(fd) ? -1 : real(fd, p, n, at);
}
ssize_t pwrite64(int fd, const void* p, size_t n, off_t at) { return pwrite(fd, p, n, at); }
ssize_t pwritev(int fd, const struct iovec* v, int n, off_t at) {
  static ssize_t (*real)(int, const struct iovec*, int, off_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwritev");
  return faulty(fd) ? -1 : real(fd, v, n, at);
}
ssize_t pwritev64(int fd, const struct iovec* v, int n, off_t at) { return pwritev(fd, v, n, at); }
ssize_t writev(int fd, const struct iovec* v, int n) {
  static ssize_t (*real)(int, const struct iovec*, int);
  if (!real) real = dlsym(RTLD_NEXT, "writev");
  return faulty(fd) ? -1 : real(fd, v, n);
}
int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  return faulty(fd) ? -1 : real(fd);
}
"""


class Server(harness.Millrace):
    """With its data in `directory` and its log elsewhere: not on the disk that is full."""

    def __init__(self, directory, environment, expected_log):
        self.directory, self.environment = directory, environment
        self.expected_log = re.compile(expected_log)
        self.process, self.port = None, harness.free_port()
        number, self.log_file = tempfile.mkstemp(dir=harness.WORK)
        os.close(number)
        connections = os.path.join(harness.WORK, "connections.json")
        with open(connections, "w", encoding="utf-8") as file:
            json.dump([harness.cluster("here")], file)
        self.options = ["--no-demo", "--checkpoint-interval-ms", "50", "--connections", connections]
        self.start()

    @property
    def log_path(self):
        return self.log_file

    def start(self):
        with unittest.mock.patch.dict(os.environ, self.environment):
            return super().start()

    def kill(self):
        super().kill()
        if self.process is not None:
            self.process.stdout.close()


class DiskFull(harness.Case):
    # What goes wrong on purpose is in the log; see harness.FAULTS.
    expected = r"stream processor \w+ failed|cannot|could not|Out ?Of ?Disk|No space|File too large|Input/output"

    def server_on(self, directory, environment=None):
        self.server = Server(directory, environment or {}, self.expected)
        self.addCleanup(self.server.kill)
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        return self.server

    def create(self, name, stages):
        self.command({"createStreamProcessor": name, "pipeline": [*PIPELINE, *stages, {"$merge": {"into": {"connectionName": "here", "db": "out", "coll": name}, "whenMatched": "replace"}}]})

    def run_into_the_wall(self, fill, make_room, cause):
        """Two processors and a client while nothing can be written, and afterwards."""
        self.client.data.things.insert_one({"_id": "before"})
        self.create("plain", [])
        self.create("window", [WINDOW])
        fill()
        for name in ("plain", "window"):
            try:
                self.command({"startStreamProcessor": name})
            except pymongo.errors.OperationFailure as error:  # no room for its first state: then it was not started
                self.assertRegex(str(error), cause)
        with self.assertRaises((pymongo.errors.OperationFailure, pymongo.errors.WriteError)) as raised:
            for number in range(20_000):
                self.client.data.things.insert_one({"_id": number, "text": "y" * 20_000})
        self.assertRegex(str(raised.exception), cause)
        self.assertEqual(self.process([{"$source": {"documents": [{"a": 1}]}}, {"$addFields": {"b": 2}}])[0]["b"], 2)  # needs no disk

        def ended():
            states = {name: self.command({"getStreamProcessor": name}) for name in ("plain", "window")}
            return states if all(s["state"] in ("FAILED", "CREATED", "STOPPED") for s in states.values()) else None
        states = harness.wait_until(ended, 90, "the processors to give up")
        for name, one in states.items():
            if one["state"] == "FAILED":
                self.assertRegex(one["errorMsg"], cause)
        self.assertIn("FAILED", {one["state"] for one in states.values()})
        self.assertIsNone(self.server.process.poll(), "the server is gone")
        self.assertEqual(self.client.data.things.find_one({"_id": "before"}), {"_id": "before"})

        make_room()
        self.client.data.things.insert_one({"_id": "after"})
        for name in ("plain", "window"):
            self.command({"startStreamProcessor": name})
        harness.wait_until(lambda: self.client.out.plain.count_documents({}) == DOCUMENTS, 60, "all documents")
        windows = DOCUMENTS // 10 - 30 - 1  # the last is open, and thirty more for the lateness of 3 s
        harness.wait_until(lambda: self.client.out.window.count_documents({}) == windows, 60, "all windows")
        self.assertEqual({d["_id"] for d in self.client.out.plain.find()}, set(range(DOCUMENTS)))
        for document in self.client.out.window.find():
            self.assertEqual((document["n"], document["texts"]), (10, ["x" * 300] * 10), document["_id"])
        self.client.close()
        self.server.kill()
        self.server.start()  # and nothing of it is damaged
        self.assertNotIn("was damaged", self.server.log())
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.assertEqual(self.client.out.plain.count_documents({}), DOCUMENTS)
        self.client.close()
        self.server.stop()

    def test_the_limit_of_the_file_size(self):
        directory = tempfile.mkdtemp(dir=harness.WORK)
        server = self.server_on(directory)
        file = os.path.join(directory, "data", "millrace.mdb")

        def limit(size):
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        self.run_into_the_wall(lambda: limit(os.path.getsize(file) + 300_000), lambda: limit(resource.RLIM_INFINITY), "File too large|file size limit")

    def test_a_full_file_system(self):
        directory = tempfile.mkdtemp(dir=harness.WORK)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", directory], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("a tmpfs cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", directory], check=False)
        self.server_on(directory)
        self.addCleanup(self.server.kill)

        def leave_little_room():  # less than either processor writes
            room = os.statvfs(directory)
            with open(os.path.join(directory, "filler"), "wb") as filler:
                filler.write(bytes(max(0, room.f_bavail * room.f_frsize - 300_000)))
        self.run_into_the_wall(leave_little_room, lambda: subprocess.run(["mount", "-o", "remount,size=200m", directory], check=True), "No space left|disk")

    def test_a_disk_with_errors(self):
        compiler = shutil.which("gcc") or shutil.which("cc")
        if not compiler:
            self.skipTest("no C compiler for the library that makes writes fail")
        library, switch = os.path.join(harness.WORK, "fault.so"), os.path.join(harness.WORK, "fault")
        with open(library + ".c", "w", encoding="utf-8") as source:
            source.write(FAULT)
        subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", library, library + ".c", "-ldl"], check=True)
        self.server_on(tempfile.mkdtemp(dir=harness.WORK), {"LD_PRELOAD": library, "FAULT": switch})

        def on():
            with open(switch, "w", encoding="utf-8"):
                pass
        self.run_into_the_wall(on, lambda: os.unlink(switch), "Input/output error|system or the disk")


if __name__ == "__main__":
    harness.main(limit_seconds=280)
