#!/usr/bin/env python3
"""Writes the fuzz targets' first inputs: seeds.py DIRECTORY. One file each, in DIRECTORY/<target>/."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "wire"))
from wire_client import Binary, Date, Int64, ObjectId, Raw, encode, op_compressed, op_msg, op_query, sequence

DOCUMENTS = {
    "empty": {},
    "scalars": {"a": 1, "b": Int64(2), "c": 1.5, "d": True, "e": None, "f": Date(5), "g": ObjectId(b"x" * 12), "h": Binary.uuid(b"y" * 16)},
    "nested": {"a": {"b": [{"c": []}, "text", {"d": {}}]}},
    "rare": Raw(b"\x4e\0\0\0" + b"\x0br\0a.b\0im\0" + b"\x0fs\0\x12\0\0\0\2\0\0\0x\0\x08\0\0\0\x0aq\0\0" + b"\x11t\0" + b"\1" * 8
                + b"\x13u\0" + b"\2" * 16 + b"\x7fv\0\xffw\0\x06x\0" + b"\0"),
    "old binary": Raw(b"\x14\0\0\0\x05a\0\x07\0\0\0\2\3\0\0\0abc\0"),
}
PING = {"ping": 1, "$db": "admin"}
MESSAGES = {
    "ping": op_msg(PING),
    "checksum": op_msg(PING, checksum=True),
    "insert": op_msg({"insert": "c", "ordered": True, "$db": "test"}, sequence("documents", [{"_id": 1}, {"_id": 2}])),
    "two sequences": op_msg(sequence("ops", [{"insert": 0}]), {"bulkWrite": 1, "$db": "admin"}, sequence("nsInfo", [{"ns": "a.b"}])),
    "exhaust": op_msg({"hello": 1, "maxAwaitTimeMS": 10000, "$db": "admin"}, flags=1 << 16),
    "query": op_query("admin.$cmd", {"ismaster": 1, "helloOk": True}),
    "zlib": op_compressed(op_msg(PING)),
    "stored": op_compressed(op_msg(PING), compressor=0),
}


def write(directory, name, data):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name.replace(" ", "_")), "wb") as file:
        file.write(data)


for name, document in DOCUMENTS.items():
    write(os.path.join(sys.argv[1], "bson"), name, encode(document))
for name, data in MESSAGES.items():
    write(os.path.join(sys.argv[1], "op_msg"), name, data)
