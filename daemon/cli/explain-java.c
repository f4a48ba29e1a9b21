/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-java.h"

#include <poll.h>
#include <string.h>

#include "cli/call.h"
#include "util/clock.h"
#include "util/format.h"

#define CATEGORIES_SHOWN 6u
#define CATEGORY_LEAST   0.01 /* of what is committed beside the heap */
#define NMT_SURPLUS      (2u << 20)
#define SETTLE_TRIES     8u
#define SETTLE_MSEC      50
#define SETTLED_BYTES    (64u << 10)
#define UNSETTLED_BYTES  (1u << 20) /* from before the survey to after it: then the two are not compared */
#define CLASSES_LEAST    200u
#define THREADS_LEAST    5u
#define GROWN_LEAST      (256u << 10)
#define GROWN_SHARE      10 /* of the category that changed most, one in so many bytes */

/* ---- asking */

static char answer[JVM_WIRE_TEXT_MAX]; /* of one answer, until it is parsed */

/* Return: bytes in @into; 0: no answer, and @j->reply says why. */
static size_t question(ExplainJava *j, const Ask *who, JvmCommand command, char into[static JVM_WIRE_TEXT_MAX]) {
        CallArgs d = CALL_ARGS_DEFAULT;
        const JvmRequest q = {.pid = who->pid,
                              .start_ticks = who->start_ticks,
                              .attach_usec = d.find_timeout_usec,
                              .finish_usec = d.timeout_usec,
                              .command = command};

        return jvm_ask(&q, into, &j->reply);
}

static uint64_t distance(uint64_t a, uint64_t b) {
        return a > b ? a - b : b - a;
}

void explain_java_settle(ExplainJava *j, const Ask *who) {
        unsigned tries = j->n_looks == 0 ? SETTLE_TRIES : 1;

        j->before_bytes = 0;
        for (unsigned i = 0; i < tries && !j->given_up; i++) {
                JvmNmt now = {.state = JVM_NMT_UNKNOWN};
                uint64_t before = j->before_bytes;
                size_t n = question(j, who, JVM_NATIVE_MEMORY, answer);

                j->asked = j->reply.result != JVM_NOT_ONE;
                j->given_up = n == 0;
                if (n == 0 || !jvm_nmt_parse(answer, n, &now) || now.state != JVM_NMT_KNOWN)
                        return;
                j->before_bytes = now.malloc_bytes;
                if (i > 0 && distance(before, now.malloc_bytes) < SETTLED_BYTES)
                        return;
                if (i + 1 < tries)
                        (void)poll(NULL, 0, SETTLE_MSEC);
        }
}

bool explain_java_make(ExplainJava *j, const Ask *who) {
        JavaInside now = {0};
        size_t n, n_answered = 0;

        for (unsigned c = JVM_TRIM + 1; c < _JVM_COMMAND_MAX && !j->given_up; c++) {
                n = question(j, who, (JvmCommand)c, answer);
                j->given_up = j->reply.result != JVM_DONE && j->reply.result != JVM_CANNOT;
                n_answered += n > 0;
                if (c == JVM_HEAP_INFO)
                        (void)jvm_heap_parse(answer, n, &now.heap);
                else if (c == JVM_METASPACE)
                        (void)jvm_metaspace_parse(answer, n, &now.metaspace);
                else
                        (void)jvm_nmt_parse(answer, n, &now.nmt);
        }
        if (n_answered == 0)
                return false;
        if (j->reply.result == JVM_CANNOT) /* one question is new to it: that figure is null */
                j->reply = (JvmReply){.result = JVM_DONE};
        if (j->n_looks++ == 0)
                j->first = now;
        j->last = now;
        return true;
}

/* What malloc gave out that the JVM's own tracking does not know: to JNI, to native libraries and to libc itself; and
 * malloc's headers. At least that: JDK 25 builds its answer in a block of 1 MiB, which it counts and which is freed
 * again when we look (its own VM.native_memory detail shows it), and the two are not of one instant.
 * Return: false: one of the two is not known, or they do not fit. */
static bool beyond_nmt(const ExplainJava *j, const Survey *v, uint64_t *ret_bytes) {
        const uint32_t needed = SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE;
        uint64_t given = v->in_use_bytes + v->mmapped_bytes, own = j->last.nmt.malloc_bytes;

        if (j->last.nmt.state != JVM_NMT_KNOWN || distance(j->before_bytes, own) > UNSETTLED_BYTES ||
            (v->flags & needed) != needed || strncmp(v->allocator, "glibc", 5) != 0 || own > given + NMT_SURPLUS)
                return false;
        *ret_bytes = given > own ? given - own : 0;
        return true;
}

/* ---- for people */

static void label(Screen *s, const char *text, unsigned indent) {
        screen_put(s, STYLE_DIM, text);
        screen_pad(s, indent);
}

static void draw_heap(Screen *s, const JavaInside *in, unsigned indent) {
        const JvmHeap *h = &in->heap;
        const JvmMetaspace *m = &in->metaspace;
        char x[FORMAT_MAX];

        label(s, "java", indent);
        if (h->collector) {
                screen_item(s, indent, STYLE_PLAIN, "%s heap: %s used", h->collector, format_bytes(x, h->used_bytes));
                screen_item(s, indent, STYLE_PLAIN, "%s committed", format_bytes(x, h->committed_bytes));
                screen_item(s, indent, STYLE_PLAIN, "%s at most", format_bytes(x, h->reserved_bytes));
        } else
                screen_item(s, indent, STYLE_WARN, "what it says of its heap is not understood");
        screen_end(s);
        if (!m->known)
                return;
        label(s, "", indent);
        screen_item(s, indent, STYLE_PLAIN, "metaspace: %s used", format_bytes(x, m->used_bytes));
        screen_item(s, indent, STYLE_PLAIN, "%s committed", format_bytes(x, m->committed_bytes));
        screen_end(s);
}

/* The largest categories, without the heap, which has a line of its own. */
static void draw_categories(Screen *s, const JvmNmt *m, unsigned indent) {
        const JvmCategory *heap = jvm_nmt_find(m, "Java Heap");
        uint64_t rest = m->committed_bytes - (heap ? heap->committed_bytes : 0);
        bool told[JVM_CATEGORIES_MAX] = {false};
        char x[FORMAT_MAX];

        for (unsigned n = 0; n < CATEGORIES_SHOWN; n++) {
                const JvmCategory *best = NULL;

                for (size_t i = 0; i < m->n_categories; i++) {
                        const JvmCategory *c = &m->categories[i];

                        if (c != heap && !told[i] && (!best || c->committed_bytes > best->committed_bytes))
                                best = c;
                }
                if (!best || (double)best->committed_bytes < CATEGORY_LEAST * (double)rest)
                        break;
                told[best - m->categories] = true;
                screen_item(s, indent, STYLE_PLAIN, "%s %s", best->name, format_bytes(x, best->committed_bytes));
        }
        screen_end(s);
}

static void draw_nmt(Screen *s, const ExplainJava *j, const Survey *v, unsigned indent) {
        const JvmNmt *m = &j->last.nmt;
        char x[FORMAT_MAX], y[FORMAT_MAX];
        uint64_t beyond;

        label(s, "native", indent);
        if (m->state != JVM_NMT_KNOWN) {
                screen_words(s, indent, STYLE_PLAIN,
                             m->state == JVM_NMT_OFF
                                     ? "not tracked: -XX:NativeMemoryTracking=summary from the next start on tells it"
                                     : "what it says of its native memory is not understood");
                screen_end(s);
                return;
        }
        screen_item(s, indent, STYLE_PLAIN, "%s committed, with its heap", format_bytes(x, m->committed_bytes));
        screen_item(s, indent, STYLE_PLAIN, "%s of it from malloc", format_bytes(x, m->malloc_bytes));
        screen_end(s);
        label(s, "", indent);
        draw_categories(s, m, indent);
        if (m->n_threads) {
                label(s, "", indent);
                screen_item(s, indent, STYLE_PLAIN, "%llu threads", (unsigned long long)m->n_threads);
                screen_item(s, indent, STYLE_PLAIN, "%s of their stacks in use, %s reserved",
                            format_bytes(x, m->stack_committed_bytes), format_bytes(y, m->stack_reserved_bytes));
                screen_end(s);
        }
        if (beyond_nmt(j, v, &beyond) && beyond > NMT_SURPLUS) {
                label(s, "", indent);
                screen_item(s, indent, STYLE_PLAIN, "at least %s more from malloc: JNI, native libraries",
                            format_bytes(x, beyond));
                screen_end(s);
        }
}

static void draw_delta(Screen *s, unsigned indent, bool *begun, uint64_t least, const char *what, uint64_t from,
                       uint64_t to) {
        char x[FORMAT_MAX];

        if (distance(from, to) < least)
                return;
        if (!*begun)
                label(s, "java since", indent);
        *begun = true;
        screen_item(s, indent, STYLE_PLAIN, "%s %s", what, format_signed_bytes(x, (int64_t)(to - from)));
}

/* What leaks beside objects: classes by a loader that is kept, and threads. */
static void draw_counts(Screen *s, const JvmNmt *a, const JvmNmt *b, unsigned indent) {
        uint64_t classes = b->n_classes > a->n_classes ? b->n_classes - a->n_classes : 0;
        uint64_t threads = b->n_threads > a->n_threads ? b->n_threads - a->n_threads : 0;

        if (classes < CLASSES_LEAST && threads < THREADS_LEAST)
                return;
        label(s, "", indent);
        if (classes >= CLASSES_LEAST)
                screen_item(s, indent, STYLE_WARN, "%llu classes more: is a class loader kept?",
                            (unsigned long long)classes);
        if (threads >= THREADS_LEAST)
                screen_item(s, indent, STYLE_WARN, "%llu threads more", (unsigned long long)threads);
        screen_end(s);
}

/* What was committed at the first look. A category without a byte is not told. */
static uint64_t committed_before(const ExplainJava *j, const JvmCategory *c) {
        const JvmCategory *before = jvm_nmt_find(&j->first.nmt, c->name);

        return before ? before->committed_bytes : 0;
}

/* Between the first look and the last: of the heap and of metaspace what is used, of the others what is committed, and
 * of those only what stands out. */
static void draw_growth(Screen *s, const ExplainJava *j, unsigned indent) {
        const JavaInside *a = &j->first, *b = &j->last;
        bool both = a->nmt.state == JVM_NMT_KNOWN && b->nmt.state == JVM_NMT_KNOWN, begun = false;
        uint64_t least = GROWN_LEAST;

        if (j->n_looks < 2)
                return;
        if (a->heap.collector && b->heap.collector)
                draw_delta(s, indent, &begun, least, "heap used", a->heap.used_bytes, b->heap.used_bytes);
        if (a->metaspace.known && b->metaspace.known)
                draw_delta(s, indent, &begun, least, "metaspace used", a->metaspace.used_bytes,
                           b->metaspace.used_bytes);
        for (size_t i = 0; both && i < b->nmt.n_categories; i++) {
                const JvmCategory *c = &b->nmt.categories[i];

                least = max_of(least, distance(committed_before(j, c), c->committed_bytes) / GROWN_SHARE);
        }
        for (size_t i = 0; both && i < b->nmt.n_categories; i++) {
                const JvmCategory *c = &b->nmt.categories[i];

                draw_delta(s, indent, &begun, least, c->name, committed_before(j, c), c->committed_bytes);
        }
        if (begun)
                screen_end(s);
        if (both)
                draw_counts(s, &a->nmt, &b->nmt, indent);
}

void explain_java_view(Screen *s, const ExplainJava *j, const Survey *v, unsigned indent) {
        if (!j->asked)
                return;
        if (j->n_looks == 0) {
                label(s, "java", indent);
                screen_put(s, STYLE_WARN, "not asked:");
                screen_words(s, indent, STYLE_PLAIN, j->reply.why[0] ? j->reply.why : "its files may not be read");
                screen_end(s);
                return;
        }
        draw_heap(s, &j->last, indent);
        draw_nmt(s, j, v, indent);
        draw_growth(s, j, indent);
}

/* ---- JSON */

static void put_sizes(Json *j, uint64_t reserved, uint64_t committed) {
        json_kv_u64(j, "reserved_bytes", reserved);
        json_kv_u64(j, "committed_bytes", committed);
}

static void put_call(Json *j, const JvmReply *r) {
        static const char *const results[_JVM_RESULT_MAX] = {
                [JVM_NO_ACCESS] = "refused", [JVM_CANNOT] = "refused",    [JVM_BEGUN] = "error",
                [JVM_DONE] = "ok",           [JVM_IN_FLIGHT] = "refused", [JVM_TIMEOUT] = "timeout",
        };

        json_object_begin(j);
        json_kv_string(j, "result", r->result < _JVM_RESULT_MAX ? results[r->result] : NULL);
        json_kv_string(j, "detail", r->why[0] ? r->why : NULL);
        json_kv_u64(j, "total_usec", r->total_usec);
        json_object_end(j);
}

static void put_heap(Json *j, const JvmHeap *h) {
        json_key(j, "heap");
        if (!h->collector) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_string(j, "collector", h->collector);
        put_sizes(j, h->reserved_bytes, h->committed_bytes);
        json_kv_u64(j, "used_bytes", h->used_bytes);
        json_object_end(j);
}

static void put_metaspace(Json *j, const JvmMetaspace *m) {
        json_key(j, "metaspace");
        if (!m->known) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        put_sizes(j, m->reserved_bytes, m->committed_bytes);
        json_kv_u64(j, "used_bytes", m->used_bytes);
        json_object_end(j);
}

static void put_nmt(Json *j, const JvmNmt *m) {
        json_key(j, "nmt_enabled");
        if (m->state == JVM_NMT_UNKNOWN)
                json_nil(j);
        else
                json_bool(j, m->state == JVM_NMT_KNOWN);
        json_key(j, "nmt");
        if (m->state != JVM_NMT_KNOWN) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        put_sizes(j, m->reserved_bytes, m->committed_bytes);
        json_kv_u64(j, "malloc_bytes", m->malloc_bytes);
        json_kv_u64_or_null(j, "threads", m->n_threads > 0, m->n_threads);
        json_kv_u64_or_null(j, "classes", m->n_classes > 0, m->n_classes);
        json_kv_u64_or_null(j, "stack_reserved_bytes", m->n_threads > 0, m->stack_reserved_bytes);
        json_kv_u64_or_null(j, "stack_committed_bytes", m->n_threads > 0, m->stack_committed_bytes);
        json_key(j, "categories");
        json_array_begin(j);
        for (size_t i = 0; i < m->n_categories; i++) {
                json_object_begin(j);
                json_kv_string(j, "name", m->categories[i].name);
                put_sizes(j, m->categories[i].reserved_bytes, m->categories[i].committed_bytes);
                json_kv_u64(j, "malloc_bytes", m->categories[i].malloc_bytes);
                json_object_end(j);
        }
        json_array_end(j);
        json_object_end(j);
}

void explain_java_json(Json *out, const ExplainJava *j, const Survey *v) {
        uint64_t beyond = 0;
        bool known;

        json_key(out, "java");
        if (!(v->flags & SURVEY_HAVE_JAVA) && !j->asked) {
                json_nil(out);
                return;
        }
        known = beyond_nmt(j, v, &beyond);
        json_object_begin(out);
        json_kv_u64_or_null(out, "heap_reserved_bytes", v->java.heap_bytes > 0, v->java.heap_bytes);
        json_kv_u64_or_null(out, "code_reserved_bytes", v->java.code_bytes > 0, v->java.code_bytes);
        json_key(out, "call");
        if (j->asked)
                put_call(out, &j->reply);
        else
                json_nil(out);
        put_heap(out, &j->last.heap);
        put_metaspace(out, &j->last.metaspace);
        put_nmt(out, &j->last.nmt);
        json_kv_u64_or_null(out, "malloc_beyond_nmt_bytes", known, beyond);
        json_object_end(out);
}
