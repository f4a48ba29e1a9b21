#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Our programs export no function: one that a linked library has too would be called by that library instead of its own.

The linker puts a function of the program into its dynamic symbol table exactly when a library it links has that name
(ld(1), --export-dynamic), and the loader looks there first. Takes the programs as arguments.
"""
import shutil
import subprocess
import sys


def exported(program):
    """Functions in the dynamic symbol table that the program itself defines; the C run time's own begin with "_"."""
    done = subprocess.run(['nm', '-D', '--defined-only', program], capture_output=True, text=True, check=True)
    symbols = [line.split() for line in done.stdout.splitlines()]
    return sorted(s[-1].split('@')[0] for s in symbols if len(s) >= 2 and s[-2] in 'TW' and not s[-1].startswith('_'))


def main():
    programs, bad = sys.argv[1:], 0
    print(f'1..{len(programs)}')
    for number, program in enumerate(programs, 1):
        title = f'{program.rsplit("/", 1)[-1]} exports no function'
        if not shutil.which('nm'):
            print(f'ok {number} - {title} # SKIP nm (binutils) is not installed')
            continue
        names = exported(program)
        for name in names:
            print(f'# {name}: a linked library has a function of this name: rename ours')
        print(f'{"not ok" if names else "ok"} {number} - {title}')
        bad += bool(names)
    sys.exit(1 if bad else 0)


if __name__ == '__main__':
    main()
