"""The table of differences that are known and have a reason: known_differences.json. Each row is used by what it is meant for and nothing else:

  {"kind": "recorded", "file": "expression/convert", "server_error": [9, 241], "reason": "…", "page": "manual page"}
      Cases of that file that 6.0.5 answers with one of these errors (null: with none), because it is older or no stream processor.
  {"kind": "recorded", "file": "expression/log", "case": "…", "reason": "…", "page": "…"}
      One case that it answers otherwise.
  {"kind": "recorded", "file": "expression/reduce", "not_sent": "a level for each", "reason": "…", "page": "…"}
      Cases whose names begin so, which would end the server. A row that no case needs is an error.
  {"kind": "search", "name": "…", "reason": "…"}
      A difference that the search must expect; the function of that name in differential_search.py recognises it.
"""
import json
import os

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known_differences.json")


def rows(kind):
    with open(PATH, encoding="utf-8") as file:
        return [row for row in json.load(file) if row["kind"] == kind]
