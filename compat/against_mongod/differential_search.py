"""Looks for differences between Millrace and a genuine MongoDB: random documents, and random expressions, predicates, projections, sorts, stages, pipelines
and updates over them, run on both and compared in value, type, order of fields and error code.

    differential_search.py MILLRACE-BINARY [--cases N] [--seed S] [--first-block B] [--kind K] [--seconds T] [--show N]

Cases come in blocks of 100 that share their documents; block B of seed S is the same everywhere, whatever ran before it, and a difference is printed
in its smallest form with the `--seed` and `--first-block` that replay it. Ends with 0, 1 for a difference without an explanation, 77 when there is no genuine server.
An explanation is a function `known_…` below, or one that asks the server again (Search.optimizer_did_it), with its reason in known_differences.json.
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
from bson_values import DATE, DECIMAL, OID, Int64, Opaque, date, identical, raw_batch, read, to_json, write
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
        self.known = [(row["name"], globals()["known_" + row["name"]]) for row in rows("search") if "known_" + row["name"] in globals()]
        self.causes = [(row["name"], getattr(self, "cause_" + row["name"])) for row in rows("search") if hasattr(self, "cause_" + row["name"])]
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

    def explained(self, case, theirs, ours, only=None):
        for name, recognises in self.known:
            if recognises(case, theirs, ours):
                self.known_counts[name] += 1
                return True
        for name, ask in self.causes:
            if ask(case, theirs, ours, only):
                self.known_counts[name] += 1
                return True
        return False

    # --- explanations for which the servers are asked again ---
    def alone(self, connection, case, only=None):
        commands = commands_of(case, only)
        for command in commands:
            connection.send(command)
        return Outcome(case["kind"], [connection.receive() for _ in commands])

    def vanishes(self, case, changed, only):
        """The difference is gone when its cause is taken out of the documents or of the case."""
        if to_json([changed.get(part) for part in (*BODIES, "docs")]) == to_json([case.get(part) for part in (*BODIES, "docs")]):
            return False
        changed = {**changed, "docs": list(changed["docs"])}
        self.load(changed)
        try:
            theirs, ours = self.outcomes(changed, only)
            return same(changed, theirs, ours) or any(recognises(changed, theirs, ours) for _, recognises in self.known)
        finally:
            self.load(case)

    def cause_averages_of_large_longs(self, case, theirs, ours, only):
        def smaller(value):
            return type(value)(1) if isinstance(value, Int64) and abs(value) > 1 << 53 else value
        return "$avg" in operators_of(case) and self.vanishes(case, in_case(case, smaller), only)

    def cause_powers_of_ten(self, case, theirs, ours, only):
        def eleven(value):
            return 11 if is_decimal(value) and Decimal128.from_bid(value.data).to_decimal() == 10 else value
        return "$pow" in operators_of(case) and self.vanishes(case, in_case(case, eleven), only)

    def cause_rounding_at_32_bits(self, case, theirs, ours, only):
        return "$round" in operators_of(case) and self.vanishes(case, in_case(case, lambda one: Int64(one) if type(one) is int and abs(one) > 1 << 30 else one), only)

    def cause_characters_cut_apart(self, case, theirs, ours, only):
        return bool({"$replaceAll", "$replaceOne"} & operators_of(case)) and self.vanishes(case, in_case(case, lambda one: "empty" if one == "" else one), only)

    def cause_lookup_in_nothing(self, case, theirs, ours, only):
        """It fails as well when the collection is there."""
        if case["kind"] != "pipeline" or theirs.code is not None or ours.code is None or not {"$lookup", "let"} <= operators_of(case):
            return False
        there = everywhere(case["pipeline"], lambda one: {**one, "from": "c"} if isinstance(one, dict) and "from" in one else one)
        return self.alone(self.genuine, {**case, "pipeline": there}).code == ours.code

    def cause_limit(self, case, theirs, ours, only):
        """Without the $limit the server fails as well."""
        if case["kind"] != "pipeline" or theirs.code is not None or ours.code is None or "$limit" not in operators_of(case):
            return False
        return self.alone(self.genuine, {**case, "pipeline": [stage for stage in case["pipeline"] if "$limit" not in stage]}).code == ours.code

    def cause_optimizer(self, case, theirs, ours, only):
        """Without its optimizer the server does what Millrace does."""
        plain = case
        if case["kind"] == "find" and not any(name.endswith(".$") for name in case["projection"]):  # it can be turned off for aggregates alone
            plain = {**case, "kind": "pipeline", "pipeline": [{"$match": case["filter"]}, {"$project": case["projection"]}]}
            reduced = {**case, "projection": {name: one for name, one in case["projection"].items() if not (isinstance(one, dict) and set(one) & {"$slice", "$elemMatch"})}}
            if reduced["projection"] != case["projection"]:
                return bool(reduced["projection"]) and self.cause_optimizer(reduced, self.alone(self.genuine, reduced), self.alone(self.millrace, reduced), only)
        if plain["kind"] == "pipeline":     # not into the query before it either
            plain = {**plain, "pipeline": [{"$_internalInhibitOptimization": {}}, *plain["pipeline"]]}
        with servers.WithoutOptimizer(self.genuine):
            return same(case, self.alone(self.genuine, plain, only), ours)

    def cause_plain_find(self, case, theirs, ours, only):
        """In an aggregate, where 6.0.5 optimizes expressions, it does what Millrace does."""
        if case["kind"] not in ("match", "find") or "$expr" not in operators_of(case) | set(case["filter"]):
            return False
        commands = [{"aggregate": "c", "pipeline": [{"$match": case["filter"]}, {"$project": {"_id": 1}}], "cursor": {"batchSize": 1000}, "$db": DB}]
        self.genuine.send(commands[0])
        return same(case, Outcome("pipeline", [self.genuine.receive()]), ours)

    def cause_order_of_clauses(self, case, theirs, ours, only):
        """A $match that the server does not sort, as it stands in a $facet or behind others: at the beginning it does not fail."""
        if theirs.code is None or "$expr" not in operators_of(case):
            return False
        if case["kind"] in ("match", "find"):   # a clause that settles the answer
            return ours.code is None and any(same(case, self.alone(self.genuine, {**case, "filter": one}), ours) for one in deletions(case["filter"]))
        if case["kind"] != "pipeline":
            return False
        if ours.code is None and {"$or", "$nor", "$and"} & operators_of(case) and any(same(case, self.alone(self.genuine, {**case, "pipeline": one}), ours) for one in deletions(case["pipeline"])):
            return True
        filters = [one["$match"] for one in parts_everywhere(case["pipeline"]) if set(one) == {"$match"}]
        return any(self.alone(self.genuine, {**case, "kind": "match", "filter": one}).code is None for one in filters if "$expr" in names_in(one, set()))

    def cause_place_of_a_removed_field(self, case, theirs, ours, only):
        """In an expression the order of the fields can be seen by others."""
        return theirs.code is None and ours.code is None and {"$unsetField", "$setField"} <= operators_of(case) and alike_but_for_one_place(bagged(theirs.results), bagged(ours.results))

    def cause_first_of_several_errors(self, case, theirs, ours, only):
        """Both fail, and a part of the case has the error of the one on the other as well."""
        if theirs.code is None or ours.code is None:
            return False
        if case["kind"] == "update":    # its expressions are tried on the same documents
            self.load({**case, "kind": "expression"})
        for part in parts_of(case):
            if self.alone(self.millrace, part, only).code == theirs.code or self.alone(self.genuine, part, only).code == ours.code:
                return True
        return False

    def cause_constants_before_documents(self, case, theirs, ours, only):
        """The error of a constant where the server computes none before there is a document: for one document it fails as well."""
        later = case["kind"] in ("match", "find") or isinstance(case.get("update"), list)
        if ours.code is None or "PlanExecutor" in ours.message or not (later or operators_of(case) & CONSTANTS_COMPUTED_LATE):
            return False
        one = {**case, "kind": "expression", "docs": [{"_id": 0}]}
        self.load(one)
        try:
            return any(self.alone(self.genuine, {"kind": "expression", "expr": part, "docs": [], "other": []}).code == ours.code for part in expressions_in([case[name] for name in BODIES if name in case]))
        finally:
            self.load(case)

    def cause_constants_not_computed(self, case, theirs, ours, only):
        """With the values of such constants in their places the server does what Millrace does."""
        def computed(value):
            if not (isinstance(value, dict) and len(value) == 1 and set(value) <= CONSTANTS_COMPUTED_LATE - {"$lookup"}) or any_value(value, lambda one: isinstance(one, str) and one.startswith("$")):
                return value
            found = self.alone(self.genuine, {"kind": "expression", "expr": value, "docs": [], "other": []})
            return {"$literal": found.results[0]["r"]} if found.results and "r" in found.results[0] else value
        if not operators_of(case) & CONSTANTS_COMPUTED_LATE or case["kind"] == "update":
            return False
        return same(case, self.alone(self.genuine, in_bodies(case, computed), only), ours)

    def cause_hash_of_decimals(self, case, theirs, ours, only):
        """The server makes two groups of a double and a decimal that it compares as equal."""
        grouping = {"$group", "$sortByCount", "$bucket", "$bucketAuto", "$addToSet", "$setUnion"}
        if theirs.code is not None or ours.code is not None or not operators_of(case) & grouping or len(theirs.results) <= len(ours.results):
            return False
        return self.vanishes(case, in_case(case, double_of), only)

    def cause_elements_left_out(self, case, theirs, ours, only):
        """A $project of "a.x" leaves places without a value in the array `a` for what is no object, until the document is written."""
        if "$project" not in operators_of(case) or theirs.code is not None and ours.code is not None:
            return False
        return self.vanishes(case, {**case, "docs": everywhere(case["docs"], lambda one: [item for item in one if isinstance(item, dict)] if isinstance(one, list) else one)}, only)

    def cause_offsets_with_seconds(self, case, theirs, ours, only):
        return {"$dateDiff", "timezone"} <= operators_of(case) and self.vanishes(case, in_case(case, later_date), only)

    def cause_logarithm_of_decimals(self, case, theirs, ours, only):
        return "$log" in operators_of(case) and self.vanishes(case, in_case(renamed_conversion(case), double_of), only)

    def cause_arguments_of_first(self, case, theirs, ours, only):
        """The server fails as Millrace does when the last value is asked for instead of the first."""
        if theirs.code is not None or ours.code is None or case["kind"] != "pipeline":
            return False
        def whole(value):
            return {**value, "window": {"documents": ["unbounded", "unbounded"]}} if isinstance(value, dict) and "window" in value else value
        for end in range(1, len(case["pipeline"]) + 1):
            stages = case["pipeline"][:end]
            last_one = {name: renamed(body, {"$first": "$push", "$last": "$push"}) for name, body in stages[-1].items()}
            for changed in (renamed(stages, {"$first": "$last", "$firstN": "$lastN"}), everywhere(stages, whole), everywhere([*stages[:-1], last_one], whole)):
                if self.alone(self.genuine, {**case, "pipeline": changed}).code == ours.code:
                    return True
        return False

    def cause_newer_conversions(self, case, theirs, ours, only):
        """The server takes the way of onError for a type that it does not convert yet."""
        if theirs.code is None and ours.code == 4341115:    # without its format, and that is no failure of the conversion
            return True
        if theirs.code is not None or ours.code is not None or not {"$convert", "onError"} <= operators_of(case):
            return newer_conversion(theirs)
        if case["kind"] != "expression":
            return newer_conversion(self.alone(self.genuine, in_bodies(case, lambda one: without_one(one, "onError"))))
        bare = {**case, "expr": without(case["expr"], "onError")}
        wrong = [document for document, one, other in zip(case["docs"], theirs.results, ours.results) if not identical(one, other)] if only is None else [{"_id": only}]
        return all(newer_conversion(self.alone(self.genuine, bare, document["_id"])) for document in wrong)

    def cause_z_of_local_time(self, case, theirs, ours, only):
        """Nothing is left of it with the format written out."""
        return "$dateToString" in operators_of(case) and self.vanishes(case, in_bodies(case, with_format), only)

    def cause_dates_at_the_end_of_64_bits(self, case, theirs, ours, only):
        return self.vanishes(case, in_case(case, nearer_date), only) or bool(operators_of(case) & DATE_ARITHMETIC) and self.vanishes(case, in_case(case, lambda value: nearer_number(nearer_date(value))), only)

    def cause_bits_of_decimals(self, case, theirs, ours, only):
        return any(name.startswith("$bits") for name in operators_of(case)) and self.vanishes(case, {**case, "docs": everywhere(case["docs"], whole_decimal)}, only)

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
                if part != "query" or isinstance(smaller, dict) and "_id" in smaller:   # an upsert without it makes one
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


def known_modified_without_change(case, theirs, ours):
    both = theirs.code is None and ours.code is None
    return both and case["kind"] == "update" and theirs.results[1] == 1 and ours.results[1] == 0 and identical(theirs.results[2], ours.results[2])


def known_densify_behind_its_range(case, theirs, ours):
    return case["kind"] == "pipeline" and ours.code in (5733201, 6053600) and "$densify" in operators_of(case)


def known_order_of_ties(case, theirs, ours):
    if "$sortArray" in operators_of(case):  # of many elements
        return theirs.code is None and ours.code is None and identical(bagged(theirs.results), bagged(ours.results))
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
            return float(Decimal128.from_bid(value.data).to_decimal()) + 0.0
        return float(value) + 0.0 if isinstance(value, (int, float)) and not isinstance(value, bool) else value     # -0.0 is 0.0
    return bool(operators_of(case) & (UNORDERED_ARRAYS | {"$bucketAuto"})) and theirs.code is None and ours.code is None and identical(bagged(by_value(theirs.results)), bagged(by_value(ours.results)))


def known_characters_cut_into_bytes(case, theirs, ours):
    return {"$replaceAll", "$replaceOne"} & operators_of(case) != set() and theirs.code is None and any_value(theirs.results, lambda value: isinstance(value, str) and any("\udc80" <= c <= "\udcff" for c in value))


def known_code_of_a_constant_set(case, theirs, ours):
    return (theirs.code, ours.code) in ((17046, 17310), (17044, 5887502))


def known_place_of_a_removed_field(case, theirs, ours):
    removing = {"$unset", "$unsetField", "$project", "$$REMOVE", "$setField", "$addFields", "$set", "$replaceWith", "$unwind"}
    return theirs.code is None and ours.code is None and len(operators_of(case) & removing) > 0 and alike_but_for_one_place(theirs.results, ours.results)


def alike_but_for_one_place(left, right):
    """Of each object one field may stand elsewhere."""
    if isinstance(left, dict) and isinstance(right, dict):
        if set(left) != set(right) or not all(alike_but_for_one_place(left[name], right[name]) for name in left):
            return False
        return list(left) == list(right) or any([one for one in left if one != name] == [one for one in right if one != name] for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike_but_for_one_place, left, right))
    return identical(left, right)


def known_limit_of_densify(case, theirs, ours):
    return ours.code == 5897900 and "$densify" in operators_of(case)


def known_newer_patterns(case, theirs, ours):
    return theirs.code in (40086, 51745) and bool(re.search("found: (regex|/)", theirs.message))


def known_code_of_too_large(case, theirs, ours):
    return (theirs.code, ours.code) in ((13548, 10334), (10334, 17419))


def known_generated_ids(case, theirs, ours):
    def without_ids(results):
        return everywhere(results, lambda one: "generated" if isinstance(one, Opaque) and one.type == OID else one)
    return "upsert" in case and theirs.code is None and ours.code is None and "_id" not in names_in(case["update"], set()) and identical(without_ids(theirs.results), without_ids(ours.results))


def known_sign_of_overflow(case, theirs, ours):
    def positive(value):
        if is_decimal(value) and Decimal128.from_bid(value.data).to_decimal().is_infinite():
            return float("inf")
        return value
    return "$pow" in operators_of(case) and theirs.code is None and ours.code is None and nearly_identical(everywhere(theirs.results, positive), everywhere(ours.results, positive))


def known_code_of_a_collision(case, theirs, ours):
    return ours.code in (31249, 31250) and theirs.code in (31249, 31250, 31252)


def known_position_beside_bits(case, theirs, ours):
    return case["kind"] == "find" and any(name.startswith("$bits") for name in operators_of(case)) and any(name.endswith(".$") for name in case["projection"])


def known_count_of_a_group(case, theirs, ours):
    return ours.code in (5787902, 5787903, 5787908) and "PlanExecutor" not in ours.message and bool(operators_of(case) & N_FORMS)


CONSTANTS_COMPUTED_LATE = {"$setField", "$getField", "$unsetField", "$regexMatch", "$regexFind", "$regexFindAll", "$replaceOne", "$replaceAll", "$lookup", "$setEquals"}
N_FORMS = {"$firstN", "$lastN", "$minN", "$maxN", "$topN", "$bottomN"}


def known_odd_date_strings(case, theirs, ours):
    text = re.search("Error parsing date string '(.*)'; ", ours.message, re.S)
    return ours.code == 241 and text is not None and not re.match(r"\d{4}-\d", text[1])


def known_ambiguous_sort_keys(case, theirs, ours):
    return theirs.code == 16746 and bool(operators_of(case) & {"$top", "$topN", "$bottom", "$bottomN"})


def known_deviation_of_nothing(case, theirs, ours):
    def no_zero(value):
        return None if isinstance(value, float) and value == 0 and str(value) == "-0.0" else value
    return {"$setWindowFields", "$stdDevSamp"} <= operators_of(case) and theirs.code is None and ours.code is None and identical(everywhere(theirs.results, no_zero), everywhere(ours.results, no_zero))


def known_get_field(case, theirs, ours):
    return "$getField" in operators_of(case) and theirs.code in (5654600, 5654601, 3041703)


def newer_conversion(theirs):
    return theirs.code == 241 and bool(re.search("Unsupported conversion from (binData|array|object|regex|timestamp|javascript|minKey|maxKey|symbol|dbPointer) to|Unsupported conversion from .* to (binData|array|object)",
                                                 theirs.message))


def everywhere(value, change):
    """The value with `change` applied from the inside out."""
    if isinstance(value, dict):
        value = {name: everywhere(item, change) for name, item in value.items()}
    elif isinstance(value, list):
        value = [everywhere(item, change) for item in value]
    return change(value)


def in_bodies(case, change):
    return {**case, **{part: everywhere(case[part], change) for part in BODIES if part in case}}


def in_case(case, change):
    return {**in_bodies(case, change), "docs": everywhere(case["docs"], change)}


def without_one(value, name):
    return {key: one for key, one in value.items() if key != name} if isinstance(value, dict) else value


def without(value, name):
    return everywhere(value, lambda item: without_one(item, name))


def renamed(value, names):
    return everywhere(value, lambda item: {names.get(key, key): one for key, one in item.items()} if isinstance(item, dict) else item)


def with_format(value):
    if isinstance(value, dict) and isinstance(value.get("$dateToString"), dict) and "timezone" in value["$dateToString"] and "format" not in value["$dateToString"]:
        return {"$dateToString": {**value["$dateToString"], "format": "%Y-%m-%dT%H:%M:%S.%L"}}
    return value


DATE_ARITHMETIC = {"$add", "$subtract", "$toDate", "$dateAdd", "$dateSubtract", "$dateTrunc", "$dateFromParts", "$dateDiff"}


def nearer_number(value):
    """A number of milliseconds that no date has."""
    if is_decimal(value):
        number = Decimal128.from_bid(value.data).to_decimal()
        return value if number.is_finite() and abs(number) < 1 << 53 else 1
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not abs(value) < 1 << 53:
        return type(value)(1)
    return value


def later_date(value):
    early = isinstance(value, Opaque) and value.type == DATE and int.from_bytes(value.data, "little", signed=True) < -1_577_923_200_000
    return date(0) if early else value


def nearer_date(value):
    if isinstance(value, Opaque) and value.type == DATE and abs(int.from_bytes(value.data, "little", signed=True)) > 9_223_000_000_000_000_000:
        return date(8_640_000_000_000_000 * (1 if value.data[7] < 128 else -1))
    return value


def double_of(value):
    return float(Decimal128.from_bid(value.data).to_decimal()) if is_decimal(value) else value


def renamed_conversion(case):
    return {**case, **{part: renamed(case[part], {"$toDecimal": "$toDouble"}) for part in BODIES if part in case}}


def whole_decimal(value):
    if is_decimal(value):
        number = Decimal128.from_bid(value.data).to_decimal()
        if not (number.is_finite() and number == number.to_integral_value() and abs(number) < 1 << 63):
            return "no number"
    return value


def parts_everywhere(value):
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from parts_everywhere(item)
    elif isinstance(value, list):
        for item in value:
            yield from parts_everywhere(item)


def expressions_in(value):
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)).startswith("$"):
            yield value
        for item in value.values():
            yield from expressions_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions_in(item)


def deletions(value):
    """The value without one field or element, at any depth."""
    if isinstance(value, dict):
        for name in value:
            if len(value) > 1:
                yield {key: item for key, item in value.items() if key != name}
            for smaller in deletions(value[name]):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if len(value) > 1:
                yield value[:index] + value[index + 1:]
            for smaller in deletions(item):
                yield value[:index] + [smaller] + value[index + 1:]


def parts_of(case):
    """Smaller cases of which each has fewer of the errors that the case has."""
    kind, found = case["kind"], []
    for name in ("update", "projection", "filter"):
        fields = case.get(name)
        if isinstance(fields, dict):
            found += [{**case, name: {key: item}} for key, item in fields.items() if len(fields) > 1]
            found += [{**case, name: {key: {inner: one}}} for key, item in fields.items() if isinstance(item, dict) and len(item) > 1 for inner, one in item.items()]
            found += [{**case, name: clause} for items in fields.values() if isinstance(items, list) for clause in items if isinstance(clause, dict)]
            found += [{**case, name: smaller} for smaller in deletions(fields)]
        elif isinstance(fields, list):
            found += [{**case, name: [stage]} for stage in fields if len(fields) > 1]
    if "projection" in case:    # one that does not collide with the others
        found += [{**case, "projection": {"other." + key if key == name else key: item for key, item in case["projection"].items()}} for name in case["projection"] if name != "_id"]
    if isinstance(case.get("update"), dict):    # paths that say nothing of elements
        found += [{**case, "update": {name: {re.sub(r"\.\$(\[\w*\])?", "", path): one for path, one in fields.items()}}} for name, fields in case["update"].items() if isinstance(fields, dict)]
    if "arrayFilters" in case:  # one that is not used is an error of its own
        found += [{key: item for key, item in part.items() if key != "arrayFilters"} for part in found]
        found += [{**part, "arrayFilters": [one]} for part in found if "arrayFilters" in part for one in case["arrayFilters"]]
    stages = case.get("pipeline", [])
    found += [{**case, "pipeline": stages[:end]} for end in range(1, len(stages))]
    found += [{**case, "pipeline": [stage]} for stage in stages if len(stages) > 1]
    found += [{**case, "pipeline": [{name: smaller}]} for stage in stages for name, body in stage.items() if name not in ("$facet", "$lookup") for smaller in deletions(body)]
    found += [{**case, "pipeline": inner} for stage in stages if isinstance(stage.get("$facet"), dict) for inner in stage["$facet"].values() if isinstance(inner, list)]
    found += [{**case, "pipeline": [one]} for stage in stages if isinstance(stage.get("$facet"), dict) for inner in stage["$facet"].values() if isinstance(inner, list) for one in inner]
    bodies = [case[name] for name in BODIES if name in case]
    if kind != "update" or isinstance(case["update"], list):
        documents = {"docs": case["docs"], "other": case["other"]}
        free = everywhere(bodies, lambda one: 1 if isinstance(one, str) and one.startswith("$$") and one[2:3].islower() else one)     # variables are bound elsewhere
        found += [{"kind": "expression", **documents, "expr": one} for one in [*expressions_in(bodies), *(expressions_in(free) if free != bodies else ())] if one is not case.get("expr")]
    return found[:80]


def known_date_arithmetic_before_1970(case, theirs, ours):
    def before_1970(value):
        milliseconds = int.from_bytes(value.data, "little", signed=True) if isinstance(value, Opaque) and value.type == DATE else 0
        return milliseconds < 0 and milliseconds % 1000 != 0
    return theirs.code is None and bool(operators_of(case) & {"$dateAdd", "$dateSubtract"}) and any_value([case[part] for part in BODIES + ("docs",) if part in case], before_1970)


def known_last_digit_of_decimals(case, theirs, ours):
    def ordered(results):
        return sorted(results, key=lambda one: to_json(one.get("_id"))) if operators_of(case) & UNORDERED_STAGES else results
    return theirs.code is None and ours.code is None and bool(operators_of(case) & DECIMAL_FUNCTIONS) and nearly_identical(ordered(theirs.results), ordered(ours.results))


DECIMAL_FUNCTIONS = {"$pow", "$exp", "$ln", "$log", "$log10", "$sqrt", "$sin", "$cos", "$tan", "$asin", "$acos", "$atan", "$atan2", "$sinh", "$cosh", "$tanh", "$asinh", "$acosh", "$atanh",
                     "$degreesToRadians", "$radiansToDegrees", "$stdDevPop", "$stdDevSamp", "$avg", "$divide", "$add", "$multiply", "$fill", "$linearFill"}


def nearly_identical(left, right):
    """identical(), but for the last digits of decimals and of doubles."""
    if identical(left, right):
        return True
    if isinstance(left, float) and isinstance(right, float) and left == left and right == right:
        return left == right or abs(left - right) <= abs(left) * 1e-15
    if isinstance(left, str) and isinstance(right, str):    # decimals as text
        try:
            with decimal.localcontext() as context:
                context.prec = 40
                x, y = decimal.Decimal(left), decimal.Decimal(right)
                return x.is_finite() and y.is_finite() and abs(x - y) <= abs(x) * decimal.Decimal("1E-31")
        except decimal.InvalidOperation:
            return False
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
