"""The table of differences that are known and have a reason: known_differences.json. Each row is used by what it is meant for and nothing else:

  {"kind": "recorded", "file": "expression/convert", "server_error": [9, 241], "reason": "…", "page": "manual page"}
      Cases of that file that 6.0.5 answers with one of these errors (null: with none), because it is older or no stream processor.
  {"kind": "recorded", "file": "expression/log", "case": "…", "reason": "…", "page": "…"}
      One case that it answers otherwise.
  {"kind": "recorded", "file": "expression/reduce", "not_sent": "a level for each", "reason": "…", "page": "…"}
      Cases whose names begin so, which would end the server. A row that no case needs is an error.
  {"kind": "code", "server": 16554, "millrace": 14, "message": "\\\\$add only", "reason": "…", "page": "…"}
      An error of 6.0.5 whose message matches has another code since; both programs compare with the newer one.
  {"kind": "search", "name": "…", "reason": "…"}
      A difference that the search must expect; the function of that name in differential_search.py recognises it.
"""
import functools
import json
import os
import re

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known_differences.json")


def rows(kind):
    with open(PATH, encoding="utf-8") as file:
        return [row for row in json.load(file) if row["kind"] == kind]


@functools.cache
def _newer_codes():
    return [(row["server"], re.compile(row["message"]), row["millrace"]) for row in rows("code")]


def newer_code(code, message):
    """What MongoDB 8 gives for an error of 6.0.5."""
    return next((newer for server, pattern, newer in _newer_codes() if server == code and pattern.search(message)), code)
