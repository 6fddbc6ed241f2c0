#!/usr/bin/env python3
"""Validates what geomem-report --json writes against schemas/json, on all fixtures and commands.

  json_schemas.py REPORT FOLDER     FOLDER holds the recordings of fixture.py

The schemas allow members they do not know, so that readers survive additions. Here they do not: a member
that no schema describes is a mistake.
"""
import json
import subprocess
import sys
from pathlib import Path

import jsonschema

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "json"
COMMANDS = [
    ["summary"], ["leaks"], ["sites"], ["peak"], ["generations"], ["gc"], ["caches"], ["timeline"], ["tree"], ["flame"], ["flame", "--weight=peak"], ["check"],
    ["summary", "--from=25%", "--to=75%"], ["leaks", "--from=0.001", "--to=90%"], ["sites", "--to=50%"],
    ["generations", "--from=50%"], ["gc", "--from=25%", "--to=75%"], ["gc", "--top=1"], ["caches", "--from=25%", "--to=75%"], ["caches", "--top=1"], ["tree", "--bottom-up", "--weight=allocations"], ["tree", "--to=50%"],
    ["timeline", "--from=50%"], ["leaks", "--process=all"], ["peak", "--process=#1"], ["leaks", "--top=1"],
    ["sites", "--function=main", "--min-bytes=1k", "--sort=promoted"],
]


def known_members(schema, store):
    """Names a schema describes for one object, and the schemas of those members."""
    if "$ref" in schema:
        name, _, path = schema["$ref"].partition("#")
        target = store[name] if name else store["."]
        for step in path.strip("/").split("/"):
            target = target[step]
        members, _ = known_members(target, dict(store, **({".": store[name]} if name else {})))
        return members, store
    members = {k: (v, store) for k, v in schema.get("properties", {}).items()}
    for part in schema.get("allOf", []) + schema.get("anyOf", []):
        inner = dict(store, **{".": store["common.json"]}) if "common.json" in part.get("$ref", "") else store
        members = dict(known_members(part, inner)[0], **members)
    return members, store


def resolve(schema, store):
    while "$ref" in schema:
        name, _, path = schema["$ref"].partition("#")
        target = store[name] if name else store["."]
        if name:
            store = dict(store, **{".": store[name]})
        for step in path.strip("/").split("/"):
            target = target[step]
        schema = target
    return schema, store


def unknown(value, schema, store, path=""):
    schema, store = resolve(schema, store)
    if isinstance(value, dict):
        members, _ = known_members(schema, store)
        for key, inner in value.items():
            if key not in members:
                yield "%s/%s" % (path, key)
            else:
                yield from unknown(inner, members[key][0], members[key][1], "%s/%s" % (path, key))
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            yield from unknown(inner, schema["items"], store, path + "[]")


def check(report, command, path, store):
    words = command + [str(path)]
    result = subprocess.run([report, *words, "--json"], capture_output=True, timeout=60)
    if result.returncode not in (0, 1) or result.stderr:
        return ["%s: status %d, %s" % (words, result.returncode, result.stderr.decode(errors="replace"))]
    if command[0] == "peak" and "--process=#1" not in command and b'"exact": true' not in result.stdout:
        return ["%s: the sites do not add up to the peak" % words]
    document = json.loads(result.stdout.decode("utf-8"))
    schema = store[command[0] + ".json"]
    resolver = jsonschema.RefResolver(command[0] + ".json", schema, store=store)
    validator = jsonschema.Draft202012Validator(schema, resolver=resolver)
    wrong = ["%s: %s: %s" % (words, "/".join(map(str, e.absolute_path)), e.message) for e in validator.iter_errors(document)]
    wrong += ["%s: not in the schema: %s" % (words, m) for m in sorted(set(unknown(document, schema, dict(store, **{".": schema}))))]
    return wrong


def main():
    report, folder = sys.argv[1], Path(sys.argv[2])
    store = {p.name: json.loads(p.read_text()) for p in SCHEMAS.glob("*.json")}
    for schema in store.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    wrong, count = [], 0
    for path in sorted(folder.glob("*.geomem")):
        for command in COMMANDS:
            wrong += check(report, command, path, store)
            count += 1
        if path.stem != "empty":
            wrong += check(report, ["site", "1"], path, store)
            count += 1
    for path in [folder / "small.geomem"]:
        result = subprocess.run([report, "sql", path, "SELECT *, NULL, 1.5, x'00ff', char(27) FROM v_sites", "--json"],
                                capture_output=True, check=True)
        jsonschema.validate(json.loads(result.stdout), store["sql.json"])
        count += 1
    print("\n".join(wrong) if wrong else "%d documents are as their schemas say" % count)
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
