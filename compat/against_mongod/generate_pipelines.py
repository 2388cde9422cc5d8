"""Random stages and pipelines of aggregate."""
from bson_values import Int64, date, decimal
from generate_values import FIELDS


class Pipelines:
    def __init__(self, values, expressions, queries):
        self.values = values
        self.expressions = expressions
        self.queries = queries

    def path(self):
        return self.values.pick(list(FIELDS) + ["o.x", "o.y", "o.new", "ao.x", "ao.new", "a.x", "aa.x", "aa.new.y", "o2.a.x", "o2.r.z", "new", "x.y", "s.t"])

    def pipeline(self):
        v = self.values
        stages = [self.stage() for _ in range(v.pick([1, 1, 1, 2, 2, 3]))]
        return stages

    def stage(self):
        v = self.values
        if v.chance(0.12):
            return v.pick([self.bucket_auto, self.window_fields, self.densify, self.fill, self.graph_lookup])()
        makers = [self.project, self.project, self.add_fields, self.add_fields, self.unset, self.replace_root, self.unwind, self.unwind, self.group, self.group, self.group, self.sort, self.match,
                  self.redact, self.bucket, self.facet, self.lookup, self.small_stage, self.sort_by_count]
        return v.pick(makers)()

    # --- one document at a time ---
    def project(self):
        v, e = self.values, self.expressions
        roll = v.random.random()
        projection = {}
        for _ in range(v.pick([1, 2, 3])):
            path = self.path()
            if roll < 0.25:
                projection[path] = v.pick([0, False])
            elif roll < 0.5:
                projection[path] = v.pick([1, True, 1.0, Int64(3)])
            elif v.chance(0.15):
                projection[path] = {v.pick(["x", "y", "z.w"]): v.pick([1, 0, "$i", e.of("any", 1), {"k": 1}])}
            else:
                projection[path] = v.pick([1, e.of("any", 2), e.of("any", 2), [e.of("any", 1), "$missing"], "$" + self.path(), "$$REMOVE"])
        if v.chance(0.25):
            projection["_id"] = v.pick([0, 1, "$i", False])
        if v.chance(0.02):
            projection = v.pick([{}, 1, {"a": 1, "a.b": 1}, {"": 1}, {"$x": 1}, {"a.$": 1}, {"a..b": 1}, {"a": 1, "b": 0}, {"a": {}}])
        return {"$project": projection}

    def add_fields(self):
        v, e = self.values, self.expressions
        fields = {}
        for _ in range(v.pick([1, 1, 2])):
            value = e.of("any", 2)
            fields[self.path()] = v.pick([value, value, value, 1, "$" + self.path(), {"x": e.of("any", 1), "new": "$i"}, [1, e.of("any", 1)], "$$REMOVE", {"$literal": v.any()}, {}])
        if v.chance(0.02):
            fields = v.pick([{}, 1, {"a": 1, "a.b": 1}, {"$x": 1}, {"a.": 1}])
        return {v.pick(["$addFields", "$set"]): fields}

    def unset(self):
        v = self.values
        if v.chance(0.03):
            return {"$unset": v.pick([[], 1, "", [1], ["a", "a.b"], "$a", {}])}
        return {"$unset": self.path() if v.chance(0.5) else v.random.sample(["i", "o.x", "ao.x", "a", "o2.a.x", "aa.x", "x.y", "s"], v.pick([1, 2]))}

    def replace_root(self):
        v, e = self.values, self.expressions
        new = v.pick([e.of("object", 2), {"_id": "$_id", "r": e.of("any", 2)}, {"$mergeObjects": ["$$ROOT", {"n": e.of("any", 1)}]}, "$o", "$o2"])
        return {"$replaceRoot": {"newRoot": new}} if v.chance(0.5) else {"$replaceWith": new}

    def unwind(self):
        v = self.values
        path = "$" + v.pick(["a", "an", "as", "ao", "aa", "o2.a", "x", "o.x", "ao.x", "i", "missing"])
        if v.chance(0.4):
            return {"$unwind": path}
        if v.chance(0.03):
            return {"$unwind": v.pick([{}, "a", 1, {"path": "$a", "bad": 1}, {"path": "$a", "includeArrayIndex": "$i"}, {"path": 1}, {"path": "$a", "preserveNullAndEmptyArrays": 1}, {"path": "$a", "includeArrayIndex": ""}])}
        argument = {"path": path}
        if v.chance(0.5):   # not a prefix of the path: 6.0.5 can crash on that
            argument["includeArrayIndex"] = v.pick(["idx", "o3.idx", "i", "s", "new.idx"])
        if v.chance(0.6):
            argument["preserveNullAndEmptyArrays"] = v.chance(0.8)
        return {"$unwind": argument}

    def match(self):
        return {"$match": self.queries.predicate(1)}

    def redact(self):
        v, e = self.values, self.expressions
        keep = v.pick(["$$KEEP", "$$DESCEND"])
        return {"$redact": {"$cond": [e.of("bool", 1), keep, v.pick(["$$PRUNE", "$$DESCEND"])]}} if v.chance(0.95) else {"$redact": e.of("any", 1)}

    # --- many documents ---
    def group(self):
        v, e = self.values, self.expressions
        key = v.pick([None, "$b", "$w", "$n", "$x", "$s", "$a", "$o", {"k": "$w", "j": "$b"}, {"$type": "$x"}, e.of("any", 1), e.of("small", 1), "$i", {"$literal": 1}, {"k": "$missing"}])
        group = {"_id": key}
        for index in range(v.pick([0, 1, 1, 2])):
            group[f"r{index}"] = e.accumulator()
        if v.chance(0.015):
            group = v.pick([{}, 1, {"x": {"$sum": 1}}, {"_id": 1, "x": 1}, {"_id": 1, "a.b": {"$sum": 1}}, {"_id": 1, "x": {"$sum": 1, "$avg": 1}}, {"_id": 1, "x": {"$bad": 1}}, {"_id": 1, "$x": {"$sum": 1}}, {"_id": 1, "x": {}}])
        return {"$group": group}

    def sort(self):
        return {"$sort": self.queries.sort()}

    def bucket(self):
        v, e = self.values, self.expressions
        argument = {"groupBy": v.pick(["$n", "$i", "$w", "$f", "$c", "$d", e.of("number", 1)]), "boundaries": v.pick([[-5, 0, 5], [0, 10.0, 100], [-2147483648, 0, Int64(2147483648)], [decimal("0"), 1, 2.5], [date(0), date(1700000000000)]])}
        if v.chance(0.85):
            argument["default"] = v.pick(["other", 1000000, "z", -1000])
        if v.chance(0.4):
            argument["output"] = {"r": e.accumulator()}
        if v.chance(0.06):
            argument["boundaries"] = v.pick([[1], [], [2, 1], [1, "x"], 1, [1, 1], ["a", "b"], ["$i", 5]])
        return {"$bucket": argument}

    def bucket_auto(self):
        v, e = self.values, self.expressions
        argument = {"groupBy": v.pick(["$n", "$i", "$w", "$f", "$d", "$x", "$s", e.of("number", 1)]), "buckets": v.pick([1, 2, 3, 5, 20, Int64(2), 2.0]) if v.chance(0.95) else v.pick([0, -1, 1.5, "x", None])}
        if v.chance(0.3):
            argument["output"] = {"r": e.accumulator()}
        if v.chance(0.15):
            argument["granularity"] = v.pick(["R5", "R10", "1-2-5", "POWERSOF2", "E6", "E12", "x"])
            argument["groupBy"] = {"$abs": "$w"}
        return {"$bucketAuto": argument}

    def facet(self):
        v = self.values
        makers = [self.project, self.unwind, self.match, self.add_fields, self.sort, self.small_stage, self.ordered_group]
        return {"$facet": {name: [v.pick(makers)() for _ in range(v.pick([1, 1, 2]))] for name in v.pick([["a"], ["a", "b"]])}}

    def ordered_group(self):
        return {"$group": {**self.group_of_all()}}

    def group_of_all(self):
        return {"_id": None, "r": self.expressions.accumulator()}

    def small_stage(self):
        v = self.values
        good = [{"$limit": v.pick([1, 2, 5, Int64(3), 4.0])}, {"$skip": v.pick([0, 1, 3, Int64(2), 50])}, {"$count": v.pick(["n", "count"])}]
        bad = [{"$limit": 0}, {"$limit": -1}, {"$limit": 1.5}, {"$limit": "x"}, {"$skip": -1}, {"$skip": "x"}, {"$count": ""}, {"$count": 1}, {"$count": "$x"}, {"$count": "a.b"}, {"$skip": 1.5}, {"$limit": None}, {}, {"$bad": 1},
               {"$limit": 1, "$skip": 1}]
        return v.pick(good) if v.chance(0.9) else v.pick(bad)

    def sort_by_count(self):
        # the order among equal counts is open: sorted again behind it
        e = self.expressions
        return {"$sortByCount": self.values.pick(["$w", "$x", "$b", e.of("any", 2) if self.values.chance(0.7) else "x"])}

    def window_fields(self):
        v, e = self.values, self.expressions
        argument = {"sortBy": {v.pick(["i", "w", "n"]): 1, "_id": 1}, "output": {}}
        if v.chance(0.4):
            argument["partitionBy"] = v.pick(["$b", "$w", {"$type": "$x"}])
        roll = v.random.random()
        window = {"documents": v.pick([["unbounded", "current"], [-1, 1], [-2, 0], ["current", "unbounded"], [0, 1], ["unbounded", "unbounded"], [1, 2]])}
        if roll < 0.6:
            name = v.pick(["$sum", "$avg", "$min", "$max", "$push", "$first", "$last", "$stdDevPop", "$stdDevSamp", "$count"])
            argument["output"]["r"] = {name: {} if name == "$count" else e.of(v.pick(["number", "any"]), 1), "window": window}
        elif roll < 0.75:
            argument["sortBy"] = {"_id": 1}
            argument["output"]["r"] = {v.pick(["$rank", "$denseRank", "$documentNumber"]): {}}
        elif roll < 0.85:
            argument["output"]["r"] = {"$shift": v.pick([{"output": "$n", "by": 1}, {"output": "$s", "by": -1, "default": "none"}, {"output": "$x", "by": 2, "default": None}])}
        elif roll < 0.93:
            argument["sortBy"] = {"_id": 1}
            argument["output"]["r"] = {v.pick(["$sum", "$avg", "$min", "$max"]): "$n", "window": {"range": v.pick([[-1, 1], [-2, 0], ["unbounded", "current"], [-1.5, 0]])}}
        else:
            argument["sortBy"] = {"_id": 1}
            argument["output"]["r"] = v.pick([{"$expMovingAvg": {"input": "$f", "N": 3}}, {"$expMovingAvg": {"input": "$i", "alpha": 0.5}}, {"$locf": "$x"}, {"$linearFill": "$i"}, {"$derivative": {"input": "$w"}, "window": window},
                                              {"$integral": {"input": "$w"}, "window": window}, {"$bad": 1}])
        return {"$setWindowFields": argument}

    def densify(self):
        v = self.values
        return {"$densify": {"field": v.pick(["w", "_id"]), "range": {"step": v.pick([1, 2, 0.5]), "bounds": v.pick(["full", [0, 3], [-2, 2]])}}}

    def fill(self):
        v = self.values
        how = v.pick([{"method": "locf"}, {"value": 0}, {"value": "$i"}, {"method": "linear"}, {"value": "none"}])
        return {"$fill": {"sortBy": {"_id": 1}, "output": {v.pick(["w", "new", "x", "n"]): how}, **({"partitionByFields": ["b"]} if v.chance(0.2) else {})}}

    def lookup(self):
        v, e = self.values, self.expressions
        argument = {"from": v.pick(["other", "other", "nothing"]), "as": v.pick(["r", "o.r", "a", "i"])}
        roll = v.random.random()
        if roll < 0.6:
            argument["localField"] = v.pick(["w", "n", "x", "an", "ao.y", "o.x", "s", "_id", "missing", "as"])
            argument["foreignField"] = v.pick(["_id", "k", "v", "l", "o.x", "missing"])
        if roll > 0.5:
            argument["let"] = {"z": e.of("any", 1)}
            argument["pipeline"] = v.pick([[{"$match": {"$expr": {"$eq": ["$k", "$$z"]}}}], [{"$project": {"r": "$$z"}}], [{"$sort": {"_id": 1}}, {"$limit": 1}], []])
        return {"$lookup": argument}

    def graph_lookup(self):
        v = self.values
        argument = {"from": "other", "startWith": v.pick(["$w", "$an", "$i"]), "connectFromField": v.pick(["k", "l"]), "connectToField": v.pick(["_id", "k"]), "as": "r"}
        if v.chance(0.5):
            argument["maxDepth"] = v.pick([0, 1, 2])
        if v.chance(0.5):
            argument["depthField"] = "depth"
        return {"$graphLookup": argument}
