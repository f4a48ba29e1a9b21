/* SPDX-License-Identifier: Apache-2.0
 *
 * Pods that fight for leases: a small model of the API server (versions, conflicts, answers that are lost) and of
 * processes whose clocks differ by hours and per mille, that are stopped, killed and started again. The minds are real.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "kube/slot-judge.h"
#include "unit/unit.h"
#include "util/clock.h"

#define S         USEC_PER_SEC
#define W_PODS    30
#define W_LEASES  4
#define W_TICK    (S / 4)
#define W_TTL     (60 * S)
#define W_TIMEOUT (5 * S)

typedef struct WorldPod {
        SlotMind mind;
        SlotSeen seen[W_LEASES];
        char name[32];
        uint64_t offset, rate_permille;
        bool gone /* the API has no such pod */, dead /* no process */;
        uint64_t stopped_until, mute_until; /* mute: requests get lost */
        uint64_t work_left, limit, again_at;
        bool starts, done, urgent;
        /* the request under way */
        SlotMove move;
        uint64_t sent_local, does_at, answers_at;
        bool does, did, answers, holds_back;
        SlotReply reply;
        SlotLease lease;
        unsigned requests, held_times, lost_times;
        bool was_held;
} WorldPod;

typedef struct World {
        uint64_t t, seed;
        unsigned n_pods, n_leases, loss_percent;
        SlotLease lease[W_LEASES];
        bool missing, denied, notes_denied, trace;
        uint64_t version, changes;
        WorldPod pod[W_PODS];
        unsigned held_most;
} World;

static uint64_t draw(World *w, uint64_t below) { /* xorshift64: the same on each machine */
        w->seed ^= w->seed << 13;
        w->seed ^= w->seed >> 7;
        w->seed ^= w->seed << 17;
        return w->seed % below;
}

static uint64_t local(const World *w, const WorldPod *p) {
        return p->offset + w->t / 1000 * p->rate_permille;
}

static void start(World *w, unsigned i) {
        WorldPod *p = w->pod + i;

        memset(p->seen, 0, sizeof(p->seen));
        slot_mind_init(&p->mind, p->seen, w->n_leases, (unsigned)draw(w, 64), p->name, W_TTL);
        p->dead = p->holds_back = false;
        p->move.what = SLOT_DO_NONE;
}

static void world_init(World *w, unsigned pods, unsigned leases, uint64_t seed) {
        *w = (World){.n_pods = pods, .n_leases = leases, .seed = seed * 2654435761u + 88172645463325252u, .t = S};
        for (unsigned i = 0; i < leases; i++)
                snprintf(w->lease[i].version, sizeof(w->lease[i].version), "0");
        for (unsigned i = 0; i < pods; i++) {
                WorldPod *p = w->pod + i;

                snprintf(p->name, sizeof(p->name), "p%u/u%u", i, i);
                p->offset = S * 3600 * (1 + draw(w, 1000));
                p->rate_permille = 990 + draw(w, 21); /* one per cent: quartz is a thousand times better */
                p->limit = USEC_INFINITY;
                p->work_left = USEC_INFINITY;
                start(w, i);
        }
}

static void write_lease(World *w, WorldPod *p, SlotLease *l) {
        switch (p->move.what) {
        case SLOT_DO_TAKE:
                l->transitions++;
                /* fall through */
        case SLOT_DO_RENEW:
                snprintf(l->holder, sizeof(l->holder), "%s", p->name);
                snprintf(l->renewed, sizeof(l->renewed), "%llu", (unsigned long long)++w->changes);
                l->ttl_usec = W_TTL;
                break;
        case SLOT_DO_RELEASE:
                l->holder[0] = '\0';
                break;
        case SLOT_DO_BID:
                snprintf(l->bidder, sizeof(l->bidder), "%s", p->name);
                snprintf(l->beat, sizeof(l->beat), "%llu", (unsigned long long)++w->changes);
                l->bid_left_usec = p->limit == USEC_INFINITY ? USEC_INFINITY : p->limit > w->t ? p->limit - w->t : 0;
                break;
        default:
                break;
        }
        if (p->move.what != SLOT_DO_BID && strcmp(l->bidder, p->name) == 0)
                l->bidder[0] = '\0';
        snprintf(l->version, sizeof(l->version), "%llu", (unsigned long long)++w->version);
}

static void serve_check(World *w, WorldPod *p) {
        unsigned holder = W_PODS;

        sscanf(p->seen[p->move.index].lease.holder, "p%u", &holder);
        p->reply = holder < w->n_pods && !w->pod[holder].gone ? SLOT_REPLY_OK : SLOT_REPLY_GONE;
}

static void serve(World *w, WorldPod *p) {
        SlotLease *l = w->lease + p->move.index;
        bool writes = p->move.what >= SLOT_DO_TAKE, notes = p->move.what >= SLOT_DO_BID;

        p->reply = SLOT_REPLY_OK;
        if (p->move.what == SLOT_DO_CHECK)
                serve_check(w, p);
        else if (w->missing)
                p->reply = SLOT_REPLY_GONE;
        else if (w->denied || (notes && w->notes_denied))
                p->reply = SLOT_REPLY_DENIED;
        else if (writes && strcmp(l->version, p->lease.version) != 0)
                p->reply = SLOT_REPLY_CONFLICT;
        else if (writes)
                write_lease(w, p, l);
        p->lease = *l;
}

static void ask(World *w, WorldPod *p, SlotMove move) {
        bool is_mute = w->t < p->mute_until;
        unsigned luck = (unsigned)draw(w, 100);

        p->requests++;
        p->move = move;
        p->sent_local = local(w, p);
        p->does_at = w->t + draw(w, S);
        p->answers_at = p->does_at + draw(w, S);
        p->does = !is_mute && luck >= w->loss_percent / 2;
        p->answers = !is_mute && luck >= w->loss_percent;
        p->did = false;
        p->lease = p->seen[move.index].lease;
        if (!p->answers)
                p->answers_at = w->t + W_TIMEOUT;
        if (w->trace)
                print_message("%llu.%02llu %s: %d %u\n", (unsigned long long)(w->t / S),
                              (unsigned long long)(w->t % S / 10000), p->name, (int)move.what, move.index);
}

static void answer(World *w, WorldPod *p) {
        SlotNews news = {.move = p->move,
                         .reply = p->answers ? p->reply : SLOT_REPLY_UNKNOWN,
                         .lease = &p->lease,
                         .sent_usec = p->sent_local,
                         .jitter = (double)draw(w, 1000) / 1000};

        p->move.what = SLOT_DO_NONE;
        slot_reply(&p->mind, &news, local(w, p));
}

static void wish(World *w, WorldPod *p) {
        uint64_t now = local(w, p);
        bool held = slot_is_held(&p->mind, now), lost = slot_is_lost(&p->mind, now);

        if (held && p->was_held && p->work_left != USEC_INFINITY)
                p->work_left -= p->work_left > W_TICK ? W_TICK : p->work_left;
        p->held_times += held && !p->was_held;
        p->was_held = held;
        p->done = p->done || p->work_left == 0;
        if (lost && p->mind.held < 0) {
                p->lost_times++;
                p->again_at = w->t + 30 * S; /* aborted; once more later */
        }
        slot_want(&p->mind, p->starts && !p->done && w->t >= p->again_at,
                  p->limit == USEC_INFINITY ? USEC_INFINITY
                  : p->limit > w->t         ? p->limit - w->t
                                            : 0,
                  p->urgent, now);
}

static void run_pod(World *w, WorldPod *p) {
        if (p->does && !p->did && p->move.what != SLOT_DO_NONE && w->t >= p->does_at) {
                p->did = true; /* also for who is stopped, or dead by now */
                serve(w, p);
        }
        if (p->dead || w->t < p->stopped_until)
                return;
        if (p->move.what != SLOT_DO_NONE && w->t >= p->answers_at)
                answer(w, p);
        wish(w, p);
        if (p->move.what == SLOT_DO_NONE) {
                SlotMove move = slot_judge(&p->mind, local(w, p));

                if (move.what != SLOT_DO_NONE)
                        ask(w, p, move);
                else
                        assert_true(move.wake_usec > local(w, p));
        }
}

static bool holds(const World *w, unsigned i) {
        return !w->pod[i].dead && slot_is_held(&w->pod[i].mind, local(w, w->pod + i));
}

/* Believers, also those who are stopped: what they believe ends by the clock alone. */
static unsigned n_holders(const World *w) {
        unsigned n = 0;

        for (unsigned i = 0; i < w->n_pods; i++)
                n += holds(w, i);
        return n;
}

static void tick(World *w) {
        w->t += W_TICK;
        for (unsigned k = 0, from = (unsigned)draw(w, w->n_pods); k < w->n_pods; k++)
                run_pod(w, w->pod + (from + k) % w->n_pods);
        w->held_most = n_holders(w) > w->held_most ? n_holders(w) : w->held_most;
        if (n_holders(w) > w->n_leases)
                fail_msg("%u believe to hold one of %u leases at %llu s", n_holders(w), w->n_leases,
                         (unsigned long long)(w->t / S));
}

static void run_for(World *w, uint64_t usec) {
        for (uint64_t end = w->t + usec; w->t < end;)
                tick(w);
}

/* Return: after how long. */
static uint64_t run_until_held(World *w, unsigned i, uint64_t within) {
        uint64_t begin = w->t;

        while (!holds(w, i)) {
                tick(w);
                if (w->t > begin + within)
                        fail_msg("pod %u holds none after %llu s", i, (unsigned long long)(within / S));
        }
        return w->t - begin;
}
