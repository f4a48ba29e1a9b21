#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shape of C files: what every file, header and function has, and how long it may be."""
import os
import re
import shutil
import subprocess

import common

SPDX = 'SPDX-License-Identifier: Apache-2.0'
FUNCTION_MAX = 90
FILE_MAX = 600
COLUMNS_MAX = 120
BANNER_MIN = 3 # the licence line counts
# Split, so that this file does not find itself.
WORDS = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX|HA' r'CK)\b')
TEXT = ('.c', '.h', '.py', '.sh', '.md', '.yaml', '.yml', '.build', '.txt', '.service', '.json')


def sources(root, suffixes=('.c', '.h')):
    return common.files(root, suffixes, ('daemon', 'tests'))


def licence(root):
    """every source file names its licence in its first line"""
    return [f'{p}:1: no "{SPDX}"' for p in sources(root) if SPDX not in (common.lines(root, p) or [''])[0]]


def once(root):
    """every header has #pragma once"""
    return [f'{p}:1: no #pragma once' for p in sources(root, ('.h',)) if '#pragma once' not in common.lines(root, p)]


def banner(root):
    """every header opens with a banner that says what it models"""
    out = []
    for path in sources(root, ('.h',)):
        text = '\n'.join(common.lines(root, path))
        comment = re.match(r'/\*.*?\*/', text, re.S)
        body = [b for b in (comment.group(0).splitlines() if comment else []) if re.search(r'\w', b)]
        if len(body) < BANNER_MIN:
            out.append(f'{path}:1: the banner has {len(body)} lines of text, at least {BANNER_MIN} are wanted')
    return out


def blank_comments(text):
    """The text with comments turned to @ (newlines stay), so that a comment can be seen but not read."""
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda m: re.sub(r'[^\n]', '@', m.group(0)), text, flags=re.S)


def documented(root):
    """every exported prototype has a comment: above, behind, or above its group"""
    out = []
    for path in common.files(root, ('.h',), ('daemon',)):
        text = blank_comments('\n'.join(common.lines(root, path)))
        text = re.sub(r'^[ \t]*#(?:[^\n\\]|\\\n|\\.)*', lambda m: re.sub(r'[^\n]', ' ', m.group(0)), text, flags=re.M)
        for _ in range(8): # innermost braces first: bodies, structs and initialisers hide what they hold
            text = re.sub(r'\{[^{}]*\}', lambda m: re.sub(r'[^\n@]', ' ', m.group(0)), text)
        for match in re.finditer(r'^(?!typedef|static|@|\s)[A-Za-z_][\w\s*]*?\b(\w+)\s*\([^;]*;[ \t]*(@?)', text, re.M):
            paragraph = text[text.rfind('\n\n', 0, match.start()) + 1:match.start()]
            if not match.group(2) and '@' not in paragraph:
                number = text.count('\n', 0, match.start()) + 1
                out.append(f'{path}:{number}: {match.group(1)}() has no comment')
    return out


def function_length(root):
    """no function is longer than 90 lines"""
    ctags = shutil.which('ctags-universal') or shutil.which('ctags')
    if not ctags or b'Universal Ctags' not in subprocess.run([ctags, '--version'], capture_output=True).stdout:
        raise common.Skip('universal-ctags is not installed')
    paths = sources(root, ('.c',))
    if not paths:
        return []
    tags = subprocess.run([ctags, '-f', '-', '--kinds-C=f', '--fields=+ne', '--languages=C', *paths], cwd=root,
                          capture_output=True, text=True, errors='surrogateescape', check=True).stdout
    out = []
    for tag in tags.splitlines():
        name, path = tag.split('\t')[:2]
        first, last = re.search(r'\tline:(\d+)', tag), re.search(r'\tend:(\d+)', tag)
        length = int(last.group(1)) - int(first.group(1)) + 1 if first and last else 0
        if length > FUNCTION_MAX:
            out.append(f'{path}:{first.group(1)}: {name}() has {length} lines, at most {FUNCTION_MAX}')
    return out


def file_length(root):
    """no source file is longer than 600 lines"""
    return [f'{p}:{n}: the file has {n} lines, at most {FILE_MAX}' for p in sources(root)
            if (n := len(common.lines(root, p))) > FILE_MAX]


def columns(root):
    """no line is wider than 120 columns, none ends in a blank, none holds a tab"""
    out = []
    for path in sources(root):
        for number, line in enumerate(common.lines(root, path), 1):
            if len(line) > COLUMNS_MAX:
                out.append(f'{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}')
            if line != line.rstrip() or '\t' in line:
                out.append(f'{path}:{number}: a tab, or a blank at the end')
    return out


def own_header_first(root):
    """a source includes its own header first"""
    out = []
    for path in common.files(root, ('.c',), ('daemon',)):
        inside = os.path.relpath(path, 'daemon')
        if os.path.basename(path) == 'main.c':
            continue
        own = inside[:-2] + '.h'
        first = next((m.group(1) for line in common.lines(root, path)
                      if (m := re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line))), None)
        if os.path.exists(os.path.join(root, 'daemon', own)):
            if first != own:
                out.append(f'{path}:1: first include is {first}, not its own "{own}"')
        elif not first or os.path.dirname(first) != os.path.dirname(inside):
            out.append(f'{path}:1: first include is {first}, not a header of its folder')
    return out


def built(root):
    """every source file is named by a meson.build, so that no test is lost by a merge"""
    out = []
    for path in sources(root, ('.c',)):
        folder, name = os.path.split(path)
        if 'fixtures' in folder.split('/'):
            continue
        stem = name[:-2]
        short = re.sub('^(test|fuzz)-', '', stem) # lists of tests leave out the prefix
        named = re.compile(rf"'(?:[\w/.-]*/)?(?:{re.escape(name)}|{re.escape(stem)}|{re.escape(short)})'")
        above = [folder]
        while above[-1]:
            above.append(os.path.dirname(above[-1]))
        if not any(named.search(line.split('#')[0]) for a in above
                   if os.path.exists(os.path.join(root, a, 'meson.build'))
                   for line in common.lines(root, os.path.join(a, 'meson.build'))):
            out.append(f'{path}:1: no meson.build names it')
    return out


def words(root):
    """no marker of unfinished work"""
    out = []
    for path in common.files(root, TEXT):
        for number, line in enumerate(common.lines(root, path), 1):
            if match := WORDS.search(line):
                out.append(f'{path}:{number}: {match.group(1)}')
    return out


RULES = [licence, once, banner, documented, function_length, file_length, columns, own_header_first, built, words]

if __name__ == '__main__':
    common.main(RULES)
