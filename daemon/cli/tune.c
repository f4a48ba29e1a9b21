/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call.h"

#include <stdio.h>
#include <string.h>

#include "probe/param.h"
#include "util/clock.h"
#include "util/format.h"

typedef struct Tuning {
        const Param *param;
        int64_t value;
        Ask ask;
} Tuning;

/* NAME=VALUE. Return: 0; -EINVAL, said on stderr. */
static int parse_setting(const Command *self, const char *word, Tuning *ret, uint32_t *ret_id) {
        _cleanup_buf_ Buf safe = BUF_NULL, list = BUF_NULL;
        const char *names[_PROBE_PARAM_MAX] = {0}, *equals = strchr(word, '=');
        char name[32];
        int near;

        term_safe(&safe, term_has_utf8(), word);
        for (uint32_t i = PROBE_PARAM_NONE + 1; i < _PROBE_PARAM_MAX; i++) {
                names[i - 1] = param_get(i)->name;
                buf_addf(&list, "%s%s", i > PROBE_PARAM_NONE + 1 ? ", " : "", names[i - 1]);
        }
        if (!equals)
                return args_error(self, "'%s': expected NAME=VALUE", buf_str(&safe));
        snprintf(name, sizeof(name), "%.*s", (int)min_of((size_t)(equals - word), sizeof(name) - 1), word);
        *ret_id = param_find(name);
        ret->param = param_get(*ret_id);
        near = args_nearest(name, names);
        if (!ret->param && near >= 0)
                return args_error(self, "'%s': no such setting; did you mean %s?", buf_str(&safe), names[near]);
        if (!ret->param)
                return args_error(self, "'%s': no such setting; there are %s", buf_str(&safe), buf_str(&list));
        if (param_parse(ret->param, equals + 1, &ret->value) < 0)
                return args_error(self, "'%s': expected %s", buf_str(&safe), ret->param->expected);
        return 0;
}

static void json_value(Json *j, const char *key, bool known, int64_t v) {
        if (known)
                json_kv_i64(j, key, v);
        else
                json_kv_null(j, key);
}

static void print_json(const Tuning *t) {
        const ProbeTune *p = &t->ask.reply.tune;
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        call_json_begin(&t->ask, &j);
        json_kv_string(&j, "setting", t->param->name);
        json_kv_string(&j, "unit", param_unit_name(t->param->unit));
        json_kv_i64(&j, "value", t->value);
        json_value(&j, "before", p->have_before, p->before); /* -1: never */
        json_value(&j, "after", p->have_after, p->after);
        json_kv_u64_or_null(&j, "arenas", p->n_arenas > 0, p->n_arenas);
        json_kv_u64_or_null(&j, "arenas_tuned", p->n_arenas > 0, p->n_tuned);
        json_kv_string(&j, "effect", t->param->effect);
        call_json_end(&t->ask, &j);
        json_object_end(&j);
        puts(buf_str(&b));
}

/* A figure of the target's: an exact one, for it may be compared with what was set. */
static const char *format_value(char buf[static FORMAT_MAX], const Param *p, bool known, int64_t v) {
        if (!known)
                snprintf(buf, FORMAT_MAX, "not known");
        else if (p->unit == PARAM_SWITCH)
                snprintf(buf, FORMAT_MAX, "%s", v ? "on" : "off");
        else if (v == -1)
                snprintf(buf, FORMAT_MAX, "never");
        else if (p->unit == PARAM_BYTES && v > 0 && v % 1024 == 0)
                snprintf(buf, FORMAT_MAX, v % (1 << 20) ? "%lld KiB" : "%lld MiB",
                         (long long)(v % (1 << 20) ? v >> 10 : v >> 20));
        else
                snprintf(buf, FORMAT_MAX, "%lld%s", (long long)v,
                         p->unit == PARAM_BYTES  ? " B"
                         : p->unit == PARAM_MSEC ? " ms"
                                                 : "");
        return buf;
}

static void print_human(const Tuning *t) {
        const ProbeTune *p = &t->ask.reply.tune;
        char before[FORMAT_MAX], after[FORMAT_MAX];
        Term term;

        term_init(&term, stdout);
        call_print_head(&t->ask, &term, "tuned");
        if (t->ask.reply.result != PROBE_OK) {
                call_print_failure(&t->ask, &term);
                return;
        }
        printf("setting    %s: %s %s %s\n", t->param->name, format_value(before, t->param, p->have_before, p->before),
               term.glyph->arrow, format_value(after, t->param, p->have_after, p->after));
        if (p->n_arenas)
                printf("arenas     %u in use, of %u that there can be\n", p->n_tuned, p->n_arenas);
        printf("effect     %s\n", t->param->effect);
        call_print_cost(&t->ask);
}

static int tune_main(const Command *self, int argc, char **argv) {
        CallArgs args = CALL_ARGS_DEFAULT;
        ProbeRequest request = {.op = PROBE_OP_TUNE};
        Tuning t = {.ask = ASK_NULL};
        ArgWords words;
        pid_t pid;
        int e = args_parse(self, argc, argv, &args, 2, 2, &words);

        if (e != 0)
                return e < 0 ? CLI_USAGE : CLI_OK;
        if (args_pid(self, words.word[0], &pid) < 0 || parse_setting(self, words.word[1], &t, &request.param) < 0)
                return CLI_USAGE;
        request.value = t.value;
        if (ask_identify(&t.ask, pid))
                call_make(&args, &request, &t.ask);
        if (args.json)
                print_json(&t);
        else
                print_human(&t);
        ask_done(&t.ask);
        return ask_exit(&t.ask);
}

static const ArgOption options[] = {
        CALL_OPTIONS,
        ARG_END,
};

const Command command_tune = {
        .name = "tune",
        .args = "PID NAME=VALUE",
        .summary = "change one setting of a running process' allocator",
        .description =
                "Has the process call mallopt (glibc) or mallctl (jemalloc) once, in the way of plateau reclaim and "
                "under "
                "the same conditions, on the borrowed thread. It tells the value before and after, where that can be "
                "known. Nothing is remembered: the setting ends with the process, and the daemon never does this by "
                "itself.\n"
                "mmap_threshold=SIZE (glibc, 4KiB to 32MiB as a rule): larger allocations, from now on, are mappings "
                "of their "
                "own "
                "and go back when freed. trim_threshold=SIZE (glibc, below 2GiB): what is free at the heap's end goes "
                "back at the next free() there once it is more. Either ends glibc's own adapting of both, for good.\n"
                "arena_max=COUNT (glibc): nearly always without effect at run time. glibc looks at it once, when it "
                "first has more than 8 arenas, and arenas that exist stay.\n"
                "dirty_decay_ms=TIME, muzzy_decay_ms=TIME (jemalloc 5): how long free pages are kept; 0 = not at all, "
                "never = for good. In all arenas in use and those to come; they decay as the program allocates and "
                "frees, and with a background thread also while it rests.\n"
                "background_thread=on|off (jemalloc 5): refused in a process with one thread, which it would make one "
                "with two: such a process may fork, or change its user, in ways that are right with one alone.",
        .exits = "0\tdone\n" CALL_EXITS,
        .examples = "plateau tune 1234 mmap_threshold=256KiB\tmappings for what is larger\n"
                    "plateau tune 1234 dirty_decay_ms=1s\tjemalloc: give back sooner\n"
                    "plateau tune --json 1234 background_thread=on | jq .before\tfor scripts\n",
        .options = options,
        .reasons = true,
        .run = tune_main,
};
