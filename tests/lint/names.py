#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing in the tree is tied to one machine: no home or work directories, and tests speak to loopback only."""
import ipaddress
import re

import common

# A path at the start of a word: "/proc/PID/root/sys" and "$HOME/work/x" are not meant.
MACHINE_PATH = re.compile(r'(?<![\w.~$})\]%*+-])/(?:home|Users|work|workspace|mnt|root/\.|tmp/(?:wt|build))(?:/|\b)[\w./-]*')
URL_HOST = re.compile(r'\b(?:https?|wss?|ftp)://(?:[^\s/@"\'<>]*@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)')
IPV4 = re.compile(r'(?<![\w.])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\w.]*\d)')

# Reserved for examples and tests (RFC 2606, RFC 6761); names of specifications and schemas, which nobody connects to.
RESERVED = re.compile(r'(^|\.)(example|invalid|test|localhost)$|(^|\.)example\.(com|net|org)$')
IDENTIFIERS = {'json-schema.org', 'www.w3.org', 'www.apache.org', 'schemas.android.com'}
DOCUMENTATION = [ipaddress.ip_network(n) for n in
                 ('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32')] # RFC 5737, RFC 3849


def harmless_address(text):
    """Loopback, "any", or a documentation address; also what is no address at all (a version with four parts)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    return address.is_loopback or address.is_unspecified or any(address in n for n in DOCUMENTATION)


def harmless_host(host):
    host = host.strip('[]').rstrip('.').lower()
    if re.fullmatch(r'[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*', host):
        return harmless_address(host)
    return '.' not in host or bool(RESERVED.search(host)) or host in IDENTIFIERS


def paths(root):
    """no path of one machine anywhere"""
    out = []
    for path in common.files(root):
        for number, line in enumerate(common.lines(root, path), 1):
            if match := MACHINE_PATH.search(line):
                out.append(f'{path}:{number}: {match.group(0)}')
    return out


def hosts(root):
    """tests name no host but loopback and reserved names"""
    out = []
    for path in common.files(root, under=('tests',)):
        for number, line in enumerate(common.lines(root, path), 1):
            out += [f'{path}:{number}: host {h}' for h in URL_HOST.findall(line) if not harmless_host(h)]
    return out


def addresses(root):
    """tests name no address but loopback and documentation ones"""
    out = []
    for path in common.files(root, under=('tests',)):
        for number, line in enumerate(common.lines(root, path), 1):
            out += [f'{path}:{number}: address {a}' for a in IPV4.findall(URL_HOST.sub('', line))
                    if not harmless_address(a)]
    return out


RULES = [paths, hosts, addresses]

if __name__ == '__main__':
    common.main(RULES)
