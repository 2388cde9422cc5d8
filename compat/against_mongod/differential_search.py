"""Looks for differences between Millrace and a genuine MongoDB: random documents, and random expressions, predicates, projections, sorts, stages, pipelines
and updates over them, run on both and compared in value, type, order of fields and error code.

    differential_search.py MILLRACE-BINARY [--cases N] [--seed S] [--first-block B] [--kind K] [--seconds T] [--show N]

Cases come in blocks of 100 that share their documents; block B of seed S is the same everywhere, whatever ran before it, and a difference is printed
in its smallest form with the `--seed` and `--first-block` that replay it. Ends with 0, 1 for a difference without an explanation, 77 when there is no genuine server.
Cases come from cases.py; explanations.py knows the differences that have a reason, rewriting.py makes a case smaller.
"""
import argparse
import atexit
import collections
import os
import sys
import tempfile
import time
import unittest

import servers
from bson_values import raw_batch, read, to_json, write
from cases import CASES_PER_BLOCK, DB, SAME, Block, Outcome, commands_of, names_in, same
from explanations import explanation
from rewriting import reductions_of_case

harness = servers.harness
LAST_BATCH = 8 << 20    # bytes: a batch as small has no other behind it


# --- running on both --------------------------------------------------------------------------------------------------------------------

class Search:
    """The two servers with the documents of one case loaded."""

    def __init__(self):
        self.genuine = servers.start_genuine()
        self.millrace = servers.start_millrace()
        self.loaded = None
        self.known_counts = collections.Counter()

    def replace_genuine(self):
        """6.0.5 has faults that end it, such as {$bitsAllClear: <binary data>} beside a positional projection. A server of our own is started again."""
        if os.environ.get("MILLRACE_REAL_MONGODB"):
            return False
        self.genuine = servers.start_genuine()
        self.millrace = servers.start_millrace()    # the replies that were on their way are gone
        self.loaded = None
        return True

    def both(self, commands):
        raw = [write(command) for command in commands]
        for connection in (self.genuine, self.millrace):
            for command in raw:
                connection.send(command)
        return [[connection.receive_raw() for _ in raw] for connection in (self.genuine, self.millrace)]

    def load(self, case):
        if case["kind"] == "update" or (self.loaded and self.loaded[0] is case["docs"] and self.loaded[1] is case["other"]):
            return
        commands = []
        for name, documents in (("c", case["docs"]), ("other", case["other"])):
            commands.append({"delete": name, "deletes": [{"q": {}, "limit": 0}], "$db": DB})
            if documents:
                commands.append({"insert": name, "documents": documents, "$db": DB})
        for replies in self.both(commands):
            for reply in replies:
                servers.checked(read(reply))
        self.loaded = (case["docs"], case["other"])

    def outcomes(self, case, only=None):
        theirs, ours = self.both(commands_of(case, only))
        if len(theirs) == 1:
            batch = raw_batch(theirs[0])
            if batch is not None and len(batch) < LAST_BATCH and batch == raw_batch(ours[0]):
                return SAME, SAME
        return tuple(Outcome(case["kind"], [read(reply) for reply in replies], connection) for replies, connection in ((theirs, self.genuine), (ours, self.millrace)))

    def explained(self, case, theirs, ours, only=None):
        name = explanation(self, case, theirs, ours, only)
        if name is not None:
            self.known_counts[name] += 1
        return name is not None

    def alone(self, connection, case, only=None):
        """What one of the two answers to another case with the documents that are loaded."""
        commands = commands_of(case, only)
        for command in commands:
            connection.send(command)
        return Outcome(case["kind"], [connection.receive() for _ in commands], connection)

    def compare(self, case):
        """None, or the two outcomes that differ; documents that fail for all are tried one by one."""
        self.load(case)
        theirs, ours = self.outcomes(case)
        if not same(case, theirs, ours):
            return None if self.explained(case, theirs, ours) else (theirs, ours)
        if theirs is not SAME and theirs.code is not None and case["kind"] == "expression" and len(case["docs"]) > 1:
            for document in case["docs"][:4]:
                theirs, ours = self.outcomes(case, document["_id"])
                if not same(case, theirs, ours) and not self.explained(case, theirs, ours, document["_id"]):
                    return theirs, ours
        return None

    # --- the smallest form ---
    def shrink(self, case, theirs, ours, runs=500):
        wanted = (theirs.kind(), ours.kind())
        best, outcomes = case, (theirs, ours)
        progress = True
        while progress and runs > 0:
            progress = False
            for smaller in reductions_of_case(best):
                if runs <= 0:
                    break
                runs -= 1
                try:
                    found = self.compare(smaller)
                except (servers.Failed, OverflowError, UnicodeEncodeError):
                    continue
                if found and (found[0].kind(), found[1].kind()) == wanted:
                    best, outcomes, progress = smaller, found, True
                    break
        return best, outcomes


# --- the program ------------------------------------------------------------------------------------------------------------------------

def describe(case):
    lines = [f"{part}: {to_json(case[part])}" for part in ("expr", "filter", "pipeline", "projection", "sort", "query", "update", "arrayFilters", "upsert", "key") if part in case]
    lines.append("documents: " + to_json(case["docs"]))
    if case["kind"] == "pipeline" and "$lookup" in str(case["pipeline"]).lower() or "graphLookup" in str(case.get("pipeline")):
        lines.append("other: " + to_json(case["other"]))
    return "\n      ".join(lines)


def signature(case, outcomes):
    body = next(case[part] for part in ("expr", "pipeline", "update", "filter", "projection", "sort", "key") if part in case)
    names = sorted(name for name in names_in(body, set()) if name.startswith("$"))
    return case["kind"], tuple(names[:3]), outcomes[0].kind(), outcomes[1].kind()


def run(options):
    search = Search()
    started, count, found, met = time.monotonic(), 0, collections.OrderedDict(), collections.Counter()
    deaths = 0
    blocks = range(options.first_block, options.first_block + -(-options.cases // CASES_PER_BLOCK))
    for number in blocks:
        if options.seconds and time.monotonic() - started > options.seconds:
            print(f"  the time is over after {count} of {options.cases} cases")
            break
        block = Block(options.seed, number, options.kind)
        for case in block.cases():
            count += 1
            try:
                outcomes = search.compare(case)
            except servers.ConnectionLost as error:
                if error.name == "mongod" and deaths < 20 and search.replace_genuine():
                    deaths += 1
                    continue
                print(f"{error} at seed {options.seed}, block {number}:\n      {describe(case)}")
                return 1
            if outcomes is None:
                continue
            alike = (case["kind"], outcomes[0].kind(), outcomes[1].kind())
            met[alike] += 1
            if len(found) < options.show and met[alike] <= 4:
                case, outcomes = search.shrink(case, *outcomes)
            key = signature(case, outcomes)
            found.setdefault(key, []).append((number, case, outcomes))
    for (kind, *_), differences in found.items():
        number, case, (theirs, ours) = differences[0]
        print(f"  {kind}, {len(differences)} times; --seed {options.seed} --first-block {number} --cases {CASES_PER_BLOCK}\n      {describe(case)}")
        print(f"      MongoDB:  {str(theirs)[:1500]}\n      Millrace: {str(ours)[:1500]}")
    known = ", ".join(f"{name} {number}" for name, number in sorted(search.known_counts.items()))
    print(f"{count} cases of seed {options.seed} in {time.monotonic() - started:.0f} s, {sum(map(len, found.values()))} differ without an explanation"
          + (f"; known differences met: {known}" if known else "") + (f"; MongoDB died {deaths} times" if deaths else ""))
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", nargs="?", help="millrace; not needed with MILLRACE_URI")
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first-block", type=int, default=0)
    parser.add_argument("--kind", choices=["expression", "match", "find", "sort", "pipeline", "update", "distinct"])
    parser.add_argument("--seconds", type=float, default=0, help="begin no block after this time")
    parser.add_argument("--show", type=int, default=60, help="how many different differences are brought to their smallest form")
    options = parser.parse_args()
    harness.BINARY = options.binary and os.path.abspath(options.binary)
    harness.WORK = tempfile.mkdtemp(prefix="millrace-search-")
    atexit.register(harness.stop_everything)
    try:
        sys.exit(run(options))
    except unittest.SkipTest as reason:
        print(f"skipped: {reason}")
        sys.exit(harness.SKIPPED)


if __name__ == "__main__":
    main()
