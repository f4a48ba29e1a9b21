/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HTTP server on the sd-event loop: libmicrohttpd in external-epoll mode, opened with dlopen() when
 * `http.listen` is configured. GET and HEAD only, bounded connections and memory, no TLS (bind loopback or the pod's
 * address).
 */
#pragma once

#include <systemd/sd-event.h>

#include "util/buf.h"

typedef struct HttpServer HttpServer;

/**
 * HttpHandlerFn - answer one GET
 * @path:   without query
 * @accept: the Accept header or ""
 * @body:   empty; fill it
 * @ret_content_type: static string
 * Return: HTTP status (200, 404, 503 ...).
 */
typedef int (*HttpHandlerFn)(void *userdata, const char *path, const char *accept, Buf *body,
                             const char **ret_content_type);

/* http_server_new() - @listen: "127.0.0.1:9464", "[::1]:9464", ":9464" (all addresses). Return: 0; -ENOENT:
 * libmicrohttpd not installed; -EADDRINUSE ...; @why has the sentence. */
int http_server_new(sd_event *event, const char *listen, HttpHandlerFn handler, void *userdata, HttpServer **ret,
                    char *why, size_t why_size) _must_check_;
HttpServer *http_server_free(HttpServer *s);
/* http_server_port() - the bound port (of ":0"). */
unsigned http_server_port(const HttpServer *s);
