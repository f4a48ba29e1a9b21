/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP requests on the sd-event loop by libcurl's multi interface. libcurl is opened with dlopen() by
 * http_client_new(), which is only called when a sink is configured. Nothing here blocks: name resolution is curl's
 * threaded resolver's. The proxy variables (http_proxy, https_proxy, no_proxy) are curl's and work as usual, except for
 * what is near: the server of our own cluster, and a request that says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "util/cleanup.h"

typedef struct HttpClient HttpClient;
typedef struct HttpRequest HttpRequest;

typedef struct HttpResponse {
        int error;        /* 0; negative errno: nothing usable came back (see error_text) */
        long status;      /* HTTP status when error == 0 */
        const char *body; /* at most HttpSpec.body_max bytes, NUL-terminated, never NULL; cut if longer */
        size_t body_len;
        bool cut;                  /* the answer went on beyond the bound */
        uint64_t retry_after_usec; /* Retry-After in seconds or as a date; 0 = none */
        char error_text[160];
} HttpResponse;

#define HTTP_BODY_MAX (64u * 1024)

typedef void (*HttpDoneFn)(void *userdata, const HttpResponse *r);

/* A piece of a streamed answer. Called from inside the library: it must not touch the client or any request, only keep
 * the bytes. Return: false ends the request with -EPROTO. */
typedef bool (*HttpDataFn)(void *userdata, const char *data, size_t len);

typedef struct HttpSpec {
        const char *method;         /* "PUT", "POST", "DELETE", "GET" */
        const char *url;            /* http or https only; redirects are not followed */
        const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
        const void *body;           /* copied */
        size_t body_len;
        uint64_t timeout_usec;   /* whole request; 0 = 15 s. Connecting has 5 s of it at most */
        const char *bearer_file; /* may be NULL: token read anew for each request */
        /* A server of our own cluster: https only, TLS 1.2 or later, certificate and name checked by the authorities in
         * this file alone, read anew for each connection; no proxy. NULL: curl's defaults */
        const char *ca_file;
        bool direct;                   /* no proxy, whatever the environment says: who is asked is beside us */
        size_t body_max;               /* bytes of the answer that are kept; 0 = HTTP_BODY_MAX */
        uint64_t connect_timeout_usec; /* 0 = 5 s */
        HttpDataFn data; /* a 200's body goes here as it comes, however slowly, and is not kept; NULL = none */
} HttpSpec;

/* http_client_new() - Return: 0; -ENOENT when libcurl is not installed (@why has the sentence). Owner: caller. */
int http_client_new(sd_event *event, HttpClient **ret, char *why, size_t why_size) _must_check_;
HttpClient *http_client_free(HttpClient *c); /* cancels what is in flight without calling back */

/**
 * http_request() - start a request
 * @spec: strings and body are copied
 * @done: called once, from the loop and never from inside this call, unless cancelled; also when the request could not
 * even be sent (no such scheme, bearer file unreadable). It may start and cancel requests and free the client
 * @ret:  may be NULL. Invalid from the moment @done is called
 * Return: 0; -ENOMEM: @done will not be called.
 */
int http_request(HttpClient *c, const HttpSpec *spec, HttpDoneFn done, void *userdata, HttpRequest **ret) _must_check_;
/* http_request_cancel() - forget it; @done is not called. Return: NULL. */
HttpRequest *http_request_cancel(HttpRequest *r);
