/* SPDX-License-Identifier: Apache-2.0
 *
 * The table against itself, and what is made from it against the files in config/.
 */
#include <fcntl.h>
#include <stdio.h>

#include "settings/origins.h"
#include "settings/value.h"
#include "unit/unit.h"

#define CONFIG FIXTURES "/../../config/"

static Settings loaded;

static void read_file(const char *path, Buf *b) {
        char part[4096];
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        assert_true(fd >= 0);
        while ((n = read(fd, part, sizeof(part))) > 0)
                buf_add(b, part, (size_t)n);
        assert_int_equal(n, 0);
}

/* The reader of a row takes @text, which is then written as it is read again. */
static void check_text(const SchemaRow *row, const char *what, const char *text) {
        static char field[sizeof(ReportOptions)] __attribute__((__aligned__(16)));
        static char second[sizeof(ReportOptions)] __attribute__((__aligned__(16)));
        _cleanup_buf_ Buf why = BUF_NULL, written = BUF_NULL;

        if (!text || row->type->node != NODE_TEXT || (row->zero_word && strcmp(text, row->zero_word) == 0))
                return;
        assert_true(row->size <= sizeof(field));
        memset(field, 0, sizeof(field));
        memset(second, 0, sizeof(second));
        if (row->type->read(row, text, field, &why) < 0)
                fail_msg("%s: its %s %s is refused: %s", row->key, what, text, buf_str(&why));
        row->type->write(row, field, &written);
        if (row->size == 8 || row->size == 4 || row->size == 1) { /* numbers: text is quoted when written */
                assert_int_equal(row->type->read(row, buf_str(&written), second, &why), 0);
                assert_memory_equal(field, second, row->size);
        }
}

static void test_rows_are_sound(void **state _unused_) {
        static const struct {
                const ValueType *type;
                size_t size;
        } sizes[] = {{&value_bool, sizeof(bool)},
                     {&value_uint, sizeof(unsigned)},
                     {&value_bytes, sizeof(uint64_t)},
                     {&value_duration, sizeof(uint64_t)},
                     {&value_ratio, sizeof(double)},
                     {&value_enum, sizeof(int)},
                     {&value_signal, sizeof(int)},
                     {&value_growth, sizeof(uint64_t)},
                     {&value_eta, sizeof(uint64_t)},
                     {&value_set, sizeof(unsigned)},
                     {&value_windows, sizeof(PolicyWindows)},
                     {&value_argv, sizeof(((ActionOptions *)NULL)->hook_argv)},
                     {&value_ports, sizeof(KubePorts)},
                     {&value_labels, sizeof(ReportOptions)}};
        bool targets_are_over = false;

        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *row = &schema_rows[i];

                check_text(row, "default", row->initial);
                check_text(row, "least", row->min);
                check_text(row, "most", row->max);
                for (size_t k = 0; k < ELEMENTSOF(sizes); k++)
                        if (row->type == sizes[k].type && row->size != sizes[k].size)
                                fail_msg("%s: the field has %zu bytes, the type %zu", row->key, row->size,
                                         sizes[k].size);
                for (unsigned k = 0; k < i; k++) {
                        assert_string_not_equal(schema_rows[k].key, row->key);
                        if (row->environment && schema_rows[k].environment)
                                assert_string_not_equal(schema_rows[k].environment, row->environment);
                }
                assert_true(strlen(row->key) + 2 < SCHEMA_KEY_MAX);
                assert_true(row->help && row->help[0] && row->help[strlen(row->help) - 1] != '.');
                assert_true((row->type != &value_enum && row->type != &value_signal) || row->names);
                /* origins_at() needs the rows of targets first; an environment variable cannot name one */
                assert_false(targets_are_over && schema_is_target(row));
                assert_false(schema_is_target(row) && row->environment);
                targets_are_over = !schema_is_target(row);
        }
}

/* Each row's section is in the table of sections, and no two rows claim the same bytes. */
static void test_rows_have_a_place_of_their_own(void **state _unused_) {
        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *a = &schema_rows[i];
                char section[SCHEMA_KEY_MAX];
                const char *dot = strrchr(a->key, '.');

                snprintf(section, sizeof(section), "%.*s", dot ? (int)(dot - a->key) : 0, a->key);
                if (dot && !schema_find_section(section))
                        fail_msg("%s: no section %s", a->key, section);
                assert_ptr_equal(schema_find(a->key), a);
                for (unsigned k = 0; k < i; k++) {
                        const SchemaRow *b = &schema_rows[k];

                        if (schema_is_target(a) != schema_is_target(b) || a->match || a->type == &value_labels ||
                            b->type == &value_labels)
                                continue;
                        if (a->offset < b->offset + b->size && b->offset < a->offset + a->size)
                                fail_msg("%s and %s overlap", a->key, b->key);
                }
        }
}

/* Every byte of the option structs that is not padding can be set: nothing was forgotten when a field was added. */
static void test_every_option_is_reachable(void **state _unused_) {
        static const struct {
                const char *name;
                size_t offset, size;
        } fields[] = {
#define FIELD(f) {#f, offsetof(Settings, f), sizeof(((Settings *)NULL)->f)}
                FIELD(sample), FIELD(trend),      FIELD(policy),    FIELD(action),
                FIELD(kube),   FIELD(log_format), FIELD(log_level), FIELD(socket_path),
#undef FIELD
        };
        static unsigned char reached[sizeof(Settings)];
        const size_t padding_max = 7;

        for (unsigned i = 0; i < schema_n_rows; i++)
                if (!schema_is_target(&schema_rows[i]))
                        memset(reached + schema_rows[i].offset, 1, schema_rows[i].size);
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                for (size_t k = 0, gap = 0; k < fields[i].size; k++) {
                        gap = reached[fields[i].offset + k] ? 0 : gap + 1;
                        if (gap > padding_max)
                                fail_msg("Settings.%s: no key for byte %zu", fields[i].name, k);
                }
}

static void test_nearest(void **state _unused_) {
        static const struct {
                const char *section, *name, *near;
        } cases[] = {
                {"", "smaple", "sample"},
                {"", "Policy", "policy"},
                {"", "xyz", NULL},
                {"", "rep", "report"},
                {"policy.alert", "usde", "used"},
                {"policy.alert", "byets", "bytes"},
                {"policy.rotate", "need", "needs"},
                {"policy.alert", "fro", "for"},
                {"policy.alert", "o", NULL},
                {"policy.alert", "", NULL},
                {"targets[].match", "cmd", "cmdline"},
                {"targets[].match", "command", NULL},
                {"nonsense", "a", NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *near = schema_nearest(cases[i].section, cases[i].name);

                if (!near != !cases[i].near || (near && strcmp(near, cases[i].near) != 0))
                        fail_msg("%s in %s: %s", cases[i].name, cases[i].section, near ? near : "nothing");
        }
        assert_string_equal(schema_elsewhere("", "interval"), "sample.interval");
        assert_null(schema_elsewhere("", "nonsense"));
}

static void test_help_has_every_key(void **state _unused_) {
        _cleanup_buf_ Buf help = BUF_NULL;

        settings_help(&help);
        assert_false(help.failed);
        for (unsigned i = 0; i < schema_n_rows; i++)
                if (!strstr(buf_str(&help), schema_rows[i].key) || !strstr(buf_str(&help), schema_rows[i].help))
                        fail_msg("%s is not in the help text", schema_rows[i].key);
        for (unsigned i = 0; i < schema_n_sections; i++)
                if (strcmp(schema_sections[i].key, "targets") != 0 && strcmp(schema_sections[i].key, "policy") != 0)
                        assert_non_null(strstr(buf_str(&help), schema_sections[i].help));
}

static void test_schema_file_is_of_this_table(void **state _unused_) {
        _cleanup_buf_ Buf now = BUF_NULL, file = BUF_NULL;

        settings_schema_json(&now);
        read_file(CONFIG "plateau.schema.json", &file);
        assert_false(now.failed);
        if (strcmp(buf_str(&now), buf_str(&file)) != 0)
                fail_msg("write it anew: plateaud --schema > config/plateau.schema.json");
}

/* The given line of @text and the one after it: where a comment may go on. */
static void two_lines(const char *text, unsigned line, char *ret, size_t size) {
        const char *end;

        for (; line > 1 && text; line--)
                text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
        assert_non_null(text);
        end = strchr(text, '\n');
        end = end ? strchr(end + 1, '\n') : NULL;
        snprintf(ret, size, "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
}

static void check_documented(const SchemaRow *row, const char *lines) {
        const char *initial = row->initial ? row->initial : row->zero_word;
        char wanted[128];

        if (row->min && row->max && row->type != &value_ratio) {
                snprintf(wanted, sizeof(wanted), "%s to %s", row->min, row->max);
                if (!strstr(lines, wanted))
                        fail_msg("%s: plateau.yaml does not say %s: %s", row->key, wanted, lines);
        }
        for (size_t i = 0; row->names && row->names[i].name; i++)
                if (!strstr(lines, row->names[i].name))
                        fail_msg("%s: plateau.yaml does not say %s: %s", row->key, row->names[i].name, lines);
        if (row->zero_word && !strstr(lines, row->zero_word))
                fail_msg("%s: plateau.yaml does not say %s: %s", row->key, row->zero_word, lines);
        if (row->environment && !strstr(lines, row->environment))
                fail_msg("%s: plateau.yaml does not say %s: %s", row->key, row->environment, lines);
        if (initial && !strstr(lines, initial)) /* as the value, or as "Default: ..." */
                fail_msg("%s: plateau.yaml does not say %s: %s", row->key, initial, lines);
}

/* Every key stands in the commented example, with its range, words and default as the table has them. */
static void test_example_has_every_key(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL, text = BUF_NULL;
        SettingsOrigins *origins = NULL;

        read_file(CONFIG "plateau.yaml", &text);
        assert_int_equal(settings_load_file(CONFIG "plateau.yaml", &loaded, &origins, &problems), 0);
        assert_string_equal(buf_str(&problems), "");
        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *row = &schema_rows[i];
                const Origin *o = origins_at_const(origins, row, 0);
                char lines[1024];

                if (row->match != TARGET_MATCH_NONE) {
                        snprintf(lines, sizeof(lines), "%s: ", strrchr(row->key, '.') + 1);
                        assert_non_null(strstr(buf_str(&text), lines));
                        continue;
                }
                if (o->origin != ORIGIN_FILE)
                        fail_msg("%s is not in plateau.yaml", row->key);
                two_lines(buf_str(&text), o->mark.line, lines, sizeof(lines));
                check_documented(row, lines);
        }
        settings_origins_free(origins);
        settings_done(&loaded);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows_are_sound),
                cmocka_unit_test(test_rows_have_a_place_of_their_own),
                cmocka_unit_test(test_every_option_is_reachable),
                cmocka_unit_test(test_nearest),
                cmocka_unit_test(test_help_has_every_key),
                cmocka_unit_test(test_schema_file_is_of_this_table),
                cmocka_unit_test(test_example_has_every_key),
        };

        for (unsigned i = 0; i < schema_n_rows; i++)
                if (schema_rows[i].environment)
                        unsetenv(schema_rows[i].environment);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
