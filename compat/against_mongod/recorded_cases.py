"""Sends the data cases of tests/{expression,match,accumulator,stage,update} to a genuine MongoDB and compares with what each case expects.

    recorded_cases.py [FILE…]      e.g. expression/slice; without names: all.

A case that differs needs a row in known_differences.json; a row whose cases no longer differ is an error. Ends with 0, 1, or 77 when there is no
genuine server. MILLRACE_REAL_MONGODB names another server than the 6.0.5 of compat/servers.
"""
import atexit
import glob
import os
import sys
import tempfile
import unittest

import servers
from bson_values import from_json, identical, read, to_json, write
from known_differences import newer_code, rows

harness = servers.harness
TESTS = os.path.join(harness.ROOT, "tests")
KINDS = ("expression", "match", "accumulator", "stage", "update")
DB = "recorded_cases"
MEMORY_LIMIT = 146


class NotComparable(Exception):
    """The case is about something that only a stream processor or a test clock has."""


def outcome_of(run):
    try:
        return run(), None
    except servers.Failed as error:
        return None, newer_code(error.code, error.message)


class Runner:
    def __init__(self, connection):
        self.connection = connection

    def aggregate(self, documents, pipeline, **options):
        first = {"$documents": {"$literal": documents}}
        reply = self.connection.command({"aggregate": 1, "pipeline": [first, *pipeline], "cursor": {"batchSize": 100000}, **options, "$db": DB})
        return reply["cursor"]["firstBatch"]

    def expression(self, case):
        for key in ("now", "meta", "stream"):
            if key in case:
                raise NotComparable(key)
        options = {"let": {name: {"$literal": value} for name, value in case["vars"].items()}} if "vars" in case else {}
        results, code = outcome_of(lambda: self.aggregate([case.get("doc", {})], [{"$replaceWith": {"r": case["expr"]}}], **options))
        expected = [{}] if "missing" in case else [{"r": case["result"]}] if "result" in case else None
        return expected, results, code

    def match(self, case):
        if "error" in case:
            results, code = outcome_of(lambda: self.connection.command({"aggregate": "c", "pipeline": [{"$match": case["query"]}], "cursor": {}, "$db": DB}))
            return None, results, code
        if "match_error" in case:
            results, code = outcome_of(lambda: self.aggregate([case["match_error"]["doc"]], [{"$match": case["query"]}]))
            return None, results, code
        if "match" not in case and "no_match" not in case:
            raise NotComparable("needs")
        documents = case.get("match", []) + case.get("no_match", [])
        results, code = outcome_of(lambda: self.aggregate(documents, [{"$match": case["query"]}]))
        return case.get("match", []), results, code

    def accumulator(self, case):
        if not case["docs"] and "error" not in case:
            raise NotComparable("no documents")
        results, code = outcome_of(lambda: self.aggregate(case["docs"], [{"$group": {"_id": None, "r": case["accumulator"]}}]))
        expected = None if "error" in case else [{"_id": None, "r": case["result"]}]
        if case.get("set") and results:
            for result in (expected[0], results[0]):
                result["r"] = sorted(result["r"], key=to_json)
        return expected, results, code

    def stage(self, case):
        if "meta" in case or ("result" not in case and "error" not in case):
            raise NotComparable("meta")
        pipeline = case["pipeline"] if "pipeline" in case else [case["stage"]]
        if any("$validate" in stage for stage in pipeline):
            raise NotComparable("$validate")
        documents = case.get("docs", [])
        if case.get("dead_letters"):
            # What goes to the dead letter queue fails the whole aggregation there: each document by itself.
            passed, failed = [], 0
            for document in documents:
                results, code = outcome_of(lambda: self.aggregate([document], pipeline))
                failed += code is not None
                passed += results or []
            if failed != len(case["dead_letters"]):
                return case["result"], [{"failed": failed}], None
            return case["result"], passed, None
        results, code = outcome_of(lambda: self.aggregate(documents, pipeline))
        expected = case.get("result")
        if pipeline and "$group" in pipeline[-1] and expected and results:     # in no order
            expected, results = sorted(expected, key=to_json), sorted(results, key=to_json)
        return expected, results, code

    def update(self, case):
        self.connection.command({"delete": "c", "deletes": [{"q": {}, "limit": 0}], "$db": DB})
        if "doc" in case:
            self.connection.command({"insert": "c", "documents": [case["doc"]], "$db": DB})
        statement = {"q": case.get("query", {}), "u": case["update"], "upsert": "doc" not in case}
        statement.update({name: case[name] for name in ("arrayFilters", "c") if name in case})
        options = {"let": case["let"]} if "let" in case else {}
        reply, code = outcome_of(lambda: self.connection.command({"update": "c", "updates": [statement], **options, "$db": DB}))
        if code is not None:
            return None if "error" in case else case["result"], None, code
        if "error" in case:
            return None, "no error", None
        results = self.connection.command({"find": "c", "filter": {}, "$db": DB})["cursor"]["firstBatch"]
        if "modified" in case and (reply["nModified"] == 1) != case["modified"]:
            return case["result"], [{"nModified": reply["nModified"]}], None
        expected = [case["result"]]
        if "doc" not in case and results:   # an upsert's _id may be made up
            for result in (expected[0], results[0]):
                if "_id" not in case["result"] or case["result"]["_id"] == "*":
                    result.pop("_id", None)
        return expected, results, None


def difference(kind, case, runner):
    """None, or what was expected and what came, in words, and the server's error code."""
    if case.get("error", {}).get("code") == MEMORY_LIMIT:
        raise NotComparable("the server has no such bound")
    expected, results, code = getattr(runner, kind)(case)
    wanted = case.get("error", case.get("match_error"))
    if wanted is not None:
        return None if code == wanted["code"] else (f"expected error {wanted['code']}, the server gives {to_json(results) if code is None else code}", code)
    if code is not None:
        return f"expected {to_json(expected)}, the server gives error {code}", code
    if identical(read(write({"r": expected})), read(write({"r": results}))):
        return None
    return f"expected {to_json(expected)}\n        the server gives {to_json(results)}", None


class Table:
    """The rows of known_differences.json for this runner, and which of them were needed."""

    def __init__(self):
        self.rows = rows("recorded")
        self.used = set()

    def forbids(self, name, case):
        for number, row in enumerate(self.rows):
            if row["file"] == name and "not_sent" in row and case.startswith(row["not_sent"]):
                self.used.add(number)
                return True
        return False

    def explains(self, name, case, code):
        for number, row in enumerate(self.rows):
            if row["file"] == name and "not_sent" not in row and (row["case"] == case if "case" in row else code in row["server_error"]):
                self.used.add(number)
                return True
        return False

    def unused(self):
        return [f"{row['file']}: {row.get('case', row.get('server_error', row.get('not_sent')))}" for number, row in enumerate(self.rows) if number not in self.used]


def case_files(names):
    for kind in KINDS:
        for path in sorted(glob.glob(os.path.join(TESTS, kind, "**", "*.json"), recursive=True)):
            name = os.path.relpath(path, TESTS)[:-5]
            if not names or name in names:
                with open(path, encoding="utf-8") as file:
                    yield kind, name, from_json(file.read())["cases"]


def run(names):
    connection = servers.start_genuine()
    version = servers.version_of(connection)
    runner, table = Runner(connection), Table()
    counts, failures = {"same": 0, "known to differ": 0, "not comparable": 0}, []
    for kind, name, cases in case_files(names):
        for case in cases:
            try:
                if table.forbids(name, case["name"]):
                    raise NotComparable("it would end the server")
                found = difference(kind, case, runner)
            except servers.ConnectionLost as error:
                print(f"  {name}: {case['name']}\n        {error}")
                return 1
            except NotComparable:
                counts["not comparable"] += 1
                continue
            if found is None:
                counts["same"] += 1
            elif table.explains(name, case["name"], found[1]):
                counts["known to differ"] += 1
            else:
                failures.append(f"{name}: {case['name']}\n        {found[0]}")
    if not names and version == "6.0.5":    # of a newer server fewer rows hold
        failures += [f"known_differences.json: nothing differs that {row} stands for" for row in table.unused()]
    for failure in failures:
        print("  " + failure)
    print(f"MongoDB {version}: " + ", ".join(f"{count} cases {what}" for what, count in counts.items()) + f", {len(failures)} failures")
    return 1 if failures else 0


def main():
    harness.WORK = tempfile.mkdtemp(prefix="millrace-recorded-")
    atexit.register(harness.stop_everything)
    try:
        sys.exit(run(sys.argv[1:]))
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}")
        sys.exit(harness.SKIPPED)


if __name__ == "__main__":
    main()
