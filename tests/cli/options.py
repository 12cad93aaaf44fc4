#!/usr/bin/env python3
"""Check every option of every command, as --help lists them.

    options.py COPPICE help        help fits in 100 columns and explains each option
    options.py COPPICE PART/PARTS  each option refuses a wrong value with exit code 2 and its own name, and accepts a
                                   right one; of the list of options, one in PARTS
    options.py COPPICE recipe      each option of a recipe changes the trained net
"""
import os
import re
import subprocess
import sys
import tempfile

program = os.path.abspath(sys.argv[1])
here = os.path.dirname(os.path.abspath(__file__))
problems = []


def coppice(*words, cwd=None):
    done = subprocess.run([program, *words], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(condition, text):
    if not condition:
        problems.append(text)


def commands():
    names, listing = [], False
    for line in coppice("help")[1].splitlines():
        if line.startswith("Commands"):
            listing = True
        elif not line.strip():
            listing = False
        elif listing:
            names.append(re.match(r"  (\S+(?: \S+)?)  ", line).group(1))
    return names


def options(text):
    """(name, value's placeholder or None, explanation) of each option in a --help text."""
    found = []
    for line in text.splitlines():
        match = re.match(r"  (?:-\w,|   ) --([a-z0-9-]+)(?: (\S+))?(?:  +(.*))?$", line)
        if match:
            found.append([match.group(1), match.group(2), match.group(3) or ""])
        elif found and line.startswith(" " * 20):
            found[-1][2] += " " + line.strip()
    return [option for option in found if option[0] != "help"]


def check_width(what, text):
    for line in text.splitlines():
        check(len(line) <= 100, f"{what}: wider than 100 columns: {line}")


def check_help():
    count = 0
    for name in commands():
        code, text, _ = coppice(*name.split(), "--help")
        check(code == 0, f"{name} --help exits with {code}")
        check_width(f"{name} --help", text)
        for option, _, explanation in options(text):
            check(len(explanation) > 5, f"{name} --{option} is not explained")
            count += 1
    for topic in re.findall(r"^  ([a-z-]+)  ", coppice("help")[1].split("Topics")[1], re.M):
        code, text, error = coppice("help", topic)
        check(code == 0 and not error, f"help {topic}: {error}")
        if topic not in ("man", "bash-completion"):
            check_width(f"help {topic}", text)
    return count


def check_part(number, parts):
    listed = [(name, *option) for name in commands() for option in options(coppice(*name.split(), "--help")[1])]
    for option in listed[number - 1::parts]:
        check_option(*option)
    return len(listed)


def check_option(name, option, value, explanation):
    def run(argument):
        code, _, error = coppice(*name.split(), f"--{option}{argument}")
        return code, error

    def refused(argument):
        code, error = run(argument)
        check(code == 2, f"{name} --{option}{argument} exits with {code}")
        check(f"--{option}" in error, f"{name} --{option}{argument}: does not name the option: {error}")
        check(error.count("\n") == 1, f"{name} --{option}{argument}: not one line: {error}")

    def accepted(argument):  # the command then fails for lack of an operand or a file
        code, error = run(argument)
        check(code in (0, 2, 3), f"{name} --{option}{argument} exits with {code}")
        check(not re.search(f"--{option}( is|:)", error), f"{name} --{option}{argument} is refused: {error}")

    if value is None:
        refused("=1")
        accepted("")
        return
    check(coppice(*name.split(), f"--{option}")[0] == 2, f"{name} --{option} without a value is taken")
    refused("=")
    if "one of" in explanation or value == "NAME" and ": " in explanation:
        refused("=zzzz")
        for choice in re.sub(r" \(.*", "", explanation.split(": ")[-1]).split(", "):
            accepted(f"={choice}")
    elif value == "NAME,..":
        for wrong in "zzzz", ",", "zzzz,zzzz":
            refused(f"={wrong}")
        names = re.sub(r" \(.*", "", explanation.split(": ")[-1]).split(", ")
        accepted("=" + ",".join(names))
        accepted(f"={names[0]}")
    elif value in ("LAYER=N", "LAYER=SHARE"):
        for wrong in "x", "=1", "x=", "x=-1", "x=nan", "x=1.5":
            refused(f"={wrong}")
        accepted("=x*=1")
    elif value in ("PATH", "FILE", "DIR", "NAME", "MODEL", "MAP"):
        accepted("=x")
    elif value == "CxHxW":
        for wrong in "3", "3x4", "3x4x5x6", "0x4x4", "ax4x4":
            refused(f"={wrong}")
        accepted("=3x4x5")
    elif value == "TIME":
        for wrong in "0", "-1s", "s", "5x", "nan", "1e9h", "1 m", "inf":
            refused(f"={wrong}")
        for right in "90", "90s", "30m", "1.5h":
            accepted(f"={right}")
    elif value == "X,..":
        for wrong in "x", "nan", "1,,2", ",", "1,", ",".join("1" * 17):
            refused(f"={wrong}")
        accepted("=-1,2.5,3e2")
    elif value == "N,..":
        for wrong in "x", "2,1", "1,2,3,4,5", "0", "1,":
            refused(f"={wrong}")
        accepted("=1,2.5")
    else:
        for wrong in "nan", "inf", "-1", "1e99", "x", "0x10", "1 ", "0.5.5":
            refused(f"={wrong}")
        accepted("=1" if value in ("N", "F", "T", "R", "S") and option not in ("sparsity", "label-smoothing") else "=0.5")


def check_recipe():
    """Every option of a recipe changes the trained net."""
    values = {
        "epochs": ["3"], "batch": ["50"], "optimizer": ["sgd"], "rate": ["1e-3"], "schedule": ["constant"],
        "warmup": [".5"], "step-epochs": ["1.5", "--schedule=step", "--step-epochs=1"], "restarts": ["1"],
        "step-factor": [".3", "--schedule=step", "--step-epochs=1"],
        "momentum": [".5", "--optimizer=sgd"], "beta1": [".5"], "beta2": [".9"], "epsilon": ["1e-3"], "decay": [".3"], "l1": [".01"], "l2": [".01"], "l2-conv": [".01"],
        "flip": [None], "shift": ["3"], "erase": ["5"], "average": [".9"], "label-smoothing": [".2"], "precision": ["bf16"],
        "teacher": ["base.safetensors"], "distil-share": [".9", "--teacher=base.safetensors"],
        "distil-temperature": ["9", "--teacher=base.safetensors"], "seed": ["7"], "limit": ["200"], "validation": [".3"],
    }
    elsewhere = {"data", "model", "output", "format", "height", "width", "checkpoint", "resume", "max-seconds", "threads",
                 "quiet", "verbose", "evaluate-every", "l1-scale", "dropout"}  # lenet-5 has neither batch-norm nor dropout
    listed = {option for option, _, _ in options(coppice("train", "--help")[1])}
    check(listed == set(values) | elsewhere, f"options of train without a check: {listed ^ (set(values) | elsewhere)}")
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([sys.executable, os.path.join(here, "make-data.py"), "idx", os.path.join(work, "idx")], check=True)

        def train(name, *words):
            defaults = [w for w in ("--precision=f32", "--epochs=2", "--batch=60")
                        if not any(x.startswith(w.split("=")[0] + "=") for x in words)]
            code, _, error = coppice("train", "-q", "--model", "lenet-5", "--data", "idx", "--threads=1", *defaults,
                                     *words, "-o", name, cwd=work)
            check(code == 0, f"train {' '.join(words)}: {error}")
            with open(os.path.join(work, name), "rb") as f:
                data = f.read()
            start = 8 + int.from_bytes(data[:8], "little")
            return data[start:]  # the weights alone: what the file says about the run always differs

        base = {(): train("base.safetensors")}
        if not re.search("bf16|fp16|amx", coppice("--version")[1]):
            del values["precision"]
            code, _, error = coppice("train", "--model=lenet-5", "--data=idx", "--precision=bf16", "-o", "other.safetensors",
                                     cwd=work)
            check(code == 3 and "no bf16 instructions" in error, f"--precision=bf16 without them: {code}, {error}")
        for option, (value, *needs) in values.items():
            needs = tuple(needs)
            if needs not in base:
                base[needs] = train("other.safetensors", *needs)
            word = f"--{option}" + (f"={value}" if value else "")
            check(train("other.safetensors", *needs, word) != base[needs], f"{word} changes nothing")
        stopped = train("other.safetensors", "--max-seconds=1e-9")
        check(stopped != base[()], "--max-seconds stops nothing")
    return len(values)


part = sys.argv[2]
if part == "help":
    enough, count = 60, check_help()
elif part == "recipe":
    enough, count = 20, check_recipe()
else:
    enough, count = 60, check_part(*map(int, part.split("/")))
print("\n".join(problems) or f"{count} options checked")
sys.exit(1 if problems or count < enough else 0)
