/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML text -> Settings, all or nothing. libyaml events with marks go through the table of settings/schema.c; every
 * problem is an entry "file:line:col: message" that names the value and what is allowed, and loading goes on so that
 * one run shows all of them. Unknown keys (with the nearest known one), duplicate keys, wrong types, out-of-range
 * values, missing requirements and contradictions are errors. Aliases and anchors are refused, documents after the
 * first too.
 */
#pragma once

#include "settings/settings.h"
#include "util/buf.h"

#define SETTINGS_FILE_MAX (1u << 20)

typedef enum SettingsOrigin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT } SettingsOrigin;

/* Where each table row's value came from, for --dump-config. */
typedef struct SettingsOrigins SettingsOrigins;

/**
 * settings_load_file() - read, parse, check
 * @path: "-" is standard input
 * @ret:  untouched on failure. Owner: caller, released by settings_done()
 * @problems: one line each, "file:line:col: ..."; also warnings, which start with "warning: " after the position
 * @ret_origins: may be NULL. Owner: caller
 * Return: 0; -EINVAL: @problems says why; -ENOMEM; other negative errno: the file could not be read (also said in
 *         @problems). A variable that the table names (PLATEAU_DRY_RUN ...) overrides the file when it is not empty.
 */
int settings_load_file(const char *path, Settings *ret, SettingsOrigins **ret_origins, Buf *problems) _must_check_;
/* settings_load_string() - the same for text in memory; @name stands for the file in messages. */
int settings_load_string(const char *name, const char *text, size_t len, Settings *ret, SettingsOrigins **ret_origins,
                         Buf *problems) _must_check_;

/* settings_done() - release what a Settings owns; the struct itself is the caller's. */
void settings_done(Settings *s);
SettingsOrigins *settings_origins_free(SettingsOrigins *o);

/* settings_dump() - effective values as YAML that loads again, each with its origin as a comment. Secrets are file
 * names. */
void settings_dump(Buf *b, const Settings *s, const SettingsOrigins *o);
/* settings_schema_json() - JSON Schema (draft 2020-12) of the file, from the same table. */
void settings_schema_json(Buf *b);
/* settings_help() - the table as text: key, type, range, default, help. */
void settings_help(Buf *b);
