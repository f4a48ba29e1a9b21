/* SPDX-License-Identifier: Apache-2.0 */
#include "http/curl.h"

#include <stdbool.h>

#include "http/loader.h"

/* OpenSSL's flavour first; Debian installs the others under their own sonames, with the same interface. */
static const char *const curl_names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4", NULL};

#define S(member) LOADER_SYMBOL(CurlApi, member, "curl_" #member)
static const LoaderSymbol curl_symbols[] = {
        S(global_init),         S(global_cleanup),  S(easy_init),        S(easy_cleanup),        S(easy_setopt),
        S(easy_getinfo),        S(easy_strerror),   S(slist_append),     S(slist_free_all),      S(multi_init),
        S(multi_cleanup),       S(multi_setopt),    S(multi_add_handle), S(multi_remove_handle), S(multi_assign),
        S(multi_socket_action), S(multi_info_read),
};
#undef S

int curl_api_load(const CurlApi **ret, char *why, size_t why_size) {
        static CurlApi api; /* a library is opened once and never closed */
        static bool loaded;
        int r;

        if (!loaded) {
                r = loader_open("libcurl", curl_names, curl_symbols, ELEMENTSOF(curl_symbols), &api, why, why_size);
                if (r < 0)
                        return r;
                loaded = true;
        }
        *ret = &api;
        return 0;
}
