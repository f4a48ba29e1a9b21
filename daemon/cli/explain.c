/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask-survey.h"
#include "cli/explain-view.h"
#include "sample/company.h"
#include "util/clock.h"

#define LOOKS_LEAST 7  /* enough to see a growth that comes to its end */
#define LOOKS_MOST  13 /* more show a leak under a saw better, but each costs a walk of the heap */

typedef struct ExplainArgs {
        bool json, all, call, allow_seccomp, stacks, show_content;
        const char *diff, *probe;
        uint64_t budget_usec, looks, samples;
} ExplainArgs;

/* The process as the daemon would see it: its limit and its cgroup. */
typedef struct Watched {
        int proc_fd, cgroup_fd;
        TargetSpec spec;
        TargetSource source;
        Target target;
} Watched;

static void watched_init(Watched *w, pid_t pid) {
        *w = (Watched){.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                       .cgroup_fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                       .spec = {.match = TARGET_MATCH_PID, .pid = pid},
                       .target = TARGET_NULL};
        w->source = (TargetSource){.proc_fd = w->proc_fd, .cgroup_fd = w->cgroup_fd, .pidfd = true};
        target_init(&w->target, &w->spec, &w->source);
}

static void watched_done(Watched *w) {
        target_done(&w->target);
        fd_close(w->proc_fd);
        fd_close(w->cgroup_fd);
}

/* Without it the limit and the cgroup's part are not known; the rest is. */
static void watched_sample(Watched *w, Sample *ret) {
        TargetEvent event;

        *ret = SAMPLE_NULL;
        if (w->proc_fd < 0 || target_refresh(&w->target, &event) < 0 || w->target.pid == 0 ||
            target_sample(&w->target, now_boot_usec(), 0, ret) < 0)
                *ret = SAMPLE_NULL;
}

/* What the last look's cgroup consists of, and who shares it. */
static void watched_group(const Watched *w, Explanation *e) {
        if (!(e->sample.have & SAMPLE_HAVE_CGROUP))
                return;
        e->have_group = cgroup_detail_read(&w->target.cgroup, &e->group) == 0;
        e->have_company = company_look(&w->target, &e->company) == 0;
}

static bool look(const ExplainArgs *a, Explanation *e, ProbeClient *client, Watched *w, bool is_last) {
        Survey *s;

        if (a->call)
                explain_java_settle(&e->java, &e->ask);
        s = ask_survey(&e->ask, client, a->budget_usec);
        if (!s)
                return false;
        watched_sample(w, &e->sample);
        look_make(s, company_is_own(&w->target) ? &e->sample : NULL, e->classes + e->n_looks * DIAGNOSE_CLASSES,
                  &e->looks[e->n_looks]);
        e->looks[e->n_looks].usage_bytes = e->sample.usage_bytes;
        if (a->call)
                explain_call_make(&e->call, &e->ask, client, is_last, a->allow_seccomp);
        if (a->call && explain_java_make(&e->java, &e->ask) && e->java.last.heap.collector) {
                e->looks[e->n_looks].java_max_bytes = e->java.last.heap.reserved_bytes;
                e->looks[e->n_looks].java_used_bytes = e->java.last.heap.used_bytes;
        }
        e->plain[e->n_looks] = e->looks[e->n_looks];
        if (e->call.known) {
                look_add_ledger(&e->call.ledger, &e->looks[e->n_looks]);
                e->n_called++;
        }
        e->n_looks++;
        if (!e->first)
                e->first = s;
        else if (e->last != e->first)
                free(e->last);
        e->last = s;
        return true;
}

/* One a second, as far as nobody said otherwise. */
static size_t looks_over(const ExplainArgs *a, uint64_t diff_usec) {
        uint64_t n = max_of(diff_usec / USEC_PER_SEC, (uint64_t)LOOKS_LEAST);

        return a->looks ? a->looks : min_of(n, (uint64_t)LOOKS_MOST);
}

/* A look with the allocator's own figures has the same bytes in other parts than one without: if not all have them,
 * none may, or a refused call would look like growth. */
static void make_alike(Explanation *e) {
        if (e->n_called < e->n_looks)
                memcpy(e->looks, e->plain, e->n_looks * sizeof(e->looks[0]));
}

static void explain(const ExplainArgs *a, uint64_t diff_usec, pid_t pid, Explanation *e) {
        ProbeClient *client = ask_identify(&e->ask, pid) ? ask_start(&e->ask, a->probe) : NULL;
        size_t n = diff_usec ? looks_over(a, diff_usec) : 1;
        uint64_t begin = now_mono_usec();
        Watched w;

        e->classes = client ? calloc(n * DIAGNOSE_CLASSES, sizeof(*e->classes)) : NULL;
        if (client && !e->classes)
                ask_fail(&e->ask, PROBE_E_INTERNAL, "out of memory");
        watched_init(&w, pid);
        for (size_t i = 0; e->classes && i < n; i++) {
                if (!ask_wait(&e->ask, begin + (i ? diff_usec * i / (n - 1) : 0), "last look") ||
                    !look(a, e, client, &w, i + 1 == n)) {
                        e->n_looks = 0;
                        break;
                }
                if (n > 1 && (i == 0 || i == n - 1))
                        explain_growth_look(&e->growth, &e->ask, client, a->budget_usec, e->first, e->last, i > 0);
        }
        if (e->n_looks > 0) {
                watched_group(&w, e);
                make_alike(e);
                diagnose(&(DiagnoseInput){e->looks, e->n_looks, e->sample.limit_bytes}, &e->verdict);
        }
        watched_done(&w);
        probe_client_free(client);
}

static void print(const ExplainArgs *a, const Explanation *e) {
        Term t;

        if (a->json) {
                _cleanup_buf_ Buf b = {.max = 8u << 20};

                explain_json(&b, e);
                puts(buf_str(&b));
                return;
        }
        term_init(&t, stdout);
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        explain_view(&s, e, a->all);
        fputs(buf_str(&s.buf), stdout);
}

static int check(const Command *self, const ExplainArgs *a) {
        if (a->stacks && !a->diff)
                return args_error(self, "--stacks looks at chunks that are new: it needs --diff SECONDS");
        if (a->show_content && !a->stacks)
                return args_error(self, "--show-content shows what --stacks looks at: it needs --stacks");
        return 0;
}

static int explain_main(const Command *self, int argc, char **argv) {
        ExplainArgs a = {.budget_usec = 5 * USEC_PER_SEC, .samples = EXPLAIN_SAMPLES};
        Explanation e = EXPLANATION_NULL;
        uint64_t diff_usec = 0;
        ArgWords words;
        CliExit code;
        pid_t pid;
        int r = args_parse(self, argc, argv, &a, 1, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (args_pid(self, words.word[0], &pid) < 0 ||
            (a.diff && args_span(self, "--diff", a.diff, "100ms", &diff_usec) < 0))
                return CLI_USAGE;
        if (check(self, &a) < 0)
                return CLI_USAGE;
        e.growth = (ExplainGrowth){.contents = a.stacks, .show = a.show_content, .n_samples = (uint32_t)a.samples};
        explain(&a, diff_usec, pid, &e);
        print(&a, &e);
        code = ask_exit(&e.ask);
        if (e.last != e.first)
                free(e.last);
        free(e.first);
        free(e.classes);
        explain_growth_done(&e.growth);
        ask_done(&e.ask);
        return code;
}

static const ArgOption options[] = {
        {"json", 'j', ARG_FLAG, NULL, offsetof(ExplainArgs, json), 0, 0,
         "One JSON object instead of text; its keys are below."},
        {"all", 'a', ARG_FLAG, NULL, offsetof(ExplainArgs, all), 0, 0,
         "All lines of RSS, arenas and sizes too, and with --diff what grew, whatever the verdict."},
        {"diff", 'd', ARG_TEXT, "SECONDS", offsetof(ExplainArgs, diff), 0, 0,
         "Look several times over so long, and tell what grows. Also 5m, 1h30m."},
        {"looks", 'n', ARG_COUNT, "N", offsetof(ExplainArgs, looks), 2, DIAGNOSE_LOOKS_MAX,
         "With --diff: how often. Default: once a second, 7 to 13 times."},
        {"stacks", 's', ARG_FLAG, NULL, offsetof(ExplainArgs, stacks), 0, 0,
         "With --diff: tell what newly grown chunks hold, by their first words: vtable or other symbol, Python type, "
         "text, pointers. No stack is taken. Of text only its length and kind of characters."},
        {"contents", 0, ARG_FLAG, NULL, offsetof(ExplainArgs, stacks), 0, 0, "The same as --stacks."},
        {"samples", 0, ARG_COUNT, "N", offsetof(ExplainArgs, samples), 1, GROWTH_SAMPLES_MAX,
         "With --stacks: how many chunks of a size. Default: 8."},
        {"show-content", 0, ARG_FLAG, NULL, offsetof(ExplainArgs, show_content), 0, 0,
         "With --stacks: show the first bytes of those chunks too, escaped. They may be secrets of the program."},
        {"call", 'c', ARG_FLAG, NULL, offsetof(ExplainArgs, call), 0, 0,
         "Also have jemalloc or tcmalloc tell its own statistics, by a call in the process as reclaim makes one; and a "
         "JVM its heap and its native memory, by its attach socket, which starts a thread in it the first time."},
        {"allow-seccomp", 0, ARG_FLAG, NULL, offsetof(ExplainArgs, allow_seccomp), 0, 0,
         "With --call: also under a seccomp filter whose verdict on our system calls is not known."},
        {"budget", 'b', ARG_DURATION, "TIME", offsetof(ExplainArgs, budget_usec), USEC_PER_MSEC, 10 * USEC_PER_MINUTE,
         "How long one look may read. A larger heap is told to be incomplete. Default: 5s."},
        {"probe", 0, ARG_TEXT, "PATH", offsetof(ExplainArgs, probe), 0, 0,
         "The plateau-probe to use. Default: $PLATEAU_PROBE, the one beside this command, the installed one."},
        ARG_END,
};

const Command command_explain = {
        .name = "explain",
        .args = "PID",
        .summary = "why a process' memory is what it is, and what would help",
        .description =
                "Reads from outside where each resident byte belongs and what malloc's heap holds: nothing is stopped, "
                "nothing runs in the process, nothing is brought into memory. Then one verdict, with its evidence and "
                "with "
                "what to do about it. For glibc the free and used bytes are exact, and so is what a trim would give "
                "back.\n"
                "One look tells what memory consists of; --diff takes several and tells what grows: by size of chunk, "
                "arena, "
                "mapping and thread. --stacks adds what the chunks hold that came between the first look and the "
                "last.\n"
                "The program runs on meanwhile. Where it changed the heap under the reader more often than that could "
                "be "
                "read again, the answer is said to be torn. Needs the rights to ptrace, as reclaim; it needs no "
                "daemon.\n"
                "Verdicts: live_growth, trimmable, pinned_fragmentation, files, shared_memory, stacks, warm_up, "
                "copy_on_write, steady, unknown.\n"
                "JSON: result, reason, detail, pid, comm, rss_bytes, pss_bytes, uss_bytes, swap_bytes, huge_bytes, "
                "hugetlb_bytes (in no RSS), page_tables_bytes (the kernel's, in no RSS), limit_bytes, threads, "
                "allocator; verdict {kind, confidence, part, text, remedy, remedies [{kind, gain_bytes, "
                "need_bytes, text, install, command}]}; heap "
                "{layout, arenas, system_bytes, in_use_bytes, free_bytes, fastbin_bytes, top_bytes, trimmable_bytes, "
                "pinned_bytes, chunks_in_use, chunks_free, mmapped_chunks, mmapped_bytes, mmap_threshold_bytes, "
                "trim_threshold_bytes}; arenas []; breakdown [{kind, name, rss_bytes, ...}]; cgroup "
                "{version, path, levels_up, limit_bytes, usage_bytes (what counts against the limit), current_bytes, "
                "anon_bytes, file_bytes, active_file_bytes, inactive_file_bytes, shmem_bytes, kernel_bytes, "
                "slab_reclaimable_bytes, slab_unreclaimable_bytes, page_tables_bytes, kernel_stack_bytes, sock_bytes, "
                "swap_bytes, own_bytes (of usage_bytes, in this RSS), processes, strangers}; growth {looks, seconds, "
                "rss_bytes_per_s, part_bytes_per_s, size_class_bytes, by_size [], by_arena [], by_mapping [], "
                "by_thread [], places_complete, contents [{from_bytes, to_bytes, chunks, groups [{chunks, text, "
                "rest}], samples [{chunk_bytes, python_type, words []}]}] (with --stacks), read_usec, read_cpu_usec "
                "(of both, beside survey), remembered_one_in, samples_torn}; sizes []; "
                "python {version, arenas, arena_bytes, used_bytes, free_bytes, blocks_in_use, pools_in_use, "
                "pools_free, pools_unread, pool_bytes, sparse_arenas, sparse_arena_bytes, sparse_used_bytes, "
                "sparse_blocks_in_use}; java {heap_reserved_bytes, code_reserved_bytes, and with "
                "--call: call {result, detail, total_usec}, heap {collector, reserved_bytes, committed_bytes, "
                "used_bytes}, metaspace {reserved_bytes, committed_bytes, "
                "used_bytes}, nmt_enabled, nmt {reserved_bytes, committed_bytes, malloc_bytes, threads, classes, "
                "stack_reserved_bytes, stack_committed_bytes, categories [{name, reserved_bytes, committed_bytes, "
                "malloc_bytes}]}, malloc_beyond_nmt_bytes}; call {result, reason, detail, "
                "call, stop_usec, ...}; allocator_stats {name, "
                "allocated_bytes, active_bytes, metadata_bytes, resident_bytes, mapped_bytes, retained_bytes, "
                "dirty_bytes, muzzy_bytes, thread_cache_bytes, central_cache_bytes, transfer_cache_bytes, arenas, "
                "dirty_decay_ms, bins [{size_bytes, slabs, slab_regions, in_use, wasted_bytes}], bins_wasted_bytes}; "
                "survey {duration_usec, cpu_usec, read_bytes, torn, unread_bytes, complete, out_of_time, swapped}. "
                "What is not known is null.",
        .exits = "0\texplained; look at survey.complete for how well\n"
                 "1\terror: no such process, or the probe failed\n"
                 "2\twrong command line\n"
                 "4\trefused: the reason says why\n"
                 "5\ttimeout\n",
        .examples = "plateau explain 1234\twhat is in there\n"
                    "plateau explain --diff 60 1234\twhat grows\n"
                    "plateau explain --diff 60 --stacks 1234\tand what is in it\n"
                    "plateau explain --json 1234 | jq .verdict\tfor scripts\n",
        .options = options,
        .run = explain_main,
};
