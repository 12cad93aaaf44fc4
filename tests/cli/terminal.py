#!/usr/bin/env python3
"""terminal.py COPPICE: check what the program writes to terminals of several widths.

The program writes to a pseudo-terminal. A small model of a terminal (carriage return, line feed, cursor up, erase)
keeps what its screen would show.
"""
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

program = os.path.abspath(sys.argv[1])
here = os.path.dirname(os.path.abspath(__file__))
problems = []


def check(condition, text):
    if not condition:
        problems.append(text)


def run(words, columns, cwd, **environment):
    """What the command sends to a terminal of that many columns, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "OMP_WAIT_POLICY": "passive"}
    env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
    env.update(environment)
    child = subprocess.Popen([program, *words], cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    data = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        data += piece
    os.close(master)
    return data.decode(), child.wait()


def screen(data):
    """The lines on the screen at the end, and the width of the widest line there ever was."""
    lines, row, column, widest = [""], 0, 0, 0
    for part in re.findall(r"\033\[[0-9;]*[A-Za-z]|\r|\n|[^\033\r\n]+", data):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part == "\033[A":
            row -= 1
        elif part == "\033[K":
            lines[row] = lines[row][:column]
        elif part[0] == "\033":
            check(part.endswith("m"), f"an escape sequence of another kind: {part!r}")
        else:
            text = lines[row].ljust(column)
            lines[row] = text[:column] + part + text[column + len(part):]
            column += len(part)
            widest = max(widest, len(lines[row]))
    return lines, widest


with tempfile.TemporaryDirectory() as work:
    subprocess.run([sys.executable, os.path.join(here, "make-data.py"), "idx", os.path.join(work, "idx")], check=True)
    train = ["train", "--model", "lenet-5", "--data", "idx", "--epochs", "100", "--precision", "f32", "--threads", "1"]
    for columns in 100, 60, 30:
        data, code = run([*train, "-o", "m.safetensors"], columns, work)
        lines, widest = screen(data.replace(re.findall(r"validation accuracy.*", data)[-1], ""))
        check(code == 0, f"{columns} columns: exit code {code}")
        check(re.search(r"train \d+/100", data), f"{columns} columns: no progress: {data[:200]!r}")
        check(columns < 60 or "##" in data and " %" in data and " left" in data, f"{columns} columns: no bar, share, time left")
        check("\033[32m" in data or columns < 60, f"{columns} columns: no colour")
        check(widest < columns, f"{columns} columns: a line of {widest}")
        check(not any("train" in line for line in lines), f"{columns} columns: the bar stays: {lines}")
    check("images/s" in run([*train, "-o", "m.safetensors"], 120, work)[0].split("validation accuracy")[0], "120 columns: no rate")

    data, _ = run([*train, "-o", "m.safetensors"], 100, work, NO_COLOR="1")
    check("##" in data and "\033[3" not in data and "m" not in re.findall(r"\033\[[0-9;]*([A-Za-z])", data), "NO_COLOR: colours")
    data, _ = run([*train, "-o", "m.safetensors"], 100, work, TERM="dumb")
    plain = r"(train \d+/100, .*\r\n)*validation accuracy .*\r\n"  # a slow machine prints a line now and then
    check(re.fullmatch(plain, data), f"TERM=dumb: {data[:200]!r}")
    data, _ = run([*train, "-q", "-o", "m.safetensors"], 100, work)
    check("train" not in data, f"--quiet: {data[:200]!r}")

    for columns in 100, 60, 40:
        data, code = run(["inspect", "m.safetensors"], columns, work)
        lines, _ = screen(data)
        table = lines[next(i for i, line in enumerate(lines) if line.startswith("layer")):]
        table = table[: next(i for i, line in enumerate(table) if line.startswith("all")) + 1]
        check(all(len(line) <= columns for line in table), f"inspect in {columns} columns: too wide: {table}")
        for head in "layer", "parameters", "sparsity", "MACs":
            check(head in table[0], f"inspect in {columns} columns: no {head}")
        check(("weights" in table[0]) == (columns == 100), f"inspect in {columns} columns: weights' shapes: {table[0]}")
    for columns in 100, 60, 40:
        lines, _ = screen(run(["help", "train"], columns, work)[0])
        check(all(len(line) <= columns for line in lines), f"help in {columns} columns: too wide: {max(lines, key=len)}")

print("\n".join(problems) or "terminal: passed")
sys.exit(1 if problems else 0)
