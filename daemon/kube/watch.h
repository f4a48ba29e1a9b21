/* SPDX-License-Identifier: Apache-2.0
 *
 * Following a set of objects: a list, then a watch from there on, for as long as it is wanted. Ends of connections,
 * forgotten versions (410) and broken lines are handled here, by going on or by a new list, after a pause with full
 * jitter of 0.2 to 30 s. While it lives it keeps one connection.
 */
#pragma once

#include "kube/calls.h"

typedef enum KubeWatchEvent {
        KUBE_WATCH_RESET,   /* a new list begins: forget all objects told so far. No object */
        KUBE_WATCH_ADDED,   /* also one of the list */
        KUBE_WATCH_CHANGED, /* perhaps in nothing that matters */
        KUBE_WATCH_DELETED, /* or left the selection; as it was last */
        KUBE_WATCH_SYNCED,  /* the list was told whole. No object */
        KUBE_WATCH_LOST,    /* no connection, or refused: @why. Tried again, unless refused for good (is_over) */
        _KUBE_WATCH_EVENT_MAX,
} KubeWatchEvent;

typedef struct KubeWatch KubeWatch;

/* @object: for ADDED, CHANGED and DELETED; to be decoded by kube/objects.h; ends with the call. @why: for LOST, else
 * NULL. It may do anything, also free the watch and the client. */
typedef void (*KubeWatchFn)(void *userdata, KubeWatchEvent event, const json_t *object, const KubeAnswer *why);

typedef enum KubeWatchKind {
        KUBE_WATCH_PODS,
        KUBE_WATCH_REPLICASETS,
        KUBE_WATCH_ENDPOINTSLICES,
        _KUBE_WATCH_KIND_MAX,
} KubeWatchKind;

typedef struct KubeWatchSpec {
        KubeWatchKind kind;
        const char *label_selector; /* NULL = all */
        const char *name;           /* only this object; NULL = all */
} KubeWatchSpec;

/**
 * kube_watch_new() - begin with a list
 * @spec: copied
 * Return: 0; -EINVAL: a name or selector that cannot be one; -ENOMEM. Owner: caller.
 */
int kube_watch_new(sd_event *event, KubeClient *c, const KubeWatchSpec *spec, KubeWatchFn fn, void *userdata,
                   KubeWatch **ret) _must_check_;
/* kube_watch_free() - must come before the client's. Return: NULL. */
KubeWatch *kube_watch_free(KubeWatch *w);
/* kube_watch_is_synced() - what was told is whole, and changes are being told. */
bool kube_watch_is_synced(const KubeWatch *w);
/* kube_watch_is_over() - 401, 403, 404 or 422 before it ever worked: it does not try again. */
bool kube_watch_is_over(const KubeWatch *w);
