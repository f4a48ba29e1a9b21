/* SPDX-License-Identifier: Apache-2.0 */
#include "systemd/unit.h"

#include <string.h>

#include "util/parse.h"

#define SUFFIX ".service"

static bool ends_with(const char *s, size_t n, const char *suffix) {
        size_t m = strlen(suffix);

        return n > m && memcmp(s + n - m, suffix, m) == 0;
}

bool unit_name_is_valid(const char *name) {
        static const char *const types[] = {SUFFIX, ".scope", ".target", ".slice", ".socket"};
        size_t n = strlen(name);

        if (n >= UNIT_NAME_MAX || name[0] == '.' ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") != n)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (ends_with(name, n, types[i]))
                        return true;
        return false;
}

/* A part of the path below which another service manager or a container runtime rules. A service that follows has its
 * name from there, not from our manager; one that stands before is the runtime itself, which serves everybody. */
static bool is_other_realm(const char *p, size_t n, bool is_in_service) {
        static const char *const marks[] = {"kubepods", "docker", "containerd", "crio", "libpod", "lxc"};

        if (ends_with(p, n, ".scope"))
                return true;
        if (ends_with(p, n, ".slice")) /* slices stand above services: below one, a manager runs in it */
                return is_in_service;
        for (size_t i = 0; i < ELEMENTSOF(marks); i++)
                if (memmem(p, n, marks[i], strlen(marks[i])))
                        return true;
        return false;
}

/* "user@1000.service" */
static bool parse_user_manager(const char *p, size_t n, uid_t *ret) {
        char digits[16];
        size_t m;
        uint64_t v;

        if (n < strlen("user@") + strlen(SUFFIX) || memcmp(p, "user@", 5) != 0 || !ends_with(p, n, SUFFIX))
                return false;
        m = n - 5 - strlen(SUFFIX);
        if (m == 0 || m >= sizeof(digits))
                return false;
        memcpy(digits, p + 5, m);
        digits[m] = '\0';
        if (parse_u64(digits, &v) < 0 || v > UINT32_MAX)
                return false;
        *ret = (uid_t)v;
        return true;
}

static int from_path(const char *path, size_t len, UnitName *ret) {
        UnitName u = {0};

        for (const char *p = path, *end = path + len; p < end;) {
                size_t n = strcspn(p, "/\n");

                if (n > (size_t)(end - p))
                        n = (size_t)(end - p);
                if (parse_user_manager(p, n, &u.uid)) {
                        u.is_user = true;
                        u.name[0] = '\0'; /* the manager itself is nothing to restart: all the user has is in it */
                } else if (ends_with(p, n, SUFFIX)) {
                        size_t skip = p[0] == '_'; /* cgroup names that would clash with the kernel's are escaped so */

                        if (n - skip >= sizeof(u.name))
                                return -EINVAL;
                        memcpy(u.name, p + skip, n - skip);
                        u.name[n - skip] = '\0';
                        if (!unit_name_is_valid(u.name))
                                return -EINVAL;
                } else if (is_other_realm(p, n, u.name[0] != '\0'))
                        return -ENXIO;
                p += n + 1;
        }
        if (!u.name[0])
                return -ENXIO;
        *ret = u;
        return 0;
}

int unit_from_cgroup(const char *text, UnitName *ret) {
        static const char *const heads[] = {"0::", ":name=systemd:"};
        int r = -ENXIO;

        for (size_t i = 0; i < ELEMENTSOF(heads); i++)
                for (const char *line = text; *line;) {
                        size_t n = strcspn(line, "\n");
                        const char *head = i == 0 ? line : line + strspn(line, "0123456789");
                        size_t m = strlen(heads[i]);

                        if ((size_t)(head - line) + m <= n && strncmp(head, heads[i], m) == 0) {
                                r = from_path(head + m, n - (size_t)(head - line) - m, ret);
                                if (r != -ENXIO)
                                        return r;
                        }
                        line += n + (line[n] == '\n');
                }
        return r;
}
