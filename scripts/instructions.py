#!/usr/bin/env python3
"""Instructions per event of the canonical jobs, counted by valgrind: repeatable whatever else the machine does.

Usage: scripts/instructions.py [BINARY] [--at-most JOB=COUNT ...]
Runs each job over 20,000 and over 60,000 events and divides the difference by 40,000, so that start and end do not
count. With --at-most it ends with 1 when a job takes more.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

JOBS = {"j1": (10_000, 100_000), "j2": (10_000, 100_000), "j3": (1_000, 10_000)}  # keys, events per second of event time
FEW, MANY = 20_000, 60_000
MAX_WATTS = [150, 250, 300, 400, 450]
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Tokyo", "Australia/Sydney"]
TAGS = [["roof", "south"], ["field", "east"], ["roof", "west"]]


def write_events(path, keys, per_second):
    """Events of about 300 bytes, as a solar site would send them; the same at each run."""
    draw = random.Random(42)
    with open(path, "w") as file:
        for i in range(MANY):
            device = draw.randrange(keys)
            seconds, milliseconds = divmod(i * 1000 // per_second, 1000)
            event = {
                "device_id": f"device_{device}", "group_id": device % 97,
                "timestamp": f"2026-01-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}+00:00",
                "max_watts": MAX_WATTS[device % 5], "event_type": int(draw.randrange(10) == 0),
                "obs": {"watts": draw.randrange(MAX_WATTS[device % 5] + 1), "temp": draw.randrange(46) - 5},
                "site": {"name": f"site-{device % 1000:03}", "lat": round(device * 7919 % 18000000 / 100000 - 90, 5),
                         "lon": round(device * 104729 % 36000000 / 100000 - 180, 5), "tz": ZONES[device % 4]},
                "firmware": f"v2.{device % 30}.{device % 7}", "status": "ok", "seq": i, "tags": TAGS[device % 3]}
            file.write(json.dumps(event, separators=(",", ":")) + "\n")


def count(binary, job, path, events):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, "bench", "--job", job,
               "--input", str(path), "--events", str(events)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"valgrind failed:\n{run.stderr}")
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary", nargs="?", default="build/release/millrace")
    parser.add_argument("--at-most", action="append", default=[], metavar="JOB=COUNT")
    arguments = parser.parse_args()
    limits = dict(limit.split("=") for limit in arguments.at_most)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for job, (keys, per_second) in JOBS.items():
            path = pathlib.Path(folder) / f"{job}.ndjson"
            write_events(path, keys, per_second)
            per_event = (count(arguments.binary, job, path, MANY) - count(arguments.binary, job, path, FEW)) / (MANY - FEW)
            print(f"{job}: {per_event:.0f} instructions per event", flush=True)
            if job in limits and per_event > float(limits[job]):
                print(f"{job}: more than {limits[job]}")
                good = False
    return 0 if good else 1


sys.exit(main())
