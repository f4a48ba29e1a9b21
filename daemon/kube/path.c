/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kube/pod.h"

bool kube_is_name(const char *s) {
        if (!isalnum((unsigned char)s[0]) || strlen(s) >= KUBE_NAME_MAX)
                return false;
        for (; *s; s++)
                if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-' && *s != '.')
                        return false;
        return true;
}

bool kube_path_append(char *path, size_t size, const char *text) {
        size_t n = strlen(path);

        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (n + 4 > size)
                        return false;
                if (isalnum(*p) || strchr("-._~", *p))
                        path[n++] = (char)*p;
                else
                        n += (size_t)snprintf(path + n, size - n, "%%%02X", *p);
                path[n] = '\0';
        }
        return true;
}
