#!/usr/bin/env python3
"""Run the commands of a transcript and compare their output to the byte.

    run.py COPPICE CASE.txt            show the difference; exit code 1 if there is one
    run.py COPPICE CASE.txt --update   write the output into the transcript

A transcript holds commands ("$ ", and "> " for further lines). Each is followed by exactly what it prints on standard
output and standard error, and by "[code]" if its exit code is not 0. Lines before the first command and lines that
start with "# " are remarks. Commands run in an empty directory, one shell each, with the functions of helpers.sh.
"""
import difflib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def environment(program, work):
    tools = os.path.join(work, "bin")
    os.makedirs(tools)
    os.symlink(os.path.abspath(program), os.path.join(tools, "coppice"))
    env = {k: v for k, v in os.environ.items() if k in ("HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
    env.update(
        PATH=tools + ":" + os.environ["PATH"],
        HERE=HERE,
        PYTHON=sys.executable,
        LC_ALL="C.UTF-8",
        TERM="dumb",
        PYTHONDONTWRITEBYTECODE="1",
        OMP_WAIT_POLICY="passive",  # spinning threads would starve the other tests
    )
    return env


def commands(lines):
    """(line number of the first line after the command, command) for each."""
    i = 0
    while i < len(lines):
        if lines[i].startswith("$ "):
            command = lines[i][2:]
            i += 1
            while i < len(lines) and lines[i].startswith("> "):
                command += "\n" + lines[i][2:]
                i += 1
            yield i, command
        else:
            i += 1


def run(program, lines):
    result = []
    with tempfile.TemporaryDirectory() as work:
        env = environment(program, work)
        here = os.path.join(work, "here")
        os.makedirs(here)
        first = True
        copied = 0
        for after, command in commands(lines):
            start = after - 1 - command.count("\n")
            if first:
                result += lines[:start]
                first = False
            else:
                result += [line for line in lines[copied:start] if line.startswith("# ")]
            result += lines[start:after]
            copied = after
            done = subprocess.run(
                ["sh", "-c", '. "$HERE/helpers.sh"\n' + command],
                cwd=here, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            text = done.stdout.decode("utf-8", "backslashreplace")
            result += text.splitlines()
            if done.returncode:
                result.append(f"[{done.returncode}]")
    return result


def main():
    program, path = sys.argv[1:3]
    with open(path, encoding="utf-8") as f:
        expected = f.read().splitlines()
    got = run(program, expected)
    if sys.argv[3:] == ["--update"]:
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(got) + "\n")
        return 0
    difference = list(difflib.unified_diff(expected, got, "expected", "printed", lineterm=""))
    print("\n".join(difference))
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
