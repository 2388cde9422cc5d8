"""Random expressions and accumulators. An operator is given arguments of the types it wants, most of the time; now and then anything at all."""
from bson_values import Int64, decimal, regex
from generate_values import FIELDS

UNITS = ["year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond"]
ZONES = ["UTC", "GMT", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney", "+05:30", "-08", "+0100", "-12:45"]
WEEKDAYS = ["monday", "mon", "tue", "wednesday", "friday", "sat", "sunday", "SUN"]
PATHS = {
    "object": ["$o2.r", "$$ROOT", "$$CURRENT"], "number": ["$o2.p", "$o.x"], "string": ["$o2.q"], "objects": ["$o2.a"],
    "array": ["$ao.x", "$ao.y", "$o2.a.k", "$a.x", "$aa.x", "$a.x.y"], "any": ["$o.x", "$o.y", "$x.y", "$ao.0", "$missing", "$$REMOVE", "$o.x.y", "$_id"],
    "numbers": ["$ao.y"], "strings": ["$ao.k"],
}
TYPES = ["number", "small", "string", "date", "bool", "array", "numbers", "strings", "objects", "object", "any", "timestamp", "oid", "binary"]
TYPE_NAMES = ["double", "string", "bool", "date", "objectId", "int", "long", "decimal"]


class Expressions:
    def __init__(self, values):
        self.values = values
        self.variables = []     # (name, type)
        self.table = self.operators()

    # --- choosing ---
    def of(self, wanted, depth=2):
        """An expression that gives a value of the type, or, sometimes, of another one."""
        v = self.values
        if v.chance(0.04):
            wanted = v.pick(TYPES)
        if depth <= 0 or v.chance(0.3):
            return self.leaf(wanted)
        choices = self.table.get(wanted) or self.table["any"]
        if wanted == "any" or v.chance(0.05):
            choices = self.table[v.pick([t for t in TYPES if t in self.table])]
        name, make = v.pick(choices)
        argument = make(depth - 1)
        if v.chance(0.01):
            argument = v.pick([[], None, [argument], [argument, argument], {"bad": 1}, 1, "$a"])
        return {name: argument}

    def leaf(self, wanted):
        v = self.values
        if self.variables and v.chance(0.5):
            fitting = [name for name, kind in self.variables if kind == wanted or kind == "any"]
            if fitting:
                return "$$" + v.pick(fitting)
        if v.chance(0.72):
            names = ["$" + name for name, (_, kind) in FIELDS.items() if kind == wanted] + PATHS.get(wanted, [])
            if wanted == "any":
                names += ["$" + name for name in FIELDS]
            if wanted == "array":
                names += ["$an", "$as", "$ao"]
            if names:
                return v.pick(names)
        return self.constant(wanted)

    def constant(self, wanted):
        v = self.values
        makers = {"number": v.number, "small": v.small, "string": v.text, "date": v.date, "bool": v.bool, "array": v.array, "numbers": v.numbers, "strings": v.texts,
                  "objects": v.objects, "object": v.object, "timestamp": v.timestamp, "oid": v.oid, "binary": v.binary, "any": v.any}
        value = None if v.chance(0.05) else makers[wanted]()
        return self.quoted(value)

    def quoted(self, value):
        """A constant as an expression: what would be read as a path or an operator goes into $literal."""
        if isinstance(value, str) and value.startswith("$") or isinstance(value, dict) or isinstance(value, list):
            return {"$literal": value}
        return value

    def zone(self):
        v = self.values
        roll = v.random.random()
        return v.pick(ZONES) if roll < 0.9 else v.pick(["Mars/Phobos", "", "+5", None, 1, "$s", "$missing"])

    def zoned(self, argument):
        if self.values.chance(0.4):
            argument["timezone"] = self.zone()
        return argument

    def unit(self):
        v = self.values
        return v.pick(UNITS) if v.chance(0.95) else v.pick(["days", "", None, 1, "$s", "DAY"])

    def bound(self, name, kind, make):
        self.variables.append((name, kind))
        try:
            return make()
        finally:
            self.variables.pop()

    def optional(self, argument, **makers):
        for name, make in makers.items():
            if self.values.chance(0.35):
                argument[name] = make()
        return argument

    # --- the operators by the type of what they give ---
    def operators(self):
        v = self.values

        def args(*kinds):
            return lambda depth: [self.of(kind, depth) for kind in kinds]

        def one(kind):
            return lambda depth: self.of(kind, depth) if v.chance(0.7) else [self.of(kind, depth)]

        def many(kind, least=0, most=4):
            return lambda depth: [self.of(kind, depth) for _ in range(v.random.randint(least, most))]

        numeric = [(name, one("number")) for name in ("$abs", "$ceil", "$floor", "$sqrt", "$exp", "$ln", "$log10")]
        numeric += [(name, one("number")) for name in ("$sin", "$cos", "$tan", "$asin", "$acos", "$atan", "$sinh", "$cosh", "$tanh", "$asinh", "$acosh", "$atanh", "$degreesToRadians",
                                                      "$radiansToDegrees")]
        numeric += [("$add", many("number")), ("$add", many("number", 2, 3)), ("$multiply", many("number")), ("$subtract", args("number", "number")),
                    ("$divide", args("number", "number")), ("$mod", args("number", "number")), ("$pow", args("number", "number")), ("$pow", args("number", "small")),
                    ("$log", args("number", "number")), ("$atan2", args("number", "number")), ("$round", args("number", "small")), ("$trunc", args("number", "small")),
                    ("$round", one("number")), ("$trunc", one("number")), ("$subtract", args("date", "date")),
                    ("$sum", one("numbers")), ("$avg", one("numbers")), ("$max", one("numbers")), ("$min", one("array")), ("$stdDevPop", one("numbers")), ("$stdDevSamp", one("numbers")),
                    ("$sum", many("number")), ("$avg", many("number")), ("$max", many("any")), ("$min", many("any")), ("$stdDevPop", many("number", 1)), ("$stdDevSamp", many("number", 1)),
                    ("$toInt", one("any")), ("$toLong", one("any")), ("$toDouble", one("any")), ("$toDecimal", one("any")), ("$toInt", one("number")), ("$toLong", one("string")),
                    ("$toDouble", one("string")), ("$toDecimal", one("string")), ("$toDecimal", one("number")), ("$toDouble", one("number")),
                    ("$arrayElemAt", args("numbers", "small")), ("$first", one("numbers")), ("$last", one("numbers")),
                    ("$binarySize", one("string")), ("$binarySize", one("binary")), ("$bsonSize", one("object")), ("$tsSecond", one("timestamp")), ("$tsIncrement", one("timestamp")),
                    ("$reduce", lambda depth: self.reduce("numbers", "number", depth))]
        small = [("$size", one("array")), ("$strLenCP", one("string")), ("$strLenBytes", one("string")), ("$strcasecmp", args("string", "string")), ("$cmp", args("any", "any")),
                 ("$indexOfArray", lambda depth: self.with_bounds("array", "any", depth)), ("$indexOfCP", lambda depth: self.with_bounds("string", "string", depth)),
                 ("$indexOfBytes", lambda depth: self.with_bounds("string", "string", depth)),
                 ("$dateDiff", lambda depth: self.optional(self.zoned({"startDate": self.of("date", depth), "endDate": self.of("date", depth), "unit": self.unit()}),
                                                           startOfWeek=lambda: v.pick(WEEKDAYS)))]
        small += [(name, self.date_part) for name in ("$year", "$month", "$dayOfMonth", "$dayOfWeek", "$dayOfYear", "$hour", "$minute", "$second", "$millisecond", "$week", "$isoWeek",
                                                     "$isoWeekYear", "$isoDayOfWeek")]
        strings = [("$concat", many("string")), ("$toUpper", one("string")), ("$toLower", one("string")), ("$substrCP", args("string", "small", "small")),
                   ("$substrBytes", args("string", "small", "small")), ("$substr", args("string", "small", "small")), ("$toString", one("any")), ("$toString", one("number")),
                   ("$type", one("any")), ("$toLower", one("any")), ("$substr", args("any", "small", "small")),
                   ("$replaceOne", self.replace), ("$replaceAll", self.replace), ("$trim", self.trim), ("$ltrim", self.trim), ("$rtrim", self.trim),
                   ("$dateToString", lambda depth: self.zoned(self.optional({"date": self.of("date", depth)}, format=self.date_format, onNull=lambda: self.of("any", 0)))),
                   ("$arrayElemAt", args("strings", "small"))]
        dates = [("$toDate", one("any")), ("$toDate", one("string")), ("$add", args("date", "number")), ("$subtract", args("date", "number")), ("$add", args("small", "date", "small")),
                 ("$dateAdd", self.date_add), ("$dateSubtract", self.date_add),
                 ("$dateTrunc", lambda depth: self.zoned(self.optional({"date": self.of("date", depth), "unit": self.unit()}, binSize=lambda: self.of("small", 0),
                                                                       startOfWeek=lambda: v.pick(WEEKDAYS)))),
                 ("$dateFromParts", self.date_parts), ("$dateFromString", self.date_from_string), ("$toDate", one("oid")), ("$toDate", one("timestamp"))]
        booleans = [(name, args("any", "any")) for name in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")]
        booleans += [("$gt", args("number", "number")), ("$eq", args("number", "number")), ("$and", many("any")), ("$or", many("any")), ("$and", many("bool")), ("$not", one("any")),
                     ("$in", args("any", "array")), ("$in", args("number", "numbers")), ("$isArray", one("any")), ("$isNumber", one("any")), ("$allElementsTrue", lambda depth: [self.of("array", depth)]),
                     ("$anyElementTrue", lambda depth: [self.of("array", depth)]), ("$setEquals", args("array", "array")), ("$setEquals", args("numbers", "numbers", "numbers")),
                     ("$setIsSubset", args("numbers", "numbers")), ("$setIsSubset", args("array", "array")), ("$toBool", one("any")),
                     ("$regexMatch", lambda depth: self.regex(depth))]
        arrays = [("$concatArrays", many("array")), ("$slice", args("array", "small")), ("$slice", args("array", "small", "small")), ("$reverseArray", one("array")),
                  ("$range", args("small", "small")), ("$range", args("small", "small", "small")), ("$objectToArray", one("object")),
                  ("$filter", lambda depth: self.filter("array", depth)), ("$map", lambda depth: self.map("array", depth)), ("$map", lambda depth: self.map("numbers", depth)),
                  ("$split", args("string", "string")), ("$zip", self.zip), ("$sortArray", self.sort_array), ("$regexFindAll", lambda depth: self.regex(depth)),
                  ("$maxN", self.n_form), ("$minN", self.n_form), ("$firstN", self.n_form), ("$lastN", self.n_form),
                  ("$setUnion", many("numbers", 0, 3)), ("$setIntersection", many("numbers", 1, 3)), ("$setDifference", args("numbers", "numbers")),
                  ("$setUnion", many("array", 0, 3)), ("$setIntersection", args("array", "array")), ("$setDifference", args("array", "array"))]
        objects = [("$mergeObjects", many("object")), ("$mergeObjects", one("objects")), ("$arrayToObject", self.pairs), ("$arrayToObject", one("array")),
                   ("$setField", lambda depth: {"field": self.name(), "input": self.of("object", depth), "value": self.of("any", depth)}),
                   ("$unsetField", lambda depth: {"field": self.name(), "input": self.of("object", depth)}),
                   ("$dateToParts", lambda depth: self.zoned(self.optional({"date": self.of("date", depth)}, iso8601=lambda: self.of("bool", 0)))),
                   ("$regexFind", lambda depth: self.regex(depth)), ("$first", one("objects")), ("$last", one("objects"))]
        anything = [("$cond", args("any", "any", "any")), ("$cond", lambda depth: {"if": self.of("bool", depth), "then": self.of("any", depth), "else": self.of("any", depth)}),
                    ("$ifNull", many("any", 2, 4)), ("$switch", self.switch), ("$let", self.let), ("$literal", lambda depth: v.any()), ("$arrayElemAt", args("array", "small")),
                    ("$first", one("array")), ("$last", one("array")), ("$getField", self.get_field), ("$convert", self.convert), ("$convert", self.convert), ("$reduce", lambda depth: self.reduce("array", "any", depth)),
                    ("$max", one("array")), ("$min", one("any")), ("$sum", one("array")), ("$avg", one("array")), ("$sum", many("any"))]
        return {"number": numeric, "small": small, "string": strings, "date": dates, "bool": booleans, "array": arrays, "object": objects, "any": anything,
                "numbers": [("$map", lambda depth: self.map("numbers", depth)), ("$range", args("small", "small")), ("$filter", lambda depth: self.filter("numbers", depth)),
                            ("$slice", args("numbers", "small")), ("$concatArrays", many("numbers"))],
                "strings": [("$split", args("string", "string")), ("$slice", args("strings", "small"))],
                "objects": [("$objectToArray", one("object")), ("$filter", lambda depth: self.filter("objects", depth)), ("$slice", args("objects", "small"))]}

    # --- operators with named arguments ---
    def name(self):
        return self.values.pick(["x", "y", "p", "q", "a.b", "new", "", {"$literal": "$x"}, "x.y"])

    def reduce(self, input_type, result_type, depth):
        initial = self.constant(result_type)
        inner = self.bound("this", "number" if input_type == "numbers" else "any", lambda: self.bound("value", result_type, lambda: self.of(result_type, depth)))
        return {"input": self.of(input_type, depth), "initialValue": initial, "in": inner}

    def element(self, input_type):
        return {"numbers": "number", "strings": "string", "objects": "object"}.get(input_type, "any")

    def filter(self, input_type, depth):
        name = self.values.pick(["this", "this", "e"])
        argument = {"input": self.of(input_type, depth), "cond": self.bound(name, self.element(input_type), lambda: self.of("bool", depth))}
        if name != "this":
            argument["as"] = name
        if self.values.chance(0.2):
            argument["limit"] = self.of("small", 0)
        return argument

    def map(self, input_type, depth):
        name = self.values.pick(["this", "this", "e"])
        argument = {"input": self.of(input_type, depth), "in": self.bound(name, self.element(input_type), lambda: self.of(self.values.pick(["any", "number", "string"]), depth))}
        if name != "this":
            argument["as"] = name
        return argument

    def with_bounds(self, where, what, depth):
        return [self.of(where, depth), self.of(what, depth)] + [self.of("small", 0) for _ in range(self.values.pick([0, 0, 1, 2]))]

    def date_part(self, depth):
        roll = self.values.random.random()
        if roll < 0.5:
            return self.of("date", depth)
        if roll < 0.6:
            return [self.of("date", depth)]
        return self.zoned({"date": self.of(self.values.pick(["date", "date", "oid", "timestamp", "any"]), depth)})

    def date_add(self, depth):
        return self.zoned({"startDate": self.of("date", depth), "unit": self.unit(), "amount": self.of(self.values.pick(["small", "small", "number"]), depth)})

    def date_format(self):
        v = self.values
        specifiers = ["%Y", "%m", "%d", "%H", "%M", "%S", "%L", "%j", "%w", "%u", "%U", "%V", "%G", "%z", "%Z", "%%"]
        if v.chance(0.06):
            return v.pick(["%", "%q", "", 1, None, "$s", "%-d"])
        return v.pick(["-", "/", " ", "T", ""]).join(v.pick(specifiers) for _ in range(v.random.randint(1, 5)))

    def date_parts(self, depth):
        v = self.values

        def part():
            return self.of(v.pick(["small", "small", "small", "number"]), depth - 1)
        year = v.pick([2024, 1970, 1, 9999, 0, -5, 10000, 2000, "$i", Int64(1999), 2018.0, decimal("2020")])
        if v.chance(0.3):
            return self.zoned(self.optional({"isoWeekYear": year}, isoWeek=part, isoDayOfWeek=part, hour=part, minute=part, second=part, millisecond=part))
        return self.zoned(self.optional({"year": year}, month=part, day=part, hour=part, minute=part, second=part, millisecond=part))

    def date_from_string(self, depth):
        v = self.values
        texts = ["2024-02-29", "2024-02-30", "2024-06-15T10:11:12Z", "2024-06-15T10:11:12.345", "2024-06-15 10:11", "June 15, 2024", "15/06/2024", "2024-W05", "2024-166", "20240615",
                 "2024-06-15T10:11:12+02:00", "2024-06-15T10:11:12 Europe/Berlin", "", "x", "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "0000-01-01", "2024-3-1"]
        argument = {"dateString": v.pick(texts) if v.chance(0.8) else self.of("string", depth)}
        if v.chance(0.4):
            argument["format"], argument["dateString"] = v.pick([("%Y-%m-%d", "2024-02-29"), ("%d/%m/%Y", "15/06/2024"), ("%Y-%m-%dT%H:%M:%S.%L", "2024-06-15T10:11:12.345"), ("%G-%V-%u", "2024-05-3"),
                                                                 ("%Y%m%d", "20240615"), ("%Y-%m-%d %z", "2024-06-15 +0200"), ("%Y-%m-%d", "15/06/2024"), ("%H:%M", "10:11"), ("%Y-%m", "2024-06"),
                                                                 ("%Y-%m-%d%Z", "2024-06-15+120"), ("%Y-%m-%d", "2024-06-15x"), ("%Y %% %m %d", "2024 % 06 15"), ("%q", "1")])
        self.zoned(argument)
        return self.optional(argument, onError=lambda: self.of("any", 0), onNull=lambda: self.of("any", 0))

    def replace(self, depth):
        return {"input": self.of("string", depth), "find": self.of("string", 0), "replacement": self.of("string", 0)}

    def trim(self, depth):
        return self.optional({"input": self.of("string", depth)}, chars=lambda: self.values.pick(["", " ", "a", "ab", "é", "\U0001f600", None, "$s2", "$i"]))

    def regex(self, depth):
        v = self.values
        pattern = v.pick(["a", "^a", "b$", ".", "(a)(b)?", "(.)(.)", "[", "", "\\d+", "é", "x*", "(?i)A", "(?<n>a)", "A b"])
        argument = {"input": self.of("string", depth), "regex": regex(pattern if pattern != "[" or v.chance(0.2) else "a", v.pick(["", "i"])) if v.chance(0.4) else v.pick([pattern, pattern, "$s2", None])}
        return self.optional(argument, options=lambda: v.pick(["", "i", "m", "s", "x", "ix", "q", None, "$s"]))

    def zip(self, depth):
        v = self.values
        argument = {"inputs": [self.of("array", depth) for _ in range(v.random.randint(1, 3))]}
        if v.chance(0.5):
            argument["useLongestLength"] = v.chance(0.8)
        if argument.get("useLongestLength") and v.chance(0.6) or v.chance(0.03):
            argument["defaults"] = [self.constant("any") for _ in argument["inputs"]]
        return argument

    def sort_array(self, depth):
        v = self.values
        order = v.pick([1, -1, {"x": 1}, {"y": -1, "x": 1}, {"x.y": 1}, {"k": 1}, {"a.x": -1}, 1.0, Int64(-1)]) if v.chance(0.95) else v.pick([0, 2, "x", None, {}, {"x": 2}, True, [1]])
        return {"input": self.of(v.pick(["array", "objects", "numbers"]), depth), "sortBy": order}

    def n_form(self, depth):
        return {"n": self.of("small", 0) if self.values.chance(0.3) else self.values.pick([1, 2, 3, Int64(2), 2.0, 100]), "input": self.of("array", depth)}

    def pairs(self, depth):
        v = self.values
        keys = ["x", "y", "", "é", "a.b", "x"]
        if v.chance(0.5):
            return {"$literal": [{"k": v.pick(keys), "v": v.any(2)} for _ in range(v.random.randint(0, 3))]}
        if v.chance(0.5):
            return [[[v.pick(keys), self.of("any", depth - 1)] for _ in range(v.random.randint(0, 3))]]
        return {"$objectToArray": self.of("object", depth - 1)}

    def switch(self, depth):
        argument = {"branches": [{"case": self.of("bool", depth), "then": self.of("any", depth)} for _ in range(self.values.random.randint(1, 3))]}
        if self.values.chance(0.8):
            argument["default"] = self.of("any", depth)
        return argument

    def let(self, depth):
        kind = self.values.pick(["number", "string", "any", "array"])
        bound = self.of(kind, depth)
        return {"vars": {"v": bound}, "in": self.bound("v", kind, lambda: self.of("any", depth))}

    def get_field(self, depth):
        if self.values.chance(0.3):
            return self.values.pick(["x", "o", "i", "a.b"])
        return {"field": self.name(), "input": self.of("object", depth)}

    def convert(self, depth):
        v = self.values
        to = v.pick(TYPE_NAMES) if v.chance(0.85) else v.pick([1, 2, 8, 9, 16, 18, 19, 7, 16.0, Int64(16), "object", "array", "null", 3, "x", None, 1.5, "$s", "timestamp", "minKey"])
        return self.optional({"input": self.of(v.pick(["any", "any", "number", "string", "date"]), depth), "to": to}, onError=lambda: self.of("any", 0), onNull=lambda: self.of("any", 0))

    # --- accumulators of $group ---
    def accumulator(self):
        v = self.values
        kind = v.pick(["number", "any", "number", "string", "date"])
        simple = ["$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$stdDevPop", "$stdDevSamp", "$sum", "$avg", "$addToSet"]
        roll = v.random.random()
        if roll < 0.65:
            return {v.pick(simple): self.of(kind, 1)}
        if roll < 0.70:
            return {"$mergeObjects": self.of("object", 1)}
        if roll < 0.73:
            return {"$count": {} if v.chance(0.9) else v.any()}
        n = v.pick([1, 2, 3, Int64(2), 2.0]) if v.chance(0.9) else v.pick([0, -1, 1.5, "x", None, "$i", {"$add": [1, 1]}])
        if roll < 0.86:
            return {v.pick(["$firstN", "$lastN", "$maxN", "$minN"]): {"input": self.of(kind, 1), "n": n}}
        sort = {v.pick(["n", "i", "s", "o.x", "x", "ao.y", "d", "an"]): v.pick([1, -1]) for _ in range(v.pick([1, 1, 2]))}
        sort["_id"] = 1     # documents that compare equal have no order of their own
        name = v.pick(["$top", "$bottom", "$topN", "$bottomN"])
        argument = {"output": self.of(kind, 1) if v.chance(0.7) else [self.of("any", 0), "$_id"], "sortBy": sort}
        if name.endswith("N"):
            argument["n"] = n
        return {name: argument}


