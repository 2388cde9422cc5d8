"""BSON exactly: every type keeps its own Python class, every byte its meaning. PyMongo's decoder turns dates into datetime (years 1 to 9999 only),
merges types and raises where a genuine server does not, so a comparison to the bit needs a codec of its own.

int is int32, Int64 is int64, float is double; dict and list keep their order; None is null. Everything else has a class below.
`write(document)` and `read(bytes)` are BSON; `from_json(text)` and `to_json(value)` are Extended JSON v2 (the latter canonical).
"""
import base64
import json
import math
import struct

from bson.decimal128 import Decimal128


class Int64(int):
    __slots__ = ()


class Opaque:
    """A value that is its type and its bytes: `data` is the BSON payload."""
    __slots__ = ("type", "data")

    def __init__(self, type_, data):
        self.type = type_
        self.data = data

    def __eq__(self, other):
        return isinstance(other, Opaque) and self.type == other.type and self.data == other.data

    def __hash__(self):
        return hash((self.type, self.data))

    def __repr__(self):
        return to_json(self)


DOUBLE, STRING, OBJECT, ARRAY, BINARY, UNDEFINED, OID, BOOL, DATE, NULL, REGEX, DBPOINTER, CODE, SYMBOL, SCOPE, INT32, TIMESTAMP, INT64, DECIMAL = range(1, 20)
MIN_KEY, MAX_KEY = 255, 127


def decimal(text):
    return Opaque(DECIMAL, Decimal128(text).bid)


def date(milliseconds):
    return Opaque(DATE, struct.pack("<q", milliseconds))


def timestamp(seconds, increment):
    return Opaque(TIMESTAMP, struct.pack("<II", increment, seconds))


def object_id(text):
    return Opaque(OID, bytes.fromhex(text))


def binary(data, subtype=0):
    return Opaque(BINARY, struct.pack("<iB", len(data), subtype) + data)


def regex(pattern, options=""):
    return Opaque(REGEX, pattern.encode() + b"\0" + options.encode() + b"\0")


def text_payload(text):
    raw = text.encode("utf-8", "surrogatepass")
    return struct.pack("<i", len(raw) + 1) + raw + b"\0"


MINKEY, MAXKEY, UNDEFINED_VALUE = Opaque(MIN_KEY, b""), Opaque(MAX_KEY, b""), Opaque(UNDEFINED, b"")


# --- BSON -------------------------------------------------------------------------------------------------------------------------------

_pack_double, _pack_int, _pack_long = struct.Struct("<d").pack, struct.Struct("<i").pack, struct.Struct("<q").pack


def _element(name, value):
    kind = type(value)
    if kind is str:
        raw = value.encode("utf-8", "surrogatepass")
        return b"\x02" + name + _pack_int(len(raw) + 1) + raw + b"\0"
    if kind is int:
        return b"\x10" + name + _pack_int(value)
    if kind is dict:
        return b"\x03" + name + write(value)
    if kind is list:
        return b"\x04" + name + _write_array(value)
    if kind is float:
        return b"\x01" + name + _pack_double(value)
    if kind is bool:
        return b"\x08" + name + (b"\1" if value else b"\0")
    if value is None:
        return b"\x0a" + name
    if kind is Int64:
        return b"\x12" + name + _pack_long(value)
    return bytes((value.type,)) + name + value.data


def write(document):
    body = b"".join([_element(name.encode("utf-8", "surrogatepass") + b"\0", value) for name, value in document.items()])
    return _pack_int(len(body) + 5) + body + b"\0"


def _write_array(values):
    body = b"".join([_element(b"%d\0" % index, value) for index, value in enumerate(values)])
    return _pack_int(len(body) + 5) + body + b"\0"


_unpack_double, _unpack_int, _unpack_long = (struct.Struct(f).unpack_from for f in ("<d", "<i", "<q"))
_FIXED = {OID: 12, DATE: 8, TIMESTAMP: 8, DECIMAL: 16, UNDEFINED: 0, MIN_KEY: 0, MAX_KEY: 0}


def _value(kind, data, at):
    if kind == INT32:
        return _unpack_int(data, at)[0], at + 4
    if kind == STRING:
        end = at + 4 + _unpack_int(data, at)[0]
        return data[at + 4:end - 1].decode("utf-8", "surrogateescape"), end
    if kind == DOUBLE:
        return _unpack_double(data, at)[0], at + 8
    if kind in (OBJECT, ARRAY):
        return _read(data, at, kind == ARRAY)
    if kind == INT64:
        return Int64(_unpack_long(data, at)[0]), at + 8
    if kind == BOOL:
        return data[at] != 0, at + 1
    if kind == NULL:
        return None, at
    if kind in _FIXED:
        end = at + _FIXED[kind]
    elif kind == BINARY:
        end = at + 5 + _unpack_int(data, at)[0]
    elif kind == REGEX:
        end = data.index(b"\0", data.index(b"\0", at) + 1) + 1
    elif kind == DBPOINTER:
        end = at + 4 + _unpack_int(data, at)[0] + 12
    elif kind in (CODE, SYMBOL):
        end = at + 4 + _unpack_int(data, at)[0]
    elif kind == SCOPE:
        end = at + _unpack_int(data, at)[0]
    else:
        raise ValueError(f"BSON type {kind} at {at}")
    return Opaque(kind, bytes(data[at:end])), end


def _read(data, at, array):
    end = at + _unpack_int(data, at)[0] - 1
    at += 4
    values = [] if array else {}
    while at < end:
        kind = data[at]
        stop = data.index(b"\0", at + 1)
        name = data[at + 1:stop]
        value, at = _value(kind, data, stop + 1)
        if array:
            values.append(value)
            continue
        name = name.decode("utf-8", "surrogateescape")
        while name in values:   # two fields of one name are a difference that must not vanish
            name += "\0again"
        values[name] = value
    return values, end + 1


def read(data):
    return _read(data, 0, False)[0]


def raw_batch(reply):
    """The bytes of cursor.firstBatch in a reply that was not decoded; None for another reply. What is equal as bytes needs no decoding."""
    cursor = _raw(reply, 0, b"\x03cursor\0")
    return None if cursor is None else _raw(cursor, 0, b"\x04firstBatch\0")


def _raw(data, at, header):
    """The bytes of a document's or array's element with that type and name."""
    end = at + _unpack_int(data, at)[0] - 1
    at += 4
    while at < end:
        if data.startswith(header, at):
            start = at + len(header)
            return data[start:start + _unpack_int(data, start)[0]]
        kind = data[at]
        at = data.index(b"\0", at + 1) + 1
        if kind in (OBJECT, ARRAY):
            at += _unpack_int(data, at)[0]
        else:
            at = _value(kind, data, at)[1]
    return None


# --- comparison -------------------------------------------------------------------------------------------------------------------------

def identical(left, right):
    """Type, value, order of fields; -0.0 is not 0.0; every NaN is one NaN, because the sign of one says nothing."""
    kind = type(left)
    if kind is not type(right):
        return False
    if kind is float:
        return _pack_double(left) == _pack_double(right) or (left != left and right != right)
    if kind is list:
        return len(left) == len(right) and all(map(identical, left, right))
    if kind is dict:
        return list(left) == list(right) and all(map(identical, left.values(), right.values()))
    if kind is Opaque and left.type == right.type == DECIMAL and left.data != right.data:
        return _decimal_nan(left) and _decimal_nan(right)
    return left == right


def _decimal_nan(value):
    return value.data[15] & 0x7c == 0x7c


# --- Extended JSON ----------------------------------------------------------------------------------------------------------------------

def _number(text):
    value = int(text)
    if -2**31 <= value < 2**31:
        return value
    return Int64(value) if -2**63 <= value < 2**63 else float(value)


def _double(text):
    return float(text.replace("Infinity", "inf"))


def _date(value):
    if isinstance(value, str):
        import datetime
        moment = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        return date(round((moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(milliseconds=1)))
    return date(int(value))


def _code(value, scope=None):
    if scope is None:
        return Opaque(CODE, text_payload(value))
    body = text_payload(value) + write(scope)
    return Opaque(SCOPE, _pack_int(len(body) + 4) + body)


_WRAPPERS = {
    "$numberInt": lambda v: int(v), "$numberLong": lambda v: Int64(v), "$numberDouble": _double, "$numberDecimal": decimal,
    "$date": _date, "$oid": object_id, "$timestamp": lambda v: timestamp(int(v["t"]), int(v["i"])),
    "$minKey": lambda v: MINKEY, "$maxKey": lambda v: MAXKEY, "$undefined": lambda v: UNDEFINED_VALUE,
    "$binary": lambda v: binary(base64.b64decode(v["base64"]), int(v["subType"], 16)),
    "$uuid": lambda v: binary(bytes.fromhex(v.replace("-", "")), 4),
    "$regularExpression": lambda v: regex(v["pattern"], v["options"]),
    "$symbol": lambda v: Opaque(SYMBOL, text_payload(v)), "$code": _code,
    "$dbPointer": lambda v: Opaque(DBPOINTER, text_payload(v["$ref"]) + v["$id"].data),
}


def _object(pairs):
    if len(pairs) == 1 and pairs[0][0] in _WRAPPERS:
        try:
            return _WRAPPERS[pairs[0][0]](pairs[0][1])
        except (TypeError, ValueError, KeyError, AttributeError):
            pass    # an expression of the same name ({"$timestamp": …} has none, {"$date": "$a"} is only a bad one)
    if len(pairs) == 2 and [name for name, _ in pairs] == ["$code", "$scope"]:
        return _code(pairs[0][1], pairs[1][1])
    return dict(pairs)


def from_json(text):
    return json.loads(text, object_pairs_hook=_object, parse_int=_number)


def _plain(value):
    kind = type(value)
    if kind is Int64:
        return {"$numberLong": str(int(value))}
    if kind is float:
        if math.isfinite(value):
            return {"$numberDouble": repr(value)}
        return {"$numberDouble": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}
    if kind is dict:
        return {name: _plain(item) for name, item in value.items()}
    if kind is list:
        return [_plain(item) for item in value]
    if kind is not Opaque:
        return value
    data = value.data
    if value.type == DECIMAL:
        return {"$numberDecimal": str(Decimal128.from_bid(data))}
    if value.type == DATE:
        return {"$date": {"$numberLong": str(_unpack_long(data, 0)[0])}}
    if value.type == TIMESTAMP:
        increment, seconds = struct.unpack("<II", data)
        return {"$timestamp": {"t": seconds, "i": increment}}
    if value.type == OID:
        return {"$oid": data.hex()}
    if value.type == BINARY:
        return {"$binary": {"base64": base64.b64encode(data[5:]).decode(), "subType": f"{data[4]:02x}"}}
    if value.type == REGEX:
        pattern, options, _ = data.split(b"\0")
        return {"$regularExpression": {"pattern": pattern.decode("utf-8", "replace"), "options": options.decode()}}
    simple = {MIN_KEY: {"$minKey": 1}, MAX_KEY: {"$maxKey": 1}, UNDEFINED: {"$undefined": True}}
    if value.type in simple:
        return simple[value.type]
    text = data[4:-1].decode("utf-8", "replace")
    if value.type == CODE:
        return {"$code": text}
    if value.type == SYMBOL:
        return {"$symbol": text}
    if value.type == DBPOINTER:
        return {"$dbPointer": {"$ref": data[4:-13].decode("utf-8", "replace"), "$id": {"$oid": data[-12:].hex()}}}
    length = _unpack_int(data, 4)[0]
    return {"$code": data[8:7 + length].decode("utf-8", "replace"), "$scope": _plain(read(data[8 + length:]))}


def to_json(value):
    """One line. Whole numbers of 32 bits stand bare, so that a case can be pasted into a data file."""
    return json.dumps(_plain(value), ensure_ascii=False)
