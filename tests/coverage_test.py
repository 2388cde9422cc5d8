"""What the server's tables say is not supported must be what compat/unsupported.tsv explains.

Usage: coverage_test.py BINARY REPOSITORY. Red: a gap without a reason, a reason without a gap, a row
without a manual page, an operator or a command without cases.
"""
import collections
import json
import pathlib
import subprocess
import sys

CASES = {"expression": "expression", "accumulator": "accumulator", "query": "match"}


def read_rows(binary):
    text = subprocess.run([binary, "coverage"], capture_output=True, text=True, check=True).stdout
    lines = text.rstrip("\n").split("\n")
    assert lines[0].split("\t") == ["kind", "name", "supported", "manual"], lines[0]
    return [line.split("\t") for line in lines[1:]]


def read_reasons(path):
    reasons = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            kind, name, reason = line.split("\t")
            reasons[kind, name] = reason
    return reasons


def case_names(folder):
    names = collections.Counter()
    for path in sorted(folder.rglob("*.json")):
        count = len(json.loads(path.read_text()).get("cases", []))
        names["$" + path.stem] += count
        names["$" + path.parent.name] += count  # $jsonSchema has a folder
    return names


# Commands under other names: not in the report, and to be run by some case all the same.
OTHER_NAMES = {"buildinfo", "collstats", "dbstats", "deleteIndexes", "findandmodify", "ismaster"}
# Files of tests/commands that are about all commands, or about a part that several have.
TOPICS = {"everyCommand", "maxTimeMS", "projection", "updateSupplied", "writeConcern"}


def command_faults(rows, folder):
    """Each command has a file of its name (or several, `aggregate_lookup`), in which it is run; each file is of a command."""
    ran = collections.defaultdict(set)
    for path in sorted(folder.rglob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            ran[path.stem.split("_")[0]] |= {next(iter(step["run"])) for step in case["steps"]}
    commands = {name for kind, name, supported, _ in rows if kind == "command" and supported == "yes"}
    faults = [f"not run in tests/commands/{name}.json: {name}" for name in sorted(commands) if name not in ran[name]]
    faults += [f"run by no case: {name}" for name in sorted(OTHER_NAMES - set().union(*ran.values()))]
    faults += [f"tests/commands/{name}*.json is of no command" for name in sorted(ran.keys() - commands - TOPICS)]
    return faults


def main():
    binary, repository = sys.argv[1], pathlib.Path(sys.argv[2])
    rows = read_rows(binary)
    reasons = read_reasons(repository / "compat" / "unsupported.tsv")
    faults = []
    gaps = {(kind, name) for kind, name, supported, _ in rows if supported == "no"}
    faults += [f"not supported, and compat/unsupported.tsv does not say why: {gap}" for gap in sorted(gaps - reasons.keys())]
    faults += [f"supported, but listed in compat/unsupported.tsv: {row}" for row in sorted(reasons.keys() - gaps)]
    faults += [f"without a manual page: {kind} {name}" for kind, name, _, manual in rows if not manual]
    for kind, folder in CASES.items():
        names = case_names(repository / "tests" / folder)
        faults += [f"without cases in tests/{folder}: {name}" for k, name, supported, _ in rows
                   if k == kind and supported == "yes" and names[name] == 0]
    faults += command_faults(rows, repository / "tests" / "commands")
    for fault in faults:
        print(fault)
    counts = collections.Counter((kind, supported) for kind, _, supported, _ in rows)
    print(", ".join(f"{kind} {counts[kind, 'yes']} of {counts[kind, 'yes'] + counts[kind, 'no']}"
                    for kind in sorted({kind for kind, _ in counts})))
    return 1 if faults else 0


sys.exit(main())
