#!/usr/bin/python3
"""A shell's job control in small: runs a command as the foreground job of the terminal it has on standard input.

When the job stops, takes the terminal back and says "stopped" on descriptor 3; on SIGUSR1 the job goes on in the
foreground. Ends as the job ends. (The kernel does not stop a process group that has no parent to wake it up.)
"""
import os
import signal
import sys


def foreground(group):
    os.tcsetpgrp(0, group)


def main():
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: (foreground(job), os.kill(-job, signal.SIGCONT)))
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        foreground(os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        os.execv(sys.argv[1], sys.argv[1:])
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            foreground(os.getpgrp())
            os.write(3, b"stopped\n")
        else:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xff)


main()
