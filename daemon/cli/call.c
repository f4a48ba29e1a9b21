/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/format.h"

/* The probe keeps its own time (PROBE_ANSWER_SLACK_MSEC); this is what we allow it on top before we call it dead. */
#define ANSWER_GRACE_USEC (5 * USEC_PER_SEC)

void call_with(const CallArgs *args, ProbeClient *client, ProbeRequest *request, Ask *a) {
        int fd = -1;

        request->flags |= args->allow_seccomp ? PROBE_FLAG_ALLOW_SECCOMP : 0;
        request->find_timeout_msec = (uint32_t)(args->find_timeout_usec / USEC_PER_MSEC);
        request->finish_timeout_msec = (uint32_t)(args->timeout_usec / USEC_PER_MSEC);
        ask_probe(a, client, request, args->find_timeout_usec + args->timeout_usec + ANSWER_GRACE_USEC, &fd);
        fd_close(fd); /* none comes along */
}

void call_make(const CallArgs *args, ProbeRequest *request, Ask *a) {
        ProbeClient *client = ask_start(a, args->probe);

        if (client)
                call_with(args, client, request, a);
        probe_client_free(client);
}

static const char *thread_name(uint32_t thread) {
        if (thread == PROBE_THREAD_BORROWED)
                return "borrowed";
        return thread == PROBE_THREAD_OWN ? "own" : NULL;
}

void call_json_begin(const Ask *a, Json *j) {
        const ProbeCall *c = &a->reply.call;

        json_object_begin(j);
        json_kv_string(j, "result", a->result);
        json_kv_string(j, "reason", probe_result_name((ProbeResult)a->reply.result));
        json_kv_string(j, "detail", a->reply.detail[0] ? a->reply.detail : NULL);
        json_kv_i64(j, "pid", a->pid);
        json_kv_string(j, "comm", a->comm[0] ? a->comm : NULL);
        json_kv_string(j, "allocator", c->allocator[0] ? c->allocator : NULL);
        json_kv_string(j, "call", c->name[0] ? c->name : NULL);
}

void call_json_end(const Ask *a, Json *j) {
        const ProbeCall *c = &a->reply.call;
        bool ok = a->reply.result == PROBE_OK, held = ok || c->n_declined || c->stop_usec;

        json_kv_u64_or_null(j, "stop_usec", held, c->stop_usec);
        json_kv_u64_or_null(j, "stop_max_usec", held, c->stop_max_usec);
        json_kv_u64(j, "declined_stops", c->n_declined);
        json_kv_u64_or_null(j, "duration_usec", ok, c->duration_usec);
        json_kv_u64_or_null(j, "total_usec", c->total_usec > 0, c->total_usec);
        json_kv_string(j, "thread", thread_name(c->thread));
        json_kv_u64_or_null(j, "tid", c->tid > 0, (uint64_t)c->tid);
}

void call_print_head(const Ask *a, const Term *t, const char *done) {
        _cleanup_buf_ Buf comm = BUF_NULL, allocator = BUF_NULL;
        bool ok = a->reply.result == PROBE_OK;
        Style style = ok ? STYLE_GOOD : STYLE_BAD;

        term_safe(&comm, t->utf8, a->comm[0] ? a->comm : "?");
        term_safe(&allocator, t->utf8, a->reply.call.allocator);
        printf("%s (pid %d): %s%s%s", buf_str(&comm), a->pid, term_style(t, style), ok ? done : a->result,
               term_plain(t, style));
        if (*buf_str(&allocator))
                printf(", %s", buf_str(&allocator));
        putchar('\n');
}

void call_print_cost(const Ask *a) {
        const ProbeCall *c = &a->reply.call;
        char x[FORMAT_MAX], y[FORMAT_MAX];

        if (c->tid)
                printf("held       thread %d for %s", c->tid, format_usec(x, c->stop_usec));
        else
                printf("held       nothing: the JVM was asked, by its attach socket");
        if (c->n_declined)
                printf(", after %u stops that were let go at once (longest %s)", c->n_declined,
                       format_usec(y, c->stop_max_usec));
        printf("\ntook       %s in %s, %s in all, ", format_usec(x, c->duration_usec), c->name,
               format_usec(y, c->total_usec));
        puts(!c->tid                         ? "on a thread of the JVM"
             : c->thread == PROBE_THREAD_OWN ? "on a thread of its own"
                                             : "on the borrowed thread");
}

void call_print_failure(const Ask *a, const Term *t) {
        ProbeResult result = (ProbeResult)a->reply.result;
        _cleanup_buf_ Buf detail = BUF_NULL;

        term_safe(&detail, t->utf8, a->reply.detail);
        printf("reason     %s: %s\n", probe_result_name(result), probe_result_text(result));
        if (*buf_str(&detail))
                printf("detail     %s\n", buf_str(&detail));
        if (result == PROBE_E_TIMEOUT)
                puts("It was left to finish by itself; the target is not held.");
        else if (strcmp(a->result, "refused") == 0)
                puts("Nothing in the target was changed.");
}
