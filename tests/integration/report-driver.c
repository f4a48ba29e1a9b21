/* SPDX-License-Identifier: Apache-2.0
 *
 * The report layer alone on a real event loop, with the fixture's view: tests/integration/test-report-*.py steer it by
 * lines on stdin and read one JSON object a line on stdout. A timer ticks on the same loop; a test that wants to know
 * whether something blocks asks for the count until it has grown.
 *
 *   report-driver KEY=VALUE...   options: see set_option()
 *   fire | repeat | resolve | action | other | ticks | sinks | set KEY=VALUE... | flush MSEC | quit
 */
#include <systemd/sd-event.h>

#include <stdio.h>
#include <stdlib.h>

#include "report/report.h"
#include "util/json.h"
#include "util/parse.h"
#include "view-fixture.h"

#define TICK_USEC (10 * USEC_PER_MSEC)

typedef struct Driver {
        sd_event *event;
        Report *report;
        ViewFixture fixture;
        ReportOptions options;
        uint64_t ticks;
        char line[4096];
        size_t line_len;
} Driver;

static void print_begin(Json *j, const char *what) {
        json_object_begin(j);
        json_kv_string(j, "event", what);
}

static void print_end(Json *j) {
        json_object_end(j);
        printf("%s\n", buf_str(j->buf));
        fflush(stdout);
}

static void print_text(const char *what, const char *key, const char *text) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        print_begin(&j, what);
        json_kv_string(&j, key, text);
        print_end(&j);
}

static void get_view(void *userdata, View *v) {
        Driver *d = userdata;

        *v = d->fixture.view;
        v->n_sinks = 0; /* the real ones */
        v->now_boot_usec = now_boot_usec();
        v->now_real_usec = now_real_usec();
        v->ticks_total = d->ticks;
}

static int get_health(void *userdata, char *text, size_t size) {
        Driver *d = userdata;

        snprintf(text, size, "%llu ticks", (unsigned long long)d->ticks);
        return 200;
}

static void on_sink(void *userdata, const SinkCounters *s) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);
        (void)userdata;

        print_begin(&j, "sink");
        json_kv_string(&j, "name", s->name);
        json_kv_string(&j, "error", s->last_error);
        print_end(&j);
}

static int set_u64(const char *value, uint64_t *ret) {
        return parse_u64(value, ret);
}

static int set_option(ReportOptions *o, const char *arg) {
        const struct {
                const char *key;
                char *text;
                size_t size;
                uint64_t *msec;
        } rows[] = {
                {"listen=", o->http_listen, sizeof(o->http_listen), NULL},
                {"pushgateway=", o->pushgateway_url, sizeof(o->pushgateway_url), NULL},
                {"job=", o->pushgateway_job, sizeof(o->pushgateway_job), NULL},
                {"instance=", o->pushgateway_instance, sizeof(o->pushgateway_instance), NULL},
                {"push-interval=", NULL, 0, &o->pushgateway_interval_usec},
                {"push-timeout=", NULL, 0, &o->pushgateway_timeout_usec},
                {"webhook=", o->webhook_url, sizeof(o->webhook_url), NULL},
                {"webhook-bearer=", o->webhook_bearer_file, sizeof(o->webhook_bearer_file), NULL},
                {"webhook-timeout=", NULL, 0, &o->webhook_timeout_usec},
        };
        uint64_t v;

        if (strcmp(arg, "keep") == 0) {
                o->pushgateway_delete_on_exit = false;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = strlen(rows[i].key);

                if (strncmp(arg, rows[i].key, n) != 0)
                        continue;
                if (rows[i].text)
                        return (size_t)snprintf(rows[i].text, rows[i].size, "%s", arg + n) < rows[i].size ? 0 : -ERANGE;
                if (set_u64(arg + n, &v) < 0)
                        return -EINVAL;
                *rows[i].msec = v * USEC_PER_MSEC;
                return 0;
        }
        return -EINVAL;
}

static void print_ticks(Driver *d) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        print_begin(&j, "ticks");
        json_kv_u64(&j, "n", d->ticks);
        print_end(&j);
}

static void print_sinks(Driver *d) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);
        SinkCounters s[VIEW_SINKS_MAX];
        unsigned n;

        report_sinks(d->report, s, VIEW_SINKS_MAX, &n);
        print_begin(&j, "sinks");
        for (unsigned i = 0; i < n; i++) {
                json_key(&j, s[i].name);
                json_object_begin(&j);
                json_kv_u64(&j, "attempts", s[i].attempts_total);
                json_kv_u64(&j, "delivered", s[i].delivered_total);
                json_kv_u64(&j, "failed", s[i].failed_total);
                json_kv_u64(&j, "dropped", s[i].dropped_total);
                json_kv_u64(&j, "queued", s[i].queued);
                json_kv_string(&j, "error", s[i].last_error);
                json_object_end(&j);
        }
        print_end(&j);
}

static void on_flushed(void *userdata) {
        Driver *d = userdata;

        print_text("flushed", "text", "");
        d->report = report_free(d->report); /* as a daemon would that is about to end */
}

static void do_alert(Driver *d, unsigned target, Verb verb, Reason reason) {
        Decision decision = fixture_decision(RUNG_ALERT, verb, reason);

        report_alert(d->report, &d->fixture.views[target], &decision);
}

static void do_set(Driver *d, char *args) {
        ReportOptions o = d->options;
        char why[256] = "", *save = NULL;
        int r = 0;

        for (char *a = strtok_r(args, " ", &save); a && r == 0; a = strtok_r(NULL, " ", &save))
                r = set_option(&o, a);
        if (r == 0)
                r = report_set_options(d->report, &o, why, sizeof(why));
        if (r == 0)
                d->options = o;
        print_text("set", "error", r < 0 ? why : "");
}

static void run_command(Driver *d, char *line) {
        char *args = strchr(line, ' ');
        Outcome outcome = fixture_reclaim();
        Decision decision = fixture_decision(RUNG_RECLAIM, VERB_ACT, REASON_USED);
        uint64_t msec;

        if (args)
                *args++ = '\0';
        if (strcmp(line, "quit") == 0)
                (void)sd_event_exit(d->event, 0);
        else if (strcmp(line, "ticks") == 0)
                print_ticks(d);
        else if (!d->report)
                print_text("error", "text", "the report is gone");
        else if (strcmp(line, "fire") == 0 || strcmp(line, "repeat") == 0)
                do_alert(d, 0, VERB_ACT, REASON_ETA);
        else if (strcmp(line, "resolve") == 0)
                do_alert(d, 0, VERB_RESOLVE, REASON_CLEARED);
        else if (strcmp(line, "other") == 0)
                do_alert(d, 2, VERB_ACT, REASON_BYTES);
        else if (strcmp(line, "action") == 0)
                report_action(d->report, &d->fixture.views[0], &outcome, &decision);
        else if (strcmp(line, "sinks") == 0)
                print_sinks(d);
        else if (strcmp(line, "set") == 0 && args)
                do_set(d, args);
        else if (strcmp(line, "flush") == 0 && args && parse_u64(args, &msec) == 0)
                report_flush_begin(d->report, msec * USEC_PER_MSEC, on_flushed, d);
        else
                print_text("error", "text", line);
}

static int on_stdin(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Driver *d = userdata;
        ssize_t n = read(fd, d->line + d->line_len, sizeof(d->line) - 1 - d->line_len);
        char *end;
        (void)s;
        (void)revents;

        if (n <= 0)
                return sd_event_exit(d->event, 0);
        d->line_len += (size_t)n;
        d->line[d->line_len] = '\0';
        while ((end = strchr(d->line, '\n'))) {
                *end = '\0';
                run_command(d, d->line);
                d->line_len -= (size_t)(end + 1 - d->line);
                memmove(d->line, end + 1, d->line_len + 1);
        }
        return 0;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        Driver *d = userdata;
        (void)usec;

        d->ticks++;
        (void)sd_event_source_set_time_relative(s, TICK_USEC);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int run(Driver *d) {
        ReportHost host = {.view = get_view, .health = get_health, .sink_changed = on_sink, .userdata = d};
        char why[256] = "";
        int r;

        r = sd_event_new(&d->event);
        if (r < 0)
                return r;
        if (sd_event_add_io(d->event, NULL, STDIN_FILENO, EPOLLIN, on_stdin, d) < 0 ||
            sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, TICK_USEC, 1, on_tick, d) < 0)
                return -EIO;
        r = report_new(d->event, &d->options, &host, &d->report, why, sizeof(why));
        print_text("ready", "error", r < 0 ? why : "");
        return r < 0 ? r : sd_event_loop(d->event);
}

int main(int argc, char **argv) {
        static Driver d; /* zeroed; large */
        int r = 0;

        fixture_init(&d.fixture);
        d.options = d.fixture.options;
        d.options.pushgateway_delete_on_exit = true;
        d.options.webhook_queue_max = 8;
        snprintf(d.options.pushgateway_job, sizeof(d.options.pushgateway_job), "plateau");
        snprintf(d.options.pushgateway_instance, sizeof(d.options.pushgateway_instance), "test");
        for (int i = 1; i < argc && r == 0; i++)
                r = set_option(&d.options, argv[i]);
        if (r < 0) {
                fprintf(stderr, "report-driver: bad option\n");
                return 64;
        }
        r = run(&d);
        report_free(d.report);
        sd_event_unref(d.event);
        return r < 0 ? 1 : 0;
}
