/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of the report layer; settings/ fills them, report_new() copies them. Fixed arrays, so that a copy needs no
 * ownership; an empty string turns the feature off.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define REPORT_URL_MAX 1024
#define REPORT_FILE_MAX 1024
#define REPORT_LABELS_MAX 16
#define REPORT_LABEL_MAX 128

typedef struct ReportLabel {
        char name[REPORT_LABEL_MAX]; /* [a-zA-Z_][a-zA-Z0-9_]* */
        char value[REPORT_LABEL_MAX];
} ReportLabel;

/* Where we are, by the Downward API; "" = not known, or in no pod. Of the owner the workload: a Deployment. */
typedef struct ReportPlace {
        char namespace_[64], pod[254], node[254], owner_kind[64], owner_name[254];
} ReportPlace;

typedef struct ReportOptions {
        char http_listen[256];              /* /metrics, /healthz; "" = off */

        char pushgateway_url[REPORT_URL_MAX]; /* base URL, "" = off */
        char pushgateway_job[REPORT_LABEL_MAX]; /* default "plateau" */
        char pushgateway_instance[REPORT_LABEL_MAX]; /* grouping label `instance`; default: host name */
        uint64_t pushgateway_interval_usec; /* default 15 s */
        uint64_t pushgateway_timeout_usec;  /* default 10 s */
        char pushgateway_bearer_file[REPORT_FILE_MAX]; /* "" = none */
        bool pushgateway_delete_on_exit;    /* DELETE the group at a clean stop; default true */

        char webhook_url[REPORT_URL_MAX];   /* "" = off */
        char webhook_bearer_file[REPORT_FILE_MAX];
        uint64_t webhook_timeout_usec;      /* default 10 s */
        uint64_t webhook_retry_max_usec;    /* give up after; default 24 h */
        unsigned webhook_queue_max;         /* undelivered alerts kept; default 256, the oldest is dropped */

        ReportLabel labels[REPORT_LABELS_MAX]; /* added to every metric and alert */
        unsigned n_labels;

        ReportPlace place; /* no setting: filled by the daemon. In alerts and notes, not in metrics */
} ReportOptions;
