#!/usr/bin/env python3
"""Runs every ```sh block of a document, in order, in one scratch copy of the checkout.

  run_blocks.py README.md

A block may be preceded by a comment:
  <!-- not run: REASON -->   it is left out; the reason is printed
  <!-- exit: N -->           it is meant to end with this exit code
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from workspace import MODEL, ROOT, SKIPPED, Workspace, has_model  # noqa: E402


def read_blocks(text):
    """[(line number, script, reason not to run or None, exit code)]"""
    blocks, lines, index = [], text.splitlines(), 0
    last_comment = ""
    while index < len(lines):
        line = lines[index]
        if re.fullmatch(r"```sh\s*", line):
            end = next((i for i in range(index + 1, len(lines)) if lines[i].strip() == "```"), None)
            if end is None:
                raise SystemExit(f"line {index + 1}: the block does not end")
            reason = re.fullmatch(r"<!-- not run: (.+?) -->", last_comment)
            code = re.fullmatch(r"<!-- exit: (\d+) -->", last_comment)
            blocks.append((index + 1, "\n".join(lines[index + 1:end]), reason and reason[1], int(code[1]) if code else 0))
            index = end
            last_comment = ""
        elif re.match(r"```(bash|shell|console|zsh)\b", line):
            raise SystemExit(f"line {index + 1}: commands are written in ```sh blocks, which this test runs")
        elif line.strip():
            last_comment = line.strip()
        index += 1
    return blocks


def main(document):
    if not has_model():
        print(f"skipped: {MODEL} is not there; scripts/fetch_models fetches it")
        return SKIPPED
    blocks = read_blocks((ROOT / document).read_text())
    if not blocks:
        print(f"{document} has no ```sh block; take it out of tests/docs/CMakeLists.txt")
        return 1
    failed = False
    with Workspace() as workspace:
        for number, script, reason, code in blocks:
            if reason:
                print(f"{document}:{number}: not run: {reason}")
                continue
            result = workspace.bash(script)
            good = result.returncode == code
            print(f"{document}:{number}: {'ok' if good else f'exit code {result.returncode}, expected {code}'}")
            if not good:
                failed = True
                print(script, result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace"), sep="\n--\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
