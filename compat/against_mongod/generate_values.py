"""Random values and documents, from a seed: ordinary ones, and the edges of each type more often than chance would have them."""
import random
import string

from bson_values import MAXKEY, MINKEY, Int64, binary, date, decimal, object_id, regex, timestamp

INTS = [0, 1, -1, 2, 3, 5, 7, 10, -2, -5, 31, 32, 33, 59, 60, 100, 255, 256, 1000, 2147483647, -2147483648, 2147483646]
LONGS = [0, 1, -1, 2, -3, 5, 60, 4294967296, 2147483648, -2147483649, 9007199254740993, 9223372036854775807, -9223372036854775808, 9223372036854775806]
DOUBLES = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, 0.1, 1e-7, 1e15, 1e16, 1e21, 123456.789, 2147483648.0, 9007199254740992.0, 9223372036854775808.0, 1e300,
           -1e300, 1.7976931348623157e308, 5e-324, float("nan"), float("inf"), float("-inf")]
DECIMALS = ["0", "-0", "0.0", "1", "1.0", "1.50", "-1", "2.5", "3.5", "-2.5", "0.1", "1E+3", "1E-3", "10", "100", "9223372036854775807", "9223372036854775808",
            "-9223372036854775808", "2147483648", "1E+40", "1E-40", "9.999999999999999999999999999999999E+6144", "1E-6176", "123456789.123456789", "NaN",
            "Infinity", "-Infinity", "0E+3", "1234567890123456789012345678901234"]
# 1970, its neighbours, a leap day, the edges of summer time, ISO weeks 1 and 53, years 0, 1, 9999 and beyond
DATES = [0, 1, -1, 999, 1000, 1709164800000, 1582934399999, 1711846800000, 1711846799999, 1729994400000, 1520755200000, 1609459200000, 1104537600000, 1230768000000,
         1483228800000, 951782400000, -2208988800000, -62135596800000, -62167219200000, 253402300799999, 1718447400123, 1546300799999, 1577836800000]
FAR_DATES = [253402300800000, 9223372036854775807, -9223372036854775808, -62167219200001, 8640000000000000]
STRINGS = ["", "a", "b", "ab", "abc", "aB", "ABC", "A", " a ", "a,b,c", "a.b", "$a", "x", "hello world", "1", "12", "-5", "1.5", "1e3", "0x1F", "true", "false", "null",
           "é", "ß", "日本", "\U0001f600", "a\U0001f600b", "e\u0301", "\t\n", "\u00a0x\u00a0", "a\0b", "aaa", "abab", "Straße", "İ", "2024-02-29", "2024-02-29T12:30:00Z",
           "2018-03-25T01:30:00", "2024-06-15T10:11:12.345+02:00", "5ab9cbfa31c2ab715d42129e", "UTC", "Europe/Berlin", "day", "%Y", "zz", "foo", "Foo", "b,a", " ", "NaN",
           "Infinity", "9223372036854775807", "9223372036854775808", "2147483648", "+7", "1,000", ".5", "5."]
OIDS = ["5ab9cbfa31c2ab715d42129e", "000000000000000000000000", "ffffffffffffffffffffffff"]
NAMES = ["x", "y", "z", "k", "v", "p", "q"]


class Values:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, share):
        return self.random.random() < share

    def pick(self, choices):
        return self.random.choice(choices)

    # --- one value of a type ---
    def small(self):
        return self.random.randint(-3, 6)

    def int32(self):
        return self.small() if self.chance(0.5) else self.pick(INTS)

    def int64(self):
        return Int64(self.small() if self.chance(0.4) else self.pick(LONGS))

    def double(self):
        return self.random.choice([1, 3, 10, 25, 99]) * self.random.choice([0.01, 0.1, 0.25, 1.0, -1.0]) if self.chance(0.5) else self.pick(DOUBLES)

    def decimal(self):
        return decimal(f"{self.random.randint(-999, 999)}E{self.random.randint(-3, 1)}" if self.chance(0.4) else self.pick(DECIMALS))

    def number(self):
        return self.pick([self.int32, self.int32, self.int64, self.double, self.double, self.decimal])()

    def text(self):
        return self.pick(STRINGS) if self.chance(0.85) else "".join(self.pick(string.ascii_letters + "é日\U0001f600 ,.") for _ in range(self.random.randint(0, 8)))

    def date(self):
        if self.chance(0.06):
            return date(self.pick(FAR_DATES))
        return date(self.pick(DATES) if self.chance(0.6) else self.random.randrange(-2000000000000, 4000000000000))

    def timestamp(self):
        return timestamp(self.pick([1, 1700000000, 4294967295]), self.pick([0, 1, 7, 4294967295]))

    def oid(self):
        return object_id(self.pick(OIDS))

    def binary(self):
        return self.pick([binary(b""), binary(b"\0\1"), binary(b"abc", 0x80), binary(bytes(range(16)), 4), binary(bytes(16), 5), binary(b"\xff")])

    def regex(self):
        return regex(self.pick(["a", "^a", "b$", "A", ".", "a.b", "(a)(b)?", "é", "x*"]), self.pick(["", "i", "im", "s", "x"]))

    def bool(self):
        return self.chance(0.5)

    def other(self):
        return self.pick([None, MINKEY, MAXKEY, self.timestamp(), self.oid(), self.binary(), self.regex()])

    def array(self, depth=0):
        kind = self.random.random()
        size = self.pick([0, 1, 1, 2, 2, 3, 3, 4])
        if kind < 0.3:
            return [self.number() for _ in range(size)]
        if kind < 0.45:
            return [self.text() for _ in range(size)]
        if kind < 0.7:
            return [self.object(depth + 1) for _ in range(size)]
        return [self.any(depth + 1) for _ in range(size)]

    def numbers(self):
        return [self.number() for _ in range(self.pick([0, 1, 2, 3, 4]))]

    def texts(self):
        return [self.text() for _ in range(self.pick([0, 1, 2, 3]))]

    def objects(self):
        return [{"x": self.any(2), "y": self.number(), **({"k": self.text()} if self.chance(0.5) else {})} if self.chance(0.85) else self.any(2)
                for _ in range(self.pick([0, 1, 2, 3]))]

    def nested(self):
        return [self.pick([self.numbers, self.numbers, self.texts, self.objects, self.number])() for _ in range(self.pick([0, 1, 2, 3]))]

    def object(self, depth=0):
        names = NAMES + (["", "0", "1", "é"] if self.chance(0.05) else [])
        return {self.pick(names): self.any(depth + 1) for _ in range(self.pick([0, 1, 1, 2, 2, 3]))}

    def any(self, depth=0):
        makers = [self.int32, self.int32, self.int64, self.double, self.decimal, self.text, self.text, self.bool, self.date, self.other, lambda: None]
        if depth < 3:
            makers += [lambda: self.array(depth), lambda: self.object(depth), lambda: self.object(depth)]
        return self.pick(makers)()

    # --- documents: the name of a field tells what it mostly holds ---
    def document(self, identifier):
        document = {"_id": identifier}
        for name, (maker, _) in FIELDS.items():
            roll = self.random.random()
            if roll < 0.06:
                continue
            document[name] = None if roll < 0.10 else self.any() if roll < 0.16 else maker(self)
        if self.chance(0.3):
            items = list(document.items())
            self.random.shuffle(items)
            document = dict(items)
        return document


FIELDS = {
    "i": (Values.int32, "number"), "l": (Values.int64, "number"), "f": (Values.double, "number"), "c": (Values.decimal, "number"), "n": (Values.number, "number"),
    "w": (Values.small, "small"), "s": (Values.text, "string"), "s2": (Values.text, "string"), "d": (Values.date, "date"), "d2": (Values.date, "date"),
    "t": (Values.timestamp, "timestamp"), "b": (Values.bool, "bool"), "id": (Values.oid, "oid"), "bin": (Values.binary, "binary"),
    "a": (Values.array, "array"), "an": (Values.numbers, "numbers"), "as": (Values.texts, "strings"), "ao": (Values.objects, "objects"),
    "aa": (Values.nested, "array"), "o": (Values.object, "object"), "o2": (lambda v: {"p": v.number(), "q": v.text(), "r": v.object(1), "a": v.objects()}, "object"),
    "x": (Values.any, "any"),
}
