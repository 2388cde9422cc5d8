#!/usr/bin/env python3
"""Reads the #include lines of the code and fails on one that goes upward: wire -> commands -> engine -> storage, and inside the engine
testing -> runtime -> {source, sink, window} -> {stage, connection} -> {expression, match} -> document. engine/document is the leaf that all may use."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
# A folder may include itself and what stands behind it here.
ALLOWED = {
    "engine/document": [],
    "storage": ["engine/document"],
    "engine/expression": ["engine/document"],
    "engine/match": ["engine/expression", "engine/document"],
    "engine/connection": ["engine/document"],
    "engine/stage": ["engine/match", "engine/expression", "engine/document"],
    "engine/window": ["engine/stage", "engine/match", "engine/expression", "engine/document"],
    "engine/source": ["engine/stage", "engine/connection", "engine/expression", "engine/document"],
    "engine/sink": ["engine/stage", "engine/connection", "engine/expression", "engine/document"],
    "engine/runtime": ["engine/source", "engine/sink", "engine/window", "engine/stage", "engine/connection", "engine/match",
                       "engine/expression", "engine/document", "storage"],
    "engine/testing": ["engine/runtime", "engine/source", "engine/sink", "engine/window", "engine/stage", "engine/connection", "engine/expression",
                       "engine/document", "storage"],
    "commands/local": ["commands", "engine", "storage"],
    "commands": ["commands/local", "engine", "storage"],
    "wire": ["commands", "engine"],
}
INCLUDE = re.compile(r'^\s*#include "([^"]+)"')


def folder_of(path):
    for folder in sorted(ALLOWED, key=len, reverse=True):
        if path.startswith(folder + "/"):
            return folder
    return None


def main():
    problems = []
    files = [p for top in ("wire", "commands", "engine", "storage") for p in (ROOT / top).rglob("*") if p.suffix in (".h", ".cc")]
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        own = folder_of(name)
        if own is None:
            problems.append(f"{name}: stands in no known folder")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            other = folder_of(target)
            if other is None:
                problems.append(f"{name}:{number}: \"{target}\" is not written from the root")
            elif other != own and not any(other == a or other.startswith(a + "/") for a in ALLOWED[own]):
                problems.append(f"{name}:{number}: {own} may not use {other}")
    print("\n".join(problems) if problems else f"{len(files)} files: every #include goes downward")
    return 1 if problems else 0


sys.exit(main())
