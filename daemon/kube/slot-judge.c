/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/slot-judge.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* Of a lease's duration. Renewals leave room for some that fail; who holds it stops before the earliest that another
 * could take it, which leaves 7/12 for an action that was begun, for clocks that run unequally, and for stops. */
#define RENEW_AFTER(ttl)   ((ttl) / 3)
#define BELIEVE_FOR(ttl)   ((ttl) / 3 * 2)
#define OVER_AFTER(ttl)    ((ttl) + (ttl) / 4)
#define CHECK_EVERY(ttl)   ((ttl) / 3)
#define BID_EVERY(ttl)     ((ttl) / 3)
#define BID_STANDS(ttl)    ((ttl) / 3 * 2)
#define YIELD_FOR(ttl)     ((ttl) / 2)
#define RETRY_MAX(ttl)     ((ttl) / 12)
#define WAITER_RETRY_MAX(ttl) ((ttl) / 3) /* who has nothing to lose is in no hurry */
#define READ_EVERY(ttl)    ((ttl) / 12)
#define READ_EACH_USEC     (2 * USEC_PER_SEC) /* all reads of a waiter: one in 2 s at most */
#define RETRY_FIRST_USEC   USEC_PER_SEC
#define LOOK_TRIES         3u
#define TTL_LEAST_USEC     (10 * USEC_PER_SEC) /* what a lease says is bounded: nobody holds it for ever */
#define TTL_MOST_USEC      USEC_PER_HOUR
#define BID_LEAST_GAP_USEC (5 * USEC_PER_SEC) /* who has hardly less time does not replace a bid */

typedef bool (*StepFn)(SlotMind *m, uint64_t now, SlotMove *ret);

static bool is(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most) {
        return value < least ? least : value > most ? most : value;
}

static uint64_t ttl_of(const SlotMind *m, const SlotSeen *s) {
        uint64_t ttl = s->lease.ttl_usec ? s->lease.ttl_usec : m->ttl_usec;

        return within(ttl, TTL_LEAST_USEC, TTL_MOST_USEC);
}

static uint64_t less(uint64_t from, uint64_t what) {
        return from == USEC_INFINITY ? USEC_INFINITY : from > what ? from - what : 0;
}

static bool go(SlotMove *ret, SlotDo what, unsigned index) {
        *ret = (SlotMove){.what = what, .index = index};
        return true;
}

static bool has_bid(const SlotSeen *s, const SlotMind *m) {
        return is(s->lease.bidder, m->me);
}

/* Somebody else waits for it, and showed so lately. */
static bool is_bid_for(const SlotMind *m, const SlotSeen *s, uint64_t now) {
        return s->lease.bidder[0] && !has_bid(s, m) && now < s->bid_changed_usec + BID_STANDS(m->ttl_usec);
}

static uint64_t bid_left(const SlotSeen *s, uint64_t now) {
        return less(s->lease.bid_left_usec, less(now, s->bid_changed_usec));
}

static bool beats(uint64_t mine, uint64_t other) {
        if (mine == USEC_INFINITY || other == USEC_INFINITY)
                return mine != USEC_INFINITY;
        return mine + max_of((uint64_t)BID_LEAST_GAP_USEC, other / 10) < other;
}

/* ---- what to do, in this order ---- */

/* A write whose fate is not known comes first: it may have made us holder of one more. */
static bool clear_up(SlotMind *m, _unused_ uint64_t now, SlotMove *ret) {
        for (unsigned i = 0; i < m->n; i++)
                if (m->seen[i].fate)
                        return go(ret, SLOT_DO_READ, i);
        return false;
}

static bool give_back(SlotMind *m, uint64_t now, SlotMove *ret) {
        bool is_over = !m->want && now >= m->release_until_usec, needs_no_bid = !m->want || m->held >= 0;

        for (unsigned i = 0; i < m->n; i++) {
                SlotSeen *s = m->seen + i;

                if (is_over) {
                        s->fate = false;
                        s->lease.bidder[0] = '\0';
                        s->owner = s->owner == SLOT_MINE ? SLOT_UNREAD : s->owner;
                        continue;
                }
                if (s->owner == SLOT_MINE && (!m->want || (m->held >= 0 && (unsigned)m->held != i)))
                        return go(ret, SLOT_DO_RELEASE, i);
                if (has_bid(s, m) && needs_no_bid && !m->no_notes && s->owner != SLOT_MISSING &&
                    s->owner != SLOT_DENIED)
                        return go(ret, SLOT_DO_UNBID, i);
        }
        return false;
}

static bool keep(SlotMind *m, uint64_t now, SlotMove *ret) {
        if (!m->want || m->held < 0 || (!m->lost && now < m->sent_usec + RENEW_AFTER(m->ttl_usec)))
                return false;
        return go(ret, SLOT_DO_RENEW, (unsigned)m->held);
}

static bool waits(const SlotMind *m) {
        return m->want && m->held < 0 && !m->lost;
}

/* Ours from before this sidecar was started again, or by a write whose answer was lost. */
static bool adopt(SlotMind *m, _unused_ uint64_t now, SlotMove *ret) {
        for (unsigned i = 0; waits(m) && i < m->n; i++)
                if (m->seen[i].fresh && m->seen[i].owner == SLOT_MINE)
                        return go(ret, SLOT_DO_RENEW, i);
        return false;
}

static bool is_open(const SlotMind *m, const SlotSeen *s, uint64_t now) {
        if (!s->fresh || (s->owner != SLOT_FREE && s->owner != SLOT_OTHERS))
                return false;
        return s->owner == SLOT_FREE || s->gone || now >= s->changed_usec + OVER_AFTER(ttl_of(m, s));
}

static bool take(SlotMind *m, uint64_t now, SlotMove *ret) {
        for (unsigned k = 0; waits(m) && k < m->n; k++) {
                unsigned i = (m->first + k) % m->n;
                SlotSeen *s = m->seen + i;
                uint64_t left = less(m->limit_usec, now);
                bool yields;

                if (!is_open(m, s, now)) {
                        s->open_since_usec = 0;
                        continue;
                }
                s->open_since_usec = s->open_since_usec ? s->open_since_usec : now;
                yields = is_bid_for(m, s, now) && !beats(left, bid_left(s, now)) &&
                         now < s->open_since_usec + YIELD_FOR(m->ttl_usec);
                if (yields && !m->urgent)
                        continue;
                go(ret, SLOT_DO_TAKE, i);
                ret->passes = yields && bid_left(s, now) < left;
                return true;
        }
        return false;
}

static bool check(SlotMind *m, uint64_t now, SlotMove *ret) {
        for (unsigned i = 0; waits(m) && !m->no_check && i < m->n; i++) {
                const SlotSeen *s = m->seen + i;

                if (s->fresh && s->owner == SLOT_OTHERS && !s->gone && now >= s->check_due_usec)
                        return go(ret, SLOT_DO_CHECK, i);
        }
        return false;
}

/* Where to bid: our own bid again when it is due, else where nobody does, else in the place of who has most time. */
static bool bid(SlotMind *m, uint64_t now, SlotMove *ret) {
        uint64_t left = less(m->limit_usec, now), most = 0;
        int best = -1;

        if (!waits(m) || m->no_notes)
                return false;
        for (unsigned k = 0; k < m->n; k++) {
                unsigned i = (m->first + k) % m->n;
                const SlotSeen *s = m->seen + i;
                uint64_t other;

                if (s->owner == SLOT_MISSING || s->owner == SLOT_DENIED)
                        continue;
                if (!s->fresh)
                        return false;
                if (has_bid(s, m))
                        return now >= s->bid_changed_usec + BID_EVERY(m->ttl_usec) && go(ret, SLOT_DO_BID, i);
                other = is_bid_for(m, s, now) ? bid_left(s, now) : USEC_INFINITY;
                if (is_bid_for(m, s, now) && !beats(left, other))
                        continue;
                if (best < 0 || other > most) {
                        best = (int)i;
                        most = other;
                }
        }
        return best >= 0 && go(ret, SLOT_DO_BID, (unsigned)best);
}

static bool inspect(SlotMind *m, uint64_t now, SlotMove *ret) {
        bool looks = m->look && !m->want;

        for (unsigned k = 0; (waits(m) || looks) && k < m->n; k++) {
                unsigned i = (m->first + k) % m->n;

                if (looks ? m->seen[i].read_due_usec == 0 : now >= m->seen[i].read_due_usec)
                        return go(ret, SLOT_DO_READ, i);
        }
        m->look = m->look && !looks;
        return false;
}

static uint64_t wake(const SlotMind *m, uint64_t now) {
        uint64_t at = USEC_INFINITY;

        if (m->want && m->held >= 0)
                at = m->sent_usec + (now < m->sent_usec + RENEW_AFTER(m->ttl_usec) ? RENEW_AFTER(m->ttl_usec)
                                                                                   : BELIEVE_FOR(m->ttl_usec));
        for (unsigned i = 0; waits(m) && i < m->n; i++)
                at = min_of(at, m->seen[i].read_due_usec);
        if (now < m->retry_usec && (m->want || m->look || !slot_is_quiet(m)))
                at = m->lost || waits(m) || !m->want ? m->retry_usec : min_of(at, m->retry_usec);
        return max_of(at, now + 1);
}

SlotMove slot_judge(SlotMind *m, uint64_t now) {
        static const StepFn steps[] = {clear_up, give_back, keep, adopt, take, check, bid, inspect};
        SlotMove move = {0};

        if (m->held >= 0 && !m->lost && now >= m->sent_usec + BELIEVE_FOR(m->ttl_usec)) {
                m->lost = true;
                m->seen[m->held].fate = true;
        }
        if (!m->want && now >= m->release_until_usec)
                give_back(m, now, &move);
        for (size_t i = 0; now >= m->retry_usec && i < ELEMENTSOF(steps); i++)
                if (steps[i](m, now, &move))
                        return move;
        return (SlotMove){.wake_usec = wake(m, now)};
}

/* ---- what came of it ---- */

static void lose(SlotMind *m, unsigned i) {
        if (m->held != (int)i)
                return;
        m->held = -1;
        m->lost = true;
}

static void absorb(SlotMind *m, unsigned i, const SlotLease *lease, uint64_t now) {
        SlotSeen *s = m->seen + i;
        bool is_first = s->lease.version[0] == '\0', is_other_holder = !is(s->lease.holder, lease->holder);

        if (is_first || is_other_holder || !is(s->lease.renewed, lease->renewed) ||
            s->lease.transitions != lease->transitions)
                s->changed_usec = now;
        if (is_first || is_other_holder) {
                s->gone = false;
                s->check_due_usec = 0;
        }
        if (!is(s->lease.bidder, lease->bidder) || !is(s->lease.beat, lease->beat))
                s->bid_changed_usec = now;
        s->lease = *lease;
        s->owner = !lease->holder[0] ? SLOT_FREE : is(lease->holder, m->me) ? SLOT_MINE : SLOT_OTHERS;
        s->fresh = true;
        s->fate = false;
        if (m->held == (int)i && (s->owner != SLOT_MINE || lease->transitions != m->transitions))
                lose(m, i);
}

static void schedule(SlotMind *m, unsigned i, const SlotNews *news, uint64_t now) {
        SlotSeen *s = m->seen + i;
        uint64_t every = max_of((uint64_t)READ_EVERY(m->ttl_usec), (uint64_t)READ_EACH_USEC * m->n);

        if (s->owner == SLOT_MISSING || s->owner == SLOT_DENIED)
                every = max_of(every, m->ttl_usec);
        s->read_due_usec = now + every / 4 * 3 + (uint64_t)((double)every / 2 * news->jitter);
}

static void unusable(SlotMind *m, unsigned i, SlotOwner how) {
        lose(m, i);
        m->seen[i].owner = how;
        m->seen[i].fate = false;
        m->seen[i].fresh = true;
        m->seen[i].lease = (SlotLease){0};
}

static void hold_on(SlotMind *m, const SlotNews *news) {
        uint64_t most = waits(m) ? WAITER_RETRY_MAX(m->ttl_usec) : RETRY_MAX(m->ttl_usec),
                 wait = RETRY_FIRST_USEC << min_of(m->fails, 10u);

        m->fails++;
        wait = within(max_of(wait, news->retry_after_usec), RETRY_FIRST_USEC / 2,
                      news->retry_after_usec ? 2 * most : most);
        m->retry_usec = news->sent_usec + wait / 2 + (uint64_t)((double)wait / 2 * news->jitter);
        if (m->look && !m->want && m->fails >= LOOK_TRIES)
                m->look = false;
}

static void reply_to_check(SlotMind *m, const SlotNews *news, uint64_t now) {
        SlotSeen *s = m->seen + news->move.index;

        s->gone = news->reply == SLOT_REPLY_GONE;
        m->no_check = m->no_check || news->reply == SLOT_REPLY_DENIED;
        s->check_due_usec = now + CHECK_EVERY(m->ttl_usec);
}

static void reply_ok(SlotMind *m, const SlotNews *news, uint64_t now) {
        unsigned i = news->move.index;
        bool keeps = news->move.what == SLOT_DO_TAKE || news->move.what == SLOT_DO_RENEW;

        m->fails = 0;
        m->retry_usec = 0;
        absorb(m, i, news->lease, now);
        schedule(m, i, news, now);
        if (!keeps || !m->want || m->seen[i].owner != SLOT_MINE || (m->held < 0 && m->lost))
                return;
        m->held = (int)i;
        m->lost = false;
        m->sent_usec = news->sent_usec;
        m->transitions = news->lease->transitions;
        m->passed = news->move.what == SLOT_DO_TAKE ? news->move.passes : m->passed;
}

void slot_reply(SlotMind *m, const SlotNews *news, uint64_t now) {
        unsigned i = news->move.index;
        SlotDo what = news->move.what;
        bool notes = news->notes || what == SLOT_DO_BID || what == SLOT_DO_UNBID;

        if (what == SLOT_DO_CHECK) {
                reply_to_check(m, news, now);
                return;
        }
        switch (news->reply) {
        case SLOT_REPLY_OK:
                reply_ok(m, news, now);
                return;
        case SLOT_REPLY_CONFLICT:
                m->seen[i].fate = true;
                return;
        case SLOT_REPLY_GONE:
                unusable(m, i, SLOT_MISSING);
                break;
        case SLOT_REPLY_DENIED:
                if (what != SLOT_DO_READ && notes && !m->no_notes)
                        m->no_notes = true; /* once more without */
                else
                        unusable(m, i, SLOT_DENIED);
                break;
        case SLOT_REPLY_UNKNOWN:
                m->seen[i].fate = m->seen[i].fate || what != SLOT_DO_READ;
                hold_on(m, news);
                return;
        }
        schedule(m, i, news, now);
}

/* ---- the rest ---- */

void slot_mind_init(SlotMind *m, SlotSeen *seen, unsigned n, unsigned first, const char *me, uint64_t ttl_usec) {
        *m = (SlotMind){.seen = seen,
                        .n = min_of(n, SLOTS_MAX),
                        .held = -1,
                        .ttl_usec = within(ttl_usec, TTL_LEAST_USEC, TTL_MOST_USEC),
                        .limit_usec = USEC_INFINITY};
        m->first = m->n ? first % m->n : 0;
        strncpy(m->me, me, sizeof(m->me) - 1);
}

void slot_want(SlotMind *m, bool want, uint64_t left_usec, bool urgent, uint64_t now) {
        m->urgent = urgent;
        m->limit_usec = left_usec >= USEC_INFINITY - now ? USEC_INFINITY : now + left_usec;
        if (want == m->want)
                return;
        m->want = want;
        m->held = -1;
        m->lost = m->passed = false;
        m->retry_usec = 0;
        m->fails = 0;
        m->want_since_usec = now;
        m->release_until_usec = now + m->ttl_usec;
        if (!want)
                return;
        m->no_check = m->no_notes = m->look = false;
        for (unsigned i = 0; i < m->n; i++) {
                m->seen[i].fresh = false;
                m->seen[i].open_since_usec = 0;
                m->seen[i].read_due_usec = now;
        }
}

void slot_look(SlotMind *m) {
        m->look = !m->want;
        for (unsigned i = 0; m->look && i < m->n; i++)
                m->seen[i].read_due_usec = 0;
}

bool slot_is_held(const SlotMind *m, uint64_t now) {
        return m->want && m->held >= 0 && !m->lost && now < m->sent_usec + BELIEVE_FOR(m->ttl_usec);
}

bool slot_is_lost(const SlotMind *m, uint64_t now) {
        return m->want && (m->lost || (m->held >= 0 && !slot_is_held(m, now)));
}

bool slot_is_useless(const SlotMind *m) {
        for (unsigned i = 0; i < m->n; i++)
                if (m->seen[i].owner != SLOT_MISSING && m->seen[i].owner != SLOT_DENIED)
                        return false;
        return true;
}

bool slot_is_quiet(const SlotMind *m) {
        for (unsigned i = 0; i < m->n; i++)
                if (m->seen[i].fate || m->seen[i].owner == SLOT_MINE)
                        return false;
        return !m->want;
}
