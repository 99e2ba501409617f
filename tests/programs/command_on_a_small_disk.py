"""Runs a command where a folder is a file system of its own: `command_on_a_small_disk DISK SIZE COMMAND...`.

Needs the right to mount: root, or a user namespace. Prints "running", then obeys one order a line of stdin
and prints "done" after each: `remount OPTIONS`; `wait` prints the exit code of the command; `again` starts it
anew.
"""

import subprocess
import sys


def mount(disk: str, options: str, *what: str) -> None:
    subprocess.run(["mount", "-o", options, *what, disk], check=True)


def main(disk: str, size: str, command: list[str]) -> None:
    mount(disk, f"size={size}", "-t", "tmpfs", "none")
    run = subprocess.Popen(command)
    print("running", flush=True)
    for line in sys.stdin:
        match line.split():
            case ["remount", options]:
                mount(disk, f"remount,{options}")
            case ["wait"]:
                print(run.wait(), flush=True)
            case ["again"]:
                run = subprocess.Popen(command)
        print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
