"""Checks documents against a JSON Schema: check_schema.py SCHEMA FILE...

Prints one line a file: "valid" or "invalid: why". Exit code 77 if the Python package jsonschema is not installed."""
import json
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    with open(name, encoding="utf-8") as file:
        errors = list(validator.iter_errors(json.load(file)))
    print("invalid: " + errors[0].message.splitlines()[0] if errors else "valid")
