"""Random predicates, projections and sorts of find, and updates."""
from bson_values import Int64, decimal, regex
from generate_values import FIELDS

TYPE_ALIASES = ["double", "string", "object", "array", "binData", "undefined", "objectId", "bool", "date", "null", "regex", "int", "timestamp", "long", "decimal", "minKey", "maxKey", "number"]
PATHS = {"number": ["o.x", "o2.p", "ao.y", "a.0", "an.1", "o.p", "aa.0"], "string": ["o2.q", "ao.k", "as.0"], "array": ["o2.a", "aa.0", "aa", "o.x", "a.x"], "numbers": ["aa.0", "ao.y"],
         "objects": ["o2.a", "a"], "any": ["o.x", "o.y", "a.x", "ao.x", "ao.0.x", "aa.0.1", "x.y", "x.0", "missing", "a.x.y", "o.x.0", "_id", "o2.a.x", "o2.r.x"]}


class Queries:
    def __init__(self, values, expressions):
        self.values = values
        self.expressions = expressions

    def path(self, kind):
        v = self.values
        if v.chance(0.04):
            kind = v.pick(["number", "string", "array", "any", "objects"])
        names = [name for name, (_, k) in FIELDS.items() if k == kind or kind == "any"] + PATHS.get(kind, [])
        return v.pick(names or list(FIELDS))

    # --- predicates ---
    def predicate(self, depth=2):
        v = self.values
        roll = v.random.random()
        if depth > 0 and roll < 0.2:
            return {v.pick(["$and", "$or", "$nor"]): [self.predicate(depth - 1) for _ in range(v.random.randint(1, 3))] if v.chance(0.97) else v.pick([[], {}, 1, [1]])}
        if roll < 0.25:
            return {"$jsonSchema": self.schema(2)}
        if roll < 0.33:
            return {"$expr": self.expressions.of("bool", 2)}
        if roll < 0.42:
            return {self.path("any"): v.any()}
        query = {}
        for _ in range(v.pick([1, 1, 1, 2])):
            kind = v.pick(["number", "number", "string", "array", "numbers", "objects", "any", "date", "object"])
            query[self.path(kind)] = self.condition(kind, depth)
        return query

    def schema(self, depth):
        """Keywords of $jsonSchema that fit each other most of the time."""
        v = self.values
        names = ["i", "n", "f", "s", "a", "an", "ao", "o", "o2", "x", "p", "q", "y", "missing"]
        small, number = (lambda: v.pick([0, 1, 2, 3, 2.0, Int64(1)])), (lambda: v.number())
        makers = {
            "bsonType": lambda: v.pick(TYPE_ALIASES) if v.chance(0.7) else [v.pick(TYPE_ALIASES) for _ in range(2)],
            "type": lambda: v.pick(["object", "array", "number", "boolean", "string", "null"]), "enum": lambda: [v.any(2) for _ in range(v.random.randint(1, 3))],
            "minimum": number, "maximum": number, "multipleOf": lambda: v.pick([1, 2, 0.5, Int64(3), decimal("0.1")]), "minLength": small, "maxLength": small,
            "pattern": lambda: v.pick(["^a", "b$", "", "[0-9]+"]), "minItems": small, "maxItems": small, "uniqueItems": lambda: v.chance(0.8),
            "required": lambda: v.random.sample(names, v.pick([1, 2])), "minProperties": small, "maxProperties": small, "title": lambda: "t", "description": lambda: "d",
        }
        if depth > 0:
            def inner():
                return self.schema(depth - 1)
            makers.update({
                "properties": lambda: {v.pick(names): inner() for _ in range(v.pick([1, 1, 2]))}, "items": lambda: inner() if v.chance(0.7) else [inner(), inner()],
                "additionalProperties": lambda: v.chance(0.3) or inner(), "additionalItems": lambda: v.chance(0.3) or inner(), "patternProperties": lambda: {v.pick(["^a", "o", "^s2?$"]): inner()},
                "dependencies": lambda: {v.pick(names): v.random.sample(names, 1) if v.chance(0.6) else inner()}, "not": inner,
                "allOf": lambda: [inner()], "anyOf": lambda: [inner(), inner()], "oneOf": lambda: [inner(), inner()],
            })
        schema = {}
        for _ in range(v.pick([1, 1, 2, 3])):
            name = v.pick(["properties", "properties", "required", "bsonType", *makers] if depth > 0 else list(makers))
            schema[name] = makers[name]() if v.chance(0.97) else v.any()
        if v.chance(0.1):
            schema.update({"minimum": 1, "exclusiveMinimum": v.chance(0.7)} if v.chance(0.5) else {"maximum": v.number(), "exclusiveMaximum": True})
        if v.chance(0.02):
            schema[v.pick(["$ref", "definitions", "default", "format", "id", "$schema", "bad", "exclusiveMinimum"])] = v.pick([1, "x", True])
        return schema

    def value(self, kind):
        v = self.values
        makers = {"number": v.number, "string": v.text, "date": v.date, "array": v.array, "numbers": v.number, "objects": lambda: {"x": v.any(2), "y": v.number()}, "object": v.object, "any": v.any}
        return makers[kind]() if v.chance(0.9) else v.any()

    def condition(self, kind, depth):
        v = self.values
        operators = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$not"]
        if kind in ("number", "numbers"):
            operators += ["$mod", "$mod", "$bitsAllSet", "$bitsAnyClear", "$bitsAllClear", "$bitsAnySet"]
        if kind in ("string", "any"):
            operators += ["$regex", "$regex"]
        if kind in ("array", "numbers", "objects", "any"):
            operators += ["$all", "$size", "$elemMatch", "$elemMatch", "$all"]
        if kind in ("object", "any", "objects"):
            operators += ["$jsonSchema-ish"]
        condition = {}
        for _ in range(v.pick([1, 1, 1, 2])):
            name = v.pick(operators)
            if name != "$jsonSchema-ish":
                condition.update(self.operator(name, kind, depth))
        return condition or self.value(kind)

    def operator(self, name, kind, depth):
        v = self.values
        if name in ("$in", "$nin"):
            return {name: [v.regex() if v.chance(0.05) else self.value(kind) for _ in range(v.random.randint(0, 3))] if v.chance(0.97) else v.any()}
        if name == "$exists":
            return {name: v.pick([True, False, 1, 0, None, "x", 0.0])}
        if name == "$type":
            kinds = TYPE_ALIASES + [1, 2, 3, 4, 16, 18, 19, -1, 127, 2.0, Int64(10)]
            return {name: v.pick(kinds) if v.chance(0.7) else [v.pick(kinds) for _ in range(2)] if v.chance(0.9) else v.pick([0, "x", None, [], 2.5, 20, -2])}
        if name == "$not":
            if depth > 0 and v.chance(0.9):
                return {name: self.condition(kind, depth - 1)} if v.chance(0.9) else {name: v.regex()}
            return {name: v.pick([1, {}, "x", None])}
        if name == "$mod":
            good = [v.pick([2, 3, -2, 4.0, Int64(5), 2.7, decimal("3")]), v.pick([0, 1, -1, 1.9, Int64(2), decimal("1.2")])]
            return {name: good if v.chance(0.93) else v.pick([[0, 0], [1], [1, 2, 3], "x", [2, "x"], [float("nan"), 1], ["x", 1], [0.5, 0], [1e20, 1], []])}
        if name.startswith("$bits"):
            return {name: v.pick([0, 1, 5, 255, [0], [0, 2], [1, 63], [], v.binary(), Int64(2), 3.0]) if v.chance(0.93) else v.pick([-1, "x", [-1], 1.5, None, ["x"], [1.0, Int64(2)], [1.5]])}
        if name == "$regex":
            pattern = v.pick(["a", "^a", "b$", "A", ".", "", "^$", "é", "\\d", "(a|b)c?", "a b", "x*", "[", "^.{3}$"])
            if v.chance(0.3):
                return {name: regex(pattern if pattern != "[" else "a", v.pick(["", "i", "m"]))}
            return {name: pattern, **({"$options": v.pick(["i", "m", "x", "s", "ix", "", "z"])} if v.chance(0.4) else {})}
        if name == "$all":
            if v.chance(0.15):
                return {name: [{"$elemMatch": self.inner(kind, depth)} for _ in range(v.random.randint(1, 2))]}
            return {name: [self.value(kind) for _ in range(v.random.randint(0, 3))] if v.chance(0.96) else v.any()}
        if name == "$size":
            return {name: v.pick([0, 1, 2, 3, 2.0, Int64(1), decimal("2")]) if v.chance(0.93) else v.pick([-1, 1.5, "x", None, float("nan")])}
        if name == "$elemMatch":
            return {name: self.inner(kind, depth) if v.chance(0.97) else v.any()}
        return {name: self.value(kind)}

    def inner(self, kind, depth):
        v = self.values
        if kind in ("objects", "array") and v.chance(0.6):
            return {v.pick(["x", "y", "k", "x.y"]): self.condition(v.pick(["number", "string", "any"]), depth - 1) if v.chance(0.7) else v.any(2) for _ in range(v.pick([1, 1, 2]))}
        return self.condition("number" if kind == "numbers" else "any", depth - 1) if depth > 0 else {"$gt": self.value("number")}

    # --- find ---
    def projection(self):
        v = self.values
        roll = v.random.random()
        paths = list(FIELDS) + ["o.x", "o.y", "ao.x", "ao.y", "a.x", "aa.x", "o2.a.x", "o2.r", "x.y", "missing.x"]
        chosen = v.random.sample(paths, v.pick([1, 1, 2, 3]))
        if roll < 0.3:
            include = v.pick([1, True, 1.0, Int64(1), 5, decimal("1")])
            projection = {path: include for path in chosen}
        elif roll < 0.55:
            projection = {path: v.pick([0, False, 0.0]) for path in chosen}
        else:
            projection = {}
            for path in chosen:
                how = v.random.random()
                if how < 0.35:
                    projection[path] = {"$slice": v.pick([1, -1, 2, 0, [1, 1], [-2, 1], [0, 5], [5, 2], Int64(1), 1.0]) if v.chance(0.9) else v.pick([[1, 0], [1, -1], "x", [1], [1, 2, 3], None])}
                elif how < 0.6:
                    projection[path.split(".")[0]] = {"$elemMatch": self.inner("array", 1)}
                elif how < 0.85:
                    projection[path] = self.expressions.of("any", 2)
                else:
                    projection[path] = v.pick([1, 0])
        if v.chance(0.3):
            projection["_id"] = v.pick([0, 1, True, False])
        return projection

    def positional(self):
        """find with the positional operator, and a query that names the array."""
        v = self.values
        name = v.pick(["an", "as", "ao", "a", "aa"])
        return {name: {"$elemMatch": self.inner({"an": "numbers", "ao": "objects"}.get(name, "array"), 1)} if v.chance(0.6) else self.value("number")}, {name + ".$": 1}

    def sort(self):
        v = self.values
        paths = list(FIELDS) + ["o.x", "ao.y", "ao.x", "a.x", "o2.a.x", "o2.p", "aa.0", "a.0", "missing"]
        sort = {path: v.pick([1, -1, 1, -1, 1.0, Int64(-1)]) for path in v.random.sample(paths, v.pick([1, 1, 2]))}
        if v.chance(0.02):
            sort[v.pick(paths)] = v.pick([0, 2, "x", None, True, {"$meta": "x"}, 1.5])
        sort["_id"] = 1
        return sort

    # --- updates ---
    def update(self):
        """(query without _id, update, arrayFilters or None)"""
        v = self.values
        if v.chance(0.12):
            return {}, self.update_pipeline(), None
        if v.chance(0.06):
            return {}, {v.pick(["x", "y", "a", "_id", "a.b", ""]): v.any() for _ in range(v.random.randint(0, 3))}, None
        update, filters, query = {}, {}, {}
        for _ in range(v.pick([1, 1, 1, 2])):
            name = v.pick(["$set", "$unset", "$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$pull", "$pop", "$pullAll", "$rename", "$bit", "$setOnInsert", "$set", "$push", "$pull"])
            fields = update.setdefault(name, {})
            for _ in range(v.pick([1, 1, 2])):
                path, value = self.modifier(name, filters, query)
                fields[path] = value
        return query, update, list(filters.values()) or None

    def update_path(self, kind, filters, query):
        v = self.values
        path = self.path(kind)
        roll = v.random.random()
        if roll < 0.07:
            path = v.pick(["an", "ao", "a", "aa"]) + ".$[]" + v.pick(["", "", ".y", ".x"])
        elif roll < 0.13:
            name = v.pick(["an", "ao", "a"])
            key = v.pick(["e", "f"])
            path = f"{name}.$[{key}]" + ("" if name == "an" else v.pick([".y", "", ".x"]))
            filters[key] = {key if name == "an" else f"{key}.{v.pick(['x', 'y'])}": self.condition("number", 0)}
        elif roll < 0.18:
            name = v.pick(["an", "ao"])
            query[name if name == "an" else "ao.y"] = {"$exists": True} if v.chance(0.2) else self.value("number") if v.chance(0.4) else {"$gte": -1000}
            path = name + ".$" + ("" if name == "an" else v.pick([".y", "", ".x"]))
        elif roll < 0.26:
            path += v.pick([".0", ".1", ".5", ".x", ".x.y", ".new"])
        elif roll < 0.28:
            path = v.pick(["", "a.", ".a", "a..b", "_id", "a.$", "a.$[q]", "$"])
        return path

    def modifier(self, name, filters, query):
        v = self.values
        if name in ("$inc", "$mul"):
            return self.update_path("number", filters, query), v.number() if v.chance(0.95) else v.any()
        if name in ("$min", "$max"):
            kind = v.pick(["number", "number", "string", "any", "date"])
            return self.update_path(kind, filters, query), self.value(kind)
        if name == "$unset":
            return self.update_path("any", filters, query), v.pick(["", 1, None])
        if name == "$rename":
            return self.update_path("any", filters, query), v.pick(["new", "o.new", "x", "i", "a.new", "o2.r.new", "n"]) if v.chance(0.95) else v.pick([1, "", "a.$", "x."])
        if name == "$bit":
            operation = {v.pick(["and", "or", "xor"]): v.pick([v.int32(), v.int64()])}
            return self.update_path("number", filters, query), operation if v.chance(0.93) else v.pick([1, {}, {"not": 1}, {"and": 1.5}, {"and": "x"}])
        if name in ("$push", "$addToSet"):
            kind = v.pick(["numbers", "array", "objects"])
            path = self.update_path(kind, filters, query)
            if v.chance(0.5):
                return path, self.value(kind)
            argument = {"$each": [self.value(kind) for _ in range(v.random.randint(0, 3))] if v.chance(0.97) else v.any()}
            if name == "$push":
                if v.chance(0.4):
                    argument["$slice"] = v.pick([0, 1, 2, -1, -2, 10, Int64(1), 2.0]) if v.chance(0.95) else v.pick(["x", 1.5, None])
                if v.chance(0.4):
                    argument["$sort"] = v.pick([1, -1, {"x": 1}, {"y": -1}, {"x": 1, "y": -1}, {"x.y": 1}]) if v.chance(0.94) else v.pick([0, "x", {}, {"x": 2}, None, {"": 1}])
                if v.chance(0.4):
                    argument["$position"] = v.pick([0, 1, -1, 10, -10, Int64(1), 1.0]) if v.chance(0.95) else v.pick(["x", 1.5, None])
            if v.chance(0.02):
                argument["$bad"] = 1
            return path, argument
        if name == "$pull":
            kind = v.pick(["numbers", "array", "objects"])
            path = self.update_path(kind, filters, query)
            return path, self.value(kind) if v.chance(0.4) else self.inner(kind, 1)
        if name == "$pullAll":
            kind = v.pick(["numbers", "array", "objects"])
            return self.update_path(kind, filters, query), [self.value(kind) for _ in range(v.random.randint(0, 3))] if v.chance(0.95) else v.any()
        if name == "$pop":
            return self.update_path(v.pick(["numbers", "array", "objects"]), filters, query), v.pick([1, -1, 1.0, Int64(-1)]) if v.chance(0.93) else v.pick([0, 2, "x", None, 1.5])
        return self.update_path("any", filters, query), v.any()

    def update_pipeline(self):
        v, e = self.values, self.expressions
        stages = []
        for _ in range(v.pick([1, 1, 2])):
            roll = v.random.random()
            if roll < 0.6:
                stages.append({v.pick(["$set", "$addFields"]): {self.path("any"): e.of("any", 2)}})
            elif roll < 0.8:
                stages.append({"$unset": v.pick(["x", ["x", "o.x"], "o2.a", "ao.x", "missing"])})
            elif roll < 0.95:
                stages.append({v.pick(["$replaceWith"]): {"$mergeObjects": ["$$ROOT", {"new": e.of("any", 1)}]}})
            else:
                stages.append(v.pick([{"$match": {}}, {"$limit": 1}, {}, {"$set": 1}]))
        return stages


