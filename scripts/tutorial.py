#!/usr/bin/env python3
"""Run the commands of a tutorial and write what they print under them.

    tutorial.py COPPICE PYTHON docs/tutorial-pytorch.md

A fence ```python title=NAME is a file, written where the commands run. In a fence ```console, each line that starts with "$ "
is a command, and the lines below it are what it printed. PYTHON is the interpreter that has the framework. `python3` and
`coppice` in commands are the two given. Of outputs over 24 lines only the last 24 are kept.
"""
import os
import re
import subprocess
import sys
import tempfile

program, python, path = (os.path.abspath(a) if os.path.sep in a else a for a in sys.argv[1:4])
with open(path, encoding="utf-8") as f:
    text = f.read()
work = tempfile.mkdtemp()
tools = os.path.join(work, ".bin")
os.makedirs(tools)
os.symlink(program, os.path.join(tools, "coppice"))
with open(os.path.join(tools, "python3"), "w") as f:
    f.write('#!/bin/sh\nexec "%s" "$@"\n' % python)
os.chmod(os.path.join(tools, "python3"), 0o755)
env = dict(os.environ, PATH=tools + ":" + os.environ["PATH"], TF_CPP_MIN_LOG_LEVEL="3", LC_ALL="C.UTF-8")


def fence(match):
    kind, body = match.group(1), match.group(2)
    title = re.match(r"python title=(\S+)", kind)
    if title:
        with open(os.path.join(work, title.group(1)), "w", encoding="utf-8") as f:
            f.write(body)
    if kind != "console":
        return match.group(0)
    out = []
    for command in re.findall(r"^\$ (.*)$", body, re.M):
        done = subprocess.run(["sh", "-c", command], cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True)
        lines = done.stdout.rstrip("\n").splitlines()
        out += ["$ " + command] + (["..."] + lines[-24:] if len(lines) > 24 else lines)
        if done.returncode:
            sys.exit("%s: `%s` exits with %d:\n%s" % (path, command, done.returncode, done.stdout))
    return "```console\n%s\n```" % "\n".join(out)


text = re.sub(
    r"^```([^\n]*)\n(.*?)^```$", fence, text, flags=re.S | re.M)
with open(path, "w", encoding="utf-8") as f:
    f.write(text)
