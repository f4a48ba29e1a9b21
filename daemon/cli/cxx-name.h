/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of C++ tables for people: "vtable for net::Session" of _ZTVN3net7SessionE. Plain and nested names alone; what
 * has templates, substitutions or anything else in it is not decoded at all, since half a name is a wrong one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* cxx_name() - Source: Itanium C++ ABI, 5.1.4.1 and 5.1.2 (<special-name>, <nested-name>, <source-name>).
 * Return: false: @name is not of that form, or does not fit; @buf is then not to be read. */
bool cxx_name(char *buf, size_t size, const char *name);
