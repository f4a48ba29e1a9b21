/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "util/parse.h"
#include "util/rootfs.h"

#define ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* Names of objects go into URLs: RFC 1123 subdomains need no escaping, and nothing else is a name. A uid fits too. */
static bool is_name(const char *s) {
        for (const char *p = s; *p; p++)
                if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) &&
                    ((*p != '-' && *p != '.') || p == s || !p[1]))
                        return false;
        return *s;
}

static int set_env(const char *name, bool required, char *buf, size_t size, char *why, size_t why_size) {
        const char *v = getenv(name);

        if (!v || !*v) {
                if (!required)
                        return 0;
                snprintf(why, why_size, "%s is not set in the environment", name);
                return -ENOENT;
        }
        if (strlen(v) >= size || !is_name(v)) {
                snprintf(why, why_size, "%s='%.64s': expected lower-case letters, digits, '-' and '.', at most %zu",
                         name, v, size - 1);
                return -EINVAL;
        }
        memcpy(buf, v, strlen(v) + 1);
        return 0;
}

static int set_base_url(KubeConfig *c, char *why, size_t why_size) {
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        struct in6_addr six;
        uint64_t n;

        if (!host || !*host || !port || !*port) {
                snprintf(why, why_size,
                         "not in a cluster: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set");
                return -ENOENT;
        }
        if (parse_u64(port, &n) < 0 || n == 0 || n > 65535) {
                snprintf(why, why_size, "KUBERNETES_SERVICE_PORT='%.16s': expected 1 to 65535", port);
                return -EINVAL;
        }
        if (inet_pton(AF_INET6, host, &six) == 1)
                snprintf(c->base_url, sizeof(c->base_url), "https://[%s]:%u", host, (unsigned)n);
        else if (strlen(host) <= 253 && is_name(host))
                snprintf(c->base_url, sizeof(c->base_url), "https://%s:%u", host, (unsigned)n);
        else {
                snprintf(why, why_size, "KUBERNETES_SERVICE_HOST='%.64s': expected an address or a name", host);
                return -EINVAL;
        }
        return 0;
}

static int set_file(const char *dir, const char *name, char *buf, size_t size, char *why, size_t why_size) {
        int n = snprintf(buf, size, "%s/%s", dir, name);

        if (n < 0 || (size_t)n >= size) {
                snprintf(why, why_size, "PLATEAU_SERVICEACCOUNT_DIR is longer than %zu bytes", size - sizeof("token"));
                return -EINVAL;
        }
        if (access(buf, R_OK) < 0) {
                snprintf(why, why_size, "%.200s: %s", buf, strerror(errno));
                return -ENOENT;
        }
        return 0;
}

/* The downward API's word comes first; the namespace is also among the account's files. */
static int set_namespace(const char *dir, KubeConfig *c, char *why, size_t why_size) {
        char path[300], text[66];
        ssize_t n;
        int r = set_env("PLATEAU_NAMESPACE", false, c->namespace_, sizeof(c->namespace_), why, why_size);

        if (r < 0 || c->namespace_[0])
                return r;
        snprintf(path, sizeof(path), "%s/namespace", dir);
        n = rootfs_read(AT_FDCWD, path, text, sizeof(text));
        if (n < 0 && n != -EFBIG) {
                snprintf(why, why_size, "PLATEAU_NAMESPACE is not set, and %.200s: %s", path, strerror((int)-n));
                return -ENOENT;
        }
        text[strcspn(text, "\n")] = '\0';
        if (n == -EFBIG || strlen(text) >= sizeof(c->namespace_) || !is_name(text)) {
                snprintf(why, why_size, "%.200s holds no namespace", path);
                return -EINVAL;
        }
        memcpy(c->namespace_, text, strlen(text) + 1);
        return 0;
}

int kube_config_load(KubeConfig *ret, char *why, size_t why_size) {
        const char *dir = getenv("PLATEAU_SERVICEACCOUNT_DIR");
        KubeConfig c = {0};
        int r;

        dir = dir && *dir ? dir : ACCOUNT_DIR;
        if ((r = set_base_url(&c, why, why_size)) < 0 ||
            (r = set_file(dir, "token", c.token_file, sizeof(c.token_file), why, why_size)) < 0 ||
            (r = set_file(dir, "ca.crt", c.ca_file, sizeof(c.ca_file), why, why_size)) < 0 ||
            (r = set_namespace(dir, &c, why, why_size)) < 0 ||
            (r = set_env("PLATEAU_POD_NAME", true, c.pod, sizeof(c.pod), why, why_size)) < 0 ||
            (r = set_env("PLATEAU_POD_UID", false, c.uid, sizeof(c.uid), why, why_size)) < 0 ||
            (r = set_env("PLATEAU_NODE", false, c.node, sizeof(c.node), why, why_size)) < 0 ||
            (r = set_env("PLATEAU_CONTAINER", false, c.container, sizeof(c.container), why, why_size)) < 0)
                return r;
        *ret = c;
        return 0;
}
