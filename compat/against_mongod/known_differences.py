"""The table of differences that are known and have a reason: known_differences.json. Each row is used by what it is meant for and nothing else:

  {"kind": "recorded", "file": "expression/bitAnd", "case": "…" (without it: every case of the file), "reason": "…", "page": "manual page"}
      A case of tests/ that the genuine server of version `until` and older answers otherwise. A row none of whose cases differs any more is an error.
  {"kind": "search", "name": "…", "reason": "…"}
      A difference that the search must expect; the function of that name in differential_search.py recognises it.
"""
import json
import os

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known_differences.json")


def rows(kind):
    with open(PATH, encoding="utf-8") as file:
        return [row for row in json.load(file) if row["kind"] == kind]
