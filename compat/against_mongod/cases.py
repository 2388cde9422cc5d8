"""One case of the search: where it comes from, the commands it is sent as, what came back, and when two answers are the same.

A case is a dict with its `kind`, its documents (`docs`, `other`) and the parts that BODIES names.
"""
import servers
from bson_values import identical, to_json
from generate_expressions import Expressions
from generate_pipelines import Pipelines
from generate_queries import Queries
from generate_values import FIELDS, Values
from known_differences import newer_code

DB = "search"
CASES_PER_BLOCK = 100
BODIES = ("expr", "filter", "pipeline", "projection", "sort", "query", "update", "arrayFilters")    # the parts of a case that are searched and made smaller
DOCUMENTS = 12
# Behind these the documents have no order that anybody promised.
UNORDERED_STAGES = {"$group", "$sortByCount"}
# What these give has no order of its own, so their arrays are compared as bags.
UNORDERED_ARRAYS = {"$addToSet", "$setUnion", "$setIntersection", "$setDifference", "$graphLookup"}


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

    def __init__(self, kind, replies, connection):
        """`connection`: for the batches behind the first 16 MB, in which an error may wait."""
        self.code, self.message, self.results = None, "", None
        try:
            for reply in replies:
                servers.checked(reply)
        except servers.Failed as error:
            self.fail(error, connection)
            if kind == "update":    # what failed must not have changed anything
                self.results = [replies[-1].get("cursor", {}).get("firstBatch")]
            return
        if kind == "update":
            self.results = [replies[-2].get("n"), replies[-2].get("nModified"), replies[-1]["cursor"]["firstBatch"]]
        elif kind == "distinct":
            self.results = replies[0]["values"]
        else:
            self.results = replies[0]["cursor"]["firstBatch"]
            self.read_on(replies[0]["cursor"], connection)

    def fail(self, error, connection):
        self.message = error.message
        self.code = newer_code(error.code, error.message) if connection.name == "mongod" else error.code

    def read_on(self, cursor, connection):
        namespace = cursor["ns"].split(".", 1)
        while cursor["id"] and self.code is None:
            connection.send({"getMore": cursor["id"], "collection": namespace[1], "$db": namespace[0]})
            reply = connection.receive()
            try:
                cursor = servers.checked(reply)["cursor"]
                self.results += cursor["nextBatch"]
            except servers.Failed as error:
                self.fail(error, connection)
                self.results = None

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


def operators_of(case):
    return names_in([case.get(part) for part in BODIES], set())
