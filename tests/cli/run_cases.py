#!/usr/bin/env python3
"""Runs a text file of command-line cases.

  run_cases.py usage.test

  # comment
  needs model [FILE]         the file's further cases need SmolLM2, or this model
  $ command                  run with bash in a scratch checkout; lines that begin with "+ " go on
  exit N                     its exit code; 0 if not said
  stdout: text               standard output contains this; "stderr:" likewise
  not stdout: text           it does not; "not stderr:" likewise
  stdout is: text            the whole of it, without the last line feed; "stderr is:" likewise
  columns N                  no line of either is wider
The cases of one file share the scratch folder.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import MODEL, SKIPPED, Workspace, has_model  # noqa: E402


def read_cases(path):
    """[(line number, command, exit code, [(kind, stream, text)], the model that it needs)]"""
    cases, needs_model = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.split()[:2] == ["needs", "model"]:
            needs_model = line.split()[2] if len(line.split()) > 2 else MODEL
        elif line.startswith("$ "):
            cases.append({"line": number, "command": line[2:], "exit": 0, "checks": [], "needs_model": needs_model})
        elif line.startswith("+ ") and cases:
            cases[-1]["command"] += "\n" + line[2:]
        elif line.startswith("exit ") and cases:
            cases[-1]["exit"] = int(line[5:])
        elif line.startswith("columns ") and cases:
            cases[-1]["checks"].append(("columns", "", line[8:]))
        else:
            words, colon, text = line.partition(":")
            kind = {"stdout": "has", "stderr": "has", "not stdout": "lacks", "not stderr": "lacks",
                    "stdout is": "is", "stderr is": "is"}.get(words)
            if not (kind and colon and cases):
                raise SystemExit(f"{path}:{number}: not understood: {line}")
            cases[-1]["checks"].append((kind, "stdout" if "stdout" in words else "stderr", text[1:] if text.startswith(" ") else text))
    return cases


def problems(case, code, output):
    found = [] if code == case["exit"] else [f"exit code {code}, expected {case['exit']}"]
    for kind, stream, text in case["checks"]:
        if kind == "has" and text not in output[stream]:
            found.append(f"{stream} lacks: {text}")
        elif kind == "lacks" and text in output[stream]:
            found.append(f"{stream} has: {text}")
        elif kind == "is" and output[stream].removesuffix("\n") != text:
            found.append(f"{stream} is not: {text}")
        elif kind == "columns":
            found += [f"wider than {text} columns: {line}" for line in "\n".join(output.values()).splitlines() if len(line) > int(text)]
    return found


def main(path):
    cases, failed, skipped = read_cases(path), 0, 0
    with Workspace() as workspace:
        for case in cases:
            if case["needs_model"] and not has_model(case["needs_model"]):
                skipped += 1
                continue
            result = workspace.bash(case["command"], timeout_s=120)
            output = {"stdout": result.stdout.decode(errors="replace"), "stderr": result.stderr.decode(errors="replace")}
            found = problems(case, result.returncode, output)
            if found:
                failed += 1
                print(f"{path.name}:{case['line']}: $ {case['command']}", *("  " + problem for problem in found), sep="\n")
                print("-- stdout", output["stdout"], "-- stderr", output["stderr"], sep="\n")
    print(f"{len(cases)} cases, {failed} failed, {skipped} skipped")
    if failed:
        return 1
    return SKIPPED if skipped == len(cases) else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
