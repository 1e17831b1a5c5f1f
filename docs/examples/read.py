#!/usr/bin/env python3
"""Prints the logins of a published list, sorted: read.py CONNECTION [NAMESPACE]

Needs kubectl. Exit code: 0 printed, 1 not read, 3 no list has been published.
"""

import hashlib
import json
import os
import subprocess
import sys
import time


def get(kind, name, namespace):
    """The object, or None if it does not exist. Other errors end the program."""
    command = ["kubectl", "get", kind, name, "--output=json", "--ignore-not-found"]
    if namespace:
        command.append(f"--namespace={namespace}")
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"kubectl could not read {kind} {name}")
    return json.loads(done.stdout) if done.stdout else None


def lines(roster, namespace):
    """The users of the list, or None if a slice is missing or has another digest."""
    users = []
    for slice_ref in roster["slices"]:
        if slice_ref["state"] not in ("Live", "Held"):
            continue
        found = get("userslice", slice_ref["name"], namespace)
        if found is None:
            return None
        data = found["data"].encode()
        if hashlib.sha256(data).hexdigest() != slice_ref["digest"]:
            return None
        users += [json.loads(line) for line in data.splitlines()]
    return users


def read(connection, namespace):
    """All users of one revision of the list."""
    for start in range(5):
        if start > 0:
            time.sleep(1)
        roster = get("userroster", connection, namespace)
        if roster is None:
            print(f"no list has been published for {connection}; that is not an empty list", file=sys.stderr)
            sys.exit(3)
        if roster["format"] != 1:
            sys.exit(f"the list is in format {roster['format']}, which this program does not know")
        users = lines(roster, namespace)
        if users is not None:
            return users
    sys.exit(f"a slice of revision {roster['revision']} of {connection} is missing or damaged; nothing was printed")


if len(sys.argv) not in (2, 3):
    sys.exit("usage: read.py CONNECTION [NAMESPACE]")
listed = read(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else None)
try:
    for login in sorted(user["login"] for user in listed):
        sys.stdout.buffer.write(login.encode() + b"\n")
    sys.stdout.flush()
except BrokenPipeError:
    # The reader has ended, as head does. What is left must not be written at exit either.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
