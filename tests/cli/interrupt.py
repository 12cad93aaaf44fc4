#!/usr/bin/env python3
"""interrupt.py SIGNAL FILE COMMAND...: run the command, send it the signal once FILE is there, exit as it does.

A shell's background jobs ignore SIGINT, so this is no shell script.
"""
import os
import signal
import subprocess
import sys
import time

number = getattr(signal, sys.argv[1])
path = sys.argv[2]
child = subprocess.Popen(sys.argv[3:], preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
while not os.path.exists(path) and child.poll() is None:
    time.sleep(0.005)
if child.poll() is None:
    child.send_signal(number)
else:
    print(f"interrupt.py: the command ended before it made {path}", file=sys.stderr)
sys.exit(child.wait())
