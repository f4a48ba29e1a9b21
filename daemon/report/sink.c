/* SPDX-License-Identifier: Apache-2.0 */
#include "report/sink.h"

#include <string.h>

#include "util/json.h"

#define EXCERPT_MAX 100u /* bytes of an answer that go into an error sentence */

static void tell(Sink *s, int64_t trouble) {
        bool news = s->trouble != trouble;

        s->trouble = trouble;
        if (news && s->changed)
                s->changed(s->userdata, &s->counters);
}

void sink_succeeded(Sink *s, uint64_t now_real_usec) {
        s->counters.delivered_total++;
        s->counters.last_success_real_usec = now_real_usec;
        s->counters.last_error[0] = '\0';
        tell(s, 0);
}

void sink_failed(Sink *s, const HttpResponse *r) {
        s->counters.failed_total++;
        sink_describe(s->counters.last_error, sizeof(s->counters.last_error), r);
        tell(s, r->error ? r->error : r->status);
}

void sink_describe(char *buf, size_t size, const HttpResponse *r) {
        _cleanup_buf_ Buf excerpt = {.max = 1024};
        size_t len;

        if (r->error) {
                snprintf(buf, size, "%s", r->error_text);
                return;
        }
        len = strnlen(r->body, min_of(r->body_len, (size_t)EXCERPT_MAX));
        while (len > 0 && (r->body[len - 1] == '\n' || r->body[len - 1] == '\r' || r->body[len - 1] == ' '))
                len--;
        json_escape_text(&excerpt, r->body, len);
        snprintf(buf, size, "HTTP %ld%s%s", r->status, excerpt.len ? ": " : "", buf_str(&excerpt));
}
