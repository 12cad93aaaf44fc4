#!/usr/bin/env python3
"""interrupt.py SIGNAL FILE COMMAND...: run the command, send it the signal once FILE is there, exit as it does.

On a busy machine the command may end before the signal reaches it: then it runs again. A shell's background jobs
ignore SIGINT, so this is no shell script.
"""
import os
import signal
import subprocess
import sys
import time

TRIES = 20
number = getattr(signal, sys.argv[1])
path = sys.argv[2]
for _ in range(TRIES):
    child = subprocess.Popen(sys.argv[3:], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    while not os.path.exists(path) and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(number)
    printed = child.communicate()
    if child.returncode != 0:
        break
    if os.path.exists(path):
        os.remove(path)
sys.stdout.buffer.write(printed[0])
sys.stderr.buffer.write(printed[1])
sys.exit(child.returncode)
