/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's functions as a table of typed pointers, filled at run time (http/loader.h says why). Options are set
 * through http/client.c's typed wrappers: curl_easy_setopt() is variadic, and an int where a long is read is undefined.
 */
#pragma once

#include <curl/curl.h>
#include <stddef.h>

#include "util/cleanup.h"

typedef struct CurlApi {
        CURLcode (*global_init)(long flags);
        void (*global_cleanup)(void);
        CURL *(*easy_init)(void);
        void (*easy_cleanup)(CURL *easy);
        CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
        CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
        const char *(*easy_strerror)(CURLcode code);
        struct curl_slist *(*slist_append)(struct curl_slist *list, const char *line);
        void (*slist_free_all)(struct curl_slist *list);
        CURLM *(*multi_init)(void);
        CURLMcode (*multi_cleanup)(CURLM *multi);
        CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
        CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
        CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
        CURLMcode (*multi_assign)(CURLM *multi, curl_socket_t fd, void *p);
        CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t fd, int events, int *running);
        CURLMsg *(*multi_info_read)(CURLM *multi, int *n_left);
} CurlApi;

/* curl_api_load() - the table, opened at the first call and kept. Return: 0; -ENOENT or -ENOSYS with the sentence in
 * @why. */
int curl_api_load(const CurlApi **ret, char *why, size_t why_size) _must_check_;
