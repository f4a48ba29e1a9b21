/* SPDX-License-Identifier: Apache-2.0
 *
 * The rotation's state as it is written down: JSON of less than 2 KiB, the same in the pod's annotation and in
 * rotation.json of PLATEAU_STATE_DIR. Both survive a restart of the sidecar; what is read is hostile all the same (the
 * annotation may have been written by anybody who may patch the pod), so it is taken whole or not at all.
 */
#pragma once

#include "kube/machine.h"
#include "util/buf.h"

#define KUBE_STATE_MAX_BYTES 2048

typedef struct KubeSaved {
        char uid[64];       /* of the pod whose rotation it is */
        uint64_t seq;       /* counts up with each write: of two, the greater is newer */
        char boot_id[40];   /* times of another boot mean nothing */
        char hash[64];      /* value of pod-template-hash that was taken off; "" = none */
        char owner[254];    /* the ReplicaSet that it belonged to, by name; "" with hash "" */
        char revision[32];  /* of the Deployment when the rotation began; "" = not known */
        unsigned ready_before; /* others that were ready when the label went; UINT_MAX = not known */
        KubeMachine machine;
} KubeSaved;

/* kube_saved_write() - append the JSON. */
void kube_saved_write(Buf *b, const KubeSaved *s);

/**
 * kube_saved_parse() - read it back
 * @text: @len bytes, of anybody
 * @uid, @boot_id: ours
 * Return: 0; -EBADMSG: not of the form, or longer than 2 KiB; -ESTALE: of another pod. Of another boot: 0, with all
 * times set to @now, so that every bound begins anew. Untouched @ret on failure.
 */
int kube_saved_parse(const char *text, size_t len, const char *uid, const char *boot_id, uint64_t now,
                     KubeSaved *ret) _must_check_;

/* kube_saved_store() - replace @dir/rotation.json: a temporary file, fsync(2), rename(2), fsync of the directory.
 * Return: 0 or negative errno. Blocks for the disk; only at a change of state. */
int kube_saved_store(const char *dir, const KubeSaved *s) _must_check_;
/* kube_saved_load() - kube_saved_parse() of that file. Return: also -ENOENT. */
int kube_saved_load(const char *dir, const char *uid, const char *boot_id, uint64_t now, KubeSaved *ret) _must_check_;
/* kube_saved_remove() - nothing is under way. Return: 0, also when there is none; negative errno. */
int kube_saved_remove(const char *dir);
