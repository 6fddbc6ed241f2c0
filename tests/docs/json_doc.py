#!/usr/bin/env python3
"""Holds docs/json.md against the JSON Schemas in schemas/json.

  json_doc.py            fails when the tables of the document differ from the schemas
  json_doc.py --write    writes the tables anew
"""
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "json.md"
BEGIN = "<!-- tables: generated from schemas/json by tests/docs/json_doc.py --write -->\n"
END = "<!-- end of tables -->\n"
ORDER = ["summary", "leaks", "sites", "site", "peak", "generations", "gc", "caches", "timeline", "tree", "flame", "check", "events",
         "sql"]
HEAD = {"schema", "file", "program", "state", "complete", "as_of_ns", "lost_events", "from_ns", "to_ns", "process_ids",
        "estimated", "sampled_allocations", "sample_bytes", "sample_min_bytes", "sample_max_bytes"}


def type_text(schema):
    if "$ref" in schema:
        return "[%s](#%s)" % ((schema["$ref"].rsplit("/", 1)[1],) * 2)
    if "allOf" in schema:
        return type_text(schema["allOf"][0])
    if "anyOf" in schema:
        return " or ".join(type_text(x) for x in schema["anyOf"])
    if "const" in schema:
        return '"%s"' % schema["const"]
    if schema.get("type") == "array":
        inner = type_text(schema["items"])
        return "array of " + (inner if inner != "object" else "objects")
    kind = schema.get("type", "object")
    return " or ".join(kind) if isinstance(kind, list) else kind


def rows(schema, prefix="", skip=()):
    required = schema.get("required", [])
    for name, member in schema.get("properties", {}).items():
        if name in skip:
            continue
        optional = "" if name in required else " (optional)"
        yield "| `%s%s` | %s%s | %s |" % (prefix, name, type_text(member), optional,
                                          member.get("description", "").replace("|", "\\|"))
        inner = member.get("items", member)
        if "properties" in inner:
            yield from rows(inner, prefix + name + ("[]." if "items" in member else "."))


def tables():
    common = json.loads((ROOT / "schemas" / "json" / "common.json").read_text())["$defs"]
    first = json.loads((ROOT / "schemas" / "json" / "leaks.json").read_text())
    out = ["### Every document", "", "| member | type | |", "|---|---|---|"]
    head = {"required": first["required"], "properties": {k: v for k, v in first["properties"].items() if k in HEAD}}
    head["properties"]["schema"] = {"type": "string", "description": "`geomem.COMMAND/1`"}
    out += list(rows(head)) + ["", "`sql` has `schema`, `columns` and `rows` only, `events` none of them: see below.", ""]
    for name in ORDER:
        schema = json.loads((ROOT / "schemas" / "json" / (name + ".json")).read_text())
        out += ["### %s" % name, ""]
        if name == "events":
            out += ["A document for each event, on a line of its own, in the order of the log.", ""]
        if "allOf" in schema:
            out += ["All members of a %s, and:" % type_text(schema), ""]
        out += ["| member | type | |", "|---|---|---|"]
        out += list(rows(schema, skip=HEAD)) + [""]
        for inner, part in schema.get("$defs", {}).items():
            common = dict(common, **{inner: part})
    out += ["## Parts", ""]
    for name, part in common.items():
        out += ["### %s" % name, "", part.get("description", ""), "", "| member | type | |", "|---|---|---|"]
        out += list(rows(part)) + [""]
    return "\n".join(out).rstrip() + "\n"


def main():
    text = DOC.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    new = "\n" + tables() + "\n"
    if "--write" in sys.argv:
        DOC.write_text(before + BEGIN + new + END + after)
    elif old != new:
        print("docs/json.md differs from schemas/json; run tests/docs/json_doc.py --write and read the result")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
