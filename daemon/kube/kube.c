/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube.h"

#include <errno.h>
#include <stdio.h>

/* Until the rotation is here: a configuration that asks for it is refused, and says why. */
int kube_new(sd_event *event _unused_, const KubeOptions *options _unused_, const KubeHost *host _unused_,
             Kube **ret _unused_, char *why, size_t why_size) {
        snprintf(why, why_size, "kubernetes is not supported by this build");
        return -EOPNOTSUPP;
}

Kube *kube_free(Kube *k _unused_) {
        return NULL;
}

void kube_stop_begin(Kube *k _unused_, uint64_t deadline_usec _unused_, void (*done)(void *userdata), void *userdata) {
        done(userdata);
}

int kube_set_options(Kube *k _unused_, const KubeOptions *options _unused_) {
        return -EOPNOTSUPP;
}

void kube_mind(Kube *k _unused_, const KubeNeed *need _unused_, uint64_t now_usec _unused_) {
}

bool kube_is_ready(const Kube *k _unused_) {
        return true;
}

bool kube_main_may_live(const Kube *k _unused_) {
        return true;
}

void kube_tell(Kube *k _unused_, KubeNews news _unused_, bool warning _unused_, const char *note _unused_) {
}

void kube_tell_forecast(Kube *k _unused_, const char *json _unused_) {
}

void kube_view(const Kube *k _unused_, KubeView *ret) {
        *ret = (KubeView){.ready = true, .main_may_live = true};
}

static int check(const ActionContext *c _unused_, char *why, size_t why_size) {
        snprintf(why, why_size, "kubernetes is not supported by this build");
        return -EOPNOTSUPP;
}

static int start(const ActionContext *c _unused_, const Decision *d _unused_, ActionDoneFn done _unused_,
                 void *userdata _unused_, ActionRun **ret _unused_) {
        return -EOPNOTSUPP;
}

static void cancel(ActionRun *run _unused_) {
}

const Action action_rotate_kubernetes = {
        .name = "kubernetes", .rung = RUNG_ROTATE, .check = check, .start = start, .cancel = cancel};
