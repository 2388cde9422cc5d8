"""Looks for differences between Millrace and a genuine MongoDB: random documents, and random expressions, predicates, projections, sorts, stages, pipelines
and updates over them, run on both and compared in value, type, order of fields and error code.

    differential_search.py MILLRACE-BINARY [--cases N] [--seed S] [--first-block B] [--kind K] [--seconds T] [--show N]

Cases come in blocks of 100 that share their documents; block B of seed S is the same everywhere, whatever ran before it, and a difference is printed
in its smallest form with the `--seed` and `--first-block` that replay it. Ends with 0, 1 for a difference without an explanation, 77 when there is no genuine server.
An explanation is a function `known_…` below, with its reason in known_differences.json.
"""
import argparse
import atexit
import collections
import decimal
import os
import re
import sys
import tempfile
import time
import unittest

import servers
from bson.decimal128 import Decimal128
from bson_values import DATE, DECIMAL, Opaque, identical, raw_batch, read, to_json, write
from generate_expressions import Expressions
from generate_pipelines import Pipelines
from generate_queries import Queries
from generate_values import FIELDS, Values
from known_differences import rows

harness = servers.harness
DB = "search"
CASES_PER_BLOCK = 100
BODIES = ("expr", "filter", "pipeline", "projection", "sort", "query", "update", "arrayFilters")    # the parts of a case that are searched and made smaller
DOCUMENTS = 12
# Behind these the documents have no order that anybody promised.
UNORDERED_STAGES = {"$group", "$sortByCount"}
# What these give has no order of its own, so their arrays are compared as bags.
UNORDERED_ARRAYS = {"$addToSet", "$setUnion", "$setIntersection", "$setDifference", "$graphLookup"}


# --- cases ------------------------------------------------------------------------------------------------------------------------------

class Block:
    """The documents and the cases of one number of one seed."""

    def __init__(self, seed, number, kind=None):
        self.values = v = Values(f"{seed}:{number}")
        self.number = number
        self.expressions = Expressions(v)
        self.queries = Queries(v, self.expressions)
        self.pipelines = Pipelines(v, self.expressions, self.queries)
        self.documents = [v.document(index) for index in range(DOCUMENTS)]
        self.other = [{"_id": index, "k": v.small(), "v": v.any(), "l": v.numbers(), "o": v.object()} for index in range(5)]
        self.only = kind

    def cases(self):
        kinds = [("expression", 46), ("match", 16), ("find", 6), ("sort", 3), ("pipeline", 15), ("update", 13), ("distinct", 1)]
        names, weights = zip(*kinds)
        for _ in range(CASES_PER_BLOCK):
            kind = self.values.random.choices(names, weights)[0]
            self.expressions.variables.clear()
            yield getattr(self, self.only or kind)()

    def case(self, kind, **body):
        return {"kind": kind, "docs": self.documents, "other": self.other, **body}

    def expression(self):
        e = self.expressions
        return self.case("expression", expr=e.of(self.values.pick(list(e.table)), self.values.pick([1, 1, 2, 3])) if self.values.chance(0.98) else self.operators_alone())

    def operators_alone(self):
        """An operator with an argument of the wrong shape."""
        name, _ = self.values.pick(self.expressions.table[self.values.pick(list(self.expressions.table))])
        return {name: self.values.pick([[], {}, None, 1, "x", [1], [1, 2, 3, 4, 5], {"input": 1}, {"x": 1}, "$x", [[]]])}

    def match(self):
        return self.case("match", filter=self.queries.predicate())

    def find(self):
        if self.values.chance(0.2):
            query, projection = self.queries.positional()
            return self.case("find", filter=query, projection=projection)
        return self.case("find", filter={}, projection=self.queries.projection())

    def sort(self):
        return self.case("sort", sort=self.queries.sort())

    def pipeline(self):
        stages = self.pipelines.pipeline()
        for index, stage in enumerate(stages):
            if UNORDERED_STAGES & set(stage):
                return self.case("pipeline", pipeline=stages[:index + 1])
        return self.case("pipeline", pipeline=stages)

    def update(self):
        query, update, filters = self.queries.update()
        document = self.values.pick(self.documents)
        body = {"query": {"_id": document["_id"], **query}, "update": update}
        if filters:
            body["arrayFilters"] = filters
        if self.values.chance(0.1):
            body["query"], body["upsert"] = {"_id": 99, **({self.queries.path("any"): self.values.any()} if self.values.chance(0.5) else query)}, True
        return {"kind": "update", "docs": [document], "other": [], **body}

    def distinct(self):
        return self.case("distinct", key=self.values.pick(list(FIELDS) + ["o.x", "ao.x", "a.x", "aa", "o2.a.k", "a.0"]), filter=self.queries.predicate(1) if self.values.chance(0.3) else {})


def commands_of(case, only=None):
    """The commands of a case; what counts is the replies to them."""
    kind = case["kind"]
    if kind == "update":
        spec = {name: case[name] for name in ("arrayFilters", "upsert") if name in case}
        return [{"delete": "u", "deletes": [{"q": {}, "limit": 0}], "$db": DB}] + ([{"insert": "u", "documents": case["docs"], "$db": DB}] if case["docs"] else []) + [
            {"update": "u", "updates": [{"q": case["query"], "u": case["update"], **spec}], "$db": DB},
            {"find": "u", "filter": {}, "$db": DB}]
    if kind == "match":
        return [{"find": "c", "filter": case["filter"], "projection": {"_id": 1}, "$db": DB}]
    if kind == "find":
        return [{"find": "c", "filter": case["filter"], "projection": case["projection"], "$db": DB}]
    if kind == "distinct":
        return [{"distinct": "c", "key": case["key"], "query": case["filter"], "$db": DB}]
    if kind == "expression":
        pipeline = [{"$replaceWith": {"_id": "$_id", "r": case["expr"]}}]
    elif kind == "sort":
        pipeline = [{"$sort": case["sort"]}, {"$project": {"_id": 1}}]
    else:
        pipeline = case["pipeline"]
    if only is not None:
        pipeline = [{"$match": {"_id": only}}, *pipeline]
    return [{"aggregate": "c", "pipeline": pipeline, "cursor": {"batchSize": 100000}, "$db": DB}]


class Outcome:
    """An error's code, or what came."""

    def __init__(self, kind, replies):
        self.code, self.message, self.results = None, "", None
        try:
            for reply in replies:
                servers.checked(reply)
        except servers.Failed as error:
            self.code, self.message = error.code, error.message
            if kind == "update":    # what failed must not have changed anything
                self.results = [replies[-1].get("cursor", {}).get("firstBatch")]
            return
        if kind == "update":
            self.results = [replies[-2].get("n"), replies[-2].get("nModified"), replies[-1]["cursor"]["firstBatch"]]
        elif kind == "distinct":
            self.results = replies[0]["values"]
        else:
            self.results = replies[0]["cursor"]["firstBatch"]

    def kind(self):
        """What has to stay while a case is made smaller."""
        return "ok" if self.code is None else self.code

    def __str__(self):
        return f"error {self.code}: {self.message[:300]}" if self.code is not None else to_json(self.results)


SAME = None     # two replies that are equal to the byte


def names_in(value, into):
    if isinstance(value, dict):
        for name, item in value.items():
            into.add(name)
            names_in(item, into)
    elif isinstance(value, list):
        for item in value:
            names_in(item, into)
    return into


def bagged(value):
    if isinstance(value, dict):
        return {name: bagged(item) for name, item in value.items()}
    if isinstance(value, list):
        return sorted(map(bagged, value), key=to_json)
    return value


def same(case, theirs, ours):
    if theirs is SAME:
        return True
    if theirs.code != ours.code:
        return False
    left, right = theirs.results, ours.results
    if left is not None and right is not None and not identical(left, right):
        names = operators_of(case)
        if names & UNORDERED_ARRAYS or case["kind"] == "distinct":
            return identical(bagged(left), bagged(right))
        if names & UNORDERED_STAGES:
            return identical(sorted(left, key=to_json), sorted(right, key=to_json))
        return False
    return True


# --- running on both --------------------------------------------------------------------------------------------------------------------

class Search:
    def __init__(self):
        self.genuine = servers.start_genuine()
        self.millrace = servers.start_millrace()
        self.loaded = None
        self.known = [(row["name"], globals()["known_" + row["name"]]) for row in rows("search")]
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
            if batch is not None and batch == raw_batch(ours[0]):
                return SAME, SAME
        return tuple(Outcome(case["kind"], [read(reply) for reply in replies]) for replies in (theirs, ours))

    def explained(self, case, theirs, ours):
        for name, recognises in self.known:
            if recognises(case, theirs, ours):
                self.known_counts[name] += 1
                return True
        return False

    def compare(self, case):
        """None, or the two outcomes that differ; documents that fail for all are tried one by one."""
        self.load(case)
        theirs, ours = self.outcomes(case)
        if not same(case, theirs, ours):
            return None if self.explained(case, theirs, ours) else (theirs, ours)
        if theirs is not SAME and theirs.code is not None and case["kind"] == "expression" and len(case["docs"]) > 1:
            for document in case["docs"][:4]:
                theirs, ours = self.outcomes(case, document["_id"])
                if not same(case, theirs, ours) and not self.explained(case, theirs, ours):
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


def reductions_of_case(case):
    docs = case["docs"]
    if len(docs) > 1:
        half = len(docs) // 2
        yield {**case, "docs": docs[:half]}
        yield {**case, "docs": docs[half:]}
    for index in range(len(docs)):
        yield {**case, "docs": docs[:index] + docs[index + 1:]}
    if case["other"]:
        yield {**case, "other": []}
    for part in BODIES:
        if part in case:
            for smaller in reductions(case[part]):
                yield {**case, part: smaller}
    for index, document in enumerate(docs):
        for smaller in reductions(document):
            if isinstance(smaller, dict) and smaller.get("_id") == document.get("_id"):
                yield {**case, "docs": docs[:index] + [smaller] + docs[index + 1:]}


def reductions(value):
    if isinstance(value, dict):
        yield from value.values()
        for name in value:
            yield {key: item for key, item in value.items() if key != name}
        for name in value:
            for smaller in reductions(value[name]):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        yield from value
        for index in range(len(value)):
            yield value[:index] + value[index + 1:]
        for index, item in enumerate(value):
            for smaller in reductions(item):
                yield value[:index] + [smaller] + value[index + 1:]
    elif isinstance(value, str):
        if value not in ("", "a") and not value.startswith("$"):
            yield "a"
    elif value is not None and not (type(value) is int and value in (0, 1)) and not isinstance(value, bool):
        yield None
        yield 1


# --- known differences: one function per row of kind "search" in known_differences.json ---------------------------------------------------

def operators_of(case):
    return names_in([case.get(part) for part in BODIES], set())


def any_value(value, wanted):
    if isinstance(value, dict):
        return any(any_value(item, wanted) for item in value.values())
    if isinstance(value, list):
        return any(any_value(item, wanted) for item in value)
    return wanted(value)


def is_decimal(value):
    return isinstance(value, Opaque) and value.type == DECIMAL


def known_missing_stage(case, theirs, ours):
    return ours.code == 238 and "not supported by Millrace yet" in ours.message


def known_first_of_several_errors(case, theirs, ours):
    if theirs.code == ours.code:
        return False
    if case["kind"] == "pipeline" and (len(case["pipeline"]) > 1 or "$facet" in case["pipeline"][0]):
        return True
    both_fail = theirs.code is not None and ours.code is not None
    if case["kind"] == "update" and isinstance(case["update"], list):   # the server does not fold the constants of an update
        return both_fail or theirs.code is None
    if case["kind"] in ("expression", "match"):     # of one operator alone the order counts
        return both_fail and (sum(name.startswith("$") for name in operators_of(case)) > 1 or "$jsonSchema" in operators_of(case))
    parts = [case["update"]] if case["kind"] == "update" else [case["projection"]] if case["kind"] == "find" else [next(iter(stage.values())) for stage in case.get("pipeline", [])]
    return both_fail and sum(len(fields) if isinstance(fields, dict) else 1 for part in parts for fields in (part.values() if isinstance(part, dict) else [part])) > 1


def known_modified_without_change(case, theirs, ours):
    both = theirs.code is None and ours.code is None
    return both and case["kind"] == "update" and theirs.results[1] == 1 and ours.results[1] == 0 and identical(theirs.results[2], ours.results[2])


def known_z_of_local_time(case, theirs, ours):
    return theirs.code is None and ours.code is None and {"$dateToString", "timezone"} <= operators_of(case)


def known_densify_behind_its_range(case, theirs, ours):
    return case["kind"] == "pipeline" and theirs.code is None and ours.code in (5733201, 6053600) and "$densify" in operators_of(case)


def known_constants_moved(case, theirs, ours):
    return bool(operators_of(case) & {"$add", "$multiply", "$and", "$or"}) and theirs.code is not None and ours.code is None


def known_order_of_ties(case, theirs, ours):
    if case["kind"] != "pipeline" or len(case["pipeline"]) < 2 or theirs.code is not None or ours.code is not None:
        return False
    return identical(sorted(theirs.results, key=to_json), sorted(ours.results, key=to_json))


def known_chosen_of_equal_elements(case, theirs, ours):
    def by_value(value):
        if isinstance(value, dict):
            return {name: by_value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [by_value(item) for item in value]
        if is_decimal(value):
            return float(Decimal128.from_bid(value.data).to_decimal())
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    return bool(operators_of(case) & UNORDERED_ARRAYS) and theirs.code is None and ours.code is None and identical(bagged(by_value(theirs.results)), bagged(by_value(ours.results)))


def known_dates_beyond_the_calendar(case, theirs, ours):
    def beyond(value):
        return isinstance(value, Opaque) and value.type == DATE and abs(int.from_bytes(value.data, "little", signed=True)) > 9_000_000_000_000_000
    return any_value([case[part] for part in BODIES + ("docs",) if part in case], beyond)


def known_characters_cut_into_bytes(case, theirs, ours):
    return {"$replaceAll", "$replaceOne"} & operators_of(case) != set() and theirs.code is None and any_value(theirs.results, lambda value: isinstance(value, str) and any("\udc80" <= c <= "\udcff" for c in value))


def known_get_field(case, theirs, ours):
    return "$getField" in operators_of(case) and theirs.code in (5654600, 5654601, 3041703)


def known_newer_conversions(case, theirs, ours):
    if theirs.code == 241 and "Unsupported conversion from" in theirs.message:
        return bool(re.search("from (binData|array|object|regex|timestamp|javascript|minKey|maxKey|symbol|dbPointer) to|to (binData|array|object)", theirs.message))
    return {"$convert", "onError"} <= operators_of(case) and theirs.code is None and ours.code is None


def known_date_arithmetic_before_1970(case, theirs, ours):
    def before_1970(value):
        milliseconds = int.from_bytes(value.data, "little", signed=True) if isinstance(value, Opaque) and value.type == DATE else 0
        return milliseconds < 0 and milliseconds % 1000 != 0
    return theirs.code is None and bool(operators_of(case) & {"$dateAdd", "$dateSubtract"}) and any_value([case[part] for part in BODIES + ("docs",) if part in case], before_1970)


def known_logarithm_of_decimals(case, theirs, ours):
    return theirs.code is None and "$log" in operators_of(case) and any_value(theirs.results, is_decimal)


def known_last_digit_of_decimals(case, theirs, ours):
    return theirs.code is None and ours.code is None and bool(operators_of(case) & DECIMAL_FUNCTIONS) and nearly_identical(theirs.results, ours.results)


DECIMAL_FUNCTIONS = {"$pow", "$exp", "$ln", "$log", "$log10", "$sqrt", "$sin", "$cos", "$tan", "$asin", "$acos", "$atan", "$atan2", "$sinh", "$cosh", "$tanh", "$asinh", "$acosh", "$atanh",
                     "$degreesToRadians", "$radiansToDegrees", "$stdDevPop", "$stdDevSamp", "$avg", "$divide", "$add", "$multiply"}


def nearly_identical(left, right):
    """identical(), but for the last digits of decimals and of doubles."""
    if isinstance(left, float) and isinstance(right, float) and left == left and right == right:
        return left == right or abs(left - right) <= abs(left) * 1e-15
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(map(nearly_identical, left.values(), right.values()))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(nearly_identical, left, right))
    if is_decimal(left) and is_decimal(right):
        with decimal.localcontext() as context:
            context.prec = 40
            x, y = (Decimal128.from_bid(value.data).to_decimal() for value in (left, right))
            return x == y or (x.is_finite() and y.is_finite() and abs(x - y) <= abs(x) * decimal.Decimal("1E-31"))
    return identical(left, right)


def known_bits_of_decimals(case, theirs, ours):
    return any(name.startswith("$bits") for name in operators_of(case)) and any_value(case["docs"], is_decimal)


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
