/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the driver share. kube.c is the facade, look.c reads single objects of the cluster, follow.c
 * watches sets of them, rotate.c turns what is known into facts and asks the machine, command.c carries out what it
 * says. Nobody else includes this.
 */
#pragma once

#include "kube/calls.h"
#include "kube/drain.h"
#include "kube/events.h"
#include "kube/fields.h"
#include "kube/headroom.h"
#include "kube/kube.h"
#include "kube/plan.h"
#include "kube/reap.h"
#include "kube/slots.h"
#include "kube/state-file.h"
#include "kube/watch.h"
#include "util/clock.h"

#define TURN_USEC  (15 * USEC_PER_SEC) /* to look at everything anew; then it begins with what it has */
#define TURN_NEVER (USEC_INFINITY - TURN_USEC)

/* What is read of the cluster, each by at most one request at a time. */
typedef enum LookKind { LOOK_POD, LOOK_OWNER, LOOK_DEPLOYMENT, _LOOK_MAX } LookKind;

typedef struct Look1 {
        KubeCall *call;
        uint64_t asked_usec, answered_usec; /* 0 = never */
        bool failed;                        /* the last one was */
} Look1;

/* What we may do, asked once at the start. */
typedef enum AccessKind {
        ACCESS_PATCH,
        ACCESS_EVICT,
        ACCESS_LIST,
        ACCESS_ENDPOINTS,
        ACCESS_DELETE,
        ACCESS_RESIZE,
        ACCESS_GATE,
        _ACCESS_MAX,
} AccessKind;

/* What an eviction that was only tried came to. */
typedef struct Foresight {
        KubeCall *call;
        uint64_t asked_usec, next_usec; /* 0 = not yet; USEC_INFINITY = not any more */
        bool refused;                   /* and asking again is no use until somebody changes something */
        char why[160];                  /* "" = it may go; also when a budget is merely used up */
} Foresight;

/* Pods of our ReplicaSet but us, while they are followed. */
typedef struct Peers {
        bool known;
        unsigned ready, unready;
        bool stuck; /* one that is not ready cannot start */
} Peers;

/* What a watch told, of each object what matters. */
typedef struct FollowSeen {
        uint64_t id;
        bool ready, stuck;
} FollowSeen;

typedef struct FollowSet {
        KubeWatch *watch; /* NULL: not wanted, or it could not begin */
        uint64_t begun_usec;
        FollowSeen *seen;
        unsigned n, allocated;
        bool known, overflow; /* all were told; there were too many to keep */
} FollowSet;

struct ActionRun {
        Kube *kube;
        ActionDoneFn done;
        void *userdata;
        uint64_t begin_usec;
        bool seen_rotating;
        sd_event_source *timer; /* to end from the loop, not from inside a call */
        OutcomeResult result;
        char detail[160];
};

struct Kube {
        sd_event *event;
        KubeOptions options;
        KubeHost host;
        sd_event_source *tell_io; /* deferred: host.changed */
        sd_event_source *beat;    /* while rotating, or while something is still to be read */

        bool in_cluster;
        KubeConfig config;
        char why[200];
        KubeClient *client;
        KubeSlots *slots;
        KubeEvents *events;
        KubeReap *reap;
        char state_dir[256];

        /* what is known */
        Look1 looks[_LOOK_MAX];
        unsigned net_failures; /* in a row */
        char last_error[200];
        bool pod_known, pod_gone;
        bool pod_in_doubt; /* a command's answer came and the pod was not seen since */
        KubePod pod;
        uint64_t limit_first_bytes; /* the main container's, as we found it */
        bool set_known;
        KubeReplicaSet set;
        bool deployment_known;
        KubeDeployment deployment;
        char revision[32]; /* of the Deployment when the rotation began */
        FollowSet peer_set, slice_set;
        Peers peers;
        bool selected;         /* the watch of the peers has us among them: our label is there */
        unsigned ready_before; /* peers, when the label went; UINT_MAX = not known */
        uint64_t replacement_ready_usec, detached_usec;
        bool endpoint_known;
        uint64_t endpoint_off_usec;
        KubeAccess access[_ACCESS_MAX];
        unsigned access_next;
        uint64_t access_usec; /* when it was asked last */
        KubeCall *access_call;
        bool gate_told;
        Foresight foresight;

        /* the rotation */
        KubeMachine machine;
        uint64_t seq;
        char boot_id[40], hash[64], owner[KUBE_NAME_MAX]; /* the latter two: what the label was, whose it was */
        bool resumed;
        KubePlan plan;
        KubeReply reply, reply_next; /* reply_next waits for a look at the pod */
        KubeCall *command_call;
        KubeCall *note_call;       /* annotations */
        KubeNeed need;             /* target is NULL */
        int main_fd;               /* pidfd of the main process */
        uint64_t alive_asked_usec; /* /alive, last; 0 = never */
        bool has_main;
        Drain *drain;
        DrainState drained;
        uint64_t drain_begin_usec;
        KubeLearned learned;
        const char *held_reason; /* why NORMAL stays, though a rotation is wanted */
        uint64_t turn_usec;      /* since when a slot is ours and LEASE_WAIT lasts only for what is still to be read */

        uint64_t forecast_next_usec;
        ActionRun *run;

        sd_event_source *stop_timer;
        void (*stopped)(void *userdata);
        void *stopped_userdata;
        uint64_t stop_until_usec;
};

/* kube.c */
void kube_changed(Kube *k); /* the host is told, later */

/* look.c */
/* look_mind() - ask for what the present state needs and is not fresh. */
void look_mind(Kube *k, uint64_t now);
/* look_pod_now() - the pod again, whatever was known. */
void look_pod_now(Kube *k, uint64_t now);
/* look_is_known() - enough is known to decide on a rotation; look_is_fresh(): and lately enough to begin with it.
 * Without the API there is no more to know. */
bool look_is_known(const Kube *k);
bool look_is_fresh(const Kube *k, uint64_t now);
/* look_note() - what an answer says of the API itself. */
void look_note(Kube *k, const KubeAnswer *a);
void look_take_pod(Kube *k, const KubePod *pod, uint64_t now);
bool look_api(const Kube *k);
void look_done(Kube *k);
const char *look_workload(const Kube *k);
/* look_template_hash() - the value of our label pod-template-hash, also of one that we took off; "" = none. */
const char *look_template_hash(const Kube *k);
/* look_refresh() - all objects again, where what is known is not of these seconds. */
void look_refresh(Kube *k, uint64_t now);

/* follow.c */
/* follow_mind() - begin and end what the present state has watched. */
void follow_mind(Kube *k, uint64_t now);
/* follow_is_settled() - what is to be known before the label goes is known, or will not be. */
bool follow_is_settled(const Kube *k, uint64_t now);
void follow_done(Kube *k);

/* foresee.c */
/* foresee_mind() - once after the start: would an eviction be refused? */
void foresee_mind(Kube *k, uint64_t now);
/* foresee_again() - right before a rotation: what was refused then may have been mended. */
void foresee_again(Kube *k, uint64_t now);
void foresee_done(Kube *k);

/* command.c */
/* command_give() - carry it out: the reply comes into k->reply, once it can be seen in the pod. */
void command_give(Kube *k, KubeCommand c, uint64_t now);
/* command_annotate() - the state onto the pod, where nothing else writes it there. */
void command_annotate(Kube *k);

/* rotate.c */
void rotate_saved(const Kube *k, KubeSaved *ret);
/* rotate_write_down() - before a command: who comes after us has to know. */
void rotate_write_down(Kube *k);
/* rotate_step() - facts, machine, command, levels. @target: may be NULL: then a drain begins at the next tick. */
void rotate_step(Kube *k, const Target *target, uint64_t now);
void rotate_facts(Kube *k, uint64_t now, KubeFacts *ret);
/* rotate_has_slot() - ours, or none is needed. */
bool rotate_has_slot(const Kube *k);
/* rotate_resume() - what was written down before, by us or an earlier one of us. @text: of the annotation; NULL: the
 * file. */
void rotate_resume(Kube *k, const char *text, uint64_t now);
void rotate_done(Kube *k);
